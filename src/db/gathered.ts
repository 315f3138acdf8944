import { type Compilable, type Expression, type RawBuilder, sql } from 'kysely'
import { tracedWithin, untraced } from '../tracing.ts'
import { statementWork } from './connection.ts'
import { assertInTime, createSharedTime, TimeIsUp } from './deadline.ts'
import { prepared, shared } from './prepared.ts'
import type { Db } from './schema.ts'

/** More would wait for each other longer than it takes to ask again. */
const MOST = 16

interface Gathering<Value, Row> {
  values: Value[]
  time: ReturnType<typeof createSharedTime>
  /** by their values' places, from one on */
  found: Promise<ReadonlyMap<number, Row>>
}

/**
 * A look-up of one row that many make at the same time, each by a value of its own: those that are asked for in one turn
 * of the event loop go as one statement. To find sixteen takes little more than to find one, here and at the database.
 *
 * @param type of the value, as the database calls it
 * @param look the look-up; it finds one row at most
 */
export function gathered<Value, Row>(
  db: Db,
  type: 'bytea' | 'text',
  look: (value: RawBuilder<Value>) => Expression<Row> & Compilable<Row>,
): (value: Value) => Promise<Row | undefined> {
  const findOne = shared<{ value: Value }, Row>((place) => look(place('value')).compile())
  // Of so many places it is planned as of so many, whoever asks; those that nobody took are null, and done with at once.
  const findMany = prepared<{ values: readonly Value[] }, Row & { place: number }>((place, on) => {
    const value = sql<Value>`(${place('values')}::${sql.raw(type)}[])[asked.place]`
    return sql<Row & { place: number }>`
      select asked.place, found.* from generate_series(1, ${sql.lit(MOST)}) as asked (place)
        cross join lateral ${look(value)} as found`.compile(on)
  })
  let open: Gathering<Value, Row> | undefined
  let text: string | undefined

  async function find(values: readonly Value[]): Promise<ReadonlyMap<number, Row>> {
    const [first, ...more] = values
    if (first !== undefined && more.length === 0) {
      const { rows } = await findOne(db, { value: first })
      return new Map(rows.map((row) => [1, row]))
    }
    const { rows } = await findMany(db, { values })
    return new Map(rows.map((row) => [row.place, row]))
  }

  function begun(): Gathering<Value, Row> {
    const values: Value[] = []
    const time = createSharedTime()
    const found = new Promise<ReadonlyMap<number, Row>>((resolve, reject) => {
      setImmediate(() => {
        if (open?.values === values) open = undefined
        untraced(() => time.run(() => find(values))).then(resolve, reject)
      })
    })
    return { values, time, found }
  }

  async function ask(value: Value): Promise<Row | undefined> {
    assertInTime()
    open ??= begun()
    const { values, time, found } = open
    const place = values.push(value)
    time.join()
    if (place === MOST) open = undefined
    try {
      return (await found).get(place)
    } catch (error) {
      // It was that of somebody else, who came sooner.
      if (!(error instanceof TimeIsUp)) throw error
      assertInTime()
      return (await findOne(db, { value })).rows[0]
    }
  }

  /** For traces: each of those who ask has waited for it. */
  function work() {
    text ??= look(sql`$1`).compile().sql
    return statementWork(text)
  }

  return (value) => tracedWithin(work, () => ask(value))
}
