import type { Clock } from '../db/clock.ts'
import type { Db } from '../db/schema.ts'
import type { Log } from '../log.ts'
import { UNDELIVERED } from './delivery-states.ts'
import type { Channel, Gateway } from './gateway.ts'
import type { Orders } from './orders.ts'
import type { Reports } from './reports.ts'
import { createWatchStatements, type WatchedMessage } from './watch-statements.ts'
import { createWorker } from './worker.ts'

const EVERY_MS = 2000
const BATCH = 20
/** Gateways that can be asked are, this often, until the message should have been delivered. */
const ASK_SECONDS = 5

/** A call rings, and says what it has to say, before it can be told how it went. */
const CALL_SECONDS = 90

function patienceOf(channel: Channel, waitSeconds: number): number {
  return channel === 'voice' ? Math.max(CALL_SECONDS, waitSeconds) : waitSeconds
}

/** When an accepted message is looked at first; null where nothing will ever tell what became of it. */
export function firstLookSeconds(
  { reports, poll }: Gateway,
  channel: Channel,
  waitSeconds: number,
): number | null {
  const patience = patienceOf(channel, waitSeconds)
  if (poll) return Math.min(ASK_SECONDS, patience)
  return reports ? patience : null
}

/**
 * Sends an undelivered message by another way, or notes why that can't be.
 * @returns whether it was sent
 */
export type Reroute = (message: WatchedMessage) => Promise<boolean>

export type Watch = ReturnType<typeof createWatch>

interface Dependencies {
  db: Db
  clock: Clock
  orders: Orders
  reports: Reports
  waitSeconds: number
  log: Log
}

/**
 * Follows messages from their acceptance on. Gateways' reports only shorten it: they come late, twice or never,
 * so it is a timer that decides, in whichever instance comes first.
 */
export function createWatch({ db, clock, orders, reports, waitSeconds, log }: Dependencies) {
  const statements = createWatchStatements(clock)
  let reroute: Reroute | undefined
  const worker = createWorker(
    async () => {
      const { rows } = await statements.take(BATCH).execute(db)
      await Promise.all(rows.map(handle))
      return rows.length === BATCH
    },
    EVERY_MS,
    (error) => log.warn({ error }, 'messages were not followed up'),
  )

  async function handle(message: WatchedMessage): Promise<void> {
    try {
      const { seconds, overdue } = await look(message)
      await statements.lookAgain(message, seconds, overdue).execute(db)
    } catch (error) {
      // Its lease ends, and it is looked at again.
      log.warn({ reference: message.id, error }, 'a message was not followed up')
    }
  }

  /** What there is to do about one message, and when to look at it again. */
  async function look(
    message: WatchedMessage,
  ): Promise<{ seconds: number | null; overdue: boolean }> {
    const done = { seconds: null, overdue: false }
    if (message.state === 'delivered') return done
    const now = UNDELIVERED.has(message.state) ? message : await ask(message)
    // One that was found to have failed is due at once, and looked at as such.
    if (now.state === 'delivered' || (now !== message && UNDELIVERED.has(now.state))) return done
    // No report will ever come of it, and most such messages have arrived.
    if (now.state === 'unconfirmed') return { seconds: null, overdue: true }
    const patience = patienceOf(message.channel, waitSeconds)
    if (!UNDELIVERED.has(now.state) && message.ageSeconds < patience)
      return { seconds: Math.min(ASK_SECONDS, patience - message.ageSeconds), overdue: false }
    const rerouted = (await reroute?.(now)) ?? false
    return { seconds: null, overdue: !rerouted }
  }

  /** The message as its gateway tells of it now, where it can be asked. */
  async function ask(message: WatchedMessage): Promise<WatchedMessage> {
    const entry = orders.find(message.gateway)
    if (!entry?.gateway.poll || message.provider_id === null) return message
    const signal = AbortSignal.timeout(entry.timeoutMs)
    const report = await entry.gateway.poll(message.provider_id, signal).catch(() => null)
    if (!report) return message
    const { state, failure = null, fault = null } = report
    const named = { ...report, reference: message.id }
    return (await reports.record(message.gateway, named))
      ? { ...message, state, failure, fault }
      : message
  }

  return {
    /** Begins to look at what is due, at once and from time to time. */
    start(by: Reroute): void {
      reroute = by
      reports.onUndelivered(worker.wake)
      worker.start()
    },

    stop: worker.stop,
    idle: worker.idle,
  }
}
