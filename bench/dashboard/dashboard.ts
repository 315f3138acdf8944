import { type RawBuilder, sql } from 'kysely'
import type { Clock } from '../../src/db/clock.ts'
import type { Db } from '../../src/db/schema.ts'
import { deliveryFigures, deliverySums } from '../../src/statistics/delivery-figures.ts'
import { eventFigures, eventSums } from '../../src/statistics/event-figures.ts'
import { createMessageList, type MessageFilters } from '../../src/statistics/message-list.ts'
import { SPANS, SUMS } from '../../src/statistics/slots.ts'
import { createStatistics } from '../../src/statistics/statistics.ts'
import { fill, NOW, type Size } from './fill.ts'

/** Of several runs, in milliseconds. */
export interface Took {
  what: string
  median: number
  longest: number
}

export interface DashboardFigures extends Size {
  fillSeconds: number
  /** for all slots of a day anew, and how many statements that took */
  dayAnew: { seconds: number; statements: number; longestMs: number }
  took: Took[]
}

const RUNS = 7
const PAGE = 50
const SWEPT = 20_000

const clock: Clock = () => sql<Date>`${NOW}::timestamptz`
const prices = {
  currency: 'EUR',
  sms: new Map([
    ['DE', 0.07],
    ['twilio/US', 0.0083],
    ['*', 0.05],
  ]),
  voice: new Map([['*', 0.1]]),
}

/** How long the dashboard's statements take where there are so many messages. */
export async function dashboard(
  fresh: () => Promise<{ db: Db; destroy(): Promise<unknown> }>,
  size: Size,
): Promise<DashboardFigures> {
  const { db, destroy } = await fresh()
  try {
    const began = performance.now()
    await fill(db, size)
    const fillSeconds = Math.round((performance.now() - began) / 1000)
    const dayAnew = await countDay(db, size.days)
    return { ...size, fillSeconds, dayAnew, took: await measure(db) }
  } finally {
    await destroy()
  }
}

/** The last day, as after an upgrade, but each slot once; the days before are taken to have been like it. */
async function countDay(db: Db, days: number): Promise<DashboardFigures['dayAnew']> {
  const last = Math.floor(Date.parse(NOW) / 1000 / SPANS.fine)
  const began = performance.now()
  let statements = 0
  let longestMs = 0
  const run = async (figure: RawBuilder<unknown>) => {
    const from = performance.now()
    await figure.execute(db)
    longestMs = Math.max(longestMs, performance.now() - from)
    statements++
  }
  const slots = Math.ceil((Math.min(days, 1) * 86_400) / SPANS.fine)
  for (let slot = last - slots + 1; slot <= last; slot++) {
    await run(deliveryFigures(slot))
    await run(eventFigures(slot))
    for (const sum of SUMS) {
      if ((slot + 1) % (sum.span / SPANS.fine) !== 0 && slot !== last) continue
      await run(deliverySums(slot, sum))
      await run(eventSums(slot, sum))
    }
  }
  const seconds = Math.round((performance.now() - began) / 1000)
  await copyDay(db, days)
  await sql`update roll_up set seen_until = ${NOW}::timestamptz`.execute(db)
  const { sweep } = createStatistics({ db, clock, prices })
  while ((await sweep(SWEPT)) === SWEPT);
  // In time, what is swept leaves no more room than the next days fill.
  await sql`vacuum full analyze delivery_stat`.execute(db)
  await sql`vacuum full analyze event_stat`.execute(db)
  return { seconds, statements, longestMs: Math.round(longestMs) }
}

async function copyDay(db: Db, days: number): Promise<void> {
  for (const table of ['delivery_stat', 'event_stat']) {
    const { rows } = await sql<{ name: string }>`
      select column_name as name from information_schema.columns
      where table_name = ${table} and column_name not in ('span', 'slot')`.execute(db)
    const columns = sql.join(rows.map(({ name }) => sql.ref(name)))
    await sql`
      insert into ${sql.ref(table)} (span, slot, ${columns})
      select span, slot - make_interval(days => ago), ${columns}
      from ${sql.ref(table)}, generate_series(1, ${Math.ceil(days) - 1}::int) as ago
      on conflict do nothing`.execute(db)
  }
}

async function measure(db: Db): Promise<Took[]> {
  const statistics = createStatistics({ db, clock, prices })
  const { list } = createMessageList({ db, prices })
  const seenUntil = (seconds: number) =>
    sql`update roll_up set seen_until = ${NOW}::timestamptz - make_interval(secs => ${seconds})`.execute(
      db,
    )
  const took: Took[] = []
  async function time(what: string, work: () => Promise<unknown>, before?: () => Promise<unknown>) {
    const runs: number[] = []
    for (let run = 0; run < RUNS; run++) {
      await before?.()
      const began = performance.now()
      await work()
      runs.push(performance.now() - began)
    }
    runs.sort((a, b) => a - b)
    took.push({
      what,
      median: Math.round((runs[RUNS >> 1] ?? 0) * 10) / 10,
      longest: Math.round((runs.at(-1) ?? 0) * 10) / 10,
    })
  }

  await time('roll-up of 30 seconds', statistics.rollUp, () => seenUntil(30))
  await time('roll-up of 10 minutes that were missed', statistics.rollUp, () => seenUntil(600))
  for (const range of ['hour', 'day', 'week', 'month'] as const)
    await time(`overview of the ${range}`, () => statistics.overview(range))
  for (const [what, filters] of await listings(db)) {
    await time(`messages, ${what}`, () => list(filters, PAGE))
  }
  const { rows } = await sql<{ at: string; id: string }>`
    select created_at::text as at, id from message
    where created_at < (select max(created_at) - (max(created_at) - min(created_at)) / 2 from message)
    order by created_at desc limit 1`.execute(db)
  const [middle] = rows
  if (!middle) throw new Error('there are no messages')
  const after = { createdAt: middle.at, id: middle.id }
  await time('messages, a page from the middle', () => list({}, PAGE, after))
  await time('messages, failed, a page from the middle', () =>
    list({ state: 'failed' }, PAGE, after),
  )
  return took
}

/** What an admin may ask for, with values that are frequent, rare, and not there at all. */
async function listings(db: Db): Promise<Array<[what: string, filters: MessageFilters]>> {
  const { rows } = await sql<{ phone_id: string }>`
    select phone_id from message order by created_at limit 1`.execute(db)
  const phoneId = rows[0]?.phone_id ?? ''
  const accountId = 'someone'
  await sql`
    with someone as (
      insert into account (id, username, username_key) values (${accountId}, 'someone', 'someone')
      on conflict do nothing
    )
    insert into phone (id, account_id, number, number_fingerprint, is_primary)
    values (${phoneId}, ${accountId}, '', '', true) on conflict do nothing`.execute(db)
  return [
    ['newest', {}],
    ['delivered', { state: 'delivered' }],
    ['failed', { state: 'failed' }],
    ['rejected, of which there are none', { state: 'rejected' }],
    ['of one gateway', { gateway: 'vonage' }],
    ['of a gateway without any', { gateway: 'textbee' }],
    ['to the busiest country', { country: 'DE' }],
    ['to a rare country', { country: 'TR' }],
    ['calls', { channel: 'voice' }],
    ['texts', { channel: 'sms' }],
    ['of one account', { accountId }],
    ['of one day', { since: new Date('2030-01-20'), until: new Date('2030-01-21') }],
    [
      'failed ones of a gateway to a rare country',
      { state: 'failed', gateway: 'vonage', country: 'TR' },
    ],
    [
      'calls of a gateway to a rare country',
      { channel: 'voice', gateway: 'vonage', country: 'TR' },
    ],
  ]
}
