import { setTimeout as pause } from 'node:timers/promises'
import { sql } from 'kysely'
import { auditEntry } from '../audit/event.ts'
import type { Clock } from '../db/clock.ts'
import { unhurried } from '../db/deadline.ts'
import { retrying } from '../db/faults.ts'
import type { Db } from '../db/schema.ts'
import type { Language } from '../languages/language.ts'
import type { Languages } from '../languages/languages.ts'
import type { Log } from '../log.ts'
import { UNDELIVERED } from '../messaging/delivery-states.ts'
import type { Channel, RecipientFault } from '../messaging/gateway.ts'
import type {
  Messenger,
  SendOutcome as MessengerOutcome,
  SendRequest,
} from '../messaging/messenger.ts'
import { codeSpeech } from '../messaging/speech.ts'
import { codeText } from '../messaging/texts.ts'
import type { WatchedMessage } from '../messaging/watch-statements.ts'
import type { Metrics } from '../metrics.ts'
import type { ChallengeRules } from './challenge-parts.ts'
import { hotp } from './hotp.ts'
import type { Phones } from './phones.ts'
import { logAlerts } from './send-alerts.ts'
import type { createSendStatements, SendVerdict } from './send-statements.ts'
import type { SimSwap } from './sim-swap.ts'

export interface SendingDependencies {
  db: Db
  clock: Clock
  rules: ChallengeRules
  phones: Phones
  messenger: Messenger
  simSwap: SimSwap
  languages: Languages
  metrics: Metrics
  log: Log
  /** what a message is signed with */
  brand: string
  /** the issuer's host, for the origin-bound last line */
  host: string
}

/** A page waits this long for a gateway's answer; sending goes on behind it. */
const WAIT_FOR_ACCEPTANCE_MS = 1500

/** Sends the codes of challenges that were granted a send, and notes what came of it. */
export function createSending(
  deps: SendingDependencies,
  statements: ReturnType<typeof createSendStatements>,
) {
  const { db, rules, phones, messenger, brand, host } = deps
  const inFlight = new Set<Promise<unknown>>()

  /** The message, with a code that is computed now and kept nowhere. */
  async function compose(
    verdict: SendVerdict,
    challengeId: string,
    language: Language,
    channel: Channel,
    unasked: boolean,
  ): Promise<SendRequest> {
    const secret = await phones.secret(verdict.phone_id, verdict.hotp_secret)
    const code = hotp(secret, BigInt(verdict.counter), rules.length)
    const minutes = Math.max(1, Math.floor(verdict.seconds_left / 60))
    // A call speaks the person's language where the gateway can, else English.
    const spoken = (tags: readonly string[]) =>
      tags.includes(language.tag) ? language : deps.languages.find('en')
    return {
      carries: { challengeId, phoneId: verdict.phone_id, send: verdict.send, unasked },
      to: phones.open({ id: verdict.phone_id, number: verdict.number }),
      country: verdict.country,
      content:
        channel === 'sms'
          ? {
              channel,
              text: codeText({ language, brand, host, code, minutes, aloud: verdict.aloud }),
            }
          : { channel, speechIn: (tags) => codeSpeech({ language: spoken(tags), brand, code }) },
      language: language.tag,
      codeLength: rules.length,
      expiresInSeconds: verdict.seconds_left,
      tried: verdict.tried,
    }
  }

  async function failed(
    { phone_id, send }: SendVerdict,
    id: string,
    channel: Channel,
    fault: RecipientFault | undefined,
  ): Promise<void> {
    // What is wrong with it for calls says nothing of texts.
    const problem = channel === 'sms' ? (fault ?? null) : null
    const { rows } = await retrying(() => statements.sendFailed(id, send, problem).execute(db))
    if (problem) await statements.markPhone(phone_id, problem).execute(db)
    // Another send may have followed meanwhile.
    if (rows.length > 0) deps.metrics.codeEnded('not-delivered')
  }

  /** For a message that a gateway took and couldn't deliver, and that goes no other way. */
  async function gaveUp(message: WatchedMessage, problem: RecipientFault | null): Promise<void> {
    const { rows } = await statements.undeliverable(message, problem).execute(db)
    if (rows.length > 0) deps.metrics.codeEnded('not-delivered')
  }

  /** Whether the number's SIM is one that may be told a code. */
  async function mayBeTold(verdict: SendVerdict, id: string): Promise<boolean> {
    const number = phones.open({ id: verdict.phone_id, number: verdict.number })
    const found = await deps.simSwap.look(number)
    if (found === 'fine') return true
    deps.log.warn({ challenge: id, policy: found }, 'the SIM of a phone was changed lately')
    const detail = { phone: verdict.phone_id, policy: found }
    await auditEntry(
      deps.clock,
      { type: 'phone.sim-swapped', accountId: sql`account_id`, detail },
      sql`from challenge where id = ${id}`,
    ).execute(db)
    if (found === 'alert') return true
    await statements.sendFailed(id, verdict.send, 'sim-swapped').execute(db)
    deps.metrics.codeEnded('not-delivered')
    return false
  }

  /** @returns undefined where it may not be sent */
  async function deliver(
    verdict: SendVerdict,
    id: string,
    language: Language,
    channel: Channel,
    more: Pick<SendRequest, 'onlyOthers'> & { unasked: boolean },
  ): Promise<MessengerOutcome | undefined> {
    if (!(await mayBeTold(verdict, id))) return undefined
    const { unasked, ...how } = more
    const request = await compose(verdict, id, language, channel, unasked)
    return messenger.send({ ...request, ...how })
  }

  return {
    /** Resolves when a gateway has answered, or after a moment; sending goes on behind it. */
    async send(
      verdict: SendVerdict,
      id: string,
      language: Language,
      channel: Channel,
    ): Promise<void> {
      // It was counted, so it is sent, and what came of it noted, however slow the database is.
      const sending = unhurried(async () => {
        const sent = await deliver(verdict, id, language, channel, { unasked: false })
        if (sent?.outcome === 'failed') await failed(verdict, id, channel, sent.fault)
      })
        .catch((error: unknown) =>
          deps.log.error({ challenge: id, error }, 'what came of a send was not noted'),
        )
        .finally(() => inFlight.delete(sending))
      inFlight.add(sending)
      await Promise.race([sending, pause(WAIT_FOR_ACCEPTANCE_MS, undefined, { ref: false })])
    },

    /**
     * Sends an undelivered code by the next gateway, within the limits of all sends; nobody has to ask for it.
     * Nobody is called that way: a phone that rings twice is no help.
     * @returns false where that can't help or may not be
     */
    async reroute(message: WatchedMessage): Promise<boolean> {
      const { challenge_id: id, phone_id: phoneId, channel, country, tried, failure } = message
      const fault = channel === 'sms' ? message.fault : null
      // One that is merely late may yet arrive.
      const lost = UNDELIVERED.has(message.state)
      if (fault) await statements.markPhone(phoneId, fault).execute(db)
      const hopeless = fault !== null || failure === 'recipient' || channel === 'voice'
      if (hopeless || !messenger.hasOther(channel, country, tried)) {
        if (lost) await gaveUp(message, fault)
        return false
      }
      const order = { phoneId, channel, language: null, addressKey: null }
      const { rows } = await retrying(() =>
        statements.send(statements.stillWaiting(message), order).execute(db),
      )
      const [verdict] = rows
      if (!verdict?.id) {
        if (lost) await gaveUp(message, null)
        return false
      }
      logAlerts(deps.log, verdict)
      const language = deps.languages.find(verdict.language ?? '') ?? deps.languages.byDefault
      const how = { unasked: true, onlyOthers: true }
      const sent = await deliver({ ...verdict, tried }, id, language, channel, how)
      if (sent?.outcome === 'failed') {
        // What was merely late may yet arrive.
        if (lost || sent.fault) await failed(verdict, id, channel, sent.fault)
        return false
      }
      if (sent) deps.metrics.rerouted(message.gateway, channel)
      return sent !== undefined
    },

    /** Resolves when nothing is being sent any more. */
    async idle(): Promise<void> {
      while (inFlight.size > 0) await Promise.all(inFlight)
    },
  }
}
