import { type RawBuilder, sql } from 'kysely'
import type { Clock } from '../db/clock.ts'
import { COUNTS, type Count } from './delivery-figures.ts'
import { SPANS } from './slots.ts'
import { addTimes } from './times.ts'

/** How far one can look back. */
export const RANGE_NAMES = ['hour', 'day', 'week', 'month'] as const
export type Range = (typeof RANGE_NAMES)[number]

/** How much is looked back on, by which slots, and in how long steps it is drawn; in seconds. */
export const RANGES: Record<Range, { seconds: number; span: number; bucket: number }> = {
  hour: { seconds: 3600, span: SPANS.fine, bucket: 300 },
  day: { seconds: 24 * 3600, span: SPANS.hour, bucket: 3600 },
  week: { seconds: 7 * 24 * 3600, span: SPANS.quarter, bucket: 6 * 3600 },
  month: { seconds: 30 * 24 * 3600, span: SPANS.quarter, bucket: 24 * 3600 },
}

/** What went one way. */
export interface Way extends Record<Count, number> {
  gateway: string
  country: string
  channel: string
  times: number[]
}

/** One step of a chart. */
export interface Step {
  at: Date
  signIns: number
  asked: number
  sent: number
  delivered: number
  passed: number
  /** the same in every row */
  now: Date
  asOf: Date
}

/** Steps are of UTC, and the first one is whole, so that it isn't lower than the rest by being cut. */
const binned = (at: RawBuilder<unknown>, bucket: number): RawBuilder<Date> =>
  sql`date_bin(make_interval(secs => ${bucket}), ${at}, 'epoch'::timestamptz)`

/** The statements of the dashboard, over figures that were rolled up. */
export function createOverviewStatements(clock: Clock) {
  const begins = ({ seconds, bucket }: (typeof RANGES)[Range]) =>
    binned(sql`${clock()} - make_interval(secs => ${seconds})`, bucket)
  const within = (range: Range) =>
    sql`span = ${RANGES[range].span} and slot >= ${begins(RANGES[range])} and slot <= ${clock()}`

  return {
    ways: (range: Range) => sql<Way>`
      select gateway, country, channel,
        ${sql.join(COUNTS.map((name) => sql`sum(${sql.ref(name)})::int as ${sql.ref(name)}`))},
        ${addTimes(sql`times`)} as times
      from delivery_stat where ${within(range)}
      group by gateway, country, channel`,

    events: (range: Range) => sql<{ type: string; cause: string; events: number }>`
      select type, cause, sum(events)::int as events from event_stat where ${within(range)} group by type, cause`,

    steps(range: Range) {
      const { bucket } = RANGES[range]
      return sql<Step>`
        select step.at, coalesce(event.sign_ins, 0) as "signIns", coalesce(way.asked, 0) as asked,
          coalesce(way.sent, 0) as sent, coalesce(way.delivered, 0) as delivered, coalesce(way.passed, 0) as passed,
          ${clock()} as now, least(${clock()}, (select seen_until from roll_up)) as "asOf"
        from generate_series(${begins(RANGES[range])}, ${clock()}, make_interval(secs => ${bucket})) as step (at)
        left join (
          select ${binned(sql`slot`, bucket)} as at, sum(asked)::int as asked, sum(sent)::int as sent,
            sum(delivered)::int as delivered, sum(passed)::int as passed
          from delivery_stat where ${within(range)} group by 1
        ) as way using (at)
        left join (
          select ${binned(sql`slot`, bucket)} as at, sum(events)::int as sign_ins
          from event_stat where ${within(range)} and type in ('session.started', 'session.renewed') group by 1
        ) as event using (at)
        order by step.at`
    },
  }
}
