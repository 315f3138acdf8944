import { sql } from 'kysely'
import { type AuditEvent, auditEntry } from '../audit/event.ts'
import { type Clock, later } from '../db/clock.ts'
import type { MessageState } from '../db/tables/messaging.ts'
import { isForward, UNDELIVERED } from './delivery-states.ts'
import type { Channel, DeliveryReport, RecipientFault } from './gateway.ts'

/** A message that it is time to look at. */
export interface WatchedMessage {
  id: string
  challenge_id: string
  phone_id: string
  /** the how-manieth send of the challenge it belongs to */
  send: number
  channel: Channel
  gateway: string
  country: string | null
  provider_id: string | null
  state: MessageState
  /** what kind of failure the gateway reported, and what is wrong with the number */
  failure: string | null
  fault: RecipientFault | null
  ageSeconds: number
  tried: string[]
  /** until when nobody else looks at it, as the database writes it */
  lease: string
}

/** What a report moved. */
export interface Moved {
  id: string
  gateway: string
  country: string | null
  state: MessageState
  ageSeconds: number
}

/** Longer than anything that is done about one message: then another instance looks at it. */
const LEASE_SECONDS = 180
/** A report that comes later than this starts nothing: nobody waits for that message any more. */
const WAITED_FOR_SECONDS = 900
/** Longer than messages are kept, so that an old report finds either its mark or nothing to move. */
const REMEMBERED_SECONDS = 31 * 24 * 3600

/** The statements by which messages are followed after a gateway took them. */
export function createWatchStatements(clock: Clock) {
  return {
    /** Takes messages that are due, each by one instance alone. */
    take(batch: number) {
      return sql<WatchedMessage>`
        update message set watch_at = ${later(clock, LEASE_SECONDS)}
        where id in (
          select id from message where watch_at <= ${clock()}
          order by watch_at limit ${batch} for update skip locked)
        returning id, challenge_id, phone_id, send, channel, gateway, country, provider_id, state, failure, fault,
          extract(epoch from ${clock()} - created_at)::float8 as "ageSeconds",
          watch_at::text as lease,
          array(
            select distinct tried.gateway from message tried
            where tried.challenge_id = message.challenge_id and tried.phone_id = message.phone_id
              and tried.channel = message.channel
          ) as tried`
    },

    /**
     * Unless a report has come meanwhile, which is to be looked at now.
     * @param seconds null when nothing more is done about it
     */
    lookAgain({ id, lease }: WatchedMessage, seconds: number | null, overdue: boolean) {
      const at = seconds === null ? null : later(clock, seconds)
      return sql`
        update message set watch_at = ${at}::timestamptz, overdue = ${overdue}
        where id = ${id} and watch_at = ${lease}::timestamptz`
    },

    /**
     * Moves the one message that a report is about, if that is forwards; a report that came before moves nothing
     * (GWY-10 to 14). One that wasn't delivered is to be looked at now.
     * @param key hash of the report
     */
    report(gateway: string, report: DeliveryReport, key: Buffer) {
      const now = clock()
      const { reference = null, providerId = null, state } = report
      // One that names both must mean one message by both.
      const named =
        reference === null
          ? sql`message.provider_id = ${providerId}`
          : sql`message.id = ${reference} and coalesce(message.provider_id = ${providerId}, true)`
      const event: AuditEvent = {
        type: state === 'delivered' ? 'message.delivered' : 'message.undelivered',
        accountId: sql`(select account_id from challenge c where c.id = moved.challenge_id)`,
        detail: { message: sql`id`, gateway: sql`gateway`, state: sql`state`, code: sql`code` },
      }
      const undelivered = UNDELIVERED.has(state)
      return sql<{ known: string } & (Moved | { id: null })>`
        with meant as (select message.id from message where message.gateway = ${gateway} and ${named}),
        fresh as (
          insert into gateway_report (key, expires_at)
          select ${key}::bytea, ${later(clock, REMEMBERED_SECONDS)} from meant
          on conflict (key) do nothing returning key
        ),
        moved as (
          update message set state = ${state}, code = ${report.code ?? null},
            failure = coalesce(${report.failure ?? null}, message.failure),
            fault = coalesce(${report.fault ?? null}, message.fault),
            overdue = false, updated_at = ${now},
            watch_at = case
              when ${state === 'delivered'} then null
              when ${undelivered} and message.challenge_id is not null
                and message.created_at > ${later(clock, -WAITED_FOR_SECONDS)} then ${now}
              else message.watch_at end
          from meant, fresh
          where message.id = meant.id and ${isForward(sql`${state}`)}
          returning message.*
        ),
        audited as (${auditEntry(clock, event, sql`from moved where ${state === 'delivered' || undelivered}`)})
        select meant.id as known, moved.id, moved.gateway, moved.country, moved.state,
          extract(epoch from ${now} - moved.created_at)::float8 as "ageSeconds"
        from meant left join moved on true`
    },

    sweepReports(batch: number) {
      return sql`
        delete from gateway_report where key in (
          select key from gateway_report where expires_at < ${clock()}
          order by expires_at limit ${batch} for update skip locked)`
    },
  }
}
