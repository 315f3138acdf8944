import { createAlertSender } from './alerts/sender.ts'
import { createAlertWatch } from './alerts/watch.ts'
import type { AppOptions } from './app-options.ts'
import type { Clock } from './db/clock.ts'
import type { Db } from './db/schema.ts'
import type { Languages } from './languages/languages.ts'
import { createOutbox } from './messaging/gateways/outbox.ts'
import { createMailer, MAIL_TIMEOUT_MS } from './messaging/mailer.ts'
import { createMessenger } from './messaging/messenger.ts'
import { createNoticeDelivery } from './messaging/notice-delivery.ts'
import { createOrders, namesOf } from './messaging/orders.ts'
import { createGateway } from './messaging/registry.ts'
import { createReports } from './messaging/reports.ts'
import { createSenders } from './messaging/senders.ts'
import { createWatch } from './messaging/watch.ts'
import type { Rooms } from './rooms.ts'
import { createNoticeGrants } from './second-factor/notice-grants.ts'

export type Delivery = ReturnType<typeof createDelivery>

interface Dependencies extends Pick<AppOptions, 'config' | 'secrets' | 'log' | 'metrics'> {
  db: Db
  clock: Clock
  languages: Languages
  rooms: Pick<Rooms, 'vault' | 'fingerprint' | 'alerts' | 'outbound' | 'sendStates'>
}

/** All that leaves the house: texts, mails, the notices that are queued for either, and alerts. */
export function createDelivery({
  config,
  secrets,
  log,
  metrics,
  db,
  clock,
  languages,
  rooms,
}: Dependencies) {
  const { vault, fingerprint, alerts, outbound, sendStates } = rooms
  const outbox = createOutbox()
  const { sms } = config
  const named = { texts: sms.gateways, routes: sms.routes, calls: sms.voiceGateways }
  const entries = namesOf(named).map((name) => createGateway(name, secrets.gateways, outbox))
  const orders = createOrders(named, entries)
  const parts = { db, clock, orders, metrics, log }
  const messenger = createMessenger({
    ...parts,
    senders: createSenders({
      chosen: sms.sender,
      brandName: config.brand.name,
      numericCountries: sms.numericCountries,
    }),
    reportUrl: (gateway) => `${config.issuer}/webhooks/gateways/${gateway}`,
    deliveryWaitSeconds: sms.deliveryWaitSeconds,
  })
  const reports = createReports(parts)
  const watch = createWatch({ ...parts, reports, waitSeconds: sms.deliveryWaitSeconds })
  const mailer = createMailer({
    settings: {
      smtpUrl: secrets.smtpUrl,
      from: config.mail.from,
      tls: config.mail.tls,
      timeoutMs: MAIL_TIMEOUT_MS,
    },
    outbox: config.mail.by === 'outbox' ? outbox : null,
    log,
  })
  const noticeGrants = createNoticeGrants({
    clock,
    fingerprint,
    rules: config.sms.limits,
    allowedCountries: config.sms.allowedCountries,
  })
  const notices = createNoticeDelivery({
    db,
    clock,
    vault,
    messenger,
    countText: noticeGrants.count,
    mailer,
    languages,
    brand: config.brand.name,
    issuer: config.issuer,
    log,
  })
  const alertSender = createAlertSender({
    db,
    clock,
    vault,
    outbound,
    mailer,
    brand: config.brand.name,
    issuer: config.issuer,
    log,
  })
  const alertWatch = createAlertWatch({
    db,
    clock,
    alerts,
    budgets: sendStates.budgets,
    limits: sms.limits,
    countries: sendStates.countries,
    gateways: namesOf(named),
    metrics,
    log,
    onTold: alertSender.wake,
  })
  return {
    messenger,
    notices,
    reports,
    watch,
    /** begin to look for alerts, and to send them */
    startAlerts(): void {
      alertWatch.start()
      alertSender.start()
    },
    /** the simulated phone; undefined where nothing is simulated */
    outbox: namesOf(named).includes('outbox') || config.mail.by === 'outbox' ? outbox : undefined,

    /** Finishes what is being sent. */
    async close(): Promise<void> {
      const workers = [notices, watch, alertWatch, alertSender]
      for (const worker of workers) worker.stop()
      await Promise.all(workers.map((worker) => worker.idle()))
      await Promise.all([messenger.idle(), alerts.idle()])
      await mailer.close()
    },
  }
}
