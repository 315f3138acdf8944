import { randomBytes } from 'node:crypto'
import { sql } from 'kysely'
import { pino } from 'pino'
import { createAlerts } from '../../src/alerts/alerts.ts'
import { createAlertSender } from '../../src/alerts/sender.ts'
import { createAlertWatch } from '../../src/alerts/watch.ts'
import { createWebhooks } from '../../src/alerts/webhooks.ts'
import { createVault } from '../../src/crypto/vault.ts'
import { createMailer } from '../../src/messaging/mailer.ts'
import { createMetrics } from '../../src/metrics.ts'
import { createOutbound, type Resolve } from '../../src/outbound/outbound.ts'
import { createSendStates } from '../../src/second-factor/send-states.ts'
import { movedClock } from './clock.ts'
import { createTestDatabase } from './database.ts'
import { NO_LIMITS } from './sends.ts'

export const BUDGETS = { globalHour: 100, globalDay: 1000 }
const KEY = randomBytes(32)

interface Options {
  mailTo?: string[]
  smtpUrl?: string
  trusted?: string[]
  resolve?: Resolve
}

/** Alerts and all that tells of them, over a database and a clock of their own. */
export async function startAlerting() {
  const database = await createTestDatabase()
  const { db } = database
  let offset = 0
  const clock = movedClock(() => offset, sql`timestamptz '2030-01-02 12:00:00+00'`)
  const log = pino({ level: 'silent' })
  const closers: Array<() => Promise<void>> = []

  /** One instance of a server: it does nothing by itself. */
  function instance({ mailTo = [], smtpUrl, trusted = ['127.0.0.1'], resolve }: Options = {}) {
    const alerts = createAlerts({ db, clock, mailTo })
    const vault = createVault([KEY], alerts.decryptFailed)
    const outbound = createOutbound({
      trustedHosts: new Set(trusted),
      timeoutMs: 300,
      ...(resolve && { resolve }),
    })
    const mailer = createMailer({
      settings: {
        smtpUrl,
        from: { name: 'Login', address: 'login@example.com' },
        tls: 'never',
        timeoutMs: 1000,
      },
      outbox: null,
      log,
    })
    const metrics = createMetrics()
    const states = createSendStates({ db, clock, rules: { ...NO_LIMITS, ...BUDGETS } })
    const sender = createAlertSender({
      db,
      clock,
      vault,
      outbound,
      mailer,
      brand: 'Example',
      issuer: 'https://login.example.com',
      log,
    })
    const watch = createAlertWatch({
      db,
      clock,
      alerts,
      budgets: states.budgets,
      limits: BUDGETS,
      countries: states.countries,
      gateways: ['twilio', 'telnyx'],
      metrics,
      log,
      onTold: () => {},
    })
    closers.push(async () => {
      await mailer.close()
      await outbound.close()
    })
    const finish = async (worker: { wake(): void; idle(): Promise<void> }) => {
      worker.wake()
      await worker.idle()
    }
    return {
      alerts,
      vault,
      metrics,
      states,
      webhooks: createWebhooks({ db, clock, vault, outbound }),
      /** Looks for alerts once. */
      look: () => finish(watch),
      /** Sends what is due. */
      send: () => finish(sender),
    }
  }

  return {
    db,
    clock,
    instance,
    moveClock(seconds: number): void {
      offset += seconds
    },
    /** Events of some types, in order. */
    async recorded(...types: string[]) {
      const { rows } = await sql<{ type: string; detail: unknown }>`
        select type, detail from audit_event where type = any(${types}::text[]) order by id`.execute(
        db,
      )
      return rows
    },
    async stop(): Promise<void> {
      for (const close of closers) await close()
      await database.destroy()
    },
  }
}

export type Alerting = Awaited<ReturnType<typeof startAlerting>>
