import { sql } from 'kysely'
import type { OnChange } from '../audit/change.ts'
import { hashToken } from '../crypto/keys.ts'
import type { Clock } from '../db/clock.ts'
import { retrying } from '../db/faults.ts'
import type { Db } from '../db/schema.ts'
import type { Authenticators } from './authenticators.ts'
import { type BackupCodes, parseBackupCode } from './backup-codes.ts'
import {
  type ChallengeRules,
  type Factor,
  type Purpose,
  seatOf,
  type Visitor,
} from './challenge-parts.ts'
import { createGuessStatements, type Guess, type Proof } from './guess-statements.ts'
import { codesMatch, hotp, parseCode } from './hotp.ts'
import { sharedNumber, takeTurnsProving } from './phone-sharing.ts'
import type { Phones } from './phones.ts'
import type { SendGrants } from './send-grants.ts'

export type Guesses = ReturnType<typeof createGuesses>

/** A challenge that was passed; `passedAt` is in seconds of the database's clock. */
export interface Passed {
  accountId: string
  purpose: Purpose
  factor: Factor
  passedAt: number
}

/** The session a factor is added in, which stays when the account's others end; asked for only then. */
export type SessionOf = () => Promise<string | undefined>

export type GuessOutcome =
  | ({ outcome: 'right' | 'passed-already' } & Passed)
  /** `number-taken`: it was right, but the number it proves is another account's and may not be shared */
  | { outcome: 'malformed' | 'wrong' | 'ended' | 'number-taken' }

/** Whether this browser proved a second factor lately. `held`: it did, with one that is too new for that. */
export type Freshness =
  | { state: 'fresh'; factor: Factor }
  | { state: 'held'; until: Date }
  | { state: 'stale' }

/** Sensitive changes need a second factor no older than this. */
export const FRESH_SECONDS = 20 * 60

/** Ends a transaction in which a challenge didn't pass, and with it what its proof has changed. */
class NotPassed extends Error {}

/** A texted code stands for itself: its challenge is passed once. */
const NOTHING_MORE = sql`select`

interface Dependencies {
  db: Db
  clock: Clock
  rules: ChallengeRules
  phones: Phones
  authenticators: Authenticators
  backupCodes: BackupCodes
  onChange: OnChange
  grants: SendGrants
}

/** Judges what people type. A guess is counted before it is judged, and a right one passes at most once. */
export function createGuesses(deps: Dependencies) {
  const { db, clock, rules, phones, authenticators, backupCodes, onChange } = deps
  const statements = createGuessStatements(clock, rules, deps.grants.countPass)

  async function count(visitor: Visitor): Promise<Guess | undefined> {
    const { rows } = await retrying(() => statements.guess(seatOf(visitor)).execute(db))
    const [guess] = rows
    return guess?.counted || guess?.again ? guess : undefined
  }

  async function wrong(guess: Guess): Promise<GuessOutcome> {
    if (!guess.counted) return { outcome: 'ended' }
    await statements.wrong(guess).execute(db)
    // Once for each lock: while it holds, nothing is counted.
    if (guess.locks) await onChange(db, { type: 'codes.locked', accountId: guess.account_id })
    return { outcome: 'wrong' }
  }

  /** For what can't be a code here but is one elsewhere: it is no slip of the finger, so it counts (input 78). */
  async function miss(visitor: Visitor): Promise<GuessOutcome> {
    const guess = await count(visitor)
    return guess ? wrong(guess) : { outcome: 'ended' }
  }

  /** What a right code changed about the account's protection, if anything, in the transaction it was right in. */
  async function carryOut(
    trx: Db,
    { account_id: accountId, purpose, phone_id }: Guess,
    { factor }: Proof,
    phoneAdded: boolean,
    sessionUid: string | undefined,
  ): Promise<void> {
    if (factor === 'backup-code') await onChange(trx, { type: 'backup-code.used', accountId })
    else if (factor === 'totp' && purpose !== 'sign-in')
      await onChange(trx, { type: 'authenticator.added', accountId, sessionUid })
    else if (phoneAdded && phone_id)
      await onChange(trx, { type: 'phone.added', accountId, phoneId: phone_id, sessionUid })
  }

  async function isTaken(guess: Guess): Promise<boolean> {
    if (rules.sharing !== 'refuse') return false
    const { rows } = await sharedNumber(guess.phone_id).execute(db)
    return rows.length > 0
  }

  /** What a right guess leads to. A factor that was added by it is told of in the transaction that adds it. */
  async function right(guess: Guess, proof: Proof, sessionOf?: SessionOf): Promise<GuessOutcome> {
    const sessionUid = guess.purpose === 'sign-in' ? undefined : await sessionOf?.()
    const { account_id: accountId, purpose } = guess
    const passed = { accountId, purpose, factor: proof.factor }
    if (guess.again && guess.passed_at !== null)
      return { outcome: 'passed-already', ...passed, passedAt: guess.passed_at }
    const passing = async (on: Db) => (await statements.pass(guess, proof).execute(on)).rows[0]
    const adding = async (trx: Db) => {
      // Of two browsers that add a first factor at once, the second sees what the first did.
      if (purpose !== 'sign-in') await statements.hold(guess).execute(trx)
      if (rules.sharing === 'refuse' && guess.phone_id) await takeTurnsProving(trx, guess.phone_id)
      const row = await passing(trx)
      if (!row) throw new NotPassed()
      await carryOut(trx, guess, proof, row.phone_added, sessionUid)
      return row
    }
    const pass = await retrying(() =>
      purpose === 'sign-in' && proof.factor !== 'backup-code'
        ? passing(db)
        : db.transaction().execute(adding),
    ).catch((error: unknown) => {
      if (error instanceof NotPassed) return undefined
      throw error
    })
    if (pass) return { outcome: 'right', ...passed, passedAt: pass.passed_at }
    // The same right code came before, in another request just now.
    const { rows } = await statements.passedAt(guess.id, proof.factor).execute(db)
    const [before] = rows
    if (!before) return { outcome: (await isTaken(guess)) ? 'number-taken' : 'ended' }
    return { outcome: 'passed-already', ...passed, passedAt: before.passed_at }
  }

  async function judgeText(
    guess: Guess,
    phoneId: string,
    code: string,
  ): Promise<Proof | undefined> {
    const secret = await phones.secret(phoneId, guess.hotp_secret)
    if (guess.counter === null) return undefined
    if (!codesMatch(code, hotp(secret, BigInt(guess.counter), rules.length))) return undefined
    return { factor: guess.channel, statement: NOTHING_MORE }
  }

  function judgeApp(guess: Guess, id: string, sealed: Buffer, code: string): Proof | undefined {
    // A code that passed this very challenge may come once more; no other may.
    const lastStep = guess.again ? null : guess.last_step
    const step = authenticators.judge(sealed, id, code, guess.at_seconds, lastStep)
    if (step === undefined || (guess.again && String(step) !== guess.last_step)) return undefined
    return { factor: 'totp', statement: authenticators.useStep(id, step) }
  }

  return {
    /** Judges a code from a text, a call or an authenticator app: whichever the challenge asks for. */
    async verify(visitor: Visitor, input: string, sessionOf?: SessionOf): Promise<GuessOutcome> {
      const code = parseCode(input, rules.length) ?? parseCode(input, authenticators.digits)
      if (!code) return parseBackupCode(input) ? miss(visitor) : { outcome: 'malformed' }
      const guess = await count(visitor)
      if (!guess) return { outcome: 'ended' }
      let proof: Proof | undefined
      if (guess.phone_id) proof = await judgeText(guess, guess.phone_id, code)
      else if (guess.authenticator_id && guess.totp_secret)
        proof = judgeApp(guess, guess.authenticator_id, guess.totp_secret, code)
      if (!proof || (guess.again && guess.again !== proof.factor)) return wrong(guess)
      return right(guess, proof, sessionOf)
    },

    /** Judges a backup code, under the same limits as every other. */
    async verifyBackupCode(visitor: Visitor, input: string): Promise<GuessOutcome> {
      const code = parseBackupCode(input)
      if (!code) return parseCode(input, rules.length) ? miss(visitor) : { outcome: 'malformed' }
      const guess = await count(visitor)
      if (!guess) return { outcome: 'ended' }
      // It stands in for a factor one has, and proves none that is being added.
      if (guess.purpose !== 'sign-in') return wrong(guess)
      const hash = backupCodes.hash(guess.account_id, code)
      const proof: Proof = {
        factor: 'backup-code',
        statement: backupCodes.spend(
          guess.account_id,
          hash,
          sql`exists (
          select from challenge where id = ${guess.id} and passed_at is null and closed_at is null)`,
        ),
      }
      if (guess.again) {
        const { rows } = await statements.spentOn(guess, hash).execute(db)
        return rows[0] && guess.again === 'backup-code' ? right(guess, proof) : wrong(guess)
      }
      const outcome = await right(guess, proof)
      return outcome.outcome === 'ended' ? wrong(guess) : outcome
    },

    /** Whether this browser may make sensitive changes to an account (ADM-03). */
    async freshness(browser: string, accountId: string): Promise<Freshness> {
      const { rows } = await statements
        .proof(hashToken(browser, 'browser'), accountId, FRESH_SECONDS)
        .execute(db)
      const [row] = rows
      if (!row) return { state: 'stale' }
      if (row.held_until) return { state: 'held', until: row.held_until }
      return { state: 'fresh', factor: row.passed_with }
    },
  }
}
