import { sql } from 'kysely'
import { type Clock, later } from '../db/clock.ts'
import type { Db } from '../db/schema.ts'

/** What can't be undone needs a second factor no older than this. */
export const FRESH_SECONDS = 20 * 60

export type IsFresh = ReturnType<typeof createFreshness>

/** Whether a second factor that was shown at a time, in seconds since 1970, is fresh by the database's clock. */
export function createFreshness({ db, clock }: { db: Db; clock: Clock }) {
  return async (provenAt: number): Promise<boolean> => {
    const { rows } = await sql<{ fresh: boolean }>`
      select to_timestamp(${provenAt}) > ${later(clock, -FRESH_SECONDS)} as fresh`.execute(db)
    return rows[0]?.fresh ?? false
  }
}
