import { setTimeout as pause } from 'node:timers/promises'
import { type RawBuilder, sql } from 'kysely'
import { auditEntry } from '../audit/event.ts'
import type { Fingerprints } from '../crypto/fingerprints.ts'
import type { Clock } from '../db/clock.ts'
import { type PlaceOf, unwaiting } from '../db/prepared.ts'
import type { Db } from '../db/schema.ts'
import { type Account, type AccountRow, toAccount, usernameKey } from './account.ts'
import type { Passwords } from './passwords.ts'
import { type Throttle, TRIES } from './throttle.ts'

/** `locked`: its codes are not taken just now. `none`: there is nothing that the account could be asked for. */
export type SecondFactorState = 'locked' | 'some' | 'none'

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

/** The row of a look-up: how the try stands, and the account, all of it null if there is none of that name. */
type Found = {
  password_hash: string | null
  /** in a row with this try; null when the name is locked, and the try isn't judged */
  failures: number | null
  pending: boolean
  second_factor: SecondFactorState
  /** of the pages at the last sign-in */
  language: string | null
} & (AccountRow | Record<keyof AccountRow, null>)

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

  const noted = (accountId: RawBuilder<string>) =>
    auditEntry(clock, { type: 'password.right', accountId })

  // For nobody it is looked for like for anybody (ENU-02).
  const whose = sql<string>`coalesce(account.id, '')`

  /** Counts a try, unless its name is locked, and looks the account up: always one row, whoever there is. */
  const counting = unwaiting(
    (place: PlaceOf<{ key: Buffer; nameKey: Buffer; name: string }>, on, waits) =>
      sql<Found>`
        with ${throttle.countTry(place('key'), place('nameKey'), waits)}
        select (select failures from counted) as failures, ${throttle.isPending(place('key'))} as pending,
          ${deps.secondFactorOf(whose)} as second_factor, account.*
        from (select) as one left join account on username_key = ${place('name')}`.compile(on),
  )

  /** Forgets the failures before a success, records it, and looks at the second factor once more. */
  const concluding = unwaiting((place: PlaceOf<{ key: Buffer; id: string }>, on, waits) =>
    sql<Pick<Found, 'second_factor'>>`
        with ${throttle.forgetTries(place('key'), waits)}, noted as (${noted(place('id'))})
        select ${deps.secondFactorOf(place('id'))} as second_factor`.compile(on),
  )

  /** The same, and keeps the language of its pages if nobody else changes the account. */
  const concludingIn = unwaiting(
    (place: PlaceOf<{ key: Buffer; id: string; language: string }>, on, waits) =>
      sql<Pick<Found, 'second_factor'>>`
        with ${throttle.forgetTries(place('key'), waits)},
          free as (select from account where id = ${place('id')} for no key update skip locked),
          spoken as (update account set language = ${place('language')}::text
            where id = ${place('id')} and (select count(*) from free) = 1),
          noted as (${noted(place('id'))})
        select ${deps.secondFactorOf(place('id'))} as second_factor`.compile(on),
  )

  /** Where the name is locked and others of it are still being judged, waits for them, two seconds at most. */
  async function countAndFind(key: Buffer, name: string): Promise<Found> {
    const nameKey = fingerprint('name', name)
    const until = performance.now() + PENDING_WAIT_MS
    for (;;) {
      const { rows } = await counting(db, { key, nameKey, name })
      const [found] = rows
      if (!found) throw new Error('a look-up without a row')
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
        const { rows } = await (language === undefined || language === found.language
          ? concluding(db, { key, id })
          : concludingIn(db, { key, id, language }))
        const hash = passwords.isOutdated(usable) ? await renewHash(id, usable, password) : usable
        return { hash, secondFactor: rows[0]?.second_factor ?? found.second_factor }
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
