import { type Expression, type RawBuilder, sql } from 'kysely'

/** What someone may do for others at the admin's side; most people have none. */
export const ROLES = ['admin', 'helpdesk', 'auditor'] as const
export type Role = (typeof ROLES)[number]

/** A person who can sign in, as the other rooms see one. */
export interface Account {
  /** `sub`: random, never used again */
  id: string
  username: string
  name: string | null
  email: string | null
  emailVerified: boolean
  disabled: boolean
  role: Role | null
}

/** A username has 1 to 128 characters, none of them control characters. */
export const USERNAME_LIMIT = 128

/** An account as one JSON value, for other rooms' statements to select beside their own rows. */
export function accountAsJson(id: Expression<string | null>): RawBuilder<Account | null> {
  return sql`(select json_build_object('id', id, 'username', username, 'name', name, 'email', email,
    'emailVerified', email_verified, 'disabled', disabled_at is not null, 'role', role) from account where account.id = ${id})`
}

/** The form under which a name is looked up: one account whatever the case, width or spaces around it. */
export function usernameKey(username: string): string {
  // PostgreSQL can't take a NUL in a text; no name has one, so any other character no name has will do.
  return username.normalize('NFKC').trim().toLowerCase().replaceAll('\0', '\uFFFD')
}

/** Characters that can't be seen, so that no two names look alike: controls, separators, fillers, blank Braille. */
const INVISIBLE = /[\p{C}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}\u2800]/u

export function isUsername(text: string): boolean {
  return text.length >= 1 && text.length <= USERNAME_LIMIT && !INVISIBLE.test(text)
}

export const COLUMNS = [
  'id',
  'username',
  'name',
  'email',
  'email_verified',
  'disabled_at',
  'role',
] as const

export interface AccountRow {
  id: string
  username: string
  name: string | null
  email: string | null
  email_verified: boolean
  disabled_at: Date | null
  role: Role | null
}

export function toAccount(row: AccountRow): Account {
  const { id, username, name, email, email_verified, disabled_at, role } = row
  return {
    id,
    username,
    name,
    email,
    emailVerified: email_verified,
    disabled: disabled_at !== null,
    role,
  }
}
