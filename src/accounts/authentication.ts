import { setTimeout as pause } from 'node:timers/promises'
import { type RawBuilder, sql } from 'kysely'
import { auditEntry } from '../audit/event.ts'
import type { Fingerprints } from '../crypto/fingerprints.ts'
import type { Clock } from '../db/clock.ts'
import type { Db } from '../db/schema.ts'
import { type Account, toAccount, usernameKey } from './account.ts'
import type { Passwords } from './passwords.ts'
import { type Throttle, TRIES } from './throttle.ts'
import { createTries, type Found, type SecondFactorState } from './tries.ts'

/** A try at the login page. */
export interface Attempt {
  /** whose name and password they were; undefined if they aren't right, or may not be judged */
  account: Account | undefined
  /** as it was before the password was judged; says something only where there is an account */
  secondFactor: SecondFactorState
  /** false while there are too many wrong ones: then nobody knows whether it was right */
  judged: boolean
  /**
   * Ends the attempt: a success forgets the failures before it, anything else stays counted.
   * @param language tag of the pages' language, kept for what the account is written later
   */
  conclude(success: boolean, language?: string): Promise<Concluded | undefined>
}

/** After a success. */
export interface Concluded {
  /** of the password that was right */
  hash: string
  /** as it is now */
  secondFactor: SecondFactorState
}

/** How long a try waits for others of the same name that are being judged, and how often it looks. */
const PENDING_WAIT_MS = 2000
const PENDING_POLL_MS = 50

export interface AuthenticationDependencies {
  db: Db
  clock: Clock
  passwords: Passwords
  throttle: Throttle
  fingerprint: Fingerprints
  /** in SQL, how it stands with an account's second factor */
  secondFactorOf(accountId: RawBuilder<string>): RawBuilder<SecondFactorState>
}

export function createAuthentication(deps: AuthenticationDependencies) {
  const { db, clock, passwords, throttle, fingerprint } = deps

  /** Hashes a password anew with today's settings, unless it was changed meanwhile. @returns its hash from now on */
  async function renewHash(id: string, old: string, password: string): Promise<string> {
    const password_hash = await passwords.hash(password)
    const { numUpdatedRows } = await db
      .updateTable('account')
      .set({ password_hash })
      .where('id', '=', id)
      .where('password_hash', '=', old)
      .executeTakeFirst()
    return numUpdatedRows > 0n ? password_hash : old
  }

  const tries = createTries(deps)

  /** Where the name is locked and others of it are still being judged, waits for them, two seconds at most. */
  async function countAndFind(key: Buffer, name: string): Promise<Found> {
    const nameKey = fingerprint('name', name)
    const until = performance.now() + PENDING_WAIT_MS
    for (;;) {
      const found = await tries.count({ key, nameKey, name })
      if (found.failures !== null || !found.pending || performance.now() >= until) return found
      await pause(PENDING_POLL_MS)
    }
  }

  /** The same statement whoever it was, and whether or not there is an account (ENU-02). */
  async function concludeRefused(
    key: Buffer,
    { id, failures }: Found,
    right: boolean,
  ): Promise<void> {
    const judged = auditEntry(clock, {
      type: right ? 'password.right' : 'password.wrong',
      accountId: id,
      detail: { refused: right || null },
    })
    // A lock that tries still being judged brought about is lifted if one of them is right: so it is told of here.
    const locked = sql<boolean>`${failures ?? 0}::int >= ${TRIES.after}::int`
    await sql`
      with judged as (${throttle.judgedWrong(key)}), noted as (${judged}),
        locked as (${auditEntry(clock, { type: 'password.locked', accountId: id }, sql`where ${locked}`)})
      select`.execute(db)
  }

  return {
    /**
     * Checks name and password. Unknown name, wrong password, disabled account and locked name give the
     * same answer after the same work: nothing here may tell them apart. The caller concludes the attempt, when
     * it knows whether the sign-in may go on. While a name is locked, tries leave no trace.
     *
     * @param knownBrowser secret of a browser in which this name's password was right before: its tries are counted apart
     */
    async authenticate(
      username: string,
      password: string,
      knownBrowser?: string,
    ): Promise<Attempt> {
      const name = usernameKey(username)
      const key = fingerprint('name', knownBrowser ? `${name}\0${knownBrowser}` : name)
      const found = await countAndFind(key, name)
      const judged = found.failures !== null
      const usable = judged && !found.disabled_at ? found.password_hash : null
      let account: Account | undefined

      async function conclude(success: boolean, language?: string): Promise<Concluded | undefined> {
        if (!account || !usable || !success) {
          if (judged) await concludeRefused(key, found, account !== undefined)
          return undefined
        }
        const { id } = account
        const changed = language === found.language ? undefined : language
        const secondFactor = await tries.succeed({ key, id }, changed)
        const hash = passwords.isOutdated(usable) ? await renewHash(id, usable, password) : usable
        return { hash, secondFactor: secondFactor ?? found.second_factor }
      }

      try {
        const right = await passwords.verify(usable, password)
        if (right && found.id !== null) account = toAccount(found)
        return { account, secondFactor: found.second_factor, judged, conclude }
      } catch (error) {
        // Nobody knows whether it was right: it stays counted, and is called neither.
        if (judged) await throttle.judgedWrong(key).execute(db)
        throw error
      }
    },
  }
}
