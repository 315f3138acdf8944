import { type RawBuilder, sql } from 'kysely'
import { auditEntry } from '../audit/event.ts'
import { type Clock, later } from '../db/clock.ts'
import { retrying } from '../db/faults.ts'
import type { Db } from '../db/schema.ts'
import { CALM_SECONDS, type Condition, nameOf } from './kinds.ts'
import { createOutboxStatements, queued } from './outbox.ts'
import { type Alert, inWords, stored } from './told.ts'

/** Failures of one column are told this often, however many there are. */
const FAILURE_EVERY_SECONDS = 60
const KEPT_SECONDS = 30 * 24 * 3600
const MOST_LISTED = 200

export type Alerts = ReturnType<typeof createAlerts>

export interface ListedAlert extends Alert {
  /** when it was last found to be so */
  seenAt: Date
}

/**
 * What somebody should look at. Each alert is raised once and ended once, by whichever instance finds it first, and
 * whoever is to be told is queued in the same statement.
 *
 * @param mailTo addresses that get a mail of each
 */
export function createAlerts({
  db,
  clock,
  mailTo,
}: {
  db: Db
  clock: Clock
  mailTo: readonly string[]
}) {
  const outbox = createOutboxStatements(clock)
  /** when each column's failure was last told of here; columns are few */
  const told = new Map<string, number>()
  const telling = new Set<Promise<unknown>>()

  /** `found`, and `raised`: those of it that weren't live. */
  function raised(conditions: readonly Condition[]): RawBuilder<unknown> {
    const rows = conditions.map((found) => ({ name: nameOf(found), ...found }))
    return sql`
      found as (
        select * from jsonb_to_recordset(${JSON.stringify(rows)}::jsonb)
          as f (name text, kind text, subject text, detail jsonb)
      ),
      raised as (
        insert into alert as held (name, kind, subject, detail, raised_at, seen_at)
        select name, kind, subject, detail, ${clock()}, ${clock()} from found
        where name not in (select name from alert where ended_at is null)
        order by name
        on conflict (name) do update set
          detail = excluded.detail, raised_at = ${clock()}, seen_at = ${clock()}, ended_at = null
        where held.ended_at is not null
        returning name, kind, subject, detail, raised_at, ended_at
      )`
  }

  const tell = (type: 'alert.raised' | 'alert.ended', from: string) => sql`
    select ${type}::text as type, kind, jsonb_build_object('name', name, 'kind', kind, 'subject', subject,
      'detail', detail, 'raisedAt', raised_at, 'endedAt', ended_at) as alert
    from ${sql.ref(from)}`

  return {
    /**
     * Takes down what was found to be so: raises what is new, and ends what wasn't found for a while.
     * @returns names of those that were raised and ended by this
     */
    async settle(conditions: readonly Condition[]): Promise<{ raised: string[]; ended: string[] }> {
      const calm = sql`make_interval(secs => coalesce((${JSON.stringify(CALM_SECONDS)}::jsonb ->> kind)::int, 300))`
      const statement = sql<{ type: string; name: string }>`
        with ${raised(conditions)},
        seen as (
          update alert set seen_at = ${clock()}, detail = found.detail from found
          where alert.name = found.name and alert.ended_at is null
        ),
        ended as (
          update alert set ended_at = ${clock()}
          where ended_at is null and name not in (select name from found)
            and seen_at <= ${clock()} - ${calm}
          returning name, kind, subject, detail, raised_at, ended_at
        ),
        told as (${tell('alert.raised', 'raised')} union all ${tell('alert.ended', 'ended')}),
        ${queued(clock, mailTo)},
        audited_gateways as (${auditEntry(
          clock,
          {
            type: 'alert.gateway',
            detail: { gateway: sql`subject`, failure: sql`detail ->> 'failure'` },
          },
          sql`from raised where kind = 'gateway-down'`,
        )}),
        audited_locks as (${auditEntry(
          clock,
          { type: 'alert.locks', detail: { locks: sql`detail -> 'locks'` } },
          sql`from raised where kind = 'lock-storm'`,
        )}),
        audited_ends as (${auditEntry(
          clock,
          { type: 'alert.ended', detail: { alert: sql`name` } },
          sql`from ended`,
        )})
        select type, alert ->> 'name' as name from told`
      const { rows } = await retrying(() => statement.execute(db))
      const named = (type: string) =>
        rows.filter((row) => row.type === type).map(({ name }) => name)
      return { raised: named('alert.raised'), ended: named('alert.ended') }
    },

    /**
     * Notes, behind what is being done, that a sealed value didn't open: never in its transaction, which will
     * be rolled back. A note that gets lost is made up for by the next failure.
     */
    decryptFailed(column: string): void {
      const now = performance.now()
      if (now - (told.get(column) ?? -Infinity) < FAILURE_EVERY_SECONDS * 1000) return
      told.set(column, now)
      const failure: Condition = { kind: 'decrypt-failures', subject: column, detail: {} }
      const statement = sql`
        with ${raised([failure])},
        seen as (
          update alert set seen_at = ${clock()} from found
          where alert.name = found.name and alert.ended_at is null
            and alert.seen_at <= ${later(clock, -FAILURE_EVERY_SECONDS)}
          returning alert.name
        ),
        told as (${tell('alert.raised', 'raised')}),
        ${queued(clock, mailTo)}
        ${auditEntry(
          clock,
          { type: 'alert.decrypt', detail: { column } },
          sql`from (select name from raised union select name from seen) as noted`,
        )}`
      const work = retrying(() => statement.execute(db))
        .catch(() => told.delete(column))
        .finally(() => telling.delete(work))
      telling.add(work)
    },

    /** Resolves when all that failed so far is noted. */
    async idle(): Promise<void> {
      while (telling.size > 0) await Promise.all(telling)
    },

    /** Live ones, and those that ended within 30 days; live ones first, then the newest. */
    async list(): Promise<ListedAlert[]> {
      const rows = await db
        .selectFrom('alert')
        .select(['name', 'kind', 'subject', 'detail', 'seen_at as seenAt'])
        .select(['raised_at as raisedAt', 'ended_at as endedAt'])
        .orderBy(sql`ended_at is not null`)
        .orderBy('raised_at', 'desc')
        .orderBy('name')
        .limit(MOST_LISTED)
        .execute()
      return rows.map(({ seenAt, ...alert }) => ({ ...inWords(stored.parse(alert)), seenAt }))
    },

    /** How many are live, of each kind that has any. */
    async live(): Promise<Array<{ kind: string; alerts: number }>> {
      const { rows } = await sql<{ kind: string; alerts: number }>`
        select kind, count(*)::int as alerts from alert where ended_at is null group by kind`.execute(
        db,
      )
      return rows
    },

    /** Deletes what ended, and what was sent of it, after its keeping. */
    async sweep(batch: number): Promise<number> {
      const ended = sql`
        delete from alert where name in (
          select name from alert where ended_at < ${later(clock, -KEPT_SECONDS)}
          limit ${batch} for update skip locked)`
      let swept = 0
      for (const statement of [ended, outbox.sweep(batch)])
        swept += Number((await statement.execute(db)).numAffectedRows ?? 0)
      return swept
    },
  }
}
