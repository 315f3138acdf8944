import { sql } from 'kysely'
import type { OnChange } from '../audit/change.ts'
import { hashToken } from '../crypto/keys.ts'
import type { Clock } from '../db/clock.ts'
import { retrying } from '../db/faults.ts'
import type { Db } from '../db/schema.ts'
import type { CodeVerdict } from '../messaging/gateway.ts'
import type { Messenger } from '../messaging/messenger.ts'
import type { Authenticators } from './authenticators.ts'
import { parseBackupCode } from './backup-codes.ts'
import { type ChallengeRules, seatOf, type Visitor } from './challenge-parts.ts'
import type { Freshness, Guess, GuessOutcome, Proof, SessionOf } from './guess-parts.ts'
import { createGuessStatements } from './guess-statements.ts'
import { codesMatch, hotp, parseCode } from './hotp.ts'
import { sharedNumber, takeTurnsProving } from './phone-sharing.ts'
import type { Phones } from './phones.ts'
import type { SendGrants } from './send-grants.ts'
import type { StandIns } from './stand-ins.ts'

export type Guesses = ReturnType<typeof createGuesses>

/** Sensitive changes need a second factor no older than this. */
export const FRESH_SECONDS = 20 * 60

/** Ends a transaction in which a challenge didn't pass, and with it what its proof has changed. */
class NotPassed extends Error {}

/** Whether a guess is right, or what else there is to say of it; undefined: it is wrong. */
type Judgement = Proof | 'used' | 'ended' | 'not-judged' | undefined

/** What a gateway's judgement of its own code comes to, where it isn't that it is right. */
const OTHER_VERDICTS: Record<CodeVerdict, Judgement> = {
  right: undefined,
  wrong: undefined,
  gone: 'ended',
  'too-many-tries': 'ended',
  unavailable: 'not-judged',
}

/** A texted code stands for itself: its challenge is passed once. */
const NOTHING_MORE = sql`select`

interface Dependencies {
  db: Db
  clock: Clock
  rules: ChallengeRules
  phones: Phones
  authenticators: Authenticators
  standIns: StandIns
  onChange: OnChange
  grants: SendGrants
  messenger: Pick<Messenger, 'judge'>
}

/** Judges what people type. A guess is counted before it is judged, and a right one passes at most once. */
export function createGuesses(deps: Dependencies) {
  const { db, clock, rules, phones, authenticators, standIns, onChange } = deps
  const statements = createGuessStatements(clock, rules, deps.grants.countPass)

  async function count(visitor: Visitor): Promise<Guess | undefined> {
    const { rows } = await retrying(() => statements.guess(db, seatOf(visitor)))
    const [guess] = rows
    return guess?.counted || guess?.again ? guess : undefined
  }

  async function wrong(
    guess: Guess,
    outcome: 'wrong' | Extract<Judgement, string> = 'wrong',
  ): Promise<GuessOutcome> {
    if (!guess.counted) return { outcome: 'ended' }
    await statements.wrong(guess).execute(db)
    // Once for each lock: while it holds, nothing is counted.
    if (guess.locks) await onChange(db, { type: 'codes.locked', accountId: guess.account_id })
    return { outcome }
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
    { factor, change }: Proof,
    phoneAdded: boolean,
    sessionUid: string | undefined,
  ): Promise<void> {
    if (change) await onChange(trx, { ...change, accountId })
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
      purpose === 'sign-in' && !proof.change ? passing(db) : db.transaction().execute(adding),
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

  async function judgeText(guess: Guess, phoneId: string, code: string): Promise<Judgement> {
    const { message, counter } = guess
    // Only what went to this very phone proves it: a code of another one may be known to anybody.
    if (!message || counter === null) return undefined
    const proof = { factor: message.channel, statement: NOTHING_MORE }
    const verdict = await deps.messenger.judge(message.gateway, message.providerId, code)
    if (verdict) return verdict === 'right' && !guess.again ? proof : OTHER_VERDICTS[verdict]
    const secret = await phones.secret(phoneId, guess.hotp_secret)
    const sent = BigInt(counter)
    if (codesMatch(code, hotp(secret, sent, rules.length))) return proof
    if (sent === 0n || !codesMatch(code, hotp(secret, sent - 1n, rules.length))) return undefined
    const { rows } = await statements.wasPassed(guess).execute(db)
    return rows.length > 0 ? 'used' : undefined
  }

  function judgeApp(
    guess: Guess,
    id: string,
    sealed: Buffer,
    code: string,
  ): Proof | 'used' | undefined {
    // A code that passed this very challenge may come once more; no other may.
    const lastStep = guess.again ? null : guess.last_step
    const step = authenticators.judge(sealed, id, code, guess.at_seconds, lastStep)
    if (step === undefined) {
      const before = authenticators.judge(sealed, id, code, guess.at_seconds, null)
      return before === undefined ? undefined : 'used'
    }
    if (guess.again && String(step) !== guess.last_step) return undefined
    return { factor: 'totp', statement: authenticators.useStep(id, step) }
  }

  return {
    /** Judges a code from a text, a call or an authenticator app: whichever the challenge asks for. */
    async verify(visitor: Visitor, input: string, sessionOf?: SessionOf): Promise<GuessOutcome> {
      const code = parseCode(input, rules.length) ?? parseCode(input, authenticators.digits)
      if (!code) return parseBackupCode(input) ? miss(visitor) : { outcome: 'malformed' }
      const guess = await count(visitor)
      if (!guess) return { outcome: 'ended' }
      let proof: Judgement
      if (guess.phone_id) proof = await judgeText(guess, guess.phone_id, code)
      else if (guess.authenticator_id && guess.totp_secret)
        proof = judgeApp(guess, guess.authenticator_id, guess.totp_secret, code)
      if (typeof proof === 'string') return wrong(guess, proof)
      if (!proof || (guess.again && guess.again !== proof.factor)) return wrong(guess)
      return right(guess, proof, sessionOf)
    },

    /** Judges a backup code, or one of the help desk, under the same limits as every other. */
    async verifyBackupCode(visitor: Visitor, input: string): Promise<GuessOutcome> {
      const code = parseBackupCode(input)
      if (!code) return parseCode(input, rules.length) ? miss(visitor) : { outcome: 'malformed' }
      const guess = await count(visitor)
      if (!guess) return { outcome: 'ended' }
      // It stands in for a factor one has, and proves none that is being added.
      if (guess.purpose !== 'sign-in') return wrong(guess)
      const standIn = await standIns.find(guess.account_id, code)
      const { factor, change } = standIn
      const statement = standIn.spend(sql`exists (
        select from challenge where id = ${guess.id} and passed_at is null and closed_at is null)`)
      const proof: Proof = { factor, change, statement }
      if (guess.again)
        return (await standIns.hasPassed(guess.id, standIn)) ? right(guess, proof) : wrong(guess)
      const outcome = await right(guess, proof)
      if (outcome.outcome !== 'ended') return outcome
      return wrong(guess, (await standIns.wasUsed(guess.account_id, standIn)) ? 'used' : 'wrong')
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
