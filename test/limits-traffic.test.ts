import { type RawBuilder, sql } from 'kysely'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { createSendStates, type SendStates } from '../src/second-factor/send-states.ts'
import { createSendTraffic } from '../src/second-factor/send-traffic.ts'
import { NO_LIMITS, type Sends, startSends } from './support/sends.ts'

const HOUR = 3600
/** so that the last minutes, whose codes may still be typed, are judged */
const WHILE = 600
let sends: Sends
let states: SendStates

beforeAll(async () => {
  sends = await startSends()
  states = createSendStates({ db: sends.db, clock: sends.clock, rules: NO_LIMITS })
  await sql`
    insert into phone (id, account_id, number, number_fingerprint, country, is_primary)
    values ('phone', 'anna', '', '', 'SE', true)`.execute(sends.db)
})
afterEach(() => sends.reset())
afterAll(() => sends.stop())

/** That a code sent just now, or some time ago, was typed; `factor` is what the challenge was passed with. */
async function typed(factor = 'sms', sentAgo = 0): Promise<void> {
  const challenge: RawBuilder<unknown> = sql`
    select 'phone' as phone_id, ${factor}::text as passed_with,
      ${sends.clock()} - make_interval(secs => ${sentAgo}) as last_sent_at`
  await sql`
    with passed as (${challenge}), forgiven as (select from passed),
    counted as (${createSendTraffic(sends.clock).countPass})
    select from passed`.execute(sends.db)
}

/** As if so many had been sent just now, and some answered at once. */
async function traffic(count: number, answered = 0): Promise<void> {
  await sql`
    insert into send_traffic (country, slot, sends, passes)
    values ('SE', floor(extract(epoch from ${sends.clock()}) / 300), ${count}, ${answered})`.execute(
    sends.db,
  )
}

describe('a country whose texts come to nothing (THR-17)', () => {
  test('is paused after fifty, and no other is', async () => {
    const before = (await sends.events('alert.conversion')).length
    expect(new Set(await sends.row(50, {}))).toEqual(new Set([null]))
    sends.moveClock(WHILE)
    expect(await sends.one({})).toEqual({
      refused_by: 'country-paused',
      wait_seconds: 2 * HOUR,
      suspicious: false,
      alerts: ['paused-SE'],
    })
    expect(await sends.one({})).toMatchObject({ refused_by: 'country-paused', alerts: [] })
    expect((await sends.one({}, { country: 'DK' })).refused_by).toBeNull()
    expect((await sends.events('alert.conversion')).slice(before)).toEqual([
      { country: 'SE', sends: 50, passes: 0 },
    ])
    expect((await sends.events('country.paused')).at(-1)).toEqual({
      country: 'SE',
      seconds: 2 * HOUR,
      times: 1,
    })
    expect(await states.countries()).toMatchObject([
      { country: 'SE', sends: 50, passes: 0, pausedUntil: expect.any(Date) },
      { country: 'DK', sends: 1, passes: 0, pausedUntil: null },
    ])
  })

  test('isn’t judged by fewer than fifty', async () => {
    await traffic(49)
    sends.moveClock(WHILE)
    expect((await sends.one({})).refused_by).toBeNull()
  })

  test('isn’t judged while the codes may still be typed', async () => {
    await traffic(60)
    // to the last second of the five minutes after those of the sends
    sends.moveClock(449)
    expect((await sends.one({})).refused_by).toBeNull()
    sends.moveClock(1)
    expect((await sends.one({})).refused_by).toBe('country-paused')
  })

  test.each([
    [9, 'country-paused'],
    [10, null],
  ])('with %i right codes of fifty: %s', async (answered, refusal) => {
    await traffic(50, answered)
    sends.moveClock(WHILE)
    expect((await sends.one({})).refused_by).toBe(refusal)
  })

  test('counts a right code with its send, and codes that weren’t sent not at all', async () => {
    await traffic(50)
    sends.moveClock(WHILE)
    for (let i = 0; i < 10; i++) await typed('sms', WHILE)
    expect((await sends.one({})).refused_by).toBeNull()
    await sends.reset()
    await traffic(50)
    for (let i = 0; i < 10; i++) await typed('totp')
    sends.moveClock(WHILE)
    expect((await sends.one({})).refused_by).toBe('country-paused')
  })

  test('is found also where it trickles over a day', async () => {
    for (let hour = 0; hour < 10; hour++) {
      await traffic(5)
      sends.moveClock(2 * HOUR)
    }
    expect((await sends.one({})).refused_by).toBe('country-paused')
  })

  test('isn’t held against what came before the hour, if the day is good', async () => {
    await traffic(49)
    sends.moveClock(2 * HOUR)
    await traffic(30, 30)
    sends.moveClock(WHILE)
    expect((await sends.one({})).refused_by).toBeNull()
  })

  test('is paused once by many at once, and gets nothing meanwhile', async () => {
    const before = (await sends.events('country.paused')).length
    await traffic(50)
    sends.moveClock(WHILE)
    const one = sends.statement({})
    const { verdicts } = await sends.burst(
      Array.from({ length: 12 }, () => one),
      sql`
        with mine as (
          insert into send_pause (country, since, until, times, sends, passes)
          values ('SE', ${sends.clock()}, ${sends.clock()}, 0, 0, 0)
        )
        select`,
    )
    expect(new Set(verdicts.map(({ refused_by }) => refused_by))).toEqual(
      new Set(['country-paused']),
    )
    expect((await sends.events('country.paused')).length).toBe(before + 1)
  })
})

describe('a pause', () => {
  async function pause(): Promise<number> {
    await traffic(50)
    sends.moveClock(WHILE)
    return (await sends.one({})).wait_seconds ?? 0
  }

  test('ends by itself, is not renewed for what it was for, and is longer each time', async () => {
    const lengths = []
    for (let i = 0; i < 5; i++) {
      const seconds = await pause()
      lengths.push(seconds / HOUR)
      sends.moveClock(seconds - 1)
      expect((await sends.one({})).refused_by).toBe('country-paused')
      sends.moveClock(1)
      expect((await sends.one({})).refused_by).toBeNull()
      // What is sent in the five minutes in which it ends isn't judged either.
      sends.moveClock(300)
    }
    expect(lengths).toEqual([2, 4, 8, 16, 24])
    sends.moveClock(8 * 24 * HOUR)
    expect(await pause()).toBe(2 * HOUR)
  })

  test('is lifted by hand, once, and begins anew', async () => {
    await pause()
    const before = (await sends.events('country.resumed')).length
    expect(await states.lift('DK')).toBe(false)
    expect(await states.lift('SE')).toBe(true)
    expect(await states.lift('SE')).toBe(false)
    expect((await sends.events('country.resumed')).slice(before)).toEqual([{ country: 'SE' }])
    expect((await sends.one({})).refused_by).toBeNull()
    sends.moveClock(WHILE)
    expect(await pause()).toBe(2 * HOUR)
  })
})

test('budgets tell how much of them is used', async () => {
  await sends.row(3, {})
  sends.moveClock(2 * HOUR)
  await sends.row(2, {})
  expect(await states.budgets()).toEqual({ hour: 2, day: 5 })
})

test('what no longer weighs is swept, and nothing else (THR-21)', async () => {
  const left = async () => {
    const { rows } = await sql`
      select (select count(*)::int from send_limit) as limits, (select count(*)::int from send_traffic) as traffic, (select count(*)::int from send_alert) as alerts,
        (select count(*)::int from send_pause) as pauses`.execute(sends.db)
    return rows[0]
  }
  await sends.row(50, { globalHour: 50 })
  sends.moveClock(WHILE)
  await sends.one({})
  expect(await states.sweep(100)).toBe(0)
  expect(await left()).toEqual({ limits: 6, traffic: 1, alerts: 3, pauses: 1 })
  // past the hour in which a day ago began
  sends.moveClock(26 * HOUR)
  expect(await states.sweep(100)).toBe(10)
  expect(await left()).toEqual({ limits: 0, traffic: 0, alerts: 0, pauses: 1 })
  sends.moveClock(7 * 24 * HOUR)
  expect(await states.sweep(100)).toBe(1)
  expect(await left()).toEqual({ limits: 0, traffic: 0, alerts: 0, pauses: 0 })
})
