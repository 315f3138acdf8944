import { type RawBuilder, sql } from 'kysely'
import type { Clock } from '../db/clock.ts'

/** Of a country's right codes, so many texts to strangers may be unanswered in an hour, where chance weighs more, and in a day. */
const HOUR_SHARE = 0.5
const DAY_SHARE = 0.15
/** Where few codes are typed yet, newcomers may have so many times what one block may: they come to every country once. */
const HOUR_BLOCKS = 8
const DAY_BLOCKS = 15
/** Numbers that are known, in browsers that aren't: people do have new ones, all of them after an upgrade. */
const MOST_KNOWN = 50
/** The best day of so many tells what is usual, also at night; a sixth of it, what is in an hour. */
const DAYS = 14
const BUSY_HOURS = 6

const SLOT_SECONDS = 300
const HOUR_SLOTS = 12
const DAY_SLOTS = 288

export type SendTraffic = ReturnType<typeof createSendTraffic>

/** Statements that count, per country, what was sent and how much of it came to a right code. */
export function createSendTraffic(clock: Clock) {
  const slotOf = (time: RawBuilder<unknown>) =>
    sql`floor(extract(epoch from ${time}) / ${sql.lit(SLOT_SECONDS)})::bigint`
  const dayOf = (time: RawBuilder<unknown>) => sql`${slotOf(time)} / ${sql.lit(DAY_SLOTS)}`
  // Asked anew for each statement: a clock's expression may stand for one moment only.
  const current = () => slotOf(clock())

  return {
    /**
     * For each country of `ready`, and according to its `newcomer`, `sends` and `passes` of a day, and how many texts to strangers may be unanswered
     * in an hour and in a day: `hour_most`, `day_most`.
     * @param blockMost how many may be in one number block
     */
    allowances: (blockMost: number) => sql`
      select ready.country, day_sends as sends, day_passes as passes,
        greatest(case when ready.newcomer then ${blockMost * HOUR_BLOCKS}::int else ${MOST_KNOWN}::int end,
          ${HOUR_SHARE}::float8 * greatest(hour_passes, best / ${sql.lit(BUSY_HOURS)}.0)) as hour_most,
        greatest(case when ready.newcomer then ${blockMost * DAY_BLOCKS}::int else ${MOST_KNOWN}::int end, ${DAY_SHARE}::float8 * greatest(day_passes, best)) as day_most
      from ready
      cross join lateral (
        select coalesce(sum(sends), 0)::int as day_sends, coalesce(sum(passes), 0)::int as day_passes,
          coalesce(sum(passes) filter (where slot > ${current()} - ${HOUR_SLOTS}), 0)::int as hour_passes
        from send_traffic t where t.country = ready.country and t.slot > ${current()} - ${DAY_SLOTS}
      ) lately
      cross join lateral (
        select coalesce(max(passes), 0) as best
        from send_day d where d.country = ready.country and d.day > ${dayOf(clock())} - ${DAYS}
      ) usual`,

    /** Counts the send that `granted` lets through. */
    countSend: () => sql`
      insert into send_traffic as held (country, slot, sends, passes)
      select ready.country, ${current()}, 1, 0 from ready, granted
      on conflict (country, slot) do update set sends = held.sends + 1`,

    /**
     * Counts, with its send, that the code of `answered` arrived and was typed.
     * @param turn condition that is true once it is this row's turn to be locked
     */
    countPass: (turn: RawBuilder<unknown>) => sql`
      insert into send_traffic as held (country, slot, sends, passes)
      select country, ${slotOf(sql`sent_at`)}, 0, 1 from answered where ${turn}
      on conflict (country, slot) do update set passes = held.passes + 1
      returning held.country`,

    /** The same for the day. */
    countPassOfDay: (turn: RawBuilder<unknown>) => sql`
      insert into send_day as held (country, day, passes)
      select country, ${dayOf(sql`sent_at`)}, 1 from answered where ${turn}
      on conflict (country, day) do update set passes = held.passes + 1`,

    /** Countries that got something within the last day. */
    seen: () =>
      sql`select distinct country, true as newcomer from send_traffic where slot > ${current()} - ${DAY_SLOTS}`,

    /** Deletes counts that no longer weigh. */
    sweep(batch: number) {
      return sql`
        delete from send_traffic where (country, slot) in (
          select country, slot from send_traffic where slot < ${current()} - ${DAY_SLOTS}
          limit ${batch} for update skip locked)`
    },

    /** The same of days. */
    sweepDays(batch: number) {
      return sql`
        delete from send_day where (country, day) in (
          select country, day from send_day where day <= ${dayOf(clock())} - ${DAYS}
          limit ${batch} for update skip locked)`
    },
  }
}
