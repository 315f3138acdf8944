import { type RawBuilder, sql } from 'kysely'
import type { Clock } from '../../src/db/clock.ts'
import { COUNTS } from '../../src/statistics/delivery-figures.ts'
import { SPANS } from '../../src/statistics/slots.ts'
import { countTimes, timeGroup } from '../../src/statistics/times.ts'

/**
 * The dashboard's figures of history, all at once. The provider works out five minutes at a time, as they pass:
 * it would be at a month for minutes. Of what the demo makes up it would come to the same.
 */
export function figuresSince(clock: Clock, from: number): RawBuilder<unknown>[] {
  return Object.values(SPANS).flatMap((span) => {
    const begins = sql`to_timestamp(floor(${from}::float8 / ${SPANS.quarter}::float8) * ${SPANS.quarter}::float8)`
    const since =
      span === SPANS.fine
        ? sql`greatest(${begins}, date_trunc('hour', ${clock()} - interval '1 day'))`
        : begins
    const slotOf = (at: RawBuilder<unknown>) =>
      sql`to_timestamp(floor(extract(epoch from ${at}) / ${span}::int)::float8 * ${span}::float8)`
    return [delivery(span, since, slotOf), events(span, since, slotOf)]
  })
}

type SlotOf = (at: RawBuilder<unknown>) => RawBuilder<unknown>

const ACCEPTED = sql`state not in ('trying', 'refused', 'unknown')`

function delivery(span: number, since: RawBuilder<unknown>, slotOf: SlotOf): RawBuilder<unknown> {
  const columns = sql.join(COUNTS.map((name) => sql.ref(name)))
  const all = [...COUNTS, 'times'] as const
  return sql`
    with begun as materialized (select * from message where created_at >= ${since}),
    carried as (
      select challenge_id, min(created_at) as at, bool_or(${ACCEPTED}) as accepted,
        bool_or(state = 'delivered') as delivered,
        (array_agg(array[gateway, country, channel] order by state = 'delivered' desc, state = 'refused', created_at desc))[1:1] as way
      from begun where challenge_id is not null group by challenge_id
    ),
    typed as materialized (
      select detail ->> 'challenge' as id, at from audit_event where type = 'code.right' and at >= ${since}
    ),
    each_ (slot, gateway, country, channel, ${columns}, time) as (
      select ${slotOf(sql`carried.at`)}, way[1][1], way[1][2], way[1][3], 1, (accepted or typed.at is not null)::int,
        delivered::int, (typed.at is not null)::int, 0, 0, 0, 0, 0, 0,
        ${timeGroup(sql`extract(epoch from typed.at - carried.at)`)}
      from carried left join typed on typed.id = carried.challenge_id
      union all
      select ${slotOf(sql`created_at`)}, gateway, country, channel, 0, 0, 0, 0, 1, (${ACCEPTED})::int,
        (state = 'delivered')::int, (state in ('refused', 'expired', 'failed', 'rejected'))::int,
        (state <> 'refused' and gateway <> 'outbox')::int,
        case when state <> 'refused' and gateway <> 'outbox' then parts else 0 end, null
      from begun
      union all
      select ${slotOf(sql`at`)}, '', detail ->> 'country', '', 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, null
      from audit_event where type = 'code.not-sent' and at >= ${since}
    )
    insert into delivery_stat (span, slot, gateway, country, channel, ${columns}, times)
    select ${span}::smallint, slot, gateway, coalesce(country, ''), channel,
      ${sql.join(COUNTS.map((name) => sql`sum(${sql.ref(name)})::int`))}, ${countTimes(sql`time`)}
    from each_ group by slot, gateway, coalesce(country, ''), channel
    on conflict (span, slot, gateway, country, channel) do update
      set ${sql.join(all.map((name) => sql`${sql.ref(name)} = ${sql.ref(`excluded.${name}`)}`))}`
}

function events(span: number, since: RawBuilder<unknown>, slotOf: SlotOf): RawBuilder<unknown> {
  return sql`
    insert into event_stat (span, slot, type, cause, events)
    select ${span}::smallint, ${slotOf(sql`at`)}, type, coalesce(case type
        when 'code.not-sent' then detail ->> 'reason'
        when 'message.failed' then detail ->> 'failure'
        when 'message.undelivered' then detail ->> 'state' end, ''), count(*)::int
    from audit_event where at >= ${since} group by 2, 3, 4
    on conflict (span, slot, type, cause) do update set events = excluded.events`
}
