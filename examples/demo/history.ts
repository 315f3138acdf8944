import { sql } from 'kysely'
import type { Clock } from '../../src/db/clock.ts'
import type { Db } from '../../src/db/schema.ts'
import { figuresSince } from './figures.ts'
import { LATEST_SECONDS, pumping, type Traffic, trafficOf } from './traffic.ts'

const DAY = 86_400
/** As far as the dashboard looks back. */
const DAYS = 30
/** Where nobody of the sample lives. */
const PUMPED = 'TJ'

/**
 * Makes up what happened since the last time this was done: a month at the first start, then what is missing.
 * It is history only: nothing of it is sent, and no limit counts it.
 * @returns how many codes that were
 */
export async function topUp(db: Db, clock: Clock, people: readonly string[]): Promise<number> {
  const { last, now } = await standing(db, clock)
  const from = Math.max(last ?? 0, now - DAYS * DAY)
  const until = now - LATEST_SECONDS
  const today = Math.floor(now / DAY)
  const trouble = { gateway: 'gatewayapi', day: today - 3 }
  const night = (today - 1) * DAY + 2 * 3600
  let codes = 0
  for (let begin = Math.floor(from / 60) + 1; begin * 60 < until; begin += DAY / 60) {
    const minutes = Math.min(DAY / 60, Math.ceil(until / 60) - begin)
    const traffic = together(
      Array.from({ length: minutes }, (_, index) => trafficOf(begin + index, people, trouble)),
    )
    codes += traffic.messages.length
    await write(db, traffic)
  }
  // Once, at the first start: later ones would pump every night.
  if (last === undefined) {
    await write(db, pumping(night, PUMPED))
    await raiseAndEnd(db, night + 440)
  }
  if (codes > 0) await count(db, clock, from)
  return codes
}

/** When the newest that was made up is from; the demo's own messages go to the outbox. */
async function standing(db: Db, clock: Clock): Promise<{ last: number | undefined; now: number }> {
  const { rows } = await sql<{ last: number | null; now: number }>`
    select extract(epoch from max(created_at))::float8 as last, extract(epoch from ${clock()})::float8 as now
    from message where gateway <> 'outbox'`.execute(db)
  const [row] = rows
  if (!row) throw new Error('an aggregate has a row')
  return { last: row.last ?? undefined, now: row.now }
}

function together(all: readonly Traffic[]): Traffic {
  return {
    messages: all.flatMap(({ messages }) => messages),
    events: all.flatMap(({ events }) => events).sort((a, b) => a.at - b.at),
  }
}

/** In one statement, so that half of it is never there. */
async function write(db: Db, { messages, events }: Traffic): Promise<void> {
  await sql`
    with sent as (
      insert into message (id, challenge_id, send, channel, gateway, country, parts, state, failure, created_at, updated_at)
      select id, challenge, send, channel, gateway, country, parts, state, failure, to_timestamp(at), to_timestamp(until)
      from jsonb_to_recordset(${JSON.stringify(messages)}::jsonb) as m (id text, challenge text, send int, channel text,
        gateway text, country text, parts int, state text, failure text, at float8, until float8)
    )
    insert into audit_event (at, type, actor, account_id, client_id, detail)
    select to_timestamp(at), type, actor, account, client, detail
    from jsonb_to_recordset(${JSON.stringify(events)}::jsonb)
      as e (at float8, type text, actor text, account text, client text, detail jsonb)`.execute(db)
}

/** The alert of that night: the watch would raise and end it so. */
async function raiseAndEnd(db: Db, at: number): Promise<void> {
  const until = at + 3600
  const detail = JSON.stringify({ until: new Date(until * 1000).toISOString() })
  await sql`
    insert into alert (name, kind, subject, detail, raised_at, seen_at, ended_at)
    values (${`country-paused:${PUMPED}`}, 'country-paused', ${PUMPED}, ${detail}::jsonb,
      to_timestamp(${at}::float8), to_timestamp(${until}::float8), to_timestamp(${until + 300}::float8))
    on conflict (name) do nothing`.execute(db)
}

/** Figures of what is new, so that the provider needn't work them out. */
async function count(db: Db, clock: Clock, from: number): Promise<void> {
  for (const figures of figuresSince(clock, from)) await figures.execute(db)
  await sql`update roll_up set seen_until = greatest(seen_until, ${clock()})`.execute(db)
}
