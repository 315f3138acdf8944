import { type RawBuilder, sql } from 'kysely'

/**
 * Seconds from a code's first message to the right code: where one group of times ends and the next begins. Codes
 * are told apart where most of them are typed, within a minute. Part of what is stored: never changed.
 */
export const TIME_BOUNDS = [
  2, 4, 6, 8, 10, 12, 15, 18, 21, 25, 30, 35, 40, 50, 60, 75, 90, 120, 150, 180, 240, 300, 450, 600,
] as const

const GROUPS = TIME_BOUNDS.length + 1

/** Number of the group of an expression in seconds, from 0. */
export const timeGroup = (seconds: RawBuilder<number>): RawBuilder<number> =>
  sql`width_bucket((${seconds})::float8, ${[...TIME_BOUNDS]}::float8[])`

/** Aggregate: how many of an expression of `timeGroup` fall into each group. */
export const countTimes = (group: RawBuilder<number>): RawBuilder<number[]> =>
  eachGroup((index) => sql`count(*) filter (where ${group} = ${index}::int)`)

/** Aggregate: the groups of several rows, added up. */
export const addTimes = (times: RawBuilder<number[]>): RawBuilder<number[]> =>
  eachGroup((index) => sql`coalesce(sum(${times}[${index + 1}::int]), 0)`)

function eachGroup(count: (index: number) => RawBuilder<unknown>): RawBuilder<number[]> {
  return sql`array[${sql.join(Array.from({ length: GROUPS }, (_, index) => count(index)))}]::int[]`
}

/** The groups of several rows, added up. */
export function sumTimes(all: ReadonlyArray<readonly number[]>): number[] {
  return Array.from({ length: GROUPS }, (_, index) =>
    all.reduce((sum, times) => sum + (times[index] ?? 0), 0),
  )
}

/** Half of the codes were typed within so many seconds, as if times spread evenly within their group; null if none were. */
export function medianSeconds(times: readonly number[]): number | null {
  const half = times.reduce((sum, count) => sum + count, 0) / 2
  let before = 0
  for (const [index, count] of times.entries()) {
    if (count > 0 && before + count >= half) {
      const from = TIME_BOUNDS[index - 1] ?? 0
      // Nothing tells how long the longest took.
      const to = TIME_BOUNDS[index] ?? from
      return Math.round((from + ((half - before) / count) * (to - from)) * 10) / 10
    }
    before += count
  }
  return null
}
