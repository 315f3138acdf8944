import type { Vault } from '../crypto/vault.ts'
import type { Clock } from '../db/clock.ts'
import type { Db } from '../db/schema.ts'
import type { Log } from '../log.ts'
import type { Mailer } from '../messaging/mailer.ts'
import { signStandardWebhook } from '../messaging/standard-webhooks.ts'
import { createWorker } from '../messaging/worker.ts'
import type { Outbound } from '../outbound/outbound.ts'
import { createOutboxStatements, type DueDelivery, type Tried } from './outbox.ts'
import { mailOf, payloadOf } from './payload.ts'
import { SECRET_COLUMN, URL_COLUMN } from './webhook-shapes.ts'

const EVERY_MS = 5000
/** Sent side by side, so that one slow receiver holds up no other for long. */
const BATCH = 20
const GONE = 410

type Outcome = { sent: true; status: number | null } | (Tried & { sent: false; final?: boolean })

interface Dependencies {
  db: Db
  clock: Clock
  vault: Vault
  outbound: Pick<Outbound, 'post'>
  mailer: Pick<Mailer, 'send'>
  brand: string
  issuer: string
  log: Log
}

/**
 * Sends what alerts queued: outside of any transaction, again after growing waits where it fails, and by any instance
 * that comes first. Raised and ended may arrive in either order, and twice.
 */
export function createAlertSender(deps: Dependencies) {
  const { db, clock, vault, outbound, mailer, brand, issuer, log } = deps
  const statements = createOutboxStatements(clock)

  async function handle(delivery: DueDelivery): Promise<void> {
    const { id, type, tries, webhook_id: webhook } = delivery
    const fields = { delivery: id, event: type, webhook, tries }
    const outcome = await send(delivery).catch((error: unknown): Outcome => {
      log.warn({ ...fields, error }, 'an alert was not sent')
      return { sent: false, status: null, problem: 'a fault of ours: see the log' }
    })
    try {
      if (outcome.sent) {
        await statements.sent(delivery, outcome.status).execute(db)
        log.info(fields, 'an alert was sent')
      } else if (outcome.status === GONE) {
        await statements.gone(delivery, GONE).execute(db)
        log.warn(fields, 'a webhook was disabled: its receiver is gone')
      } else await failed(delivery, outcome, fields)
    } catch (error) {
      // It stays due, and is told once more rather than not at all.
      log.warn({ ...fields, error }, 'what became of an alert was not recorded')
    }
  }

  async function failed(
    delivery: DueDelivery,
    { final = false, status, problem }: Tried & { final?: boolean },
    fields: object,
  ): Promise<void> {
    const { rows } = await statements.failed(delivery, { status, problem }, final).execute(db)
    const givenUp = rows[0]?.state === 'failed'
    log.warn({ ...fields, status, problem }, givenUp ? 'an alert was given up' : 'an alert failed')
  }

  async function send(delivery: DueDelivery): Promise<Outcome> {
    if (delivery.mail_to !== null) return sendMail(delivery, delivery.mail_to)
    const { id, webhook_id: row, url, secret, former_secret, now } = delivery
    if (row === null || url === null || secret === null)
      return { sent: false, final: true, status: null, problem: 'the webhook was removed' }
    const body = payloadOf(delivery)
    const signatures = [secret, ...(former_secret ? [former_secret] : [])].map((sealed) => {
      const opened = vault.open(sealed, { column: SECRET_COLUMN, row }).toString('utf8')
      return signStandardWebhook(opened, { id, timestamp: now, body })
    })
    const answer = await outbound.post(
      vault.open(url, { column: URL_COLUMN, row }).toString('utf8'),
      {
        headers: {
          'content-type': 'application/json',
          'user-agent': 'Sallyport',
          'webhook-id': id,
          'webhook-timestamp': String(now),
          'webhook-signature': signatures.join(' '),
        },
        body,
      },
    )
    if ('problem' in answer) return { sent: false, status: null, problem: answer.problem }
    const { status } = answer
    if (status >= 200 && status < 300) return { sent: true, status }
    return { sent: false, status, problem: `answered ${status}` }
  }

  async function sendMail(delivery: DueDelivery, to: string): Promise<Outcome> {
    const mail = mailOf(delivery, { brand, issuer })
    const outcome = await mailer.send({ id: delivery.id, to, ...mail })
    if (outcome === 'accepted') return { sent: true, status: null }
    const problem = `the mail server ${outcome === 'refused' ? 'refused it' : 'did not take it'}`
    return { sent: false, final: outcome === 'refused', status: null, problem }
  }

  return createWorker(
    async () => {
      const { rows } = await statements.take(BATCH).execute(db)
      await Promise.all(rows.map(handle))
      return rows.length === BATCH
    },
    EVERY_MS,
    (error) => log.warn({ error }, 'alerts were put off'),
  )
}
