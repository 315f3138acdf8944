import { randomBytes } from 'node:crypto'
import { sql } from 'kysely'
import type { Account, Accounts } from '../accounts/accounts.ts'
import { auditEntry } from '../audit/event.ts'
import { hashToken } from '../crypto/keys.ts'
import { type Clock, later } from '../db/clock.ts'
import { retrying } from '../db/faults.ts'
import type { Db } from '../db/schema.ts'
import type { PhoneChanges } from '../second-factor/phone-changes.ts'
import { type PhoneRules, readPhone } from '../second-factor/phone-input.ts'

export type Bootstrap = ReturnType<typeof createBootstrap>

/** Long enough to find the log and a quiet moment. */
export const BOOTSTRAP_SECONDS = 3600

interface Dependencies {
  db: Db
  clock: Clock
  accounts: Accounts
  phoneChanges: PhoneChanges
  phoneRules: PhoneRules
}

export interface FirstAdmin {
  username: string
  email?: string | undefined
  name?: string | undefined
  password: string
  /** as typed; where people don't add their first factor themselves */
  phone?: string | undefined
}

/**
 * The first admin comes from a link that works once and for an hour (ADM-02): there is no default password and no
 * page that makes whoever comes first an admin.
 */
export function createBootstrap(deps: Dependencies) {
  const { db, clock, accounts, phoneChanges, phoneRules } = deps
  const nobody = sql<boolean>`not exists (select from account where role = 'admin')`

  async function isOpen(token: string): Promise<boolean> {
    const { rows } = await sql<{ open: boolean }>`
      select ${nobody} and exists (
        select from bootstrap_link where token_hash = ${hashOf(token)} and expires_at > ${clock()}) as open`.execute(
      db,
    )
    return rows[0]?.open ?? false
  }

  return {
    isOpen,

    /**
     * Makes a link's token. Instances that start together each print one; the first that is used ends the others.
     * @returns undefined once there is an admin
     */
    async begin(): Promise<string | undefined> {
      const token = randomBytes(32).toString('base64url')
      const { rows } = await sql`
        with gone as (delete from bootstrap_link where expires_at <= ${clock()})
        insert into bootstrap_link (token_hash, expires_at)
        select ${hashOf(token)}, ${later(clock, BOOTSTRAP_SECONDS)} where ${nobody}
        returning token_hash`.execute(db)
      return rows.length > 0 ? token : undefined
    },

    /**
     * Makes the first admin, and ends every link.
     * @returns undefined when the link has had its use, is too old, or never was one
     * @throws Refusal when the name is taken, the password is weak or a value is out of bounds
     */
    async use(token: string, { phone, ...admin }: FirstAdmin): Promise<Account | undefined> {
      if (!(await isOpen(token))) return undefined
      const number = phone === undefined ? undefined : readPhone(phone, phoneRules)
      // Hashing is slow, so the account is made first, as anybody's; the link makes it an admin's.
      const account = await accounts.create(admin)
      if (number) await phoneChanges.add(account.id, number, false)
      const spend = async (trx: Db) => {
        // All at once: whoever uses another link at the same moment waits here, and then finds none.
        const { rows } = await sql`
          delete from bootstrap_link where exists (
            select from bootstrap_link where token_hash = ${hashOf(token)} and expires_at > ${clock()})
          returning token_hash`.execute(trx)
        if (rows.length === 0 || !(await accounts.makeFirstAdmin(trx, account.id))) return false
        await auditEntry(clock, { type: 'bootstrap.used', accountId: account.id }).execute(trx)
        return true
      }
      const used = await retrying(() => db.transaction().execute(spend)).catch(async (error) => {
        await accounts.remove(account.id)
        throw error
      })
      if (!used) {
        await accounts.remove(account.id)
        return undefined
      }
      return { ...account, role: 'admin' }
    },
  }
}

function hashOf(token: string): Buffer {
  return hashToken(token, 'bootstrap-link')
}
