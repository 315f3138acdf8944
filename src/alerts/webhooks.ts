import { randomBytes } from 'node:crypto'
import { sql } from 'kysely'
import { z } from 'zod'
import { auditEntry, type EventType } from '../audit/event.ts'
import type { Vault } from '../crypto/vault.ts'
import { type Clock, later } from '../db/clock.ts'
import type { Db } from '../db/schema.ts'
import { Refusal } from '../errors.ts'
import type { Outbound } from '../outbound/outbound.ts'
import { ALERT_KINDS } from './kinds.ts'
import { dropWaiting } from './outbox.ts'
import { createWebhookDeliveries } from './webhook-deliveries.ts'
import {
  type NewWebhook,
  newWebhook,
  SECRET_COLUMN,
  URL_COLUMN,
  unknownWebhook,
  type Webhook,
  type WebhookPatch,
  webhookPatch,
} from './webhook-shapes.ts'

const MOST = 20
/** For receivers to learn the new secret, while both sign. */
const OVERLAP_SECONDS = 24 * 3600

const COLUMNS = [
  'id',
  'url',
  'description',
  'kinds',
  'created_at',
  'disabled_at',
  'former_until',
] as const

export type Webhooks = ReturnType<typeof createWebhooks>

interface Dependencies {
  db: Db
  clock: Clock
  vault: Vault
  outbound: Pick<Outbound, 'check'>
}

/** Receivers that are told of alerts, signed by the Standard Webhooks scheme. */
export function createWebhooks({ db, clock, vault, outbound }: Dependencies) {
  const seal = (id: string, column: string, value: string) => vault.seal(value, { column, row: id })

  const urlOf = ({ id, url }: { id: string; url: Buffer }) =>
    vault.open(url, { column: URL_COLUMN, row: id }).toString('utf8')

  /** @throws Refusal when nothing may be sent there */
  async function assertReachable(url: string): Promise<void> {
    const problem = await outbound.check(url)
    if (problem === undefined) return
    throw new Refusal(
      'webhook_url',
      400,
      `The URL of a webhook ${problem}. Hosts inside have to be named in WEBHOOK_ALLOWED_HOSTS.`,
    )
  }

  const select = () =>
    db
      .selectFrom('webhook')
      .select(COLUMNS)
      .select(sql<boolean>`coalesce(former_until > ${clock()}, false)`.as('overlaps'))
  type Row = Awaited<ReturnType<ReturnType<typeof select>['execute']>>[number]

  function viewOf(row: Row): Webhook {
    return {
      id: row.id,
      url: urlOf(row),
      description: row.description,
      kinds: row.kinds && ALERT_KINDS.filter((kind) => row.kinds?.includes(kind)),
      enabled: row.disabled_at === null,
      createdAt: row.created_at,
      formerSecretUntil: row.overlaps ? row.former_until : null,
    }
  }

  /** @throws Refusal when there is none */
  async function show(id: string): Promise<Webhook> {
    const row = await select().where('id', '=', id).executeTakeFirst()
    if (!row) throw unknownWebhook(id)
    return viewOf(row)
  }

  const audited = (type: EventType, id: string, detail: Record<string, string> = {}) =>
    auditEntry(clock, { type, detail: { webhook: id, ...detail } })

  return {
    ...createWebhookDeliveries({ db, clock }),

    show,

    /**
     * Adds a receiver.
     * @returns its secret, readable only now
     * @throws Refusal naming what is wrong
     */
    async create(input: NewWebhook): Promise<{ id: string; secret: string }> {
      const { url, description = null, kinds = null } = parse(newWebhook, input)
      await assertReachable(url)
      const id = `wh_${randomBytes(12).toString('base64url')}`
      const secret = newSecret()
      await db.transaction().execute(async (trx) => {
        // Those who add one at the same time count each other.
        await sql`lock table webhook in share row exclusive mode`.execute(trx)
        const { rows } = await sql`
          insert into webhook (id, url, secret, description, kinds, created_at)
          select ${id}, ${seal(id, URL_COLUMN, url)}, ${seal(id, SECRET_COLUMN, secret)},
            ${description}::text, ${kinds}::text[], ${clock()}
          where (select count(*) from webhook) < ${MOST}
          returning id`.execute(trx)
        if (rows.length === 0) {
          const sentence = `There are ${MOST} webhooks, and no more can be added. Remove one first.`
          throw new Refusal('too_many_webhooks', 409, sentence)
        }
        await audited('webhook.created', id).execute(trx)
      })
      return { id, secret }
    },

    /** All of them, without secrets, the oldest first. */
    async list(): Promise<Webhook[]> {
      return (await select().orderBy('created_at').orderBy('id').execute()).map(viewOf)
    },

    /**
     * Changes what is given. Another URL gets another secret at once: who receives there mustn't be able to sign
     * for, or be signed for as, the one before.
     * @returns the new secret, readable only now, where there is one
     * @throws Refusal naming what is wrong
     */
    async patch(
      id: string,
      input: WebhookPatch,
    ): Promise<{ webhook: Webhook; secret: string | undefined }> {
      const { url, description, kinds, enabled } = parse(webhookPatch, input)
      const before = await show(id)
      const moves = url !== undefined && url !== before.url
      if (moves) await assertReachable(url)
      const secret = moves ? newSecret() : undefined
      const changed = Object.keys(input).sort().join(' ')
      if (changed === '') return { webhook: before, secret }
      await db.transaction().execute(async (trx) => {
        const { numUpdatedRows } = await trx
          .updateTable('webhook')
          .set({
            ...(description !== undefined && { description }),
            ...(kinds !== undefined && { kinds }),
            ...(enabled !== undefined && {
              disabled_at: enabled ? null : sql<Date>`coalesce(disabled_at, ${clock()})`,
            }),
            ...(moves &&
              secret !== undefined && {
                url: seal(id, URL_COLUMN, url),
                secret: seal(id, SECRET_COLUMN, secret),
                former_secret: null,
                former_until: null,
              }),
          })
          .where('id', '=', id)
          .executeTakeFirst()
        if (numUpdatedRows === 0n) throw unknownWebhook(id)
        if (enabled === false) {
          const problem = 'the webhook was disabled'
          await dropWaiting(clock, sql`${id}`, { status: null, problem }).execute(trx)
        }
        await audited('webhook.changed', id, { changed }).execute(trx)
      })
      return { webhook: await show(id), secret }
    },

    /**
     * Makes a new secret. For a day the old one signs beside it, for the receiver to change over.
     * @returns the secret, readable only now
     * @throws Refusal when there is no such webhook
     */
    async rotateSecret(id: string): Promise<{ secret: string; formerSecretUntil: Date }> {
      const secret = newSecret()
      const { rows } = await sql<{ until: Date }>`
        with rotated as (
          update webhook set former_secret = secret, secret = ${seal(id, SECRET_COLUMN, secret)},
            former_until = ${later(clock, OVERLAP_SECONDS)}
          where id = ${id}
          returning id, former_until as until
        ),
        audited as (${auditEntry(
          clock,
          { type: 'webhook.secret-rotated', detail: { webhook: sql`rotated.id` } },
          sql`from rotated`,
        )})
        select until from rotated`.execute(db)
      const [rotated] = rows
      if (!rotated) throw unknownWebhook(id)
      return { secret, formerSecretUntil: rotated.until }
    },

    /**
     * Removes it, and whatever waits for it.
     * @throws Refusal when there is none
     */
    async remove(id: string): Promise<void> {
      const { rows } = await sql`
        with removed as (delete from webhook where id = ${id} returning id)
        ${auditEntry(clock, { type: 'webhook.removed', detail: { webhook: sql`removed.id` } }, sql`from removed`)}`.execute(
        db,
      )
      if (rows.length === 0) throw unknownWebhook(id)
    },

    /** Forgets former secrets that no longer sign, `batch` at most. */
    async sweep(batch: number): Promise<number> {
      const { numAffectedRows } = await sql`
        update webhook set former_secret = null, former_until = null where id in (
          select id from webhook where former_until <= ${clock()}
          limit ${batch} for update skip locked)`.execute(db)
      return Number(numAffectedRows ?? 0)
    },
  }
}

function newSecret(): string {
  return `whsec_${randomBytes(32).toString('base64')}`
}

/** @throws Refusal naming what is wrong */
function parse<T>(shape: z.ZodType<T>, input: unknown): T {
  const parsed = shape.safeParse(input)
  if (!parsed.success) throw new Refusal('webhook', 400, z.prettifyError(parsed.error))
  return parsed.data
}
