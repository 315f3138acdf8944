import { type RawBuilder, sql } from 'kysely'
import { replaced } from './replaced.ts'
import { beginningOf, isIn, SPANS, type Sum } from './slots.ts'
import { addTimes, countTimes, timeGroup } from './times.ts'

/** What is counted by gateway, country and channel; see `DeliveryStatTable`. */
export const COUNTS = [
  'asked',
  'sent',
  'delivered',
  'passed',
  'messages',
  'accepted',
  'arrived',
  'failed',
  'billed',
  'parts',
] as const

export type Count = (typeof COUNTS)[number]

const TABLE = {
  name: 'delivery_stat',
  keys: ['gateway', 'country', 'channel'],
  figures: [...COUNTS, 'times'],
}

/** Of messages: a gateway took it, for certain. */
const IS_ACCEPTED = sql`state not in ('trying', 'refused', 'unknown')`
const IS_FAILED = sql`state in ('refused', 'expired', 'failed', 'rejected')`
/** It may have gone out, so it may be billed; the outbox is free. */
export const IS_BILLED = sql`(state not in ('trying', 'refused') and gateway <> 'outbox')`

/** A message that hasn't begun by then is not going to. */
const SOON_SECONDS = 60

/**
 * The trail of a slot, as a common table expression: always found by its time, since there may be any number of events
 * of a type.
 */
export const heard = (beginning: RawBuilder<Date>): RawBuilder<unknown> => sql`
  heard as materialized (
    select at, type, actor, account_id, detail from audit_event where ${isIn(sql`at`, beginning, SPANS.fine)}
  )`

/**
 * Of `heard`, codes that were granted a send for which no gateway was tried, as a select of their account: all were
 * left alone, none has a sender there, or the SIM was swapped. (A message has its row before it is sent.)
 */
export const UNTRIED_CODES = sql`
  select distinct on (e.detail ->> 'challenge') e.account_id
  from heard e
  where (e.type = 'code.issued' or e.type = 'code.sent-again' and e.detail ->> 'send' = '1')
    and e.detail ->> 'factor' in ('sms', 'voice')
    and not exists (
      select from message m where m.challenge_id = e.detail ->> 'challenge'
        and m.created_at < e.at + make_interval(secs => ${SOON_SECONDS}))`

/**
 * One slot's figures from what is stored of its messages. A code is one challenge's on one phone; it counts in the
 * slot of its first message, whenever it is delivered or typed, and for the way that most likely carried it: one
 * that reported its delivery, else the newest that didn't refuse it. It went to the phone that was asked last, so that
 * one's code was typed. Challenges are not asked: they are gone after an hour.
 */
export function deliveryFigures(slot: number): RawBuilder<unknown> {
  const beginning = beginningOf(slot)
  const carrierFirst = sql`order by m.state = 'delivered' desc, m.state = 'refused', m.created_at desc, m.id`
  const zeros = (count: number) => sql.join(Array.from({ length: count }, () => sql`0`))
  return replaced(
    TABLE,
    SPANS.fine,
    beginning,
    sql`
      ${heard(beginning)},
      begun as materialized (
        select * from message where ${isIn(sql`created_at`, beginning, SPANS.fine)}
      ),
      code as (
        select carried.*, typed.at as typed_at
        from (select distinct challenge_id, phone_id from begun where challenge_id is not null) as sought
        cross join lateral (
          select min(m.created_at) as began_at, bool_or(${IS_ACCEPTED}) as accepted,
            bool_or(m.state = 'delivered') as delivered,
            (array_agg(m.gateway ${carrierFirst}))[1] as gateway,
            (array_agg(m.country ${carrierFirst}))[1] as country,
            (array_agg(m.channel ${carrierFirst}))[1] as channel
          from message m
          where m.challenge_id = sought.challenge_id and m.phone_id is not distinct from sought.phone_id
        ) as carried
        left join lateral (
          select e.at from audit_event e
          where e.type = 'code.right' and e.detail ->> 'challenge' = sought.challenge_id
            and e.detail ->> 'factor' in ('sms', 'voice')
            and sought.phone_id is not distinct from (
              select m.phone_id from message m where m.challenge_id = sought.challenge_id and m.created_at <= e.at
              order by m.created_at desc limit 1)
          limit 1
        ) as typed on true
        where carried.began_at >= ${beginning}
      ),
      refused as (
        select e.detail ->> 'country' as country from heard e
        where e.type = 'code.not-sent' and e.actor <> 'system'
      ),
      untried as (
        select (
          select p.country from phone p where p.account_id = of.account_id order by p.is_primary desc, p.id limit 1
        ) as country
        from (${UNTRIED_CODES}) as of
      ),
      each_ (gateway, country, channel, ${columns()}, time) as (
        select gateway, country, channel, 1, (accepted or typed_at is not null)::int, delivered::int,
          (typed_at is not null)::int, ${zeros(6)}, ${timeGroup(sql`extract(epoch from typed_at - began_at)`)}
        from code
        union all
        select gateway, country, channel, ${zeros(4)}, 1, ${IS_ACCEPTED}::int, (state = 'delivered')::int,
          ${IS_FAILED}::int, ${IS_BILLED}::int, case when ${IS_BILLED} then parts else 0 end, null
        from begun
        union all select '', country, '', 1, ${zeros(9)}, null from refused
        union all select '', country, '', 1, ${zeros(9)}, null from untried
      ),
      fresh as (
        select gateway, coalesce(country, '') as country, channel, ${sums()}, ${countTimes(sql`time`)} as times
        from each_ group by 1, 2, 3
      )`,
  )
}

/** The figures of the longer slot that a fine one is in, from those of its own slots. */
export function deliverySums(slot: number, { span, of }: Sum): RawBuilder<unknown> {
  const beginning = beginningOf(slot, span)
  return replaced(
    TABLE,
    span,
    beginning,
    sql`
      fresh as (
        select gateway, country, channel, ${sums()}, ${addTimes(sql`times`)} as times
        from delivery_stat where span = ${of} and ${isIn(sql`slot`, beginning, span)}
        group by 1, 2, 3
      )`,
  )
}

const columns = () => sql.join(COUNTS.map((name) => sql.ref(name)))
const sums = () =>
  sql.join(COUNTS.map((name) => sql`sum(${sql.ref(name)})::int as ${sql.ref(name)}`))
