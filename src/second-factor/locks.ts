import { type RawBuilder, sql } from 'kysely'
import type { Account } from '../accounts/account.ts'
import { auditEntry } from '../audit/event.ts'
import type { Clock } from '../db/clock.ts'
import type { Db } from '../db/schema.ts'

/** What stood in the way of an account. */
export interface Lifted {
  /** passwords were not taken for a while */
  passwords: boolean
  /** for a while, after ten wrong codes in a row */
  locked: boolean
  /** for good, after a hundred */
  disabled: boolean
}

/** What stands in the way of an account now. */
export interface Locked {
  /** until when passwords aren't taken in some browser; null if they are in all */
  passwordsUntil: Date | null
  /** until when codes aren't taken */
  codesUntil: Date | null
  /** codes aren't taken until an admin unlocks the account */
  codesDisabled: boolean
}

interface Dependencies {
  db: Db
  clock: Clock
  /** until when passwords under a name are locked, as a scalar subquery */
  lockOf: (username: string) => RawBuilder<Date | null>
  /** forgets the wrong passwords under a name; tells whether it was locked */
  forgetTries: (on: Db, username: string) => Promise<boolean>
}

export type Locks = ReturnType<typeof createLocks>

/** What wrong passwords and codes did to an account, for an admin to undo. */
export function createLocks({ db, clock, forgetTries, lockOf }: Dependencies) {
  return {
    async look({ id, username }: Pick<Account, 'id' | 'username'>): Promise<Locked> {
      const { rows } = await sql<Locked>`
        select ${lockOf(username)} as "passwordsUntil",
          case when s.locked_until > ${clock()} then s.locked_until end as "codesUntil",
          s.disabled_at is not null as "codesDisabled"
        from (select) one left join second_factor s on s.account_id = ${id}`.execute(db)
      return rows[0] ?? { passwordsUntil: null, codesUntil: null, codesDisabled: false }
    },

    /** Forgets an account's wrong passwords and codes, and takes both again. Recorded if either was locked. */
    async lift({ id, username }: Pick<Account, 'id' | 'username'>): Promise<Lifted> {
      return db.transaction().execute(async (trx) => {
        const passwords = await forgetTries(trx, username)
        const { rows } = await sql<Omit<Lifted, 'passwords'>>`
          with held as (select * from second_factor where account_id = ${id} for update),
          lifted as (
            update second_factor s set failures = 0, locked_until = null, disabled_at = null from held
            where s.account_id = held.account_id
          )
          select coalesce(locked_until > ${clock()}, false) as locked, disabled_at is not null as disabled
          from held`.execute(trx)
        const [{ locked, disabled } = { locked: false, disabled: false }] = rows
        if (passwords || locked || disabled)
          await auditEntry(clock, { type: 'account.unlocked', accountId: id }).execute(trx)
        return { passwords, locked, disabled }
      })
    },
  }
}
