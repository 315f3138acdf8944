import { type RawBuilder, sql } from 'kysely'
import type { Clock } from '../../src/db/clock.ts'
import { late } from '../../src/db/prepared.ts'

/**
 * A clock that a test moves, also for statements that are put together once.
 * @param seconds how far it has been moved
 * @param from where it stood before; one that is fixed stands still
 */
export function movedClock(seconds: () => number, from: RawBuilder<unknown> = sql`now()`): Clock {
  return () => sql<Date>`(${from} + make_interval(secs => ${late(seconds)}))`
}
