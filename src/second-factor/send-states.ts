import { sql } from 'kysely'
import { auditEntry } from '../audit/event.ts'
import type { Clock } from '../db/clock.ts'
import type { Db } from '../db/schema.ts'
import { sweepAlerts } from './send-alerts.ts'
import { overallLimits, type SendLimitRules } from './send-chain.ts'
import { sendsNow, sweepSendLimits } from './send-limits.ts'
import { createSendTraffic } from './send-traffic.ts'

export type SendStates = ReturnType<typeof createSendStates>

/** What one country got within the last day, and came to. */
export interface CountryTraffic {
  country: string
  sends: number
  /** how many of them came to a right code */
  passes: number
  /** until when nothing is sent there; null where it isn't paused */
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

  return {
    /** How much of the budgets of an hour and of a day is used. */
    async budgets(): Promise<{ hour: number; day: number }> {
      const { hour, day } = overallLimits(rules)
      const { rows } = await sql<{ hour: number; day: number }>`
        select ${sendsNow(clock, hour)} as hour, ${sendsNow(clock, day)} as day`.execute(db)
      return rows[0] ?? { hour: 0, day: 0 }
    },

    /** Countries that got texts within the last day or are paused, busiest first. */
    async countries(): Promise<CountryTraffic[]> {
      const { rows } = await sql<CountryTraffic>`
        with seen as (${traffic.lastDay()}),
        paused as (select country, until from send_pause where until > ${clock()})
        select country, coalesce(sends, 0) as sends, coalesce(passes, 0) as passes, paused.until as "pausedUntil"
        from seen full join paused using (country)
        order by sends desc nulls last, country`.execute(db)
      return rows
    },

    /**
     * Ends a country's pause. What was sent before no longer speaks against it.
     * @returns whether it was paused
     */
    async lift(country: string): Promise<boolean> {
      const { rows } = await sql`
        with lifted as (
          update send_pause set until = ${clock()}, times = 0
          where country = ${country} and until > ${clock()}
          returning country
        ),
        audited as (${auditEntry(
          clock,
          { type: 'country.resumed', detail: { country: sql`country` } },
          sql`from lifted`,
        )})
        select country from lifted`.execute(db)
      return rows.length > 0
    },

    /** Forgets counts, traffic, alerts and pauses that no longer weigh. */
    async sweep(batch: number): Promise<number> {
      let swept = await sweepSendLimits(db, clock, batch)
      for (const statement of [
        traffic.sweep(batch),
        sweepAlerts(clock, batch),
        traffic.sweepPauses(batch),
      ]) {
        const { numAffectedRows } = await statement.execute(db)
        swept += Number(numAffectedRows ?? 0)
      }
      return swept
    },
  }
}
