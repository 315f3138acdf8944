import { sql } from 'kysely'
import { type AuditEvent, auditEntry } from '../audit/event.ts'
import type { Clock } from '../db/clock.ts'
import type { Db } from '../db/schema.ts'
import { usernameKey } from './account.ts'
import { OWN_HASH } from './passwords.ts'

export type AccountImport = ReturnType<typeof createAccountImport>

/** An account as a file tells of it; what the file doesn't tell is undefined. */
export interface ImportedAccount {
  /** in the form of `isUsername` */
  username: string
  email: string | undefined
  emailVerified: boolean | undefined
  name: string | undefined
  /** in the form of `foreignForm` */
  passwordHash: string | undefined
  disabled: boolean
}

/** Accounts written by the hundred, in one statement each time. */
export function createAccountImport({ clock }: { clock: Clock }) {
  const columns = (rows: ReadonlyArray<ImportedAccount & { id: string }>) => {
    const each = <T>(value: (row: ImportedAccount & { id: string }) => T) => rows.map(value)
    return sql`unnest(${each(({ id }) => id)}::text[], ${each(({ username }) => username)}::text[],
      ${each(({ username }) => usernameKey(username))}::text[], ${each(({ email }) => email ?? null)}::text[],
      ${each(({ emailVerified }) => emailVerified ?? null)}::bool[], ${each(({ name }) => name ?? null)}::text[],
      ${each(({ passwordHash }) => passwordHash ?? null)}::text[], ${each(({ disabled }) => disabled)}::bool[])
      as g(id, username, username_key, email, email_verified, name, password_hash, disabled)`
  }
  const inUse = sql`coalesce(starts_with(a.password_hash, ${OWN_HASH}), false)`
  const event = (type: AuditEvent['type'], importId: string) =>
    auditEntry(clock, { type, accountId: sql`id`, detail: { import: importId } }, sql`from written`)

  return {
    /** The accounts that have these names, by the names' keys. */
    async find(
      on: Db,
      usernames: readonly string[],
    ): Promise<Map<string, { id: string; hasRole: boolean }>> {
      const rows = await on
        .selectFrom('account')
        .select(['id', 'username_key', 'role'])
        .where('username_key', '=', sql<string>`any(${usernames.map(usernameKey)}::text[])`)
        .execute()
      return new Map(
        rows.map(({ id, username_key, role }) => [username_key, { id, hasRole: role !== null }]),
      )
    },

    /**
     * Makes those accounts whose name nobody has.
     * @returns ids of those that were made
     */
    async insert(
      on: Db,
      rows: ReadonlyArray<ImportedAccount & { id: string }>,
      importId: string,
    ): Promise<Set<string>> {
      if (rows.length === 0) return new Set()
      const made = await sql<{ id: string }>`
        with written as (
          insert into account (id, username, username_key, email, email_verified, name, password_hash, disabled_at,
            created_at)
          select id, username, username_key, email, coalesce(email_verified, false), name, password_hash,
            case when disabled then ${clock()} end, ${clock()}
          from ${columns(rows)}
          on conflict (username_key) do nothing
          returning id
        ), noted as (${event('account.created', importId)})
        select id from written`.execute(on)
      return new Set(made.rows.map(({ id }) => id))
    },

    /**
     * Writes what is told of accounts that are there: the name, and where nobody has signed in with a password of
     * ours yet, e-mail address and the password's hash. What is in use here, and what a password can be reset by, no
     * file replaces; nor does one disable anybody.
     */
    async update(
      on: Db,
      rows: ReadonlyArray<ImportedAccount & { id: string }>,
      importId: string,
    ): Promise<void> {
      if (rows.length === 0) return
      await sql`
        with written as (
          update account a set
            email = case when ${inUse} then a.email else coalesce(g.email, a.email) end,
            email_verified = case
              when ${inUse} then a.email_verified
              when g.email is not null and g.email is distinct from a.email then coalesce(g.email_verified, false)
              else coalesce(g.email_verified, a.email_verified) end,
            name = coalesce(g.name, a.name),
            version = a.version + 1,
            password_hash = case when ${inUse} then a.password_hash
              else coalesce(g.password_hash, a.password_hash) end
          from ${columns(rows)}
          where a.id = g.id and a.role is null
          returning a.id
        ), ended as (
          update one_time_link set used_at = ${clock()}
          where used_at is null and account_id in (select id from written)
        )
        ${event('account.imported', importId)}`.execute(on)
    },
  }
}
