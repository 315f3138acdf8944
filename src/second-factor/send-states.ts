import { sql } from 'kysely'
import { auditEntry } from '../audit/event.ts'
import type { Clock } from '../db/clock.ts'
import type { Db } from '../db/schema.ts'
import { sweepAlerts } from './send-alerts.ts'
import { overallLimits, type SendLimitRules, strangerLimits } from './send-chain.ts'
import { easesAt, sendsNow, sweepSendLimits } from './send-limits.ts'
import { createSendTraffic } from './send-traffic.ts'

export type SendStates = ReturnType<typeof createSendStates>

/** What one country got within the last day, and came to. */
export interface CountryTraffic {
  country: string
  sends: number
  /** how many of them came to a right code */
  passes: number
  /** until when nothing is sent to strangers there, if nobody types a code; null where it isn't paused */
  pausedUntil: Date | null
}

/** How limits and countries stand, for those who run the service. */
export function createSendStates({
  db,
  clock,
  rules,
}: {
  db: Db
  clock: Clock
  rules: SendLimitRules
}) {
  const traffic = createSendTraffic(clock)
  const { countryHour, countryDay } = strangerLimits(rules, 'allowed', (most) => most)
  const paused = () =>
    sql`(${sql.join(
      [countryHour, countryDay].map((limit) => sql`${sendsNow(clock, limit)} >= ${limit.most}`),
      sql` or `,
    )})`

  return {
    /** How much of the budgets of an hour and of a day is used. */
    async budgets(): Promise<{ hour: number; day: number }> {
      const { hour, day } = overallLimits(rules)
      const { rows } = await sql<{ hour: number; day: number }>`
        select ${sendsNow(clock, hour)} as hour, ${sendsNow(clock, day)} as day`.execute(db)
      return rows[0] ?? { hour: 0, day: 0 }
    },

    /** Countries that got texts within the last day, busiest first. */
    async countries(): Promise<CountryTraffic[]> {
      const { rows } = await sql<CountryTraffic>`
        with ready as (${traffic.seen()}), allowed as (${traffic.allowances(rules.prefixUnanswered)})
        select country, sends, passes, case when ${paused()} then
          greatest(${easesAt(clock, countryHour)}, ${easesAt(clock, countryDay)}) end as "pausedUntil"
        from allowed order by sends desc, country`.execute(db)
      return rows
    },

    /**
     * Ends a country's pause. What was sent before no longer speaks against it.
     * @returns whether it was paused
     */
    async lift(country: string): Promise<boolean> {
      const { rows } = await sql`
        with ready as (select ${country}::text as country, true as newcomer),
        allowed as (${traffic.allowances(rules.prefixUnanswered)}),
        lifted as (select country from allowed where ${paused()}),
        emptied as (
          delete from send_limit where key in (
            select unnest(array[${countryHour.key}, ${countryDay.key}]) from allowed, lifted)
        ),
        calm as (delete from send_alert where name in (select 'paused-' || country from lifted)),
        audited as (${auditEntry(
          clock,
          { type: 'country.resumed', detail: { country: sql`country` } },
          sql`from lifted`,
        )})
        select country from lifted`.execute(db)
      return rows.length > 0
    },

    /** Forgets counts, traffic and alerts that no longer weigh. */
    async sweep(batch: number): Promise<number> {
      let swept = await sweepSendLimits(db, clock, batch)
      for (const statement of [
        traffic.sweep(batch),
        sweepAlerts(clock, batch),
        traffic.sweepDays(batch),
      ]) {
        const { numAffectedRows } = await statement.execute(db)
        swept += Number(numAffectedRows ?? 0)
      }
      return swept
    },
  }
}
