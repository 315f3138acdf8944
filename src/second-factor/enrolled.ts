import { sql } from 'kysely'
import type { Db } from '../db/schema.ts'

/** Whether an account has anything that it can be asked for beside its password. */
export async function isEnrolled(on: Db, accountId: string): Promise<boolean> {
  const { rows } = await sql<{ enrolled: boolean }>`
    select exists (select from phone where account_id = ${accountId} and not pending)
      or exists (select from authenticator where account_id = ${accountId} and confirmed_at is not null)
      or exists (select from backup_code where account_id = ${accountId} and used_at is null) as enrolled`.execute(
    on,
  )
  return rows[0]?.enrolled ?? false
}
