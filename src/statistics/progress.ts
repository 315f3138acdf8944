import { type RawBuilder, sql } from 'kysely'
import type { EventType } from '../audit/event.ts'
import { type Clock, later } from '../db/clock.ts'
import { SPANS, slotOf } from './slots.ts'

/** How often one of the instances goes on. */
const EVERY_SECONDS = 30
/** An event has the time at which its statement began, and is seen when that is done: within this. */
const LATEST_SEEN_SECONDS = 60
/** Of the trail, read at a time. */
const STRETCH_SECONDS = 300
/** What becomes of a code later than this changes no figure any more. */
const LATEST_CHANGE_SECONDS = 24 * 3600
const DAY = 24 * 3600
/** Longer than anything may still change, so that each slot is always the sum of its finer ones. */
const KEPT = [
  { span: SPANS.fine, seconds: 2 * DAY },
  { span: SPANS.hour, seconds: 8 * DAY },
  { span: SPANS.quarter, seconds: 40 * DAY },
]

/** A part of the audit trail, its times as the database writes them. */
export interface Stretch {
  from: string
  until: string
  /** whether nothing comes after it */
  last: boolean
}

/** After which messages are not as they were. */
const OF_MESSAGES: readonly EventType[] = [
  'message.sent',
  'message.failed',
  'message.unconfirmed',
  'message.delivered',
  'message.undelivered',
]

/**
 * The statements by which figures follow what happens. Nothing is written for them when it happens: the audit trail,
 * which tells of everything that moves a figure, is read a little later.
 */
export function createProgress(clock: Clock) {
  /** Columns that tell the next stretch; time in which nothing happened is left out. */
  const stretch = () => {
    const first = sql`(
      select min(at) from audit_event
      where at >= seen_until - make_interval(secs => ${LATEST_SEEN_SECONDS}) and at < ${clock()})`
    const until = sql`least(${clock()}, case when ${first} is null then ${clock()}
      else greatest(seen_until, ${first}) + make_interval(secs => ${STRETCH_SECONDS}) end)`
    return sql`coalesce(${first}, ${clock()})::text as from, ${until}::text as until, ${until} >= ${clock()} as last`
  }

  return {
    /** The next stretch, for one instance at a time; no row while it isn't time, or another one's turn. */
    takeTurn(): RawBuilder<Stretch> {
      return sql<Stretch>`
        update roll_up set next_at = ${later(clock, EVERY_SECONDS)} where next_at <= ${clock()}
        returning ${stretch()}`
    },

    /** The next stretch, whoever's turn it is. */
    next: () => sql<Stretch>`select ${stretch()} from roll_up`,

    /** Numbers of the slots whose figures a stretch may have changed. */
    touched({ from, until }: Stretch): RawBuilder<{ slot: number }> {
      return sql<{ slot: number }>`
        with seen as materialized (
          select at, type, detail from audit_event where at >= ${from}::timestamptz and at < ${until}::timestamptz
        ),
        told as (
          select m.created_at, m.challenge_id from seen
          cross join lateral (select * from message where id = seen.detail ->> 'message' limit 1) as m
          where seen.type = any(${[...OF_MESSAGES]}::text[])
        ),
        challenge_ as (
          select challenge_id as id from told where challenge_id is not null
          union
          select detail ->> 'challenge' from seen where type = 'code.right'
        ),
        touched as (
          select at from seen
          union all select created_at from told
          union all
          select m.created_at from challenge_
          cross join lateral (select created_at from message where challenge_id = challenge_.id offset 0) as m
        )
        select distinct ${slotOf(sql`at`)} as slot from touched
        where at >= ${until}::timestamptz - make_interval(secs => ${LATEST_CHANGE_SECONDS})
        order by 1`
    },

    /** Notes that a stretch is done; what comes after it needn't wait. */
    done({ until, last }: Stretch) {
      return sql`
        update roll_up set seen_until = greatest(seen_until, ${until}::timestamptz),
          next_at = case when ${last} then next_at else ${clock()} end`
    },

    /** Slots that were not yet added up stay, however old they are. */
    sweep(table: 'delivery_stat' | 'event_stat', batch: number) {
      const kept = sql`least(${clock()}, (select seen_until from roll_up))`
      const old = KEPT.map(
        ({ span, seconds }) =>
          sql`(span = ${span} and slot < ${kept} - make_interval(secs => ${seconds}))`,
      )
      return sql`
        delete from ${sql.ref(table)} where ctid = any(array(
          select ctid from ${sql.ref(table)}
          where ${sql.join(old, sql` or `)}
          limit ${batch} for update skip locked))`
    },
  }
}
