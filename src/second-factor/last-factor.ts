import { sql } from 'kysely'
import type { Clock } from '../db/clock.ts'
import type { Db } from '../db/schema.ts'
import { Refusal } from '../errors.ts'

/** What must be left when a factor is removed. */
export interface Leaving {
  /** whether the account must keep a second factor */
  keepLast: boolean
  /**
   * whether one that is still held off may be all that is left. Else whoever came in with a copied phone could
   * put a number of theirs in its place at once, and the owner, warned, would have nothing left to come in with.
   */
  mayLeaveHeld: boolean
}

/**
 * Refuses to remove a factor when what would be left isn't enough. Stands in the transaction that holds the
 * account's second factor, so that of two removals at once the second sees what the first left.
 *
 * @param without id of the phone or the authenticator that is to go
 */
export async function assertEnoughLeft(
  trx: Db,
  clock: Clock,
  accountId: string,
  without: string,
  { keepLast, mayLeaveHeld }: Leaving,
): Promise<void> {
  const { rows } = await sql<{ left: number; standing: number }>`
    select count(*)::int as left, count(*) filter (where held_until is null or held_until <= ${clock()})::int as standing
    from (
      select id, held_until from phone where account_id = ${accountId} and not pending
      union all
      select id, held_until from authenticator where account_id = ${accountId} and confirmed_at is not null
    ) as factor
    where id <> ${without}`.execute(trx)
  const { left = 0, standing = 0 } = rows[0] ?? {}
  if (left === 0 && keepLast) {
    throw new Refusal(
      'last_factor',
      409,
      'This is the only way to get a code for this account. Add another one first.',
    )
  }
  if (left > 0 && standing === 0 && !mayLeaveHeld) {
    throw new Refusal(
      'held_factor',
      409,
      'What would be left was added too recently to stand alone. Keep this one until then.',
    )
  }
}

/**
 * After someone removed a factor of their own: if none is left, the next one is held off as if there were, or
 * whoever came in with a copied phone could have one of theirs prove everything at once.
 */
export async function holdOffNext(
  trx: Db,
  clock: Clock,
  accountId: string,
  seconds: number,
): Promise<void> {
  await sql`
    update second_factor set hold_new_until = ${clock()} + make_interval(secs => ${seconds})
    where account_id = ${accountId}
      and not exists (select from phone where account_id = ${accountId} and not pending)
      and not exists (
        select from authenticator where account_id = ${accountId} and confirmed_at is not null)`.execute(
    trx,
  )
}
