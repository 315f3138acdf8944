import type { AppOptions } from './app-options.ts'
import type { Clock } from './db/clock.ts'
import type { Db } from './db/schema.ts'
import type { Languages } from './languages/languages.ts'
import { createOutbox } from './messaging/gateways/outbox.ts'
import { createMailer, MAIL_TIMEOUT_MS } from './messaging/mailer.ts'
import { createMessenger } from './messaging/messenger.ts'
import { createNoticeDelivery } from './messaging/notice-delivery.ts'
import { createGateways } from './messaging/registry.ts'
import type { Rooms } from './rooms.ts'
import { createNoticeGrants } from './second-factor/notice-grants.ts'

interface Dependencies extends Pick<AppOptions, 'config' | 'secrets' | 'log'> {
  db: Db
  clock: Clock
  languages: Languages
  vault: Rooms['vault']
  fingerprint: Rooms['fingerprint']
}

/** All that leaves the house: texts, mails, and the notices that are queued for either. */
export function createDelivery({
  config,
  secrets,
  log,
  db,
  clock,
  languages,
  vault,
  fingerprint,
}: Dependencies) {
  const outbox = createOutbox()
  const gateways = createGateways(
    { gateways: config.sms.gateways, textbee: config.textbee },
    secrets,
    outbox,
  )
  const messenger = createMessenger({ db, clock, log, gateways })
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
  return {
    messenger,
    notices,
    /** the simulated phone; undefined where nothing is simulated */
    outbox:
      config.sms.gateways.includes('outbox') || config.mail.by === 'outbox' ? outbox : undefined,

    /** Finishes what is being sent. */
    async close(): Promise<void> {
      notices.stop()
      await notices.idle()
      await messenger.idle()
      mailer.close()
    },
  }
}
