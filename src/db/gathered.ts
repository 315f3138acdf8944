import { type Compilable, type Expression, type RawBuilder, sql } from 'kysely'
import { statementWork } from './connection.ts'
import { gathering, MOST } from './gathering.ts'
import { prepared, shared } from './prepared.ts'
import type { Db } from './schema.ts'

const LISTS = { bytea: sql`bytea[]`, text: sql`text[]` }

/**
 * A look-up of one row that many make at the same time, each by a value of its own: together they are one statement. To
 * find sixteen takes little more than to find one, here and at the database.
 *
 * @param type of the value, as the database calls it
 * @param look the look-up; it finds one row at most
 */
export function gathered<Value, Row>(
  db: Db,
  type: keyof typeof LISTS,
  look: (value: RawBuilder<Value>) => Expression<Row> & Compilable<Row>,
): (value: Value) => Promise<Row | undefined> {
  const findOne = shared<{ value: Value }, Row>((place) => look(place('value')).compile())
  // Of so many places it is planned as of so many, whoever asks; those that nobody took are null, and done with at once.
  const findMany = prepared<{ values: readonly Value[] }, Row & { place: number }>((place, on) => {
    const value = sql<Value>`(${place('values')}::${LISTS[type]})[asked.place]`
    return sql<Row & { place: number }>`
      select asked.place, found.* from generate_series(1, ${sql.lit(MOST)}) as asked (place)
        cross join lateral ${look(value)} as found`.compile(on)
  })
  let text: string | undefined

  return gathering(
    async (values: readonly Value[]) => {
      const [first, ...more] = values
      if (first !== undefined && more.length === 0) {
        const { rows } = await findOne(db, { value: first })
        return () => rows[0]
      }
      const { rows } = await findMany(db, { values })
      const found = new Map(rows.map((row) => [row.place, row]))
      return (index) => found.get(index + 1)
    },
    () => {
      text ??= look(sql`$1`).compile().sql
      return statementWork(text)
    },
  )
}
