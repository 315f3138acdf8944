import { type CompiledQuery, type QueryResult, type RawBuilder, sql } from 'kysely'
import type { Db } from './schema.ts'

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

export const late = <T>(value: () => T): RawBuilder<T> => sql<T>`${new Late(value)}`

/** The places of a statement's values, by their names. */
export type PlaceOf<Values> = <Name extends keyof Values & string>(
  name: Name,
) => RawBuilder<Values[Name]>

/**
 * A statement that is put together once, since that takes longer than to send it. Everything in it that differs from
 * one time to the next has a place of its own, or is `late`.
 */
export function prepared<Values extends object, Row>(
  build: (place: PlaceOf<Values>, on: Db) => CompiledQuery<Row>,
): (on: Db, values: Values) => Promise<QueryResult<Row>> {
  let compiled: CompiledQuery<Row> | undefined
  return (on, values) => {
    compiled ??= build((name) => sql`${new Place(name)}`, on)
    const present = (parameter: unknown): unknown => {
      if (parameter instanceof Place) return Reflect.get(values, parameter.name)
      return parameter instanceof Late ? parameter.value() : parameter
    }
    return on.executeQuery<Row>({ ...compiled, parameters: compiled.parameters.map(present) })
  }
}
