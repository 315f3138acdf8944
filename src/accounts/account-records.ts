import { type RawBuilder, sql } from 'kysely'
import type { OnChange } from '../audit/change.ts'
import { auditEntry } from '../audit/event.ts'
import type { Clock } from '../db/clock.ts'
import { retrying } from '../db/faults.ts'
import type { Db } from '../db/schema.ts'
import { Refusal } from '../errors.ts'
import { type Account, type AccountRow, type Role, toAccount, usernameKey } from './account.ts'
import type { Links } from './links.ts'
import { type Profile, readProfile } from './profile.ts'

/** An account as an admin sees it. */
export interface AccountRecord extends Account {
  /** moves with each change an admin makes */
  version: number
  /** false for someone who is yet to choose a password */
  hasPassword: boolean
  /** tag of the pages' language at the last sign-in */
  language: string | null
  createdAt: Date
}

/** What an admin may change of an account by editing it. */
export interface AccountChanges extends Profile {
  emailVerified?: boolean | undefined
}

type RecordRow = AccountRow & {
  version: number
  has_password: boolean
  language: string | null
  created_at: Date
}

export const RECORD_COLUMNS = sql`id, username, name, email, email_verified, disabled_at, role, version, language,
  created_at, password_hash is not null as has_password`

export function toRecord(row: RecordRow): AccountRecord {
  const { version, has_password: hasPassword, language, created_at: createdAt } = row
  return { ...toAccount(row), version, hasPassword, language, createdAt }
}

export type { RecordRow }

/** Only one role change or removal of an admin at a time, so that two admins can't remove each other. */
const ADMINS_LOCK = 7_326_002

/**
 * Refuses what would leave nobody to administer. Stands first in the transaction that takes an admin away, and
 * holds off others of its kind until that is done.
 * @throws Refusal when there is no other admin who can sign in
 */
export async function assertOtherAdmin(trx: Db, accountId: string): Promise<void> {
  await sql`select pg_advisory_xact_lock(${ADMINS_LOCK})`.execute(trx)
  const { rows } = await sql<{ role: Role | null; others: boolean }>`
    select role, exists (
      select from account o where o.role = 'admin' and o.disabled_at is null and o.password_hash is not null
        and o.id <> ${accountId}) as others
    from account where id = ${accountId} and disabled_at is null`.execute(trx)
  const [row] = rows
  if (row?.role === 'admin' && !row.others) {
    throw new Refusal(
      'last_admin',
      409,
      'This is the only admin who can sign in. Make somebody else an admin first.',
    )
  }
}

interface Dependencies {
  db: Db
  clock: Clock
  links: Links
  onChange: OnChange
}

/** Accounts as admins edit them. */
export function createAccountRecords({ db, clock, links, onChange }: Dependencies) {
  async function record(id: string): Promise<AccountRecord | undefined> {
    const { rows } = await sql<RecordRow>`
      select ${RECORD_COLUMNS} from account where id = ${id}`.execute(db)
    return rows[0] && toRecord(rows[0])
  }

  /** Why a guarded change found no row. */
  async function whyNot(id: string): Promise<Refusal> {
    return (await record(id)) ? changedMeanwhile() : noAccount()
  }

  /** Whether an account has another mail address than this one. Holds the account until its transaction ends. */
  async function hasOther(
    trx: Db,
    id: string,
    email: string | null,
    ifVersion: number | null,
  ): Promise<boolean> {
    const { rows } = await sql<{ other: boolean }>`
      select email is distinct from ${email} as other from account
      where id = ${id} and (${ifVersion}::int is null or version = ${ifVersion})
      for update`.execute(trx)
    return rows[0]?.other ?? false
  }

  return {
    /** An account with what only admins see of it. */
    record,

    /**
     * Changes some members of an account. Of another mail address the owner is told at the one before (ADM-05).
     * @param ifVersion the version it was read as; undefined to change whatever there is now
     * @throws Refusal when it is gone (404), was changed meanwhile (412), or a value is taken or out of bounds
     */
    async patch(id: string, changes: AccountChanges, ifVersion?: number): Promise<AccountRecord> {
      const { username, name, email, emailVerified } = readProfile(changes)
      const sets: RawBuilder<unknown>[] = [sql`version = version + 1`]
      if (username !== undefined)
        sets.push(sql`username = ${username}, username_key = ${usernameKey(username)}`)
      if (name !== undefined) sets.push(sql`name = ${name}`)
      if (email !== undefined) sets.push(sql`email = ${email}`)
      // Another address isn't verified because the one before was.
      if (emailVerified !== undefined) sets.push(sql`email_verified = ${emailVerified}`)
      else if (email !== undefined)
        sets.push(sql`email_verified = email_verified and email is not distinct from ${email}`)
      const members = Object.entries(changes).flatMap(([member, value]) =>
        value === undefined ? [] : [member],
      )
      const event = { type: 'account.changed', detail: { members: members.join(' ') } } as const
      const changing = async (trx: Db) => {
        if (email !== undefined && (await hasOther(trx, id, email, ifVersion ?? null)))
          await onChange(trx, { type: 'account.email-changed', accountId: id })
        const { rows } = await sql<RecordRow>`
          with changed as (
            update account set ${sql.join(sets)}
            where id = ${id} and (${ifVersion ?? null}::int is null or version = ${ifVersion ?? null})
            returning *
          ), noted as (${auditEntry(clock, { ...event, accountId: sql`id` }, sql`from changed`)})
          select ${RECORD_COLUMNS} from changed`.execute(trx)
        const [row] = rows
        // A link that went to the address before must not open the account any more.
        if (row && email !== undefined) await links.endAll(trx, id)
        return row
      }
      const row = await retrying(() => db.transaction().execute(changing)).catch((error) => {
        if (isTaken(error))
          throw new Refusal('username_taken', 409, `There is an account ${username} already.`)
        throw error
      })
      if (!row) throw await whyNot(id)
      return toRecord(row)
    },

    /** Makes an account the first admin's, in a transaction. @returns false when there is an admin already */
    async makeFirstAdmin(trx: Db, id: string): Promise<boolean> {
      await sql`select pg_advisory_xact_lock(${ADMINS_LOCK})`.execute(trx)
      const { numAffectedRows } = await sql`
        update account set role = 'admin', version = version + 1
        where id = ${id} and not exists (select from account where role = 'admin')`.execute(trx)
      return Number(numAffectedRows) > 0
    },

    /**
     * Gives a role, or takes it away. Sessions, links, bypass codes and remembered browsers from before end.
     * @param options `keepAdmin`: refuse to take the last admin's
     * @returns whether it was another before
     */
    async setRole(
      id: string,
      role: Role | null,
      { keepAdmin }: { keepAdmin: boolean },
    ): Promise<boolean> {
      return db.transaction().execute(async (trx) => {
        if (keepAdmin && role !== 'admin') await assertOtherAdmin(trx, id)
        const { rows } = await sql<{ was: Role | null }>`
          with before as (select id, role as was from account where id = ${id} for update),
          changed as (
            update account set role = ${role}, version = version + 1 from before
            where account.id = before.id and was is distinct from ${role}
          )
          select was from before`.execute(trx)
        const [before] = rows
        if (!before) throw noAccount()
        if (before.was === role) return false
        // What was handed out while the account was worth less, by whoever could then, must not open it now.
        await links.endAll(trx, id)
        const detail = { from: before.was ?? 'none', to: role ?? 'none' }
        await onChange(trx, { type: 'account.role-changed', accountId: id, detail })
        return true
      })
    },
  }
}

export function noAccount(): Refusal {
  return new Refusal('no_account', 404, 'There is no such account.')
}

function changedMeanwhile(): Refusal {
  return new Refusal(
    'changed_meanwhile',
    412,
    'Somebody else has changed it since you read it. Read it again, and repeat your change.',
  )
}

function isTaken(error: unknown): boolean {
  return (
    error instanceof Error &&
    'constraint' in error &&
    error.constraint === 'account_username_key_key'
  )
}
