import { type Expression, type RawBuilder, sql } from 'kysely'
import { type AuditEvent, auditEntry } from '../audit/event.ts'
import { type Clock, later } from '../db/clock.ts'
import type { Db } from '../db/schema.ts'
import type { MessageState } from '../db/tables/messaging.ts'
import { createCircuits, MAX_DETAIL, type Passage } from './circuits.ts'
import { stepForward } from './delivery-states.ts'
import type { SendResult } from './gateway.ts'

const KEPT_SECONDS = 30 * 24 * 3600

/** What the audit trail says of a try. */
const EVENTS = {
  accepted: 'message.sent',
  refused: 'message.failed',
  unknown: 'message.unconfirmed',
} as const

export interface NewMessage {
  id: string
  challengeId: string | null
  /** null for a notice */
  phoneId: string | null
  /** the how-manieth send of the challenge */
  send: number | null
  unasked: boolean
  channel: 'sms' | 'voice'
  gateway: string
  country: string | null
  parts: number
}

/** The table `message`: one row per try, holding neither number nor text. */
export function createMessages({ db, clock }: { db: Db; clock: Clock }) {
  const circuits = createCircuits(clock)

  return {
    /**
     * Writes the row of a try that is about to be made.
     * @param trySeconds how long it may take
     * @returns undefined while the gateway is left alone: nothing was written then, and nothing is to be sent
     */
    async begin(message: NewMessage, trySeconds: number): Promise<Passage | undefined> {
      const { id, challengeId, phoneId, send, unasked, channel, gateway, country, parts } = message
      const now = clock()
      const { rows } = await sql<{ probe: boolean }>`
        with ${circuits.ctes(gateway, trySeconds)}
        insert into message (id, challenge_id, phone_id, send, unasked, channel, gateway, country, parts, state,
          created_at, updated_at)
        select ${id}, ${challengeId}::text, ${phoneId}::text, ${send}::int, ${unasked}::bool, ${channel}, ${gateway},
          ${country}::text, ${parts}::int, 'trying', ${now}, ${now}
        where ${circuits.isPassable}
        returning ${circuits.isProbe} as probe`.execute(db)
      return rows[0]
    },

    /**
     * Notes how a try went, of its message and of its gateway. What a quicker report told is not undone.
     * @param watchSeconds when it is to be looked at whether it was delivered; null: never
     * @returns whether this opened the gateway's circuit
     */
    async finish(
      { id, gateway }: Pick<NewMessage, 'id' | 'gateway'>,
      result: SendResult,
      { probe }: Passage,
      watchSeconds: number | null,
    ): Promise<{ opened: boolean }> {
      const { outcome } = result
      const refused = outcome === 'refused' ? result : undefined
      const event: AuditEvent = {
        type: EVENTS[outcome],
        accountId: sql`(select account_id from challenge c where c.id = finished.challenge_id)`,
        detail: {
          message: id,
          gateway: sql`gateway`,
          channel: sql`channel`,
          country: sql`country`,
          parts: sql`parts`,
          failure: sql`failure`,
        },
      }
      const watchAt =
        outcome === 'accepted' && watchSeconds !== null ? later(clock, watchSeconds) : null
      const { rows } = await sql<{ opened: boolean }>`
        with finished as (
          update message set state = ${stepForward(sql`${outcome}`)},
            provider_id = coalesce(${outcome === 'accepted' ? result.providerId : null}, provider_id),
            failure = coalesce(failure, ${refused?.failure ?? null}),
            fault = coalesce(fault, ${refused?.fault ?? null}),
            detail = ${outcome === 'accepted' ? null : result.detail.slice(0, MAX_DETAIL)},
            watch_at = case when state <> 'delivered' and challenge_id is not null
              then coalesce(watch_at, ${watchAt}::timestamptz) end,
            updated_at = ${clock()}
          where id = ${id}
          returning *
        ),
        circuit as (${circuits.note(gateway, result, probe)}),
        audited as (${auditEntry(clock, event, sql`from finished`)})
        select coalesce((select opened from circuit), false) as opened`.execute(db)
      return { opened: rows[0]?.opened ?? false }
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

/** A challenge's code on its way to a phone. */
export interface LatestMessage {
  state: MessageState
  channel: 'sms' | 'voice'
  /** it should have been delivered by now, and there is no other way to send it */
  overdue: boolean
  /** nobody asked for it: the one before was not delivered */
  unasked: boolean
  gateway: string
  providerId: string | null
}

const LATEST = sql`json_build_object('state', message.state, 'channel', message.channel, 'overdue', message.overdue,
  'unasked', message.unasked, 'gateway', message.gateway, 'providerId', message.provider_id)`

/** Columns of another room's statement, each named with its table, or they would be read as those of `message`. */
interface Carriage {
  challengeId: Expression<string>
  phoneId: Expression<string | null>
  channel: Expression<string>
}

/**
 * What became of a challenge's code on its way to a phone by text or call, as a scalar subquery; null if no try was
 * made. It is the same code every time, so one that was delivered counts before any other, then the newest that
 * a gateway didn't refuse.
 */
export function latestMessage(of: Carriage): RawBuilder<LatestMessage | null> {
  return sql<LatestMessage | null>`(
    select ${LATEST} from message
    where message.challenge_id = ${of.challengeId} and message.phone_id = ${of.phoneId}
      and message.channel = ${of.channel}
    order by message.state = 'delivered' desc, message.state = 'refused', message.created_at desc
    limit 1
  )`
}

/** The newest message that may have carried a code of the challenge to a phone, likewise; null where none did. */
export function carrier(
  of: Pick<Carriage, 'challengeId' | 'phoneId'>,
): RawBuilder<LatestMessage | null> {
  return sql<LatestMessage | null>`(
    select ${LATEST} from message
    where message.challenge_id = ${of.challengeId} and message.phone_id = ${of.phoneId}
      and message.state <> 'refused'
    order by message.created_at desc
    limit 1
  )`
}

/** Whether a copy of the code has reached the phone, likewise. */
export function wasDelivered(of: Pick<Carriage, 'challengeId' | 'phoneId'>): RawBuilder<boolean> {
  return sql<boolean>`exists (
    select from message where message.challenge_id = ${of.challengeId} and message.phone_id = ${of.phoneId}
      and message.state = 'delivered')`
}

/** The gateways by which a code went to a phone and wasn't delivered, as far as is known, likewise. */
export function gatewaysTried(of: Carriage): RawBuilder<string[]> {
  return sql<string[]>`array(
    select distinct message.gateway from message
    where message.challenge_id = ${of.challengeId} and message.phone_id = ${of.phoneId}
      and message.channel = ${of.channel} and message.state <> 'delivered')`
}
