import { type CompiledQuery, type QueryResult, type RawBuilder, sql } from 'kysely'
import { isLocked } from './faults.ts'
import type { Db } from './schema.ts'
import { sharing } from './together.ts'

/**
 * A value that is asked for when its statement is sent. What stands in a statement that is put together once, and isn't
 * the same each time, is one of these.
 */
class Late {
  readonly value: () => unknown
  constructor(value: () => unknown) {
    this.value = value
  }

  /** For `pg`, where the statement is sent as it was put together. */
  toPostgres(): unknown {
    return this.value()
  }
}

/** Where one of the values goes that a prepared statement is run with. */
class Place {
  readonly name: string
  constructor(name: string) {
    this.name = name
  }
}

/** A value that is asked for each time the statement is sent. */
export const late = <T>(value: () => T): RawBuilder<T> => sql<T>`${new Late(value)}`

/** The places of a statement's values, by their names. */
export type PlaceOf<Values> = <Name extends keyof Values & string>(
  name: Name,
) => RawBuilder<Values[Name]>

type Build<Values, Row> = (place: PlaceOf<Values>, on: Db) => CompiledQuery<Row>
type Run<Values, Row> = (on: Db, values: Values) => Promise<QueryResult<Row>>

/**
 * A statement that is put together once, since that takes longer than to send it. Everything in it that differs from
 * one time to the next has a place of its own, or is `late`.
 */
export const prepared = <Values extends object, Row>(build: Build<Values, Row>): Run<Values, Row> =>
  putTogetherOnce(build, (sql) => sql)

/** A prepared statement that shares its connection with others, since it is short and waits for no lock. */
export const shared = <Values extends object, Row>(build: Build<Values, Row>): Run<Values, Row> =>
  putTogetherOnce(build, sharing)

function putTogetherOnce<Values extends object, Row>(
  build: Build<Values, Row>,
  mark: (sql: string) => string,
): Run<Values, Row> {
  let compiled: CompiledQuery<Row> | undefined
  return (on, values) => {
    compiled ??= compile(on)
    const present = (parameter: unknown): unknown => {
      if (parameter instanceof Place) return Reflect.get(values, parameter.name)
      return parameter instanceof Late ? parameter.value() : parameter
    }
    return on.executeQuery<Row>({ ...compiled, parameters: compiled.parameters.map(present) })
  }

  function compile(on: Db): CompiledQuery<Row> {
    const query = build((name) => sql`${new Place(name)}`, on)
    return { ...query, sql: mark(query.sql) }
  }
}

/**
 * A prepared statement that hardly ever meets somebody else's lock: sent in a form that doesn't wait for one, and so
 * shares its connection; and if it met one, once more in a form that waits.
 *
 * @param isDecided whether the first form's answer holds; else it has changed nothing, and the second form is asked
 */
export function unwaiting<Values extends object, Row>(
  build: (place: PlaceOf<Values>, on: Db, waits: boolean) => CompiledQuery<Row>,
  isDecided: (row: Row | undefined) => boolean = () => true,
): Run<Values, Row> {
  const first = shared<Values, Row>((place, on) => build(place, on, false))
  const second = prepared<Values, Row>((place, on) => build(place, on, true))
  return async (on, values) => {
    const answer = await first(on, values).catch((error) => {
      if (!isLocked(error)) throw error
    })
    return answer && isDecided(answer.rows[0]) ? answer : second(on, values)
  }
}
