import { sql } from 'kysely'
import type { Clock } from '../db/clock.ts'
import type { Db } from '../db/schema.ts'
import { Refusal } from '../errors.ts'
import { NEW_ID } from './outbox.ts'
import { stored } from './told.ts'
import { type Delivery, unknownWebhook } from './webhook-shapes.ts'

const MOST_LISTED = 100

/** What webhooks are sent. */
export function createWebhookDeliveries({ db, clock }: { db: Db; clock: Clock }) {
  async function isThere(id: string): Promise<boolean> {
    const found = await db.selectFrom('webhook').select('id').where('id', '=', id).execute()
    return found.length > 0
  }

  return {
    /**
     * Queues an event of type `alert.test`; a running server sends it within seconds.
     * @returns id of the delivery
     * @throws Refusal when there is no such webhook, or it is disabled
     */
    async test(id: string): Promise<{ id: string }> {
      const { rows } = await sql<{ id: string }>`
        insert into alert_delivery (id, webhook_id, type, alert, created_at, next_try_at)
        select ${NEW_ID}, id, 'alert.test', jsonb_build_object('name', 'test', 'kind', 'test', 'subject', null,
          'detail', '{}'::jsonb, 'raisedAt', ${clock()}, 'endedAt', null), ${clock()}, ${clock()}
        from webhook where id = ${id} and disabled_at is null
        returning id`.execute(db)
      const [queued] = rows
      if (queued) return queued
      if (!(await isThere(id))) throw unknownWebhook(id)
      throw new Refusal('webhook_disabled', 409, `Webhook ${id} is disabled. Enable it first.`)
    },

    /**
     * The last hundred events within 30 days, the newest first.
     * @throws Refusal when there is no such webhook
     */
    async deliveries(id: string): Promise<Delivery[]> {
      const rows = await db
        .selectFrom('alert_delivery')
        .selectAll()
        .where('webhook_id', '=', id)
        .orderBy('created_at', 'desc')
        .orderBy('id')
        .limit(MOST_LISTED)
        .execute()
      if (rows.length === 0 && !(await isThere(id))) throw unknownWebhook(id)
      return rows.map((row) => ({
        id: row.id,
        type: row.type,
        alert: stored.parse(row.alert).name,
        state: row.state,
        tries: row.tries,
        status: row.status,
        problem: row.problem,
        createdAt: row.created_at,
        nextTryAt: row.state === 'waiting' ? row.next_try_at : null,
        doneAt: row.done_at,
      }))
    },
  }
}
