import { type RawBuilder, sql } from 'kysely'
import type { SecondFactorState } from '../accounts/tries.ts'
import type { Clock } from '../db/clock.ts'
import type { Db } from '../db/schema.ts'
import { isLocked } from './challenge-parts.ts'

/** Row by row, since `exists` could have PostgreSQL read a whole table. */
const isThere = (rows: RawBuilder<unknown>) => sql`(select true ${rows} limit 1) is not null`

const hasAny = (accountId: string | RawBuilder<string>): RawBuilder<boolean> => sql`(
  ${isThere(sql`from phone where account_id = ${accountId} and not pending`)}
  or ${isThere(sql`from authenticator where account_id = ${accountId} and confirmed_at is not null`)}
  or ${isThere(sql`from backup_code where account_id = ${accountId} and used_at is null`)})`

/** Whether an account has anything that it can be asked for beside its password. */
export async function isEnrolled(on: Db, accountId: string): Promise<boolean> {
  const { rows } = await sql<{
    enrolled: boolean
  }>`select ${hasAny(accountId)} as enrolled`.execute(on)
  return rows[0]?.enrolled ?? false
}

/** How it stands with an account's second factor, as a scalar for a statement that looks the account up. */
export const secondFactorState =
  (clock: Clock) =>
  (accountId: RawBuilder<string>): RawBuilder<SecondFactorState> =>
    sql`
    case
      when ${isThere(sql`from second_factor s where s.account_id = ${accountId} and ${isLocked(clock())}`)} then 'locked'
      when ${hasAny(accountId)} then 'some'
      else 'none'
    end`
