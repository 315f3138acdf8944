import { randomBytes } from 'node:crypto'
import { type RawBuilder, sql } from 'kysely'
import type { OnChange } from '../audit/change.ts'
import type { Fingerprints } from '../crypto/fingerprints.ts'
import { retrying } from '../db/faults.ts'
import type { Language } from '../languages/language.ts'
import type { Channel, RecipientFault } from '../messaging/gateway.ts'
import { isOpen, newestOf, type Purpose, seatOf, type Visitor } from './challenge-parts.ts'
import { createChallengeStatements } from './challenge-statements.ts'
import { createLook } from './look.ts'
import { logAlerts } from './send-alerts.ts'
import type { SendGrants, SendRefusalReason } from './send-grants.ts'
import { createSendStatements, type SendVerdict } from './send-statements.ts'
import { createSending, type SendingDependencies } from './sending.ts'

export type Challenges = ReturnType<typeof createChallenges>

/** Why nothing was sent; with `waitSeconds` where trying again later helps and it is known when. */
export interface SendRefusal {
  refused: 'locked' | 'country-not-allowed' | RecipientFault | SendRefusalReason
  waitSeconds?: number
}

/** Who asks for a send. */
export interface Asker {
  /** the client address the send is counted under */
  address: string
  /** of the page, for the text */
  language: Language
}

/** Who begins a sign-in. */
export interface Beginner extends Asker {
  /** whether a code of the account was right in this browser before; sends for others are more limited */
  knownBrowser: boolean
}

/** A challenge that was written; its code, if one is to be sent, is yet to be sent. */
export interface Issued {
  /** Resolves when a gateway has answered, or after a moment; sending goes on behind it. */
  send(): Promise<void>
}

export type SendOutcome = 'sent' | 'ended' | 'no-sends-left' | { waitSeconds: number } | SendRefusal

interface Dependencies extends SendingDependencies {
  grants: SendGrants
  fingerprint: Fingerprints
  onChange: OnChange
}

/** Demands for a code: issuing and sending. The code itself is computed when needed and kept nowhere. */
export function createChallenges(deps: Dependencies) {
  const { db, clock, rules, phones, fingerprint, messenger } = deps
  const statements = createChallengeStatements(clock, rules, deps.grants)
  const sends = createSendStatements(clock, rules, deps.grants)
  const sending = createSending(deps, sends)
  const look = createLook({ db, clock, rules, phones, canCall: messenger.canCall })

  /** The one challenge of somebody who is signing in just now, in whichever browser they began last. */
  const newestSignIn = (accountId: string) => sql`
    where account_id = ${accountId} and purpose = 'sign-in' and ${isOpen('challenge', clock())}
    order by created_at desc limit 1`

  /** Counts a send of the visitor's challenge and sends it. */
  const sendTo = (
    visitor: Visitor,
    phoneId: string | null,
    asker: Asker,
    channel: Channel = 'sms',
  ): Promise<SendOutcome> => sendOf(newestOf(seatOf(visitor)), phoneId, asker, channel)

  /** @param which `where` clause of the one challenge */
  async function sendOf(
    which: RawBuilder<unknown>,
    phoneId: string | null,
    { address, language }: Asker,
    channel: Channel,
  ): Promise<SendOutcome> {
    const addressKey = fingerprint('address', address)
    const order = { phoneId, channel, language: language.tag, addressKey }
    const { rows } = await retrying(() => sends.send(which, order).execute(db))
    const [verdict] = rows
    if (!verdict) return 'ended'
    logAlerts(deps.log, verdict)
    if (verdict.id) {
      await sending.send(verdict, verdict.id, language, channel)
      return 'sent'
    }
    const refusal = refusalOf(verdict)
    if (refusal && LASTING.has(refusal.refused)) return refusal
    if (verdict.sends_left <= 0) return 'no-sends-left'
    // Not due and no limit asked: the wait isn't over.
    return verdict.due && refusal ? refusal : { waitSeconds: Math.max(1, verdict.resend_seconds) }
  }

  return {
    /**
     * Asks an account for its second factor; the caller then has the code sent. Somebody can have backup codes
     * alone, which an admin gave them: they are asked for by `open`.
     * @param lifeSeconds at most this long, e.g. what is left of the interaction
     */
    async issue(
      visitor: Visitor,
      accountId: string,
      { address, language, knownBrowser }: Beginner,
      lifeSeconds: number,
    ): Promise<Issued | 'no-factor' | 'backup-codes' | SendRefusal> {
      const id = newId()
      const order = {
        ...seatOf(visitor),
        id,
        accountId,
        addressKey: fingerprint('address', address),
        language: language.tag,
        knownBrowser,
        lifeSeconds: Math.min(rules.ttlSeconds, lifeSeconds),
      }
      const { rows } = await retrying(() => statements.issue(db, order))
      const [verdict] = rows
      if (!verdict?.asked) return verdict?.codes_only ? 'backup-codes' : 'no-factor'
      logAlerts(deps.log, verdict)
      if (verdict.suspected) await deps.onChange(db, { type: 'password.seems-known', accountId })
      if (verdict.id && verdict.authenticator_id) return { send: async () => {} }
      const refusal = refusalOf(verdict)
      if (refusal) return refusal
      if (!verdict.id) throw new Error('the HOTP counter of a phone has run out')
      return { send: () => sending.send(verdict, id, language, 'sms') }
    },

    /**
     * Opens a challenge for adding a factor; which one is told by `sendTo` or `askAuthenticator`.
     * @param knownBrowser as for `issue`, where proven phones may be sent to
     * @returns false while the account takes no codes
     */
    async open(
      visitor: Visitor,
      accountId: string,
      purpose: Purpose,
      lifeSeconds: number,
      knownBrowser = false,
    ): Promise<boolean> {
      const asked = { purpose, knownBrowser }
      const statement = statements.open(seatOf(visitor), newId(), accountId, asked, lifeSeconds)
      const { rows } = await retrying(() => statement.execute(db))
      return rows.length > 0
    },

    /** Sends the same code again. Waiting time, send budget and limits are shared with every other send. */
    sendAgain: (visitor: Visitor, asker: Asker) => sendTo(visitor, null, asker),

    /** The same for somebody who asks the help desk for it, in the sign-in they began last. */
    sendAgainFor: (accountId: string, asker: Asker) =>
      sendOf(newestSignIn(accountId), null, asker, 'sms'),

    /** What the sign-in that somebody began last has come to. */
    lookFor: (accountId: string) => look.of(newestSignIn(accountId)),

    /** Sends a code of another of the account's phones, within the same budgets. */
    sendTo,

    /** Has the same code said by a call, within the same budgets; to another phone where one is named. */
    async call(visitor: Visitor, phoneId: string | null, asker: Asker): Promise<SendOutcome> {
      if (!messenger.canCall) return 'ended'
      return sendTo(visitor, phoneId, asker, 'voice')
    },

    /** For messages that a gateway took and didn't deliver. */
    reroute: sending.reroute,

    /** Resolves when nothing is being sent any more. */
    idle: sending.idle,

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

    look: (visitor: Visitor) => look.ofSeat(seatOf(visitor)),

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

/** Refusals that hold whether or not a send is due. */
const LASTING: ReadonlySet<SendRefusal['refused']> = new Set([
  'locked',
  'country-not-allowed',
  'opted-out',
  'landline',
  'barred',
] as const)

function refusalOf(verdict: SendVerdict): SendRefusal | undefined {
  if (verdict.locked) return { refused: 'locked' }
  if (!verdict.country_allowed) return { refused: 'country-not-allowed' }
  if (verdict.fault) return { refused: verdict.fault }
  const { refused_by: refused, wait_seconds: waitSeconds } = verdict
  return refused ? { refused, ...(waitSeconds && { waitSeconds }) } : undefined
}
