import { sql } from 'kysely'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { retrying } from '../src/db/faults.ts'
import { createSendGrants } from '../src/second-factor/send-grants.ts'
import { createSendStates, type SendStates } from '../src/second-factor/send-states.ts'
import { type Asked, NO_LIMITS, type Sends, startSends } from './support/sends.ts'

const HOUR = 3600
const DAY = 24 * HOUR
/** so that a country's newcomers may have 16 texts unanswered in an hour and 30 in a day */
const RULES = { prefixUnanswered: 2 }
/** The hour's limit alone: the running five minutes, and an hour before. */
const HOUR_EASES = HOUR + 150
let sends: Sends
let states: SendStates

beforeAll(async () => {
  sends = await startSends()
  states = createSendStates({
    db: sends.db,
    clock: sends.clock,
    rules: { ...NO_LIMITS, ...RULES },
  })
  await sql`
    insert into phone (id, account_id, number, number_fingerprint, prefix_fingerprint, country, is_primary, pending)
    values ('new', 'anna', '', '', ${Buffer.from('a block')}, 'SE', false, true),
      ('proven', 'bert', '', '', ${Buffer.from('a block')}, 'SE', true, false)`.execute(sends.db)
})
afterEach(() => sends.reset())
afterAll(() => sends.stop())

interface Typed {
  factor?: string
  sentAgo?: number
  phone?: 'new' | 'proven'
  knownBrowser?: boolean
}

/** That a code sent just now, or some time ago, was typed; `factor` is what the challenge was passed with. */
async function typed({ factor = 'sms', sentAgo = 0, ...asked }: Typed = {}): Promise<void> {
  const { phone = 'new', knownBrowser = false } = asked
  const { countPass } = createSendGrants(sends.clock, { ...NO_LIMITS, ...RULES })
  await sql`
    with passed as (
      select ${phone}::text as phone_id, ${factor}::text as passed_with, ${knownBrowser}::bool as known_browser,
        ${sends.clock()} - make_interval(secs => ${sentAgo}) as last_sent_at
    ), forgiven as (select from passed), ${countPass()}
    select from passed`.execute(sends.db)
}

let blocks = 0

/** Why each of so many sends, in blocks of their own, was refused. */
async function spread(count: number, asked: Asked = {}): Promise<Array<string | null>> {
  const all = []
  for (let i = 0; i < count; i++)
    all.push((await sends.one(RULES, { prefix: `block ${blocks++}`, ...asked })).refused_by)
  return all
}

const granted = (count: number) => new Array<null>(count).fill(null)

/** As if so many codes had been typed on a day not long ago. */
async function usual(passes: number, daysAgo: number): Promise<void> {
  await sql`
    insert into send_day (country, day, passes)
    values ('SE', floor(extract(epoch from ${sends.clock()}) / 86400) - ${daysAgo}::int, ${passes})`.execute(
    sends.db,
  )
}

describe('texts to strangers in one block', () => {
  test('are no more than may be unanswered, and each right code makes that one more', async () => {
    expect(await sends.row(3, RULES)).toEqual([null, null, 'prefix-unanswered'])
    await typed()
    expect(await sends.row(3, RULES)).toEqual([null, null, 'prefix-unanswered'])
    await typed()
    await typed()
    expect(await sends.row(5, RULES)).toEqual([...granted(4), 'prefix-unanswered'])
  })

  test('can go on and on while codes are typed', async () => {
    for (let i = 0; i < 30; i++) {
      expect((await sends.one(RULES)).refused_by).toBeNull()
      await typed()
    }
  })

  test('are given back in the time they were sent in', async () => {
    await sends.row(2, RULES)
    sends.moveClock(HOUR)
    await typed({ sentAgo: HOUR })
    expect(await sends.row(3, RULES)).toEqual([null, null, 'prefix-unanswered'])
    // What was sent in the first hour and given back doesn't make the day after any longer or shorter.
    sends.moveClock(DAY)
    expect((await sends.one(RULES)).refused_by).toBe('prefix-unanswered')
    sends.moveClock(HOUR)
    expect(await sends.row(3, RULES)).toEqual([null, null, 'prefix-unanswered'])
  })

  test.each<[string, Typed]>([
    ['an authenticator app', { factor: 'totp' }],
    ['a proven number in a known browser', { phone: 'proven', knownBrowser: true }],
    ['a proven number in a strange browser', { phone: 'proven' }],
  ])('are not given back by a code of %s', async (_, by) => {
    await sends.row(2, RULES)
    await typed(by)
    expect((await sends.one(RULES)).refused_by).toBe('prefix-unanswered')
  })

  test.each<[string, Typed]>([
    ['a new number', { phone: 'new', knownBrowser: true }],
    ['a call', { factor: 'voice' }],
  ])('are given back by a code of %s', async (_, by) => {
    await sends.row(2, RULES)
    await typed(by)
    expect((await sends.one(RULES)).refused_by).toBeNull()
  })
})

describe('texts to strangers in a country (THR-17)', () => {
  test('stop while too many are unanswered, in whatever blocks, with one alert', async () => {
    const before = (await sends.events('alert.conversion')).length
    expect(await spread(17)).toEqual([...granted(16), 'country-paused'])
    expect(await sends.one(RULES)).toEqual({
      refused_by: 'country-paused',
      wait_seconds: HOUR_EASES,
      suspicious: false,
      alerts: [],
    })
    expect(await spread(1, { country: 'DK' })).toEqual([null])
    expect((await sends.events('alert.conversion')).slice(before)).toEqual([
      { country: 'SE', sends: 16, passes: 0 },
    ])
    expect((await sends.events('country.paused')).at(-1)).toEqual({
      country: 'SE',
      seconds: HOUR_EASES,
    })
    expect(await states.countries()).toEqual([
      { country: 'SE', sends: 16, passes: 0, pausedUntil: new Date('2030-01-02T13:35:00Z') },
      { country: 'DK', sends: 1, passes: 0, pausedUntil: null },
    ])
  })

  test('are sent all the same to who is none', async () => {
    await spread(17)
    expect(await spread(20, { stranger: false })).toEqual(granted(20))
    expect((await spread(1))[0]).toBe('country-paused')
  })

  test('are more where the number is a known one, and only its browser is not', async () => {
    await spread(17)
    const known = { newcomer: false }
    expect(await spread(34, known)).toEqual(granted(34))
    expect(await spread(1, known)).toEqual(['country-paused'])
    expect(await spread(1, { stranger: false })).toEqual([null])
  })

  test('in one block go on where the number is a known one', async () => {
    expect(await sends.row(3, RULES)).toEqual([null, null, 'prefix-unanswered'])
    expect((await sends.one(RULES, { newcomer: false })).refused_by).toBeNull()
  })

  test('go on when codes are typed, one for each', async () => {
    await spread(16)
    await typed()
    await typed()
    expect(await spread(3)).toEqual([null, null, 'country-paused'])
  })

  test('go on after the hour, until those of the day are unanswered', async () => {
    await spread(16)
    sends.moveClock(HOUR_EASES - 1)
    expect(await spread(1)).toEqual(['country-paused'])
    sends.moveClock(1)
    expect(await spread(14)).toEqual(granted(14))
    sends.moveClock(HOUR_EASES)
    expect((await sends.one(RULES)).refused_by).toBe('country-paused')
    const [{ pausedUntil } = { pausedUntil: null }] = await states.countries()
    expect(pausedUntil).toEqual(new Date('2030-01-03T13:00:00Z'))
    sends.moveClock(DAY)
    expect((await states.countries()).map(({ pausedUntil }) => pausedUntil)).toEqual([])
    expect(await states.lift('SE')).toBe(false)
    expect(await spread(1)).toEqual([null])
  })

  test('are as many as fit what is usual there', async () => {
    await usual(99, 14)
    expect((await spread(17)).at(-1)).toBe('country-paused')
    await sends.reset()
    await usual(300, 13)
    // Half of a sixth of 300.
    expect(await spread(26)).toEqual([...granted(25), 'country-paused'])
    sends.moveClock(2 * HOUR)
    // 0.15 of 300, in all.
    expect(await spread(21)).toEqual([...granted(20), 'country-paused'])
  })

  test('are as many as fit the right codes just now', async () => {
    for (let i = 0; i < 40; i++) await typed({ phone: 'proven', knownBrowser: true })
    expect(await spread(21)).toEqual([...granted(20), 'country-paused'])
  })

  test('are no more in a burst over two instances, and pause the country once (THR-16)', async () => {
    const before = (await sends.events('country.paused')).length
    const all = Array.from({ length: 24 }, (_, i) =>
      sends.statement(RULES, { prefix: `block ${i}` }),
    )
    const { verdicts, deadlocks } = await sends.burst(all)
    expect(verdicts.filter(({ refused_by }) => refused_by === null)).toHaveLength(16)
    expect(deadlocks).toBe(0)
    await Promise.all(all.map((one) => retrying(() => one.execute(sends.db))))
    expect((await sends.events('country.paused')).length).toBe(before + 1)
  })
})

test('codes that are typed at once are all counted, and wait for no send in a circle', async () => {
  await sends.row(12, { prefixUnanswered: 12 })
  await Promise.all([
    ...Array.from({ length: 12 }, () => typed()),
    ...Array.from({ length: 12 }, () => sends.one(RULES, { account: 'bert' })),
  ])
  const { rows } = await sql`
    select (select sum(passes)::int from send_day) as days, (select sum(passes)::int from send_traffic) as passes`.execute(
    sends.db,
  )
  expect(rows).toEqual([{ days: 12, passes: 12 }])
})

test('a country is lifted by hand, once, and begins anew', async () => {
  await spread(17)
  const before = (await sends.events('country.resumed')).length
  const paused = (await sends.events('country.paused')).length
  expect(await states.lift('DK')).toBe(false)
  expect(await states.lift('SE')).toBe(true)
  expect(await states.lift('SE')).toBe(false)
  expect((await sends.events('country.resumed')).slice(before)).toEqual([{ country: 'SE' }])
  expect(await spread(17)).toEqual([...granted(16), 'country-paused'])
  expect((await sends.events('country.paused')).length).toBe(paused + 1)
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
        (select count(*)::int from send_day) as days`.execute(sends.db)
    return rows[0]
  }
  await sends.row(50, { globalHour: 50 })
  await typed()
  expect(await states.sweep(100)).toBe(0)
  expect(await left()).toEqual({ limits: 9, traffic: 1, alerts: 3, days: 1 })
  // past the hour in which a day ago began
  sends.moveClock(26 * HOUR)
  expect(await states.sweep(100)).toBe(13)
  expect(await left()).toEqual({ limits: 0, traffic: 0, alerts: 0, days: 1 })
  sends.moveClock(13 * DAY)
  expect(await states.sweep(100)).toBe(1)
  expect(await left()).toEqual({ limits: 0, traffic: 0, alerts: 0, days: 0 })
})
