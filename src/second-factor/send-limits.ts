import { type RawBuilder, sql } from 'kysely'
import type { Clock } from '../db/clock.ts'
import type { Db } from '../db/schema.ts'

/** The time a limit looks back on, cut into slots: the one that is running, and whole ones for never less than that time. */
export interface Span {
  slotSeconds: number
  slots: number
}
export const HOUR: Span = { slotSeconds: 300, slots: 13 }
export const DAY: Span = { slotSeconds: 3600, slots: 25 }

/** At most so many sends under a key in a span. */
export interface SendLimit {
  /** expression of the key in `send_limit` */
  key: RawBuilder<Buffer>
  /** a number, or an expression of it */
  most: number | RawBuilder<number>
  span: Span
}

/** Slots of every span are numbered by the five minutes they begin with, so that one index sweeps them all. */
const UNIT_SECONDS = 300

/** The sends that a limit holds, as the statement's snapshot shows them: told without a lock or a write. */
export function sendsNow(clock: Clock, { key, span }: SendLimit): RawBuilder<number> {
  return sql`coalesce((
    select ${sumOf(slotsNow(clock, span))} from send_limit held where held.key = ${key}), 0)`
}

/**
 * A statement that counts one send under a key, or counts nothing and returns no row when that would make more
 * than the limit. To stand as a common table expression in the statement that sends.
 *
 * @param source what must have rows for anything to be counted: `from …` or `where exists …`
 * @returns `sends`: how many it now makes
 */
export function countSend(
  clock: Clock,
  { key, most, span }: SendLimit,
  source: RawBuilder<unknown>,
): RawBuilder<{ sends: number }> {
  const slot = slotOf(clock(), span)
  const slots = slotsNow(clock, span)
  return sql`
    insert into send_limit as held (key, slot, slots)
    select ${key}, ${slot}, array[1] || array_fill(0, array[${sql.lit(span.slots - 1)}]) ${source}
    on conflict (key) do update set
      slot = greatest(held.slot, ${slot}),
      slots = array[(${slots})[1] + 1] || (${slots})[2:${sql.lit(span.slots)}]
    where ${sumOf(slots)} < ${most}
    returning ${sumOf(sql`slots`)} as sends`
}

/**
 * A statement that takes sends back from a count, in the slot they were counted in.
 * @param source `from … where …`, of rows whose `sent_at` tells when
 */
export function takeBack(
  clock: Clock,
  { key, span }: Omit<SendLimit, 'most'>,
  count: number,
  source: RawBuilder<unknown>,
): RawBuilder<unknown> {
  const slot = slotOf(clock(), span)
  const place = sql`(${slot} - ${slotOf(sql`sent_at`, span)}) / ${unitsOf(span)} + 1`
  return sql`
    update send_limit held set slot = greatest(held.slot, ${slot}), slots = array(
      select one - case when place = ${place} then ${sql.lit(count)} else 0 end
      from unnest(${slotsNow(clock, span)}) with ordinality as counted (one, place) order by counted.place)
    ${source} and held.key = ${key}
    returning held.key`
}

/**
 * When the sends that a limit holds will be fewer than its most, if none are added; the past if they are now, null if
 * there are none.
 */
export function easesAt(clock: Clock, { key, most, span }: SendLimit): RawBuilder<Date | null> {
  const slot = slotOf(clock(), span)
  return sql`(
    select to_timestamp((${slot} + (${sql.lit(span.slots)} - fits) * ${unitsOf(span)}) * ${sql.lit(UNIT_SECONDS)})
    from (
      select coalesce(max(place) filter (where total < ${most}), 0) as fits
      from (
        select place, sum(one) over (order by place) as total
        from send_limit held, unnest(${slotsNow(clock, span)}) with ordinality as counted (one, place)
        where held.key = ${key}
      ) summed
      having count(*) > 0
    ) newest)`
}

/** Deletes counts that no longer weigh, `batch` at most. */
export async function sweepSendLimits(db: Db, clock: Clock, batch: number): Promise<number> {
  const oldest = sql`${slotOf(clock(), DAY)} - ${sql.lit((DAY.slots * DAY.slotSeconds) / UNIT_SECONDS)}`
  const { numAffectedRows } = await sql`
    delete from send_limit where key in (
      select key from send_limit where slot < ${oldest}
      limit ${batch} for update skip locked)`.execute(db)
  return Number(numAffectedRows ?? 0)
}

/** The counts of row `held` as they stand now: as many empty slots in front as have begun since. */
function slotsNow(clock: Clock, span: Span): RawBuilder<number[]> {
  const begun = sql`least(greatest((${slotOf(clock(), span)} - held.slot) / ${unitsOf(span)}, 0), ${sql.lit(span.slots)})::int`
  return sql`(array_fill(0, array[${begun}]) || held.slots)[1:${sql.lit(span.slots)}]`
}

function sumOf(slots: RawBuilder<unknown>): RawBuilder<number> {
  return sql`(select sum(slot)::int from unnest(${slots}) as slot)`
}

const unitsOf = ({ slotSeconds }: Span) => sql.lit(slotSeconds / UNIT_SECONDS)

/** Number of the slot that holds a moment. */
function slotOf(time: RawBuilder<Date>, span: Span): RawBuilder<number> {
  return sql`(floor(extract(epoch from ${time}) / ${sql.lit(span.slotSeconds)})::bigint * ${unitsOf(span)})`
}
