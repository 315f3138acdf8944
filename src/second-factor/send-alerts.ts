import { type RawBuilder, sql } from 'kysely'
import { auditEntry } from '../audit/event.ts'
import type { Clock } from '../db/clock.ts'
import type { Log } from '../log.ts'

/** Shares of a budget at which someone should look, in percent. */
const LEVELS = [50, 80, 100]
const HOUR_SECONDS = 3600
const DAY_SECONDS = 24 * HOUR_SECONDS

/** One budget of all sends. */
export interface Budget {
  span: 'hour' | 'day'
  most: number
  /** expression of the sends it holds, the present one included; null when nothing was sent */
  sends: RawBuilder<number | null>
}

/**
 * Common table expressions that raise alerts, each once in its window, over `ready`, `allowed` and `asked`, which
 * tells for what reason nothing was sent; the last is `alerted`, with a name for each.
 */
export function alertEntries(clock: Clock, budgets: readonly Budget[]): RawBuilder<unknown> {
  const levels = budgets.flatMap(({ span, most, sends }) =>
    LEVELS.map(
      (percent) =>
        sql`(${`budget-${span}-${percent}`}, ${sends}, ${Math.ceil((most * percent) / 100)}::int, ${span === 'hour' ? HOUR_SECONDS : DAY_SECONDS}::int)`,
    ),
  )
  const pauseSeconds = sql`ceil(extract(epoch from asked.paused_until - ${clock()}))::int`
  return sql`
    spent as (${raise(
      clock,
      sql`
      select name, seconds from (values ${sql.join(levels)}) as level (name, sends, at_least, seconds)
      where level.sends >= level.at_least`,
    )}),
    crowded as (${raise(
      clock,
      sql`
      select 'prefix-' || encode(substring(ready.prefix_fingerprint for 16), 'hex') as name, ${HOUR_SECONDS}::int as seconds
      from ready, asked where asked.refusal in ('prefix-limit', 'prefix-unanswered')`,
    )}),
    paused as (${raise(
      clock,
      sql`
      select 'paused-' || ready.country as name, greatest(${HOUR_SECONDS}, ${pauseSeconds}) as seconds
      from ready, asked where asked.refusal = 'country-paused'`,
    )}),
    audited_budgets as (${auditEntry(
      clock,
      {
        type: 'alert.budget',
        detail: {
          window: sql`split_part(name, '-', 2)`,
          percent: sql`split_part(name, '-', 3)::int`,
        },
      },
      sql`from spent`,
    )}),
    audited_prefixes as (${auditEntry(
      clock,
      { type: 'alert.prefix', detail: { country: sql`ready.country` } },
      sql`from crowded, ready`,
    )}),
    audited_conversion as (${auditEntry(
      clock,
      {
        type: 'alert.conversion',
        detail: { country: sql`country`, sends: sql`sends`, passes: sql`passes` },
      },
      sql`from paused, allowed`,
    )}),
    audited_pauses as (${auditEntry(
      clock,
      {
        type: 'country.paused',
        detail: { country: sql`ready.country`, seconds: pauseSeconds },
      },
      sql`from paused, ready, asked`,
    )}),
    alerted as (
      select name from spent
      union all select 'prefix-' || ready.country from crowded, ready
      union all select name from paused
    )`
}

/** One line for each alert that a send raised. Called once the send is decided. */
export function logAlerts(log: Log, { alerts }: { alerts: readonly string[] }): void {
  for (const alert of alerts) log.warn({ alert }, 'texts need a look')
}

/** Raises the alerts of a select of `name` and `seconds`, those that weren't raised that many seconds ago. */
function raise(clock: Clock, due: RawBuilder<unknown>): RawBuilder<{ name: string }> {
  return sql`
    insert into send_alert as held (name, until)
    select due.name, ${clock()} + make_interval(secs => due.seconds) from (${due}) as due
    where not exists (select from send_alert a where a.name = due.name and a.until > ${clock()})
    order by due.name
    on conflict (name) do update set until = excluded.until where held.until <= ${clock()}
    returning name`
}

/** Forgets alerts that may be raised again. */
export function sweepAlerts(clock: Clock, batch: number) {
  return sql`
    delete from send_alert where name in (
      select name from send_alert where until < ${clock()} limit ${batch} for update skip locked)`
}
