import { type Expression, type Kysely, type RawBuilder, sql } from 'kysely'
import { type AuditEvent, auditEntry } from '../audit/event.ts'
import { type Clock, later } from '../db/clock.ts'
import type { Database } from '../db/schema.ts'
import type { MessageState } from '../db/tables/messaging.ts'
import type { SendResult } from './gateway.ts'

const KEPT_SECONDS = 30 * 24 * 3600

/** A detail is a few words; a driver that says more mustn't fill the table with it. */
const MAX_DETAIL = 200

/** What the audit trail says of a try. */
const EVENTS = {
  accepted: 'message.sent',
  refused: 'message.failed',
  unknown: 'message.unconfirmed',
} as const

export interface NewMessage {
  id: string
  challengeId: string | null
  channel: 'sms' | 'voice'
  gateway: string
  country: string | null
  parts: number
}

/** The table `message`: one row per try, holding neither number nor text. */
export function createMessages({ db, clock }: { db: Kysely<Database>; clock: Clock }) {
  return {
    async begin({ challengeId, ...message }: NewMessage): Promise<void> {
      await db
        .insertInto('message')
        .values({
          ...message,
          challenge_id: challengeId,
          state: 'sending',
          created_at: clock(),
          updated_at: clock(),
        })
        .execute()
    },

    async finish(id: string, result: SendResult): Promise<void> {
      const { outcome } = result
      const event: AuditEvent = {
        type: EVENTS[outcome],
        accountId: sql`(select account_id from challenge c where c.id = finished.challenge_id)`,
        detail: { message: id, gateway: sql`gateway`, failure: sql`failure` },
      }
      await sql`
        with finished as (
          update message set state = ${outcome},
            provider_id = ${outcome === 'accepted' ? result.providerId : null},
            failure = ${outcome === 'refused' ? result.failure : null},
            detail = ${outcome === 'accepted' ? null : result.detail.slice(0, MAX_DETAIL)},
            updated_at = ${clock()}
          where id = ${id}
          returning *
        )
        ${auditEntry(clock, event, sql`from finished`)}`.execute(db)
    },

    /** Deletes at most `batch` rows past their keeping; several instances may do so at once. */
    async sweep(batch: number): Promise<number> {
      const old = db
        .selectFrom('message')
        .select('id')
        .where('created_at', '<', later(clock, -KEPT_SECONDS))
        .orderBy('created_at')
        .limit(batch)
        .forUpdate()
        .skipLocked()
      const { numDeletedRows } = await db
        .deleteFrom('message')
        .where('id', 'in', old)
        .executeTakeFirstOrThrow()
      return Number(numDeletedRows)
    },
  }
}

/**
 * The state of a challenge's newest message, as a scalar subquery for other rooms' statements; null
 * if it has none. Of messages of the same instant, the one that got furthest counts.
 *
 * @param challengeId a column named with its table, or it would be read as one of `message`
 */
export function latestMessageState(
  challengeId: Expression<string>,
): RawBuilder<MessageState | null> {
  return sql<MessageState | null>`(
    select message.state from message
    where message.challenge_id = ${challengeId}
    order by message.created_at desc,
      array_position(array['accepted', 'sending', 'unknown', 'refused'], message.state)
    limit 1
  )`
}
