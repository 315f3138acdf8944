import { type RawBuilder, sql } from 'kysely'

export interface GrowingLock {
  /** failures in a row from which on each one locks */
  after: number
  firstSeconds: number
  longestSeconds: number
}

/**
 * Until when a lock lasts that doubles with each failure beyond the limit, as an SQL expression; null below it.
 * @param failures expression of the failures in a row, the present one included
 */
export function lockedUntil(
  now: RawBuilder<Date>,
  failures: RawBuilder<number>,
  lock: GrowingLock,
) {
  const doublings = sql`least(${failures} - ${lock.after}, 20)`
  return sql<Date | null>`case when ${failures} >= ${lock.after} then ${now} + make_interval(secs =>
    least(${lock.firstSeconds} * power(2, ${doublings}), ${lock.longestSeconds})) end`
}
