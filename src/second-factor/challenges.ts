import { randomBytes } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import type { Fingerprints } from '../crypto/fingerprints.ts'
import { hashToken } from '../crypto/keys.ts'
import type { Clock } from '../db/clock.ts'
import { retrying } from '../db/faults.ts'
import type { Db } from '../db/schema.ts'
import type { Messenger } from '../messaging/messenger.ts'
import { codeText } from '../messaging/texts.ts'
import { maskPhone } from '../phone-number.ts'
import type { ChallengeRules, Seat } from './challenge-parts.ts'
import { createChallengeStatements, type SendVerdict } from './challenge-statements.ts'
import { createGuessStatements } from './guess-statements.ts'
import { codesMatch, hotp, parseCode } from './hotp.ts'
import type { Phones } from './phones.ts'
import { sweepSendLimits } from './send-limits.ts'

export type Challenges = ReturnType<typeof createChallenges>

/** Whose challenge: the interaction's uid and the secret in the browser's cookie. */
export interface Visitor {
  interaction: string
  browser: string
}

/** Why nothing was sent. */
export type SendRefusal =
  | 'locked'
  | 'country-not-allowed'
  | 'phone-limit'
  | 'address-limit'
  | 'overall-limit'

/** What became of the last send; `unconfirmed`: no gateway said yes or no, so that the text may yet arrive. */
export type Delivery = 'sending' | 'accepted' | 'failed' | 'unconfirmed'

/** A challenge that was written; its code is yet to be sent. */
export interface Issued {
  /** Resolves when a gateway has answered, or after a moment; sending goes on behind it. */
  send(): Promise<void>
}

/** What a visitor's newest challenge has come to. */
export type ChallengeView =
  | { state: 'none' | 'passed' | 'closed' | 'expired' | 'too-many-tries' | 'disabled' }
  | { state: 'locked'; lockSeconds: number | null }
  | {
      state: 'open'
      phone: string
      secondsLeft: number
      triesLeft: number
      sendsLeft: number
      resendInSeconds: number
      delivery: Delivery
    }

export type GuessOutcome =
  /** `passedAt` is in seconds of the database's clock */
  | { outcome: 'right'; accountId: string; passedAt: number }
  | { outcome: 'passed-already'; accountId: string; passedAt: number }
  | { outcome: 'malformed' | 'wrong' | 'ended' }

interface Dependencies {
  db: Db
  clock: Clock
  rules: ChallengeRules
  phones: Phones
  messenger: Messenger
  fingerprint: Fingerprints
  /** what a text is signed with */
  brand: string
  /** the issuer's host, for the origin-bound last line */
  host: string
}

/** A page waits this long for a gateway's answer; sending goes on behind it. */
const WAIT_FOR_ACCEPTANCE_MS = 1500

/** Demands for a code: issuing, sending again, checking. The code itself is computed when needed and kept nowhere. */
export function createChallenges(deps: Dependencies) {
  const { db, clock, rules, phones, messenger, fingerprint } = deps
  const statements = createChallengeStatements(clock, rules)
  const guesses = createGuessStatements(clock, rules)

  async function send(verdict: SendVerdict, id: string): Promise<void> {
    const secret = await phones.secret(verdict.phone_id, verdict.hotp_secret)
    const code = hotp(secret, BigInt(verdict.counter), rules.length)
    const minutes = Math.max(1, Math.floor(verdict.seconds_left / 60))
    const sending = messenger.send({
      challengeId: id,
      channel: 'sms',
      to: phones.open({ id: verdict.phone_id, number: verdict.number }),
      country: verdict.country,
      text: codeText({ brand: deps.brand, host: deps.host, code, minutes }),
      expiresInSeconds: verdict.seconds_left,
    })
    const noted = sending.then(async (outcome) => {
      if (outcome === 'failed')
        await retrying(() => statements.sendFailed(id, verdict.send).execute(db))
    })
    await Promise.race([
      noted.catch(() => {}),
      pause(WAIT_FOR_ACCEPTANCE_MS, undefined, { ref: false }),
    ])
  }

  return {
    /**
     * Issues a challenge to the account's primary phone; the caller then has its code sent.
     * @param address the client address the send is counted under
     * @param lifeSeconds at most this long, e.g. what is left of the interaction
     */
    async issue(
      visitor: Visitor,
      accountId: string,
      address: string,
      lifeSeconds: number,
    ): Promise<Issued | 'no-phone' | SendRefusal> {
      const id = randomBytes(16).toString('base64url')
      const life = Math.min(rules.ttlSeconds, lifeSeconds)
      const addressed = fingerprint('address', address)
      const statement = statements.issue(seatOf(visitor), id, accountId, addressed, life)
      const { rows } = await retrying(() => statement.execute(db))
      const [verdict] = rows
      if (!verdict) return 'no-phone'
      const refusal = refusalOf(verdict)
      if (refusal) return refusal
      if (!verdict.id) throw new Error('the HOTP counter of a phone has run out')
      return { send: () => send(verdict, id) }
    },

    /** Sends the same code again. Waiting time, send budget and limits are shared with every other send. */
    async sendAgain(
      visitor: Visitor,
      address: string,
    ): Promise<'sent' | 'ended' | 'no-sends-left' | { waitSeconds: number } | SendRefusal> {
      const { rows } = await retrying(() =>
        statements.sendAgain(seatOf(visitor), fingerprint('address', address)).execute(db),
      )
      const [verdict] = rows
      if (!verdict) return 'ended'
      if (!verdict.id) {
        const refusal = refusalOf(verdict)
        if (refusal === 'locked' || refusal === 'country-not-allowed') return refusal
        if (verdict.sends_left <= 0) return 'no-sends-left'
        // Not due and no limit asked: the wait isn't over.
        return verdict.due && refusal ? refusal : { waitSeconds: Math.max(1, verdict.wait_seconds) }
      }
      await send(verdict, verdict.id)
      return 'sent'
    },

    /** Judges a guess. It is counted before it is judged, and a right one passes at most once. */
    async verify(visitor: Visitor, input: string): Promise<GuessOutcome> {
      const code = parseCode(input, rules.length)
      if (!code) return { outcome: 'malformed' }
      const { rows: guessed } = await retrying(() => guesses.guess(seatOf(visitor)).execute(db))
      const [guess] = guessed
      if (!guess?.counted && !guess?.again) return { outcome: 'ended' }
      const secret = await phones.secret(guess.phone_id, guess.hotp_secret)
      const right = codesMatch(code, hotp(secret, BigInt(guess.counter), rules.length))
      if (!right) return { outcome: guess.again ? 'ended' : 'wrong' }
      if (guess.counted) {
        const { rows } = await retrying(() => guesses.pass(guess).execute(db))
        const [pass] = rows
        if (pass) return { outcome: 'right', accountId: pass.account_id, passedAt: pass.passed_at }
      }
      // The same right code came before: in another request just now, or in one whose answer was lost.
      const { rows: passes } = await guesses.passedAt(guess.id).execute(db)
      const [passed] = passes
      if (!passed) return { outcome: 'ended' }
      return { outcome: 'passed-already', accountId: guess.account_id, passedAt: passed.passed_at }
    },

    async look(visitor: Visitor): Promise<ChallengeView> {
      const { rows } = await statements.look(seatOf(visitor)).execute(db)
      const [row] = rows
      if (!row) return { state: 'none' }
      if (row.passed) return { state: 'passed' }
      if (row.closed) return { state: 'closed' }
      if (row.disabled) return { state: 'disabled' }
      if (row.locked) return { state: 'locked', lockSeconds: row.lock_seconds }
      if (row.attempts >= rules.maxAttempts) return { state: 'too-many-tries' }
      if (row.seconds_left <= 0) return { state: 'expired' }
      return {
        state: 'open',
        phone: maskPhone(phones.open({ id: row.phone_id, number: row.number })),
        secondsLeft: row.seconds_left,
        triesLeft: rules.maxAttempts - row.attempts,
        sendsLeft: Math.max(0, rules.maxSends - row.sends),
        resendInSeconds: row.send_failed ? 0 : Math.max(0, row.resend_seconds),
        delivery: deliveryOf(row),
      }
    },

    /** Ends the visitor's challenge, also one that has expired: for a cancelled or restarted sign-in. */
    async close(visitor: Visitor): Promise<void> {
      await statements.close(seatOf(visitor)).execute(db)
    },

    async sweep(batch: number): Promise<number> {
      const { numAffectedRows } = await statements.sweep(batch).execute(db)
      return Number(numAffectedRows ?? 0) + (await sweepSendLimits(db, clock, batch))
    },
  }
}

function seatOf({ interaction, browser }: Visitor): Seat {
  return {
    interaction: hashToken(interaction, 'interaction'),
    browser: hashToken(browser, 'browser'),
  }
}

function refusalOf(verdict: SendVerdict): SendRefusal | undefined {
  if (verdict.locked) return 'locked'
  if (!verdict.country_allowed) return 'country-not-allowed'
  if (!verdict.phone_granted) return 'phone-limit'
  if (!verdict.address_granted) return 'address-limit'
  if (!verdict.overall_granted) return 'overall-limit'
  return undefined
}

/** As long as a person would wait: after it, silence is no longer "on its way". */
const SENDING_AT_MOST_SECONDS = 15

function deliveryOf(row: {
  send_failed: boolean
  message: string | null
  sent_seconds_ago: number
}): Delivery {
  if (row.send_failed) return 'failed'
  if (row.message === 'accepted') return 'accepted'
  if (row.message === 'unknown') return 'unconfirmed'
  return row.sent_seconds_ago < SENDING_AT_MOST_SECONDS ? 'sending' : 'unconfirmed'
}
