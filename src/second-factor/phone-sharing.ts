import { sql } from 'kysely'
import type { Db } from '../db/schema.ts'

/** Whether one number may belong to several accounts; `warn`: it may, and it is noted. */
export type Sharing = 'allow' | 'warn' | 'refuse'

/** A row if a number that is being proven is another account's already. */
export function sharedNumber(phoneId: string | null) {
  return sql<{ id: string }>`
    select p.id from phone p join phone o using (number_fingerprint)
    where p.id = ${phoneId} and p.pending and o.account_id <> p.account_id and not o.pending limit 1`
}

/** Has accounts that take the same number take turns, to the end of the transaction, so that the second sees the first. */
export async function takeTurns(on: Db, number: Buffer): Promise<void> {
  await sql`select pg_advisory_xact_lock(hashtextextended(encode(${number}::bytea, 'hex'), 0))`.execute(
    on,
  )
}

/** The same for a number that is being proven. */
export async function takeTurnsProving(on: Db, phoneId: string): Promise<void> {
  await sql`
    select pg_advisory_xact_lock(hashtextextended(encode(number_fingerprint, 'hex'), 0))
    from phone where id = ${phoneId}`.execute(on)
}
