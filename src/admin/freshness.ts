import { sql } from 'kysely'
import { type Clock, later } from '../db/clock.ts'
import type { Db } from '../db/schema.ts'

/** What can't be undone needs a second factor no older than this. */
export const FRESH_SECONDS = 20 * 60

/**
 * `held`: it was shown lately, but by a factor that was added too recently to stand for its owner alone, or by a code
 * of the help desk.
 */
export type Freshness = 'fresh' | 'held' | 'stale'

export type FreshnessOf = ReturnType<typeof createFreshness>

/** Whether an account's second factor, shown at a time in seconds since 1970, is good for the admin's side. */
export function createFreshness({ db, clock }: { db: Db; clock: Clock }) {
  return async (accountId: string, provenAt: number): Promise<Freshness> => {
    const now = clock()
    const { rows } = await sql<{ stands: boolean }>`
      select c.passed_with <> 'bypass-code' and coalesce(p.held_until, a.held_until, '-infinity') <= ${now} as stands
      from challenge c
      left join phone p on p.id = c.phone_id and c.passed_with in ('sms', 'voice')
      left join authenticator a on a.id = c.authenticator_id and c.passed_with = 'totp'
      where c.account_id = ${accountId} and floor(extract(epoch from c.passed_at)) = ${provenAt}::float8
        and c.passed_at > ${later(clock, -FRESH_SECONDS)}`.execute(db)
    if (rows.some(({ stands }) => stands)) return 'fresh'
    return rows.length > 0 ? 'held' : 'stale'
  }
}
