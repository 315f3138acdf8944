import { setTimeout as pause } from 'node:timers/promises'
import type { Clock } from '../db/clock.ts'
import type { Db } from '../db/schema.ts'
import type { Log } from '../log.ts'
import type { Metrics } from '../metrics.ts'
import { attempt, logTry } from './attempt.ts'
import type { Channel, CodeVerdict, RecipientFault, SendResult } from './gateway.ts'
import { createMessages } from './messages.ts'
import type { Orders } from './orders.ts'
import { billedParts, createOutgoing, NO_SENDER, type Wanted } from './outgoing.ts'
import { newReference } from './reference.ts'
import type { GatewayEntry } from './registry.ts'
import type { Senders } from './senders.ts'
import { createSlots } from './slots.ts'
import { firstLookSeconds } from './watch.ts'

/** At one gateway at a time, by each instance. */
const MOST_AT_ONCE = 32

/** Its row took until after the code had expired. */
const TOO_LATE: SendResult = {
  outcome: 'refused',
  unsent: true,
  failure: 'content',
  detail: 'expired',
}
/** Who waits for room at a gateway for longer is better off at the next. */
const SLOT_PATIENCE_MS = 1000
/** As long as a page waits for an answer anyway. */
const REST_PATIENCE_MS = 1500
const REST_LOOK_MS = 200
/** So many that may each have carried the message are enough, or a person gets as many texts as there are gateways. */
const MOST_UNKNOWN = 2

export interface SendRequest extends Wanted {
  /** which code it carries where; null for a notice */
  carries: {
    challengeId: string
    phoneId: string
    /** the how-manieth send of the challenge */
    send: number
    /** nobody asked for it: the one before was not delivered */
    unasked: boolean
  } | null
  /** gateways it went by before, which are tried last */
  tried?: readonly string[]
  /** those are left out altogether */
  onlyOthers?: boolean
}

/** What became of a message at all the gateways that were tried. */
export type SendOutcome =
  | { outcome: 'accepted' }
  /** no gateway took it for certain, but one may have, and it may yet arrive */
  | { outcome: 'unknown' }
  | { outcome: 'failed'; fault?: RecipientFault }

/** What a notice's row says of a code. */
const NOTICE = { challengeId: null, phoneId: null, send: null, unasked: false }

export type Messenger = ReturnType<typeof createMessenger>

export interface MessengerDeps {
  db: Db
  clock: Clock
  orders: Orders
  senders: Senders
  /** where reports of a gateway go: its callback address */
  reportUrl: (gateway: string) => string
  /** how long an accepted message may stay undelivered before something is done about it */
  deliveryWaitSeconds: number
  metrics: Metrics
  log: Log
}

/** Sends a message by the first gateway that takes it, and keeps a row of every try. */
export function createMessenger(deps: MessengerDeps) {
  const { db, clock, orders, deliveryWaitSeconds, metrics, log } = deps
  const messages = createMessages({ db, clock })
  const outgoing = createOutgoing(deps)
  const inFlight = new Set<Promise<SendOutcome>>()
  const slots = new Map(
    orders.entries.map(({ gateway }) => [gateway.name, createSlots(MOST_AT_ONCE)]),
  )

  /** Those that the message may go by, in their order. */
  function candidates({ content, country, codeLength, tried = [], onlyOthers }: SendRequest) {
    const able = orders
      .of(content.channel, country)
      // A notice carries no code that a gateway could make.
      .filter(({ gateway }) => codeLength !== null || !gateway.judge)
    const before = ({ gateway }: GatewayEntry) => tried.includes(gateway.name)
    const others = able.filter((entry) => !before(entry))
    return onlyOthers ? others : [...others, ...able.filter(before)]
  }

  async function deliver(request: SendRequest): Promise<SendOutcome> {
    const deadline = performance.now() + request.expiresInSeconds * 1000
    const able = candidates(request)
    const { channel } = request.content
    if (able.length === 0 && !request.onlyOthers)
      log.warn({ channel, notice: request.carries === null }, 'no gateway carries this')
    // Gateways that are all left alone for a moment may be tried after it.
    const patience = Math.min(deadline, performance.now() + REST_PATIENCE_MS)
    for (;;) {
      const outcome = await oneAfterAnother(able, request, deadline)
      if (outcome) return outcome
      if (able.length === 0 || performance.now() >= patience) return { outcome: 'failed' }
      await pause(REST_LOOK_MS)
    }
  }

  /** @returns undefined where none of them could be tried */
  async function oneAfterAnother(
    able: readonly GatewayEntry[],
    request: SendRequest,
    deadline: number,
  ): Promise<SendOutcome | undefined> {
    let tried = false
    let unknown = 0
    for (const entry of able) {
      if (performance.now() >= deadline) break
      const result = await tryAt(entry, request, deadline)
      if (!result) continue
      tried = true
      if (result.outcome === 'accepted') return { outcome: 'accepted' }
      if (result.outcome === 'unknown') {
        unknown += 1
        if (unknown >= MOST_UNKNOWN) break
      }
      // What is wrong with the number itself is wrong at every gateway.
      else if (result.failure === 'recipient' && !result.elsewhere) {
        if (unknown > 0) break
        return { outcome: 'failed', ...(result.fault && { fault: result.fault }) }
      }
    }
    if (unknown > 0) return { outcome: 'unknown' }
    return tried ? { outcome: 'failed' } : undefined
  }

  /** One try, when it is this message's turn; undefined where the gateway is left alone or has no room. */
  async function tryAt(
    entry: GatewayEntry,
    request: SendRequest,
    deadline: number,
  ): Promise<SendResult | undefined> {
    const { name } = entry.gateway
    const room = slots.get(name)
    const patience = Math.min(SLOT_PATIENCE_MS, deadline - performance.now())
    if (!room || !(await room.enter(patience))) {
      log.warn({ gateway: name }, 'gateway busy')
      return undefined
    }
    try {
      return await recorded(entry, request, deadline)
    } finally {
      room.leave()
    }
  }

  /** Its row first, so that whatever happens after it leaves a trace. */
  async function recorded(
    entry: GatewayEntry,
    request: SendRequest,
    deadline: number,
  ): Promise<SendResult | undefined> {
    const { gateway, timeoutMs } = entry
    const { carries, content, country } = request
    const { channel } = content
    const id = newReference()
    const secondsLeft = () => (deadline - performance.now()) / 1000
    const message = outgoing(entry, { ...request, expiresInSeconds: secondsLeft() }, id)
    if (!message) {
      log.warn({ gateway: gateway.name, country }, 'no sender that arrives in this country')
      return NO_SENDER
    }
    const parts = billedParts(gateway, content)
    const row = { ...(carries ?? NOTICE), id, channel, gateway: gateway.name, country, parts }
    const passage = await messages.begin(row, timeoutMs / 1000)
    metrics.gatewayOpen(gateway.name, passage === undefined)
    if (!passage) return undefined
    const began = performance.now()
    const timeLeft = Math.min(timeoutMs, secondsLeft() * 1000)
    const result = timeLeft > 0 ? await attempt(gateway, message, timeLeft) : TOO_LATE
    const tookMs = performance.now() - began
    logTry(log, gateway.name, id, result, tookMs)
    metrics.messageTried({ gateway: gateway.name, channel, country, result, tookMs })
    const noted = await messages
      .finish(row, result, passage, firstLookSeconds(gateway, channel, deliveryWaitSeconds))
      .catch((error: unknown) => {
        if (result.outcome !== 'accepted') throw error
        // The message is on its way, whatever became of its row.
        log.error({ reference: id, error }, 'an accepted message was not recorded')
        return { opened: false }
      })
    if (noted.opened) log.error({ gateway: gateway.name }, 'gateway is left alone for a while')
    return result
  }

  return {
    /** Never throws. All gateways that are tried are given the same code. */
    async send(request: SendRequest): Promise<SendOutcome> {
      const sending = deliver(request).catch((error: unknown): SendOutcome => {
        // Without its row a message isn't sent, and with a row that can't be kept none is sent after it.
        log.error({ error }, 'message not recorded')
        return { outcome: 'failed' }
      })
      inFlight.add(sending)
      try {
        return await sending
      } finally {
        inFlight.delete(sending)
      }
    },

    /** Whether there is a gateway that a message hasn't gone by yet. */
    hasOther: (channel: Channel, country: string | null, tried: readonly string[]) =>
      orders.of(channel, country).some(({ gateway }) => !tried.includes(gateway.name)),

    canCall: orders.canCall,

    /**
     * Has a code judged by the gateway that made it.
     * @returns undefined where the gateway carries our codes, which we judge ourselves
     */
    async judge(
      gateway: string,
      providerId: string | null,
      code: string,
    ): Promise<CodeVerdict | undefined> {
      const entry = orders.find(gateway)
      if (!entry?.gateway.judge) return undefined
      if (providerId === null) return 'gone'
      const signal = AbortSignal.timeout(entry.timeoutMs)
      return entry.gateway.judge(providerId, code, signal).catch(() => 'unavailable' as const)
    },

    /** Resolves when nothing is being sent any more: for a graceful stop. */
    async idle(): Promise<void> {
      while (inFlight.size > 0) await Promise.all(inFlight)
    },

    sweep: messages.sweep,
  }
}
