import { createHash } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import type { Clock } from '../db/clock.ts'
import type { Db } from '../db/schema.ts'
import type { Log } from '../log.ts'
import type { Metrics } from '../metrics.ts'
import { UNDELIVERED } from './delivery-states.ts'
import type { Callback, CallbackVerdict, DeliveryReport } from './gateway.ts'
import type { Orders } from './orders.ts'
import { createWatchStatements } from './watch-statements.ts'

const QUICKER_MS = 1000

export type Reports = ReturnType<typeof createReports>

interface Dependencies {
  db: Db
  clock: Clock
  orders: Orders
  metrics: Metrics
  log: Log
}

/** Takes what gateways tell of messages. All it can do is to move those messages' states, forwards. */
export function createReports({ db, clock, orders, metrics, log }: Dependencies) {
  const statements = createWatchStatements(clock)
  let wake = () => {}

  /** @returns whether its message is known, and was moved by it */
  async function tell(
    gateway: string,
    report: DeliveryReport,
  ): Promise<'unknown' | 'known' | 'moved'> {
    const { reference, providerId, state, unheard } = report
    if (!reference && !providerId) return 'known'
    if (unheard) log.warn({ gateway, word: unheard }, 'a gateway told a state that is not known')
    const key = createHash('sha256').update(`${gateway}\0${report.key}`).digest()
    const { rows } = await statements.report(gateway, report, key).execute(db)
    const [row] = rows
    if (!row) return 'unknown'
    if (row.id === null) return 'known'
    metrics.messageReported(row)
    log.info({ gateway, reference: row.id, state, gatewayCode: report.code }, 'delivery report')
    if (UNDELIVERED.has(state)) wake()
    return 'moved'
  }

  return {
    /** @returns whether it moved its message */
    record: async (gateway: string, report: DeliveryReport) =>
      (await tell(gateway, report)) === 'moved',

    /** Whether a request to a gateway's callback address is its own, and what it tells. */
    async read(gateway: string, callback: Callback): Promise<CallbackVerdict | 'unknown-gateway'> {
      const reports = orders.find(gateway)?.gateway.reports
      if (!reports) return 'unknown-gateway'
      const verdict = await reports.read(callback)
      if ('refused' in verdict)
        log.warn({ gateway, reason: verdict.refused }, 'delivery report refused')
      return verdict
    },

    /** Takes what a gateway told; a report of a message that isn't known moves nothing. */
    async take(gateway: string, reports: readonly DeliveryReport[]): Promise<void> {
      for (const report of reports) {
        const known = await tell(gateway, report)
        if (known !== 'unknown' || report.reference) continue
        // It may have been quicker than the gateway's answer, which holds the id it goes by.
        await pause(QUICKER_MS)
        await tell(gateway, report)
      }
    },

    /** Calls back when a message turns out not to have been delivered. */
    onUndelivered(listener: () => void): void {
      wake = listener
    },

    async sweep(batch: number): Promise<number> {
      const { numAffectedRows } = await statements.sweepReports(batch).execute(db)
      return Number(numAffectedRows ?? 0)
    },
  }
}
