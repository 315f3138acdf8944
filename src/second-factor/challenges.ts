import { randomBytes } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import type { OnChange } from '../audit/change.ts'
import type { Fingerprints } from '../crypto/fingerprints.ts'
import type { Clock } from '../db/clock.ts'
import { retrying } from '../db/faults.ts'
import type { Db } from '../db/schema.ts'
import type { Language } from '../languages/language.ts'
import type { Log } from '../log.ts'
import type { Messenger } from '../messaging/messenger.ts'
import { codeText } from '../messaging/texts.ts'
import { type ChallengeRules, type Purpose, seatOf, type Visitor } from './challenge-parts.ts'
import { createChallengeStatements, type SendVerdict } from './challenge-statements.ts'
import { hotp } from './hotp.ts'
import { createLook } from './look.ts'
import type { Phones } from './phones.ts'
import { logAlerts } from './send-alerts.ts'
import type { SendGrants, SendRefusalReason } from './send-grants.ts'

export type Challenges = ReturnType<typeof createChallenges>

/** Why nothing was sent; with `waitSeconds` where trying again later helps and it is known when. */
export interface SendRefusal {
  refused: 'locked' | 'country-not-allowed' | SendRefusalReason
  waitSeconds?: number
}

/** Who asks for a send. */
export interface Asker {
  /** the client address the send is counted under */
  address: string
  /** of the page, for the text */
  language: Language
}

/** A challenge that was written; its code, if one is to be sent, is yet to be sent. */
export interface Issued {
  /** Resolves when a gateway has answered, or after a moment; sending goes on behind it. */
  send(): Promise<void>
}

export type SendOutcome = 'sent' | 'ended' | 'no-sends-left' | { waitSeconds: number } | SendRefusal

interface Dependencies {
  db: Db
  clock: Clock
  rules: ChallengeRules
  grants: SendGrants
  phones: Phones
  messenger: Messenger
  fingerprint: Fingerprints
  onChange: OnChange
  log: Log
  /** what a text is signed with */
  brand: string
  /** the issuer's host, for the origin-bound last line */
  host: string
}

/** A page waits this long for a gateway's answer; sending goes on behind it. */
const WAIT_FOR_ACCEPTANCE_MS = 1500

/** Demands for a code: issuing and sending. The code itself is computed when needed and kept nowhere. */
export function createChallenges(deps: Dependencies) {
  const { db, clock, rules, phones, messenger, fingerprint } = deps
  const statements = createChallengeStatements(clock, rules, deps.grants)
  const look = createLook({ db, clock, rules, phones })

  async function send(verdict: SendVerdict, id: string, language: Language): Promise<void> {
    const secret = await phones.secret(verdict.phone_id, verdict.hotp_secret)
    const code = hotp(secret, BigInt(verdict.counter), rules.length)
    const minutes = Math.max(1, Math.floor(verdict.seconds_left / 60))
    const sending = messenger.send({
      challengeId: id,
      channel: 'sms',
      to: phones.open({ id: verdict.phone_id, number: verdict.number }),
      country: verdict.country,
      text: codeText({ language, brand: deps.brand, host: deps.host, code, minutes }),
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

  /** Counts a send of the visitor's challenge and sends it. */
  async function sendTo(
    visitor: Visitor,
    phoneId: string | null,
    { address, language }: Asker,
  ): Promise<SendOutcome> {
    const addressed = fingerprint('address', address)
    const { rows } = await retrying(() =>
      statements.send(seatOf(visitor), phoneId, addressed).execute(db),
    )
    const [verdict] = rows
    if (!verdict) return 'ended'
    logAlerts(deps.log, verdict)
    if (verdict.id) {
      await send(verdict, verdict.id, language)
      return 'sent'
    }
    const refusal = refusalOf(verdict)
    if (refusal?.refused === 'locked' || refusal?.refused === 'country-not-allowed') return refusal
    if (verdict.sends_left <= 0) return 'no-sends-left'
    // Not due and no limit asked: the wait isn't over.
    return verdict.due && refusal ? refusal : { waitSeconds: Math.max(1, verdict.resend_seconds) }
  }

  return {
    /**
     * Asks an account for its second factor; the caller then has the code sent.
     * @param lifeSeconds at most this long, e.g. what is left of the interaction
     */
    async issue(
      visitor: Visitor,
      accountId: string,
      { address, language }: Asker,
      lifeSeconds: number,
    ): Promise<Issued | 'no-factor' | SendRefusal> {
      const id = newId()
      const life = Math.min(rules.ttlSeconds, lifeSeconds)
      const addressed = fingerprint('address', address)
      const statement = statements.issue(seatOf(visitor), id, accountId, addressed, life)
      const { rows } = await retrying(() => statement.execute(db))
      const [verdict] = rows
      if (!verdict) return 'no-factor'
      logAlerts(deps.log, verdict)
      if (verdict.suspected) await deps.onChange(db, { type: 'password.seems-known', accountId })
      if (verdict.id && verdict.authenticator_id) return { send: async () => {} }
      const refusal = refusalOf(verdict)
      if (refusal) return refusal
      if (!verdict.id) throw new Error('the HOTP counter of a phone has run out')
      return { send: () => send(verdict, id, language) }
    },

    /**
     * Opens a challenge for adding a factor; which one is told by `sendTo` or `askAuthenticator`.
     * @returns false while the account takes no codes
     */
    async open(
      visitor: Visitor,
      accountId: string,
      purpose: Purpose,
      lifeSeconds: number,
    ): Promise<boolean> {
      const statement = statements.open(seatOf(visitor), newId(), accountId, purpose, lifeSeconds)
      const { rows } = await retrying(() => statement.execute(db))
      return rows.length > 0
    },

    /** Sends the same code again. Waiting time, send budget and limits are shared with every other send. */
    sendAgain: (visitor: Visitor, asker: Asker) => sendTo(visitor, null, asker),

    /** Sends a code of another of the account's phones, within the same budgets. */
    sendTo,

    /**
     * Has the code of the authenticator app asked for instead.
     * @param beingAdded id of the app, where it isn't the account's own yet
     * @returns whether that can be
     */
    async askAuthenticator(visitor: Visitor, beingAdded: string | null = null): Promise<boolean> {
      const { rows } = await retrying(() =>
        statements.askAuthenticator(seatOf(visitor), beingAdded).execute(db),
      )
      return rows.length > 0
    },

    /** Goes back to choosing which factor to add. */
    async askNothing(visitor: Visitor): Promise<void> {
      await retrying(() => statements.askNothing(seatOf(visitor)).execute(db))
    },

    look: (visitor: Visitor) => look(seatOf(visitor)),

    /** Ends the visitor's challenge, also one that has expired: for a cancelled or restarted sign-in. */
    async close(visitor: Visitor): Promise<void> {
      await statements.close(seatOf(visitor)).execute(db)
    },

    async sweep(batch: number): Promise<number> {
      const { numAffectedRows } = await statements.sweep(batch).execute(db)
      return Number(numAffectedRows ?? 0)
    },
  }
}

function newId(): string {
  return randomBytes(16).toString('base64url')
}

function refusalOf(verdict: SendVerdict): SendRefusal | undefined {
  if (verdict.locked) return { refused: 'locked' }
  if (!verdict.country_allowed) return { refused: 'country-not-allowed' }
  const { refused_by: refused, wait_seconds: waitSeconds } = verdict
  return refused ? { refused, ...(waitSeconds && { waitSeconds }) } : undefined
}
