import { type RawBuilder, sql } from 'kysely'

/** Made, not used and not too old. */
export const isLive = (now: RawBuilder<Date>) => sql`(used_at is null and expires_at > ${now})`

/** Until a second admin approves a code that needs it, it counts as none at all. */
export const isAllowed = sql`(not needs_approval or approved_at is not null)`

/** Whether an account, given as an expression, has a code of the help desk that would let somebody in now. */
export const hasBypassCode = (
  accountId: RawBuilder<unknown>,
  now: RawBuilder<Date>,
) => sql<boolean>`
  exists (select from bypass_code where account_id = ${accountId} and ${isLive(now)} and ${isAllowed})`
