import { type RawBuilder, sql } from 'kysely'
import { statementWork } from './connection.ts'
import { isOfItsRows } from './faults.ts'
import { gathering } from './gathering.ts'

/** One of those whose writes one statement makes, by its number among them. */
export interface Owned<Value> {
  owner: number
  value: Value
}

interface Writes<Value, Answer> {
  /** the statement's beginning, for traces */
  named: string
  /** of the rows that a write is decided by, or changes; no two writes of a statement share one */
  keysOf(value: Value): readonly Buffer[]
  /** makes one write */
  alone(value: Value): Promise<Answer>
  /**
   * Makes several by one statement that waits for nobody, or hardly ever.
   * @returns the answers by the owners' numbers; none for those about whom it could decide nothing
   */
  together(all: ReadonlyArray<Owned<Value>>): Promise<ReadonlyMap<number, Answer>>
}

/**
 * A write that many make at the same time, each decided by rows of its own: together they are one statement. To make
 * sixteen takes little more than to make one, here and at the database. Whoever meets somebody else at its rows is asked
 * for alone, and so is everybody where the statement failed for one of them.
 */
export function gatheredWrites<Value, Answer>({
  named,
  keysOf,
  alone,
  together,
}: Writes<Value, Answer>): (value: Value) => Promise<Answer> {
  const gather = gathering<Value, { answer: Answer } | undefined>(
    async (values) => {
      const [first, ...more] = values
      if (first !== undefined && more.length === 0) {
        const answer = await alone(first)
        return () => ({ answer })
      }
      const answers = await together(disjoint(values, keysOf)).catch((error) => {
        if (!isOfItsRows(error)) throw error
        return new Map<number, Answer>()
      })
      return (owner) => {
        const answer = answers.get(owner)
        return answer === undefined ? undefined : { answer }
      }
    },
    () => statementWork(named),
  )
  return async (value) => {
    const gathered = await gather(value)
    return gathered ? gathered.answer : alone(value)
  }
}

/**
 * Rows of a statement that is planned once. Of a limit that it can't foresee PostgreSQL expects little, and so it goes by
 * keys where they are joined, also in a table that it knows nothing of yet.
 * @param most that there are: nothing is cut off
 */
export const fewOf = (rows: RawBuilder<unknown>, most: RawBuilder<unknown>): RawBuilder<unknown> =>
  sql`(${rows} limit (select ${most}))`

/** Of two that share a row, only the first. */
function disjoint<Value>(
  values: readonly Value[],
  keysOf: (value: Value) => readonly Buffer[],
): Array<Owned<Value>> {
  const taken = new Set<string>()
  return values.flatMap((value, owner) => {
    const names = keysOf(value).map((key) => key.toString('latin1'))
    if (names.some((name) => taken.has(name))) return []
    for (const name of names) taken.add(name)
    return { owner, value }
  })
}
