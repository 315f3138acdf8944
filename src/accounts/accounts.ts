import { randomBytes } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import { type Expression, type RawBuilder, sql } from 'kysely'
import type { Fingerprints } from '../crypto/fingerprints.ts'
import type { Db } from '../db/schema.ts'
import { Refusal } from '../errors.ts'
import { assertPasswordLength, type Passwords } from './passwords.ts'
import type { Throttle } from './throttle.ts'

export type Accounts = ReturnType<typeof createAccounts>

/** A person who can sign in, as the other rooms see one. */
export interface Account {
  /** `sub`: random, never used again */
  id: string
  username: string
  name: string | null
  email: string | null
  emailVerified: boolean
  disabled: boolean
}

/** A try at the login page. */
export interface Attempt {
  /** whose name and password they were; undefined if they aren't right, or may not be judged */
  account: Account | undefined
  /** Ends the attempt: a success forgets the failures before it, anything else stays counted. */
  conclude(success: boolean): Promise<void>
}

export interface NewAccount {
  username: string
  password: string
  email?: string | undefined
  name?: string | undefined
}

/** A username has 1 to 128 characters, none of them control characters. */
const USERNAME_LIMIT = 128

/** How long a try waits for others of the same name that are being judged, and how often it looks. */
const PENDING_WAIT_MS = 1000
const PENDING_POLL_MS = 50

interface Dependencies {
  db: Db
  passwords: Passwords
  throttle: Throttle
  fingerprint: Fingerprints
}

export function createAccounts({ db, passwords, throttle, fingerprint }: Dependencies) {
  /** Hashes a password anew with today's settings, unless it was changed meanwhile. */
  async function renewHash(id: string, old: string, password: string): Promise<void> {
    const password_hash = await passwords.hash(password)
    await db
      .updateTable('account')
      .set({ password_hash })
      .where('id', '=', id)
      .where('password_hash', '=', old)
      .execute()
  }

  /** Counts the try and looks the account up, in one statement; `judged` tells whether the throttle lets it be judged. */
  async function countAndFind(
    key: Buffer,
    username: string,
  ): Promise<Partial<AccountRow> & { judged: boolean }> {
    for (let waited = 0; ; waited += PENDING_POLL_MS) {
      const { rows } = await sql<Partial<AccountRow> & { judged: boolean; pending: boolean }>`
        with counted as (${throttle.countTry(key)})
        select exists (select from counted) as judged, ${throttle.isPending(key)} as pending, account.*
        from (select) as one left join account on username_key = ${usernameKey(username)}`.execute(
        db,
      )
      const [found] = rows
      if (!found) throw new Error('a look-up without a row')
      if (found.judged || !found.pending || waited >= PENDING_WAIT_MS) return found
      await pause(PENDING_POLL_MS)
    }
  }

  return {
    /** @throws Refusal when the name is taken or a value is out of bounds */
    async create({ username, password, email, name }: NewAccount): Promise<Account> {
      const shown = username.normalize('NFKC').trim()
      if (!isUsername(shown)) {
        throw new Refusal(
          'username',
          400,
          `A username has 1 to ${USERNAME_LIMIT} visible characters.`,
        )
      }
      assertPasswordLength(password)
      const row = await db
        .insertInto('account')
        .values({
          id: randomBytes(16).toString('base64url'),
          username: shown,
          username_key: usernameKey(username),
          email: email ?? null,
          name: name ?? null,
          password_hash: await passwords.hash(password),
        })
        .onConflict((conflict) => conflict.column('username_key').doNothing())
        .returning(COLUMNS)
        .executeTakeFirst()
      if (!row) throw new Refusal('username_taken', 409, `There is an account ${shown} already.`)
      return toAccount(row)
    },

    /**
     * Checks name and password. Unknown name, wrong password, disabled account and locked name give the
     * same answer after the same work: nothing here may tell them apart. The caller concludes the attempt, when
     * it knows whether the sign-in may go on.
     */
    async authenticate(username: string, password: string): Promise<Attempt> {
      const key = fingerprint('name', usernameKey(username))
      const found = await countAndFind(key, username)
      const usable = found.judged && found.id && !found.disabled_at ? found.password_hash : null

      async function conclude(success: boolean): Promise<void> {
        if (!success) {
          if (found.judged) await throttle.judgedWrong(key)
          return
        }
        await throttle.clear(key)
        if (found.id && usable && passwords.isOutdated(usable))
          await renewHash(found.id, usable, password)
      }

      try {
        const right = await passwords.verify(usable ?? null, password)
        return { account: right && isRow(found) ? toAccount(found) : undefined, conclude }
      } catch (error) {
        await conclude(false)
        throw error
      }
    },

    async setPassword(id: string, password: string): Promise<void> {
      const password_hash = await passwords.hash(password)
      await db.updateTable('account').set({ password_hash }).where('id', '=', id).execute()
    },

    /** Forgets the wrong passwords under a name. */
    async unlockName(username: string): Promise<void> {
      await throttle.clear(fingerprint('name', usernameKey(username)))
    },

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

    /** Accounts in the order they were made, those whose name, full name or e-mail contain `query` if given. */
    async list(query: string | undefined, limit: number): Promise<Account[]> {
      let select = db
        .selectFrom('account')
        .select(COLUMNS)
        .orderBy('created_at')
        .orderBy('id')
        .limit(limit)
      if (query) {
        const pattern = `%${query.toLowerCase().replace(/[\\%_]/g, '\\$&')}%`
        select = select.where((where) =>
          where.or([
            where('username_key', 'like', pattern),
            where(sql<string>`lower(email)`, 'like', pattern),
            where(sql<string>`lower(name)`, 'like', pattern),
          ]),
        )
      }
      return (await select.execute()).map(toAccount)
    },
  }
}

/** An account as one JSON value, for other rooms' statements to select beside their own rows. */
export function accountAsJson(id: Expression<string | null>): RawBuilder<Account | null> {
  return sql`(select json_build_object('id', id, 'username', username, 'name', name, 'email', email,
    'emailVerified', email_verified, 'disabled', disabled_at is not null) from account where account.id = ${id})`
}

/** The form under which a name is looked up: one account whatever the case, width or spaces around it. */
export function usernameKey(username: string): string {
  // PostgreSQL can't take a NUL in a text; no name has one, so any other character no name has will do.
  return username.normalize('NFKC').trim().toLowerCase().replaceAll('\0', '\uFFFD')
}

/** Characters that can't be seen, so that no two names look alike: controls, separators, fillers, blank Braille. */
const INVISIBLE = /[\p{C}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}\u2800]/u

function isUsername(text: string): boolean {
  return text.length >= 1 && text.length <= USERNAME_LIMIT && !INVISIBLE.test(text)
}

const COLUMNS = ['id', 'username', 'name', 'email', 'email_verified', 'disabled_at'] as const

interface AccountRow {
  id: string
  username: string
  name: string | null
  email: string | null
  email_verified: boolean
  disabled_at: Date | null
  password_hash?: string | null
}

function isRow(row: Partial<AccountRow> | undefined): row is AccountRow {
  return typeof row?.id === 'string'
}

function toAccount(row: AccountRow): Account {
  const { id, username, name, email, email_verified, disabled_at } = row
  return {
    id,
    username,
    name,
    email,
    emailVerified: email_verified,
    disabled: disabled_at !== null,
  }
}
