import { randomBytes } from 'node:crypto'
import { sql } from 'kysely'
import type { OnChange } from '../audit/change.ts'
import { auditEntry } from '../audit/event.ts'
import { retrying } from '../db/faults.ts'
import type { Db } from '../db/schema.ts'
import { Refusal } from '../errors.ts'
import {
  type Account,
  type AccountRow,
  COLUMNS,
  type Role,
  toAccount,
  usernameKey,
} from './account.ts'
import { assertOtherAdmin, createAccountRecords } from './account-records.ts'
import { createAccountSearch } from './account-search.ts'
import { type AuthenticationDependencies, createAuthentication } from './authentication.ts'
import type { Links } from './links.ts'
import type { PasswordQuality } from './password-quality.ts'
import { createPasswordSetting } from './password-setting.ts'
import { readProfile } from './profile.ts'

export type { Account }
export type Accounts = ReturnType<typeof createAccounts>

export interface NewAccount {
  username: string
  /** left out for someone who is invited to choose one */
  password?: string | undefined
  email?: string | undefined
  name?: string | undefined
  role?: Role | undefined
}

interface Dependencies extends AuthenticationDependencies {
  quality: PasswordQuality
  links: Links
  onChange: OnChange
}

export function createAccounts(deps: Dependencies) {
  const { db, clock, passwords, quality, throttle, fingerprint, onChange } = deps

  return {
    ...createAuthentication(deps),
    ...createPasswordSetting(deps),
    ...createAccountRecords(deps),
    ...createAccountSearch(deps),

    /** @throws Refusal when the name is taken, the password is weak or a value is out of bounds */
    async create({ password, role, ...profile }: NewAccount): Promise<Account> {
      const { username, email, name } = readProfile(profile)
      if (password !== undefined) await quality.assert(password, { username, email, name })
      const hash = password === undefined ? null : await passwords.hash(password)
      const id = randomBytes(16).toString('base64url')
      const event = auditEntry(
        clock,
        { type: 'account.created', accountId: id, detail: { role: role ?? null } },
        sql`where exists (select from made)`,
      )
      const { rows } = await sql<AccountRow>`
        with made as (
          insert into account (id, username, username_key, email, name, password_hash, role, created_at)
          values (${id}, ${username}, ${usernameKey(username)}, ${email ?? null}, ${name ?? null}, ${hash}, ${role ?? null}, ${clock()})
          on conflict (username_key) do nothing
          returning *
        ), noted as (${event})
        select * from made`.execute(db)
      const [row] = rows
      if (!row) throw new Refusal('username_taken', 409, `There is an account ${username} already.`)
      return toAccount(row)
    },

    /**
     * Lets nobody in any more, and ends what is open.
     * @param options `keepAdmin`: refuse where nobody could administer any more
     * @returns false when it was so already
     */
    async disable(id: string, { keepAdmin = false } = {}): Promise<boolean> {
      const disabling = async (trx: Db) => {
        if (keepAdmin) await assertOtherAdmin(trx, id)
        const { numUpdatedRows } = await trx
          .updateTable('account')
          .set({ disabled_at: clock() })
          .where('id', '=', id)
          .where('disabled_at', 'is', null)
          .executeTakeFirst()
        if (numUpdatedRows === 0n) return false
        await deps.links.endAll(trx, id)
        await onChange(trx, { type: 'account.disabled', accountId: id })
        return true
      }
      return retrying(() => db.transaction().execute(disabling))
    },

    /** @returns false when it wasn't disabled */
    async enable(id: string): Promise<boolean> {
      return db.transaction().execute(async (trx) => {
        const row = await trx
          .updateTable('account')
          .set({ disabled_at: null })
          .where('id', '=', id)
          .where('disabled_at', 'is not', null)
          .returning('id')
          .executeTakeFirst()
        // What was begun in the moment it was disabled doesn't come back (ADM-19).
        if (row) await onChange(trx, { type: 'account.enabled', accountId: id })
        return row !== undefined
      })
    },

    /**
     * Deletes an account and all that is its own, tries under its name included. What was recorded stays, under
     * an id that leads to nobody any more.
     * @param options as for `disable`
     * @returns false when it is gone already
     */
    async remove(id: string, { keepAdmin = false } = {}): Promise<boolean> {
      return db.transaction().execute(async (trx) => {
        if (keepAdmin) await assertOtherAdmin(trx, id)
        const held = await trx
          .selectFrom('account')
          .select('username_key')
          .where('id', '=', id)
          .forUpdate()
          .executeTakeFirst()
        if (!held) return false
        // While it is there, so that what hangs on it can be ended.
        await onChange(trx, { type: 'account.deleted', accountId: id })
        await throttle.forgetName(trx, fingerprint('name', held.username_key))
        await trx.deleteFrom('account').where('id', '=', id).execute()
        return true
      })
    },

    /**
     * Forgets the wrong passwords under a name, in every browser.
     * @param on the transaction that records it
     * @returns whether the name was locked
     */
    forgetTries(on: Db, username: string): Promise<boolean> {
      return throttle.forgetName(on, fingerprint('name', usernameKey(username)))
    },

    /** Until when passwords under a name are locked in some browser, as a scalar subquery. */
    lockOf: (username: string) => throttle.lockOf(fingerprint('name', usernameKey(username))),

    async findByUsername(username: string): Promise<Account | undefined> {
      const row = await db
        .selectFrom('account')
        .select(COLUMNS)
        .where('username_key', '=', usernameKey(username))
        .executeTakeFirst()
      return row && toAccount(row)
    },

    async findById(id: string): Promise<Account | undefined> {
      const row = await db
        .selectFrom('account')
        .select(COLUMNS)
        .where('id', '=', id)
        .executeTakeFirst()
      return row && toAccount(row)
    },
  }
}
