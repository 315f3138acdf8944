import { setTimeout as pause } from 'node:timers/promises'
import type { Clock } from '../db/clock.ts'
import type { Db } from '../db/schema.ts'
import type { MessageState } from '../db/tables/messaging.ts'
import { attempt } from './attempt.ts'
import { UNDELIVERED } from './delivery-states.ts'
import type { SendResult } from './gateway.ts'
import { createMessages } from './messages.ts'
import { billedParts, type Compose, NO_SENDER, type Wanted } from './outgoing.ts'
import { newReference } from './reference.ts'
import type { GatewayEntry } from './registry.ts'
import type { Reports } from './reports.ts'

/** How often is looked what the database has come to know. */
const LOOK_MS = 500
/** A gateway is asked for the first time after this, and then less often. */
const FIRST_ASK_MS = 1500
const ASK_MS = 5000

/** What is seen of a trial, one thing after the other. */
export type TrialStep =
  /** the gateway is left alone because it failed, and its turn is waited for */
  | { step: 'resting' }
  | { step: 'answered'; reference: string; result: SendResult; seconds: number }
  | {
      step: 'moved'
      state: MessageState
      /** who told: the gateway by its callback, or when it was asked */
      by: 'webhook' | 'poll'
      failure: string | null
      fault: string | null
      code: string | null
      seconds: number
    }

export interface TrialRules {
  /** how long for its turn, and then for its reports */
  waitSeconds: number
  /** whether a server takes what this gateway reports to its callback address */
  heard: boolean
}

interface Dependencies {
  db: Db
  clock: Clock
  compose: Compose
  reports: Reports
}

/** A message by one gateway alone, followed for as long as somebody watches. */
export function createTrials({ db, clock, compose, reports }: Dependencies) {
  const messages = createMessages({ db, clock })

  async function* send(
    entry: GatewayEntry,
    wanted: Wanted,
    { waitSeconds, heard }: TrialRules,
  ): AsyncGenerator<TrialStep, void> {
    const { gateway, timeoutMs } = entry
    const { content, country } = wanted
    const id = newReference()
    const row = {
      id,
      challengeId: null,
      phoneId: null,
      send: null,
      unasked: false,
      channel: content.channel,
      gateway: gateway.name,
      country,
      parts: billedParts(gateway, content),
    }
    const patience = performance.now() + waitSeconds * 1000
    const message = compose(entry, wanted, id)
    if (!message) return yield { step: 'answered', reference: id, result: NO_SENDER, seconds: 0 }
    const begin = () => messages.begin(row, timeoutMs / 1000)
    let passage = await begin()
    if (!passage) yield { step: 'resting' }
    for (; !passage; passage = await begin()) {
      if (performance.now() >= patience) return
      await pause(LOOK_MS)
    }
    const began = performance.now()
    const result = await attempt(gateway, message, timeoutMs)
    await messages.finish(row, result, passage, null)
    const secondsSince = () => (performance.now() - began) / 1000
    yield { step: 'answered', reference: id, result, seconds: secondsSince() }
    // A gateway that makes codes sees to their delivery itself.
    if (result.outcome === 'refused' || gateway.judge || !(heard || gateway.poll)) return

    let known: MessageState = result.outcome
    const deadline = performance.now() + waitSeconds * 1000
    let askAt = performance.now() + FIRST_ASK_MS
    for (;;) {
      let asked = false
      if (performance.now() >= askAt) {
        asked = await ask(entry, id, result)
        askAt = performance.now() + ASK_MS
      }
      const now = await look(id)
      if (now && now.state !== known) {
        known = now.state
        yield { step: 'moved', ...now, by: asked ? 'poll' : 'webhook', seconds: secondsSince() }
      }
      if (isEnd(known) || performance.now() >= deadline) return
      await pause(LOOK_MS)
    }
  }

  /** @returns whether the gateway told anything new */
  async function ask(
    { gateway, timeoutMs }: GatewayEntry,
    reference: string,
    result: SendResult,
  ): Promise<boolean> {
    if (!gateway.poll || result.outcome !== 'accepted' || result.providerId === null) return false
    const signal = AbortSignal.timeout(timeoutMs)
    const report = await gateway.poll(result.providerId, signal).catch(() => null)
    return report !== null && reports.record(gateway.name, { ...report, reference })
  }

  const look = (id: string) =>
    db
      .selectFrom('message')
      .select(['state', 'failure', 'fault', 'code'])
      .where('id', '=', id)
      .executeTakeFirst()

  return { send }
}

const isEnd = (state: MessageState) => state === 'delivered' || UNDELIVERED.has(state)
