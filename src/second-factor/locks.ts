import { sql } from 'kysely'
import { auditEntry } from '../audit/event.ts'
import type { Clock } from '../db/clock.ts'
import type { Db } from '../db/schema.ts'

export type Locks = ReturnType<typeof createLocks>

/** What stood in the way of an account's codes. */
export interface Lifted {
  /** for a while, after ten wrong codes in a row */
  locked: boolean
  /** for good, after a hundred */
  disabled: boolean
}

/** What wrong codes did to an account, for an admin to undo. */
export function createLocks({ db, clock }: { db: Db; clock: Clock }) {
  return {
    /** Forgets an account's wrong codes and takes its codes again. */
    async lift(accountId: string): Promise<Lifted> {
      const { rows } = await sql<Lifted>`
        with held as (select * from second_factor where account_id = ${accountId} for update),
        lifted as (
          update second_factor s set failures = 0, locked_until = null, disabled_at = null from held
          where s.account_id = held.account_id
          returning s.account_id
        ),
        audited as (${auditEntry(
          clock,
          { type: 'account.unlocked', accountId: sql`account_id` },
          sql`from lifted`,
        )})
        select held.locked_until is not null as locked, held.disabled_at is not null as disabled from held`.execute(
        db,
      )
      return rows[0] ?? { locked: false, disabled: false }
    },
  }
}
