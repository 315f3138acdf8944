import { sql } from 'kysely'
import { z } from 'zod'
import { type Clock, later } from '../db/clock.ts'
import type { Db } from '../db/schema.ts'
import type { Log } from '../log.ts'
import { ALARMING } from '../messaging/circuits.ts'
import { createWorker } from '../messaging/worker.ts'
import type { Metrics } from '../metrics.ts'
import type { Alerts } from './alerts.ts'
import {
  BUDGET_PERCENT,
  type Condition,
  condition,
  GATEWAY_FAILURE_SECONDS,
  LOCK_STORM,
  LOCK_STORM_SECONDS,
  NUMBER_BLOCK_SECONDS,
} from './kinds.ts'

const EVERY_MS = 30_000

interface Dependencies {
  db: Db
  clock: Clock
  alerts: Pick<Alerts, 'settle' | 'live'>
  /** sends within the hour and the day */
  budgets: () => Promise<{ hour: number; day: number }>
  /** how many there may be */
  limits: { globalHour: number; globalDay: number }
  countries: () => Promise<ReadonlyArray<{ country: string; pausedUntil: Date | null }>>
  /** gateways that are in use: what was noted of others is of no interest */
  gateways: readonly string[]
  metrics: Pick<Metrics, 'alertsLive'>
  log: Log
  /** called when somebody is to be told */
  onTold: () => void
}

/**
 * Looks from time to time what is so that somebody should look at. Every instance does: what several find is raised
 * once, and each can tell of all alerts in its metrics.
 */
export function createAlertWatch(deps: Dependencies) {
  const { db, clock, alerts, limits, gateways, metrics, log, onTold } = deps

  return createWorker(
    async () => {
      const [budgets, countries, noted] = await Promise.all([
        deps.budgets(),
        deps.countries(),
        notedConditions(clock, gateways).execute(db),
      ])
      const { raised, ended } = await alerts.settle([
        ...fullBudget('hour', budgets.hour, limits.globalHour),
        ...fullBudget('day', budgets.day, limits.globalDay),
        ...countries.flatMap(paused),
        ...z.array(condition).parse(noted.rows),
      ])
      for (const alert of raised) log.warn({ alert }, 'an alert was raised')
      for (const alert of ended) log.info({ alert }, 'an alert ended')
      if (raised.length + ended.length > 0) onTold()
      metrics.alertsLive(await alerts.live())
      return false
    },
    EVERY_MS,
    (error) => log.warn({ error }, 'alerts were not looked for'),
  )
}

function fullBudget(subject: 'hour' | 'day', sends: number, limit: number): Condition[] {
  const percent = Math.floor((sends * 100) / limit)
  return percent >= BUDGET_PERCENT
    ? [{ kind: 'budget', subject, detail: { sends, limit, percent } }]
    : []
}

function paused(traffic: { country: string; pausedUntil: Date | null }): Condition[] {
  const { country, pausedUntil } = traffic
  if (pausedUntil === null) return []
  return [
    { kind: 'country-paused', subject: country, detail: { until: pausedUntil.toISOString() } },
  ]
}

/**
 * What tables tell of by themselves. A circuit that opened for a few failures is let try at once: the gateway is
 * down when that fails, too, or when nothing changes until the operator acts.
 */
function notedConditions(clock: Clock, gateways: readonly string[]) {
  return sql<unknown>`
    with noted as (
      select 'gateway-down' as kind, gateway as subject, jsonb_build_object('failure', failure) as detail
      from gateway_state
      where gateway = any(${[...gateways]}::text[]) and open_until is not null
        and (openings > 1 or failure = any(${[...ALARMING]}::text[]))
        and failed_at > ${later(clock, -GATEWAY_FAILURE_SECONDS)}
      union all
      select 'lock-storm', null, jsonb_build_object('locks', count(*)::int) from audit_event
      where type in ('codes.locked', 'password.locked') and at > ${later(clock, -LOCK_STORM_SECONDS)}
      having count(*) >= ${LOCK_STORM}
      union all
      select 'number-block', detail ->> 'country', '{}' from audit_event
      where type = 'alert.prefix' and at > ${later(clock, -NUMBER_BLOCK_SECONDS)}
      group by detail ->> 'country'
    )
    select kind, subject, detail from noted where kind = 'lock-storm' or subject is not null`
}
