import { sql } from 'kysely'
import { Client } from 'pg'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import type { SendLimitRules } from '../src/second-factor/send-grants.ts'
import { ANSWERED } from '../src/second-factor/send-waits.ts'
import { unindexedReads } from './support/plans.ts'
import { type Asked, type Sends, startSends } from './support/sends.ts'

let sends: Sends

beforeAll(async () => {
  sends = await startSends()
})
afterEach(() => sends.reset())
afterAll(() => sends.stop())

/** Sends that are counted, under all limits together. */
async function counted(): Promise<number> {
  const { rows } = await sql<{ total: number }>`
    select coalesce(sum(one), 0)::int as total from send_limit, unnest(slots) as one`.execute(
    sends.db,
  )
  return rows[0]?.total ?? 0
}

/** Each limit, with what makes another send fall under another count. */
const LIMITS = [
  ['phone-limit', { phoneHour: 3 }, { number: 'another' }],
  ['phone-day-limit', { phoneDay: 3 }, { number: 'another' }],
  ['address-limit', { addressHour: 3 }, { address: 'another' }],
  ['prefix-unanswered', { prefixUnanswered: 3 }, { prefix: 'another' }],
  ['prefix-limit', { prefixHour: 3 }, { prefix: 'another' }],
  ['country-limit', { countryHour: 3 }, { country: 'DK' }],
  ['overall-limit', { globalHour: 3 }, undefined],
  ['overall-day-limit', { globalDay: 3 }, undefined],
] satisfies Array<[string, Partial<SendLimitRules>, Asked | undefined]>

describe.each(LIMITS)('%s', (refusal, rules, elsewhere) => {
  const day = refusal.includes('-day-') || refusal === 'prefix-unanswered'

  test('takes as many as it says, and others beside them', async () => {
    expect(await sends.row(5, rules)).toEqual([null, null, null, refusal, refusal])
    if (elsewhere) expect((await sends.one(rules, elsewhere)).refused_by).toBeNull()
  })

  test('looks back on the whole span, at whatever moment that begins', async () => {
    const span = day ? 86_400 : 3600
    await sends.row(2, rules)
    sends.moveClock(span / 2)
    expect(await sends.row(2, rules)).toEqual([null, refusal])
    sends.moveClock(span / 2 - 60)
    expect((await sends.one(rules)).refused_by).toBe(refusal)
    // The slot in which the first two were sent weighs until the whole of it is past.
    sends.moveClock(60 + (day ? 3600 : 300))
    expect(await sends.row(3, rules)).toEqual([null, null, refusal])
  })

  test('counts nothing anywhere when it refuses', async () => {
    await sends.row(3, rules)
    const before = await counted()
    expect(await sends.row(3, rules)).toEqual([refusal, refusal, refusal])
    expect(await counted()).toBe(before)
  })

  test('holds in a burst over two instances (THR-16)', async () => {
    const one = sends.statement(rules)
    const { verdicts } = await sends.burst(Array.from({ length: 24 }, () => one))
    expect(verdicts.filter(({ refused_by }) => refused_by === null)).toHaveLength(3)
    expect(new Set(verdicts.map(({ refused_by }) => refused_by))).toEqual(new Set([null, refusal]))
    const { rows } = await sql`select sum(sends)::int as sends from send_traffic`.execute(sends.db)
    expect(rows).toEqual([{ sends: 3 }])
  })
})

test('sends of many people at once neither pass the budget nor wait for each other in a circle', async () => {
  const { verdicts, deadlocks } = await sends.burst(
    Array.from({ length: 30 }, (_, index) =>
      sends.statement(
        { globalHour: 20 },
        {
          account: index % 3 ? 'anna' : 'bert',
          number: `number ${index % 7}`,
          prefix: `block ${index % 2}`,
          address: `address ${index % 5}`,
          country: index % 2 ? 'SE' : 'DK',
        },
      ),
    ),
  )
  expect(verdicts.filter(({ refused_by }) => refused_by === null)).toHaveLength(20)
  expect(deadlocks).toBe(0)
})

test('a refusal is recorded with its reason, and a grant isn’t (LOG-01)', async () => {
  const before = (await sends.events('code.not-sent')).length
  await sends.row(3, { phoneHour: 2 })
  expect((await sends.events('code.not-sent')).slice(before)).toEqual([
    { reason: 'phone-limit', country: 'SE' },
  ])
})

test('a number without a fingerprint of its block is under the other limits only', async () => {
  const rules = { prefixHour: 1, prefixUnanswered: 1, globalHour: 2 }
  expect(await sends.row(3, rules, { prefix: null })).toEqual([null, null, 'overall-limit'])
})

describe('alerts', () => {
  test('a budget tells at 50, 80 and 100 percent, each once in its hour (THR-16, LOG-10)', async () => {
    const rules = { globalHour: 10 }
    const before = (await sends.events('alert.budget')).length
    const raised = []
    for (let i = 0; i < 12; i++) raised.push(...(await sends.one(rules)).alerts)
    expect(raised).toEqual(['budget-hour-50', 'budget-hour-80', 'budget-hour-100'])
    expect((await sends.events('alert.budget')).slice(before)).toEqual([
      { window: 'hour', percent: 50 },
      { window: 'hour', percent: 80 },
      { window: 'hour', percent: 100 },
    ])
    sends.moveClock(3600 + 300)
    raised.length = 0
    for (let i = 0; i < 5; i++) raised.push(...(await sends.one(rules)).alerts)
    expect(raised).toEqual(['budget-hour-50'])
  })

  test('the day’s budget has windows of a day', async () => {
    const rules = { globalDay: 2 }
    expect((await sends.one(rules)).alerts).toEqual(['budget-day-50'])
    expect((await sends.one(rules)).alerts.sort()).toEqual(['budget-day-100', 'budget-day-80'])
    sends.moveClock(23 * 3600)
    expect(await sends.one(rules)).toMatchObject({ refused_by: 'overall-day-limit', alerts: [] })
    sends.moveClock(2 * 3600)
    expect((await sends.one(rules)).alerts).toEqual(['budget-day-50'])
  })

  test('a full number block tells once an hour, and of no number (THR-14)', async () => {
    const before = (await sends.events('alert.prefix')).length
    const raised = []
    for (let i = 0; i < 5; i++)
      raised.push(...(await sends.one({ prefixHour: 2 }, { number: `number ${i}` })).alerts)
    expect(raised).toEqual(['prefix-SE'])
    expect((await sends.events('alert.prefix')).slice(before)).toEqual([{ country: 'SE' }])
  })

  test('are raised once by many at once', async () => {
    const one = sends.statement({ globalHour: 10 })
    const { verdicts } = await sends.burst(Array.from({ length: 12 }, () => one))
    expect(verdicts.flatMap(({ alerts }) => alerts).sort()).toEqual([
      'budget-hour-100',
      'budget-hour-50',
      'budget-hour-80',
    ])
  })
})

describe('codes that nobody types (THR-23)', () => {
  const rules = { unanswered: 3 }

  test('make the account wait, twice as long each time and an hour at most', async () => {
    expect(await sends.row(3, rules)).toEqual([null, null, null])
    for (const seconds of [60, 120, 240, 480, 960, 1920, 3600, 3600]) {
      expect(await sends.one(rules)).toMatchObject({
        refused_by: 'account-wait',
        wait_seconds: seconds,
      })
      sends.moveClock(seconds - 1)
      expect(await sends.one(rules)).toMatchObject({ refused_by: 'account-wait', wait_seconds: 1 })
      sends.moveClock(1)
      expect((await sends.one(rules)).refused_by).toBeNull()
    }
    expect((await sends.one(rules, { account: 'bert' })).refused_by).toBeNull()
  })

  test('are forgotten with the next right one', async () => {
    await sends.row(3, rules)
    await sql`update second_factor set ${ANSWERED} where account_id = 'anna'`.execute(sends.db)
    expect((await sends.one(rules)).refused_by).toBeNull()
  })

  test('are suspicious once, at the fifth sign-in that was begun', async () => {
    const suspicious = []
    for (let i = 0; i < 8; i++) {
      suspicious.push((await sends.one({})).suspicious)
      suspicious.push((await sends.one({}, { starts: false })).suspicious)
    }
    expect(suspicious.indexOf(true)).toBe(8)
    expect(suspicious.filter(Boolean)).toHaveLength(1)
  })

  test('wait in a burst too', async () => {
    const one = sends.statement(rules)
    const { verdicts } = await sends.burst(Array.from({ length: 12 }, () => one))
    const reasons = verdicts.map(({ refused_by }) => refused_by)
    expect(reasons.filter((reason) => reason === null)).toHaveLength(3)
    expect(reasons.filter((reason) => reason === 'account-wait')).toHaveLength(9)
  })
})

/** Last, for it fills the tables: of a handful of rows the planner takes all, by whatever index there is. */
test('a send finds every row by an index', async () => {
  await sends.row(2, {})
  const past = sql`now() - interval '9 days'`
  for (const fill of [
    sql`account (id, username, username_key) select 'many' || i, 'many' || i, 'many' || i`,
    sql`second_factor (account_id) select 'many' || i`,
    sql`send_day (country, day, passes) select 'many' || i, 1, 1`,
    sql`send_alert (name, until) select 'many' || i, ${past}`,
    sql`send_traffic (country, slot, sends, passes) select 'many' || i, 1, 1, 1`,
    sql`send_limit (key, slot, slots) select sha256(int4send(i)), 1, array_fill(1, array[13])`,
  ])
    await sql`insert into ${fill} from generate_series(1, 2000) i`.execute(sends.db)
  await sql`analyze`.execute(sends.db)
  const client = new Client({ connectionString: sends.url })
  await client.connect()
  const compiled = sends.statement({ countryHour: 9 }).compile(sends.db)
  expect(await unindexedReads(client, compiled.sql, compiled.parameters)).toEqual([])
  await client.end()
})
