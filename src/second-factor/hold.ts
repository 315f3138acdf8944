import { retrying } from '../db/faults.ts'
import type { Db } from '../db/schema.ts'

/**
 * Runs work in a transaction that holds the account's second factor, so that of parallel changes each sees what
 * the one before it did. Work of its own transaction may run again after a lost deadlock.
 *
 * @param db the transaction to do it in, if it is one
 */
export async function holding<T>(
  db: Db,
  accountId: string,
  work: (trx: Db) => Promise<T>,
): Promise<T> {
  if (!db.isTransaction) {
    return retrying(() => db.transaction().execute((trx) => holding(trx, accountId, work)))
  }
  await db
    .insertInto('second_factor')
    .values({ account_id: accountId })
    .onConflict((conflict) => conflict.column('account_id').doUpdateSet({ account_id: accountId }))
    .execute()
  return work(db)
}
