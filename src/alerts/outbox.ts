import { type RawBuilder, sql } from 'kysely'
import { auditEntry } from '../audit/event.ts'
import { type Clock, later } from '../db/clock.ts'
import type { AlertDeliveryTable } from '../db/tables/alerts.ts'

/** Something to be sent now. */
export interface DueDelivery
  extends Pick<AlertDeliveryTable, 'id' | 'webhook_id' | 'mail_to' | 'type' | 'created_at'> {
  alert: unknown
  /** this try included */
  tries: number
  /** seconds since 1970, now */
  now: number
  /** sealed; null for a mail */
  url: Buffer | null
  secret: Buffer | null
  /** null once it no longer signs */
  former_secret: Buffer | null
}

/** What became of a try. */
export interface Tried {
  status: number | null
  problem: string
}

/** How long after each failed try the next one is due; past the last it is given up, after some 21 hours. */
const WAITS_SECONDS = [5, 60, 300, 1800, 7200, 21_600, 43_200]
/** Longer than a try takes: so long nobody else makes one. */
const LEASE_SECONDS = 60
const KEPT_SECONDS = 30 * 24 * 3600

/** Of a new delivery. Without full stops, which part what is signed. */
export const NEW_ID = sql`'msg_' || replace(gen_random_uuid()::text, '-', '')`

/**
 * Common table expressions that queue what is `told` (type, kind and alert) for each webhook that wants to know,
 * and each mail address: in the statement that raises or ends the alert, so neither is there without the other.
 */
export function queued(clock: Clock, mailTo: readonly string[]): RawBuilder<unknown> {
  return sql`
    hooked as (
      insert into alert_delivery (id, webhook_id, type, alert, created_at, next_try_at)
      select ${NEW_ID}, w.id, told.type, told.alert, ${clock()}, ${clock()}
      from told join webhook w on w.disabled_at is null and (w.kinds is null or told.kind = any(w.kinds))
    ),
    mailed as (
      insert into alert_delivery (id, mail_to, type, alert, created_at, next_try_at)
      select ${NEW_ID}, address, told.type, told.alert, ${clock()}, ${clock()}
      from told cross join unnest(${[...mailTo]}::text[]) as address
    )`
}

export function createOutboxStatements(clock: Clock) {
  const open = ({ id, tries }: DueDelivery) =>
    sql`id = ${id} and state = 'waiting' and tries = ${tries}`

  return {
    /** Takes what is due. No two instances send the same at a time, and one that ends amid sending leaves it to the next. */
    take: (batch: number) => sql<DueDelivery>`
      with due as materialized (
        select a.id, w.url, w.secret,
          case when w.former_until > ${clock()} then w.former_secret end as former_secret
        from alert_delivery a left join webhook w on w.id = a.webhook_id
        where a.state = 'waiting' and a.next_try_at <= ${clock()}
        order by a.next_try_at limit ${batch} for update of a skip locked
      )
      update alert_delivery d set tries = d.tries + 1, next_try_at = ${later(clock, LEASE_SECONDS)}
      from due where d.id = due.id
      returning d.id, d.webhook_id, d.mail_to, d.type, d.alert, d.created_at, d.tries,
        floor(extract(epoch from ${clock()}))::float8 as now, due.url, due.secret, due.former_secret`,

    sent: ({ id }: DueDelivery, status: number | null) => sql`
      update alert_delivery
      set state = 'sent', mail_to = null, status = ${status}, problem = null, done_at = ${clock()}
      where id = ${id} and state = 'waiting'`,

    /**
     * Notes what was wrong, and when to try again, if at all.
     * @param final no later try would go better
     */
    failed(delivery: DueDelivery, { status, problem }: Tried, final: boolean) {
      const wait = final ? undefined : WAITS_SECONDS[delivery.tries - 1]
      if (wait !== undefined) {
        return sql<{ state: string }>`
          update alert_delivery set status = ${status}, problem = ${problem},
            next_try_at = ${later(clock, wait)}
          where ${open(delivery)} returning state`
      }
      return sql<{ state: string }>`
        update alert_delivery set status = ${status}, problem = ${problem}, state = 'failed',
          mail_to = null, done_at = ${clock()}
        where ${open(delivery)} returning state`
    },

    /** A receiver that says that it is gone is told of nothing more, until somebody enables it again. */
    gone: ({ webhook_id }: DueDelivery, status: number) => sql`
      with off as (
        update webhook set disabled_at = ${clock()} where id = ${webhook_id} and disabled_at is null
        returning id
      ),
      dropped as (${dropWaiting(clock, sql`${webhook_id}`, { status, problem: 'the receiver is gone' })})
      ${auditEntry(clock, { type: 'webhook.disabled', detail: { webhook: sql`off.id` } }, sql`from off`)}`,

    sweep: (batch: number) => sql`
      delete from alert_delivery where id in (
        select id from alert_delivery where created_at < ${later(clock, -KEPT_SECONDS)}
        order by created_at limit ${batch} for update skip locked)`,
  }
}

/** Gives up whatever waits for a webhook. */
export function dropWaiting(
  clock: Clock,
  webhookId: RawBuilder<unknown>,
  { status, problem }: Tried,
): RawBuilder<unknown> {
  return sql`
    update alert_delivery set state = 'failed', problem = ${problem}::text, done_at = ${clock()},
      status = coalesce(${status}::int, status)
    where webhook_id = ${webhookId} and state = 'waiting'`
}
