import { sql } from 'kysely'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import type { FakeGateway } from '../support/fake-gateway.ts'
import { createFlow } from '../support/flow.ts'
import { reportFrom, startSmstools } from '../support/gateways.ts'
import { type House, startHouse } from '../support/house.ts'

const HOUR = 3600
const DAY = 24 * HOUR

let smstools: FakeGateway
let house: House
let people = 0
beforeAll(async () => {
  const started = await startSmstools()
  smstools = started.fake
  house = await startHouse({
    env: {
      ...started.env,
      SMS_GATEWAYS: 'smstools,textbee',
      SMS_DELIVERY_WAIT_SECONDS: '300',
      SMS_LIMIT_PHONE_HOUR: '1',
      SMS_PRICES: 'SE=0.05;textbee/*=0',
    },
  })
  await house.addClient()
})
beforeEach(() => {
  smstools.reset()
  // Past what the last hour shows of the test before, and the limits of its numbers.
  house.moveClock(2 * HOUR)
})
afterAll(async () => {
  await house.stop()
  await smstools.close()
})

/** Somebody whom a code was texted, or would have been. */
async function waiting() {
  const username = `person${++people}`
  const phone = `+467012345${String(people).padStart(2, '0')}`
  await house.addAccount(username, phone)
  const flow = createFlow(house)
  await flow.begin()
  await flow.password(username)
  const id = smstools.messages.at(-1)?.providerId ?? ''
  const code = () => {
    const texts = [...smstools.messages, ...house.gateway.messages].filter(({ to }) => to === phone)
    return /#(\d+)$/.exec(texts.at(-1)?.text ?? '')?.[1] ?? ''
  }
  const type = async () => flow.resume(await flow.code(code()))
  return { username, flow, id, type }
}

async function overview(range: 'hour' | 'day' | 'week' | 'month' = 'hour') {
  const { statistics } = house.rooms
  await statistics.rollUp()
  return statistics.overview(range)
}

const of = <T extends object>(all: readonly T[], name: string | null) =>
  all.find((one) => Object.values(one).includes(name))

/** Every figure there is, with what tells whether its row was written anew. */
async function figures() {
  const { rows: ways } = await sql`
    select *, xmin from delivery_stat order by span, slot, gateway, country, channel`.execute(
    house.db,
  )
  const { rows: events } = await sql`
    select *, xmin from event_stat order by span, slot, type, cause`.execute(house.db)
  return { ways, events }
}

/** As if they were yet to be counted. */
async function forget() {
  await sql`delete from delivery_stat`.execute(house.db)
  await sql`delete from event_stat`.execute(house.db)
  await sql`
    update roll_up set next_at = '-infinity', seen_until = (select min(at) from audit_event)`.execute(
    house.db,
  )
}

const withoutXmin = ({ ways, events }: Awaited<ReturnType<typeof figures>>) =>
  [...ways, ...events].map((row) => ({ ...Object(row), xmin: null }))

test('a sign-in goes all the way down the funnel of its gateway and country, with its time and cost', async () => {
  const { id, type } = await waiting()
  await reportFrom(house, id, 'delivered')
  await type()
  const seen = await overview()
  const funnel = { asked: 1, sent: 1, delivered: 1, passed: 1 }
  const whole = { ...funnel, conversion: 1, medianSeconds: expect.any(Number), cost: 0.05 }
  const messages = { tried: 1, accepted: 1, delivered: 1, failed: 0, parts: 1 }
  expect(seen).toMatchObject({
    range: 'hour',
    bucketSeconds: 300,
    totals: { signIns: 1, ...whole, messages },
    byGateway: [{ gateway: 'smstools', ...whole }],
    byCountry: [{ country: 'SE', ...whole }],
    failures: [],
    cost: { currency: 'EUR', total: 0.05, unpriced: 0 },
  })
  expect(seen.totals.medianSeconds).toBeLessThan(60)
  expect(seen.series).toHaveLength(13)
  expect(seen.series.filter(({ asked }) => asked > 0)).toMatchObject([{ signIns: 1, ...funnel }])
  expect(Date.parse(seen.to) - Date.parse(seen.asOf)).toBeLessThan(60_000)
  for (const range of ['day', 'week', 'month'] as const)
    expect((await overview(range)).totals).toMatchObject({ signIns: 1, ...whole, messages })
})

test('what was refused, typed wrong, or sent by another gateway shows by its cause', async () => {
  smstools.mode = '5xx'
  const { username, flow, type } = await waiting()
  await flow.code('000000')
  await type()
  const again = createFlow(house)
  await again.begin()
  await again.password(username, 'not the password')
  await again.password(username)
  const seen = await overview()
  expect(seen.failures).toEqual(
    expect.arrayContaining([
      { cause: 'code.not-sent/phone-limit', label: expect.stringContaining('limit'), count: 1 },
      { cause: 'code.wrong', label: 'Wrong codes', count: 1 },
      { cause: 'password.wrong', label: 'Wrong passwords', count: 1 },
      {
        cause: 'message.failed/transient',
        label: expect.stringContaining('a fault of its own'),
        count: 1,
      },
    ]),
  )
  expect(seen.totals).toMatchObject({ asked: 2, sent: 1, delivered: 0, passed: 1, conversion: 1 })
  // The one that carried the code has it; the one that refused it has its message.
  expect(of(seen.byGateway, 'textbee')).toMatchObject({ asked: 1, passed: 1, cost: 0.05 })
  expect(of(seen.byGateway, 'smstools')).toMatchObject({
    asked: 0,
    conversion: null,
    medianSeconds: null,
    messages: { tried: 1, accepted: 0, failed: 1, parts: 0 },
    cost: 0,
  })
  expect(of(seen.byGateway, null)).toMatchObject({ asked: 1, sent: 0 })
  expect(seen.byCountry).toMatchObject([{ country: 'SE', asked: 2 }])
})

test('a code for which no gateway could be tried was asked for all the same', async () => {
  const rest = sql`
    insert into gateway_state (gateway, failures, openings, open_until, failed_at)
    select name, 5, 1, ${house.clock()} + interval '1 hour', ${house.clock()} from unnest(array['smstools', 'textbee']) as name
    on conflict (gateway) do update set open_until = excluded.open_until`
  await rest.execute(house.db)
  await waiting()
  // They are looked at again for a moment.
  const givenUp = house.db.selectFrom('challenge').select('id').where('send_problem', 'is', null)
  await expect.poll(() => givenUp.where('send_failed_at', 'is not', null).execute()).toHaveLength(1)
  await sql`delete from gateway_state`.execute(house.db)
  const { totals, byCountry, failures } = await overview()
  expect(totals).toMatchObject({ asked: 1, sent: 0, messages: { tried: 0 } })
  expect(byCountry).toMatchObject([{ country: 'SE', asked: 1 }])
  expect(failures).toEqual([
    { cause: 'code.untried', label: 'Code not sent: no gateway could be tried', count: 1 },
  ])
})

test('a code counts for the gateway that reported its delivery, and is typed on the phone that was asked last', async () => {
  const ago = (seconds: number) => sql`${house.clock()} - make_interval(secs => ${seconds})`
  const sent = (phone: string, gateway: string, state: string, seconds: number) => sql`
    insert into message (id, challenge_id, phone_id, channel, gateway, country, parts, state, created_at, updated_at)
    select ${`${phone}-${seconds}`}, 'switched', ${phone}, 'sms', ${gateway}, 'SE', 1, ${state}, ${ago(seconds)}, now()`
  await sent('one', 'smstools', 'accepted', 640).execute(house.db)
  await sent('other', 'textbee', 'delivered', 620).execute(house.db)
  await sent('other', 'smstools', 'accepted', 610).execute(house.db)
  // Once more, in other five minutes: the same code.
  await sent('other', 'smstools', 'accepted', 200).execute(house.db)
  await sql`
    insert into audit_event (at, type, actor, detail)
    values (${ago(600)}, 'code.right', 'self', '{"challenge":"switched","factor":"sms"}'),
      (${ago(190)}, 'code.sent-again', 'self', '{"challenge":"switched","factor":"sms","send":2}')`.execute(
    house.db,
  )
  await sql`update roll_up set seen_until = ${ago(650)}`.execute(house.db)
  const { totals, byGateway } = await overview()
  expect(totals).toMatchObject({ asked: 2, sent: 2, delivered: 1, passed: 1 })
  expect(totals.messages).toMatchObject({ tried: 4, delivered: 1 })
  expect(of(byGateway, 'smstools')).toMatchObject({ asked: 1, delivered: 0, passed: 0 })
  // Between 18 and 21 seconds.
  expect(of(byGateway, 'textbee')).toMatchObject({ asked: 1, passed: 1, medianSeconds: 19.5 })
})

test('a code whose message is written just after it was looked at is not taken for untried any more', async () => {
  await sql`
    insert into audit_event (at, type, actor, detail)
    values (${house.clock()}, 'code.issued', 'self', '{"challenge":"slow","factor":"sms"}')`.execute(
    house.db,
  )
  expect((await overview()).byGateway).toMatchObject([{ gateway: null, asked: 1 }])
  await sql`
    insert into message (id, challenge_id, phone_id, channel, gateway, parts, state, created_at, updated_at)
    values ('slow', 'slow', 'one', 'sms', 'smstools', 1, 'accepted', ${house.clock()}, now())`.execute(
    house.db,
  )
  const { byGateway, failures } = await overview()
  expect(byGateway).toMatchObject([{ gateway: 'smstools', asked: 1 }])
  expect(failures).toEqual([])
})

test('a late report changes the slot of its message, and the hour', async () => {
  const { id } = await waiting()
  expect((await overview()).totals).toMatchObject({ asked: 1, sent: 1, delivered: 0 })
  house.moveClock(1.5 * HOUR)
  const before = await overview('day')
  await reportFrom(house, id, 'delivered')
  const after = await overview('day')
  expect(after.totals.delivered).toBe(before.totals.delivered + 1)
  expect(after.totals.asked).toBe(before.totals.asked)
  expect((await overview('hour')).totals).toMatchObject({ asked: 0, delivered: 0 })
})

test('doing it again writes nothing, and several at once count once', async () => {
  await house.rooms.statistics.rollUp()
  const before = await figures()
  expect(before.ways.length).toBeGreaterThan(6)
  await sql`update roll_up set seen_until = (select min(at) from audit_event)`.execute(house.db)
  await house.rooms.statistics.rollUp()
  expect(await figures()).toEqual(before)

  await forget()
  await Promise.all(Array.from({ length: 4 }, () => house.rooms.statistics.rollUp()))
  expect(withoutXmin(await figures())).toEqual(withoutXmin(before))
})

test('what was missed while no instance ran is made up for, in turns', async () => {
  await house.rooms.statistics.rollUp()
  const before = withoutXmin(await figures())
  await forget()
  const { rollUpInTurn } = house.rooms.statistics
  // The server takes turns, too.
  await expect
    .poll(
      async () => {
        for (let more = true; more; ) more = await rollUpInTurn()
        return withoutXmin(await figures())
      },
      { timeout: 20_000 },
    )
    .toEqual(before)
  expect(await rollUpInTurn()).toBe(false)
})

test('slots of five minutes are swept after two days, longer ones after eight and forty, and nothing that is yet to be added up', async () => {
  const { sweep, rollUp } = house.rooms.statistics
  const spans = async () => {
    const { rows } = await sql<{ span: number }>`
      select span from delivery_stat union select span from event_stat order by 1`.execute(house.db)
    return rows.map(({ span }) => span)
  }
  house.moveClock(3 * DAY)
  await sweep(1000)
  expect(await spans()).toEqual([300, 3600, 21_600])
  await rollUp()
  const { ways } = await figures()
  expect(await sweep(1)).toBe(1)
  expect((await figures()).ways).toHaveLength(ways.length - 1)
  await sweep(1000)
  expect(await spans()).toEqual([3600, 21_600])
  house.moveClock(6 * DAY)
  await rollUp()
  await sweep(1000)
  expect(await spans()).toEqual([21_600])
  expect((await overview('month')).totals.asked).toBeGreaterThan(3)
  house.moveClock(40 * DAY)
  await rollUp()
  await sweep(1000)
  expect(await spans()).toEqual([])
})
