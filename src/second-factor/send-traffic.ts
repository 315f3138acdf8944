import { type RawBuilder, sql } from 'kysely'
import { type Clock, later } from '../db/clock.ts'

/** Texts that were paid for and came to nothing are how pumping looks: below this share of right codes, a country is paused. */
const LEAST_SHARE = 0.2
/** Fewer sends say nothing: people close pages, and a small country has few. */
const JUDGED_FROM = 50

const SLOT_SECONDS = 300
/** The running slot and the one before aren't judged: people may still be typing the codes of the last minutes. */
const UNJUDGED_SLOTS = 2
/** In slots: a send is judged for an hour, and in slow trickles for a day, after its first minutes. */
const HOUR_SLOTS = UNJUDGED_SLOTS + 12
const DAY_SLOTS = UNJUDGED_SLOTS + 288

const FIRST_PAUSE_SECONDS = 2 * 3600
const LONGEST_PAUSE_SECONDS = 24 * 3600
/** A pause within this time after the last one ended is twice as long as that was. */
const REMEMBERED_SECONDS = 7 * 24 * 3600

export type SendTraffic = ReturnType<typeof createSendTraffic>

/** Statements that count, per country, what was sent and how much of it came to a right code, and pause a country where too little does. */
export function createSendTraffic(clock: Clock) {
  const slotOf = (time: RawBuilder<unknown>) =>
    sql`floor(extract(epoch from ${time}) / ${sql.lit(SLOT_SECONDS)})::bigint`
  // Asked anew for each statement: a clock's expression may stand for one moment only.
  const current = () => slotOf(clock())
  const tooFew = (of: string) =>
    sql`(${sql.ref(`${of}_sends`)} >= ${JUDGED_FROM} and ${sql.ref(`${of}_passes`)} < ${sql.ref(`${of}_sends`)} * ${LEAST_SHARE}::float8)`

  return {
    /**
     * What there is to say of the country of `ready`: `paused_until`, and, where it isn't paused but comes to
     * too little, `sends` and `passes`. Traffic from before its last pause ended is forgotten.
     */
    judged: () => sql`
      select ready.country, case when pause.until > ${clock()} then pause.until end as paused_until, bad.sends, bad.passes
      from ready
      left join send_pause pause on pause.country = ready.country
      left join lateral (
        select coalesce(sum(sends) filter (where slot > ${current()} - ${HOUR_SLOTS}), 0) as hour_sends,
          coalesce(sum(passes) filter (where slot > ${current()} - ${HOUR_SLOTS}), 0) as hour_passes,
          coalesce(sum(sends), 0) as day_sends, coalesce(sum(passes), 0) as day_passes
        from send_traffic t
        where t.country = ready.country and t.slot > greatest(${current()} - ${DAY_SLOTS}, coalesce(${slotOf(sql`pause.until`)}, 0))
          and t.slot <= ${current()} - ${UNJUDGED_SLOTS}
      ) seen on true
      left join lateral (
        select hour_sends as sends, hour_passes as passes where ${tooFew('hour')}
        union all
        select day_sends, day_passes where ${tooFew('day')}
        limit 1
      ) bad on pause.until is null or pause.until <= ${clock()}`,

    /** Pauses the country that `judged` found wanting. */
    pause: () => sql`
      insert into send_pause as held (country, since, until, times, sends, passes)
      select country, ${clock()}, ${clock()} + make_interval(secs => ${FIRST_PAUSE_SECONDS}), 1, sends, passes
      from judged where sends is not null
      on conflict (country) do update set
        since = excluded.since,
        times = case when held.until > ${clock()} - make_interval(secs => ${REMEMBERED_SECONDS}) then held.times + 1 else 1 end,
        until = case when held.until > ${clock()} - make_interval(secs => ${REMEMBERED_SECONDS})
          then ${clock()} + make_interval(secs =>
            least(${FIRST_PAUSE_SECONDS} * power(2, least(held.times, 10)), ${LONGEST_PAUSE_SECONDS}))
          else excluded.until end,
        sends = excluded.sends,
        passes = excluded.passes
      where held.until <= ${clock()}
      returning *`,

    /** Counts the send that `granted` lets through. */
    countSend: () => sql`
      insert into send_traffic as held (country, slot, sends, passes)
      select ready.country, ${current()}, 1, 0 from ready, granted
      on conflict (country, slot) do update set sends = held.sends + 1`,

    /**
     * Counts that a code arrived and was typed. To stand in the statement that passes a challenge, after
     * `passed`, which returns the challenge's row, and `forgiven`, which returns what it changed of
     * `second_factor`: sends lock that one first too, so that the two never wait for each other.
     */
    countPass: sql`
      insert into send_traffic as held (country, slot, sends, passes)
      select p.country, ${slotOf(sql`passed.last_sent_at`)}, 0, 1
      from passed join phone p on p.id = passed.phone_id
      where passed.passed_with in ('sms', 'voice') and p.country is not null and exists (select from forgiven)
      on conflict (country, slot) do update set passes = held.passes + 1`,

    /** What each country got within the last day. */
    lastDay: () => sql`
      select country, sum(sends)::int as sends, sum(passes)::int as passes from send_traffic
      where slot > ${current()} - ${DAY_SLOTS} group by country`,

    /** Deletes counts that no longer weigh. */
    sweep(batch: number) {
      return sql`
        delete from send_traffic where (country, slot) in (
          select country, slot from send_traffic where slot < ${current()} - ${DAY_SLOTS}
          limit ${batch} for update skip locked)`
    },

    /** Deletes pauses so long ago that the next one is a first one again. */
    sweepPauses(batch: number) {
      return sql`
        delete from send_pause where country in (
          select country from send_pause where until < ${later(clock, -REMEMBERED_SECONDS)}
          limit ${batch} for update skip locked)`
    },
  }
}
