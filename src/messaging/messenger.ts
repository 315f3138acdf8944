import type { Kysely } from 'kysely'
import type { Clock } from '../db/clock.ts'
import type { Database } from '../db/schema.ts'
import type { Log } from '../log.ts'
import type { PhoneNumber } from '../phone-number.ts'
import type { Channel, FailureClass, SendResult } from './gateway.ts'
import { measureText } from './gsm7.ts'
import { createMessages } from './messages.ts'
import { newReference } from './reference.ts'
import type { GatewayEntry } from './registry.ts'

/** How much longer than its time-out a driver may take to say so, before it's taken to hang. */
const GRACE_MS = 500

export interface SendRequest {
  /** null for what isn't a code: a notice */
  challengeId: string | null
  channel: Channel
  to: PhoneNumber
  /** ISO 3166 code of the number's country, for the record */
  country: string | null
  text: string
  /** past this there is no use in sending any more */
  expiresInSeconds: number
}

/** `unknown`: no gateway took it for certain, but one may have, and the text may yet arrive. */
export type SendOutcome = 'accepted' | 'failed' | 'unknown'

/** Only what is wrong with the number itself is wrong at every gateway. */
const FINAL: ReadonlySet<FailureClass> = new Set(['recipient'])

/** Nothing changes until the operator acts. */
const ALARMING: ReadonlySet<FailureClass> = new Set(['config', 'quota'])

export type Messenger = ReturnType<typeof createMessenger>

export interface MessengerDeps {
  db: Kysely<Database>
  clock: Clock
  gateways: readonly GatewayEntry[]
  log: Log
}

/** Sends a message by the first gateway that takes it, and keeps a row of every try. */
export function createMessenger({ db, clock, gateways, log }: MessengerDeps) {
  const messages = createMessages({ db, clock })
  const inFlight = new Set<Promise<SendOutcome>>()

  async function deliver(request: SendRequest): Promise<SendOutcome> {
    const deadline = performance.now() + request.expiresInSeconds * 1000
    const able = gateways.filter(({ gateway }) => gateway.channels.includes(request.channel))
    if (able.length === 0) log.error({ channel: request.channel }, 'no gateway for this channel')
    let mayArrive = false
    for (const entry of able) {
      if (performance.now() >= deadline) break
      const result = await attempt(entry, request, deadline)
      if (result.outcome === 'accepted') return 'accepted'
      if (result.outcome === 'unknown') mayArrive = true
      else if (FINAL.has(result.failure)) break
    }
    return mayArrive ? 'unknown' : 'failed'
  }

  /** One try: its row first, so that whatever happens after it leaves a trace. */
  async function attempt(
    { gateway, timeoutMs }: GatewayEntry,
    { challengeId, channel, to, country, text }: SendRequest,
    deadline: number,
  ): Promise<SendResult> {
    const id = newReference()
    const { parts } = measureText(text)
    await messages.begin({ id, challengeId, channel, gateway: gateway.name, country, parts })
    const began = performance.now()
    const result = await within(Math.min(timeoutMs, deadline - began), (signal) =>
      gateway.send({ reference: id, channel, to, text }, signal),
    )
    report(gateway.name, id, result, performance.now() - began)
    await messages.finish(id, result).catch((error: unknown) => {
      if (result.outcome !== 'accepted') throw error
      // The text is on its way, whatever became of its row.
      log.error({ reference: id, error }, 'an accepted message was not recorded')
    })
    return result
  }

  /** Says how a try went, never to whom or what: number, text and code aren't for the log. */
  function report(gateway: string, reference: string, result: SendResult, tookMs: number): void {
    const fields = { gateway, reference, durationMs: Math.round(tookMs) }
    if (result.outcome === 'accepted') {
      log.info(fields, 'message accepted')
    } else if (result.outcome === 'unknown') {
      log.warn({ ...fields, detail: result.detail }, 'message may or may not have been sent')
    } else {
      const { failure, detail, httpStatus } = result
      const level = ALARMING.has(failure) ? 'error' : 'warn'
      log[level]({ ...fields, class: failure, detail, httpStatus }, 'message refused')
    }
  }

  return {
    /** Never throws. Every gateway is tried at most once, all with the same text. */
    async send(request: SendRequest): Promise<SendOutcome> {
      const sending = deliver(request).catch((error: unknown): SendOutcome => {
        // Without its row a message isn't sent, and with a row that can't be kept none is sent after it.
        log.error({ error }, 'message not recorded')
        return 'failed'
      })
      inFlight.add(sending)
      try {
        return await sending
      } finally {
        inFlight.delete(sending)
      }
    },

    /** Resolves when nothing is being sent any more: for a graceful stop. */
    async idle(): Promise<void> {
      while (inFlight.size > 0) await Promise.all(inFlight)
    },

    sweep: messages.sweep,
  }
}

/**
 * Runs one try under a time-out. Drivers are to heed the signal and never throw; one that doesn't
 * must still hold nobody up, and all that is known then is that the message may have gone out.
 */
async function within(
  timeoutMs: number,
  send: (signal: AbortSignal) => Promise<SendResult>,
): Promise<SendResult> {
  // The row took until after the code expired.
  if (timeoutMs <= 0) return { outcome: 'refused', failure: 'transient', detail: 'expired' }
  const late = Promise.withResolvers<SendResult>()
  const timer = setTimeout(
    () => late.resolve({ outcome: 'unknown', detail: 'driver ignored its time-out' }),
    timeoutMs + GRACE_MS,
  )
  try {
    return await Promise.race([send(AbortSignal.timeout(Math.ceil(timeoutMs))), late.promise])
  } catch (error) {
    // Only its kind: a message may quote what was sent.
    return {
      outcome: 'unknown',
      detail: `driver threw ${error instanceof Error ? error.name : ''}`,
    }
  } finally {
    clearTimeout(timer)
  }
}
