import { type RawBuilder, sql } from 'kysely'
import type { Db } from '../db/schema.ts'
import type { PendingRecord } from './sealed-records.ts'

/** Whose records end all at once, while one more may be about to be stored. */
export const recordsOf = {
  account: (id: string) => `records of account ${id}`,
  client: (id: string) => `records of client ${id}`,
}

/**
 * Waits until nothing is being stored that is to end, and lets nothing be until the transaction is over. Whoever
 * deletes all records of an account or a client does this before, in a statement of its own: a statement doesn't see
 * what is stored while it waits, such as a session that is getting a new id just then, and would leave it alive.
 * Stands before any lock on a record, since those who store take theirs in that order.
 */
export async function keepApart(on: Db, name: string): Promise<void> {
  await sql`select pg_advisory_xact_lock(hashtextextended(${name}, 0))`.execute(on)
}

/**
 * The counterpart for those who store, who may do so beside one another. What they look at after it is as it is then,
 * as long as they lock it: a row that has ended meanwhile isn't there to be locked.
 * @param waits whether for those who end records; else the names that they hold are left out
 */
export function storeBeside(names: RawBuilder<unknown>, waits: boolean): RawBuilder<unknown> {
  const key = sql`hashtextextended(name, 0)`
  return waits
    ? sql`select pg_advisory_xact_lock_shared(${key}) from unnest(${names}::text[]) as name`
    : sql`select from unnest(${names}::text[]) as name where pg_try_advisory_xact_lock_shared(${key})`
}

/**
 * The same for several who store at once: tells by their numbers whom it can't let, since somebody ends records of
 * theirs.
 * @param owners whose each of the names is
 */
export function tryBeside(
  names: RawBuilder<unknown>,
  owners: RawBuilder<unknown>,
): RawBuilder<unknown> {
  return sql`
    select owner from unnest(${names}::text[], ${owners}::int[]) as n (name, owner)
    where not pg_try_advisory_xact_lock_shared(hashtextextended(name, 0))`
}

/** Whose end what is stored mustn't come beside. Tokens and codes may: they are worth nothing without their grant. */
export function namesBeside(
  records: ReadonlyArray<
    Pick<PendingRecord, 'model'> & { account_id: string | null; client_id: string | null }
  >,
): string[] {
  const names = records.flatMap(({ model, account_id: account, client_id: client }) => {
    if (model === 'Session' || model === 'Grant') return account ? recordsOf.account(account) : []
    return model === 'RegistrationAccessToken' && client ? recordsOf.client(client) : []
  })
  // In one order, so that no two of them wait for each other.
  return [...new Set(names)].toSorted()
}
