import { sql } from 'kysely'
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import type { SendResult } from '../../src/messaging/gateway.ts'
import { createMessages } from '../../src/messaging/messages.ts'
import { movedClock } from '../support/clock.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import {
  ACCEPTED,
  createTestMessenger,
  REQUEST,
  refused,
  type Scripted,
  scripted,
  UNKNOWN,
} from '../support/scripted-gateways.ts'

let database: TestDatabase
/** Stands still, so that a circuit is open for exactly as long as it says. */
let offset = 0
const clock = movedClock(() => offset, sql`timestamptz '2030-01-02 12:00:00+00'`)

beforeAll(async () => {
  database = await createTestDatabase()
})
beforeEach(async () => {
  offset = 0
  await sql`truncate message, gateway_state`.execute(database.db)
})
afterAll(() => database.destroy())

/** One instance of the provider, as far as messages go. */
const instance = (...gateways: Scripted[]) =>
  createTestMessenger({ db: database.db, clock, gateways })

async function state(gateway = 'g0') {
  const { rows } = await sql<{ failures: number; openings: number; seconds: number | null }>`
    select failures, openings, extract(epoch from open_until - ${clock()})::float8 as seconds
    from gateway_state where gateway = ${gateway}`.execute(database.db)
  return rows[0]
}

/** A gateway that answers as it is told, which may change. */
function changing(name: string, result: SendResult) {
  const held = { result }
  return Object.assign(
    scripted(name, async () => held.result),
    { held },
  )
}

test.each(['config', 'quota'] as const)(
  '%s opens it at once, and one is let through',
  async (failure) => {
    const gateway = changing('g0', refused(failure))
    const { send, lines, metrics } = instance(gateway)
    await send(REQUEST)
    expect(await state()).toEqual({ failures: 1, openings: 1, seconds: 0 })
    expect(lines.join()).toContain('gateway is left alone for a while')
    // Its turn has come at once, but not again.
    await send(REQUEST)
    expect(gateway.asked).toHaveLength(2)
    expect(await state()).toEqual({ failures: 2, openings: 2, seconds: 0.25 })
    expect(await send(REQUEST)).toEqual({ outcome: 'failed' })
    expect(gateway.asked).toHaveLength(2)
    expect(await metrics.render()).toContain('sallyport_gateway_open{gateway="g0"} 1')
    // It is said once.
    expect(lines.filter((line) => line.includes('left alone'))).toHaveLength(1)
    const { rows } = await sql`select gateway from message`.execute(database.db)
    expect(rows).toHaveLength(2)
  },
)

test.each([
  ['transient', refused('transient')],
  ['throttle', refused('throttle')],
  ['unknown', UNKNOWN],
] as const)('five times %s in a row open it', async (_, result) => {
  const gateway = changing('g0', result)
  const { send } = instance(gateway)
  const fail = async (times: number) => {
    for (let i = 0; i < times; i++) await send(REQUEST)
  }
  await fail(4)
  expect(await state()).toEqual({ failures: 4, openings: 0, seconds: null })
  gateway.held.result = ACCEPTED
  await send(REQUEST)
  expect(await state()).toEqual({ failures: 0, openings: 0, seconds: null })
  gateway.held.result = result
  await fail(4)
  expect(await state()).toMatchObject({ seconds: null })
  await fail(1)
  expect(await state()).toEqual({ failures: 5, openings: 1, seconds: 0 })
})

test.each(['recipient', 'sender', 'content'] as const)(
  'what is wrong with a message (%s) is no failure of the gateway',
  async (failure) => {
    const gateway = scripted('g0', refused(failure))
    const { send } = instance(gateway)
    for (let i = 0; i < 6; i++) await send(REQUEST)
    expect(gateway.asked).toHaveLength(6)
    expect(await state()).toBeUndefined()
  },
)

test('it is open for longer each time, up to a minute, by the clock of the database', async () => {
  const gateway = changing('g0', refused('config'))
  const { send } = instance(gateway)
  await send(REQUEST)
  const seconds: number[] = []
  for (let i = 0; i < 9; i++) {
    const asked = gateway.asked.length
    const rest = (await state())?.seconds ?? 0
    if (rest > 0) {
      offset += rest - 1
      await send(REQUEST)
      expect(gateway.asked).toHaveLength(asked)
      offset += 1
    }
    await send(REQUEST)
    expect(gateway.asked).toHaveLength(asked + 1)
    seconds.push((await state())?.seconds ?? 0)
  }
  expect(seconds).toEqual([0.25, 0.5, 1, 2, 4, 8, 16, 32, 60])
  // A good one closes it, and the next failure begins again.
  offset += 60
  gateway.held.result = ACCEPTED
  expect(await send(REQUEST)).toEqual({ outcome: 'accepted' })
  expect(await state()).toEqual({ failures: 0, openings: 0, seconds: null })
  gateway.held.result = refused('config')
  await send(REQUEST)
  expect(await state()).toEqual({ failures: 1, openings: 1, seconds: 0 })
})

test('one that has been open for days still lets messages go on to the next gateway', async () => {
  await sql`
    insert into gateway_state (gateway, failures, openings, open_until, failed_at)
    values ('g0', 5000, 5000, ${clock()}, ${clock()})`.execute(database.db)
  const [gateway, next] = [scripted('g0', refused('config')), scripted('g1', ACCEPTED)]
  expect(await instance(gateway, next).send(REQUEST)).toEqual({ outcome: 'accepted' })
  expect(gateway.asked).toHaveLength(1)
  expect(await state()).toEqual({ failures: 5001, openings: 5001, seconds: 60 })
})

test('tries that were under way when it opened do not make it open for longer', async () => {
  const gate = Promise.withResolvers<SendResult>()
  const gateway = scripted('g0', () => gate.promise, { timeoutMs: 20_000 })
  const { send } = instance(gateway)
  const all = Array.from({ length: 12 }, () => send(REQUEST))
  await vi.waitUntil(() => gateway.asked.length === 12, 20_000)
  gate.resolve(UNKNOWN)
  await Promise.all(all)
  expect(await state()).toMatchObject({ failures: 12, openings: 1, seconds: 0 })
})

test('a message that the gateway was never asked to send tells nothing of it', async () => {
  const names = { can: { senderKinds: ['name'] } } as const
  const gateway = scripted('g0', refused('config'), names)
  const { send } = instance(gateway)
  await send(REQUEST)
  await send(REQUEST)
  offset += 1
  const before = { ...(await state()) }
  // Names don't arrive there, so there is nothing to hand over.
  await send({ ...REQUEST, country: 'US' })
  expect(gateway.asked).toHaveLength(2)
  expect(await state()).toMatchObject({ failures: before.failures, openings: before.openings })
})

describe('two instances', () => {
  test('leave a gateway alone together, and come back together', async () => {
    const [here, there] = [changing('g0', refused('quota')), changing('g0', refused('quota'))]
    const [one, other] = [instance(here), instance(there)]
    await one.send(REQUEST)
    await other.send(REQUEST)
    expect([here.asked.length, there.asked.length]).toEqual([1, 1])
    await one.send(REQUEST)
    await other.send(REQUEST)
    expect([here.asked.length, there.asked.length]).toEqual([1, 1])
    offset += 1
    there.held.result = ACCEPTED
    expect(await other.send(REQUEST)).toEqual({ outcome: 'accepted' })
    here.held.result = ACCEPTED
    for (let i = 0; i < 3; i++) expect(await one.send(REQUEST)).toEqual({ outcome: 'accepted' })
    expect(here.asked).toHaveLength(4)
  })

  test('count failures in a row between them', async () => {
    const houses = [instance(scripted('g0', UNKNOWN)), instance(scripted('g0', UNKNOWN))]
    for (let i = 0; i < 5; i++) await houses[i % 2]?.send(REQUEST)
    expect(await state()).toEqual({ failures: 5, openings: 1, seconds: 0 })
  })

  test.each([
    ['goes well', ACCEPTED, { failures: 0, openings: 0, seconds: null }],
    ['fails', refused('config'), { failures: 2, openings: 2, seconds: 0.25 }],
  ] as const)('make one probe with 50 sends at once; it %s', async (_, result, after) => {
    await instance(scripted('g0', refused('config'))).send(REQUEST)
    const gate = Promise.withResolvers<SendResult>()
    const slow = { timeoutMs: 20_000 }
    const probed = [1, 2].map(() => scripted('g0', () => gate.promise, slow))
    const nexts = [1, 2].map(() => scripted('g1', ACCEPTED, slow))
    const houses = probed.flatMap((gateway, i) => (nexts[i] ? [instance(gateway, nexts[i])] : []))
    const all = Array.from({ length: 50 }, (_, i) => houses[i % 2]?.send(REQUEST))
    const asked = (gateways: Scripted[]) => gateways.flatMap((one) => one.asked).length
    await vi.waitUntil(() => asked(nexts) === 49, 20_000)
    expect(asked(probed)).toBe(1)
    gate.resolve(result)
    for (const outcome of await Promise.all(all)) expect(outcome).toEqual({ outcome: 'accepted' })
    expect(asked(probed)).toBe(1)
    expect(await state()).toEqual(after)
  })

  test('try again when the one that probes has ended amid it', async () => {
    await instance(scripted('g0', refused('config'))).send(REQUEST)
    const messages = createMessages({ db: database.db, clock })
    const begin = (id: string) =>
      messages.begin(
        {
          id,
          challengeId: null,
          phoneId: null,
          send: null,
          unasked: false,
          channel: 'sms',
          gateway: 'g0',
          country: null,
          parts: 1,
        },
        5,
      )
    expect(await begin('a')).toEqual({ probe: true })
    expect(await begin('b')).toBeUndefined()
    offset += 4
    expect(await begin('c')).toBeUndefined()
    offset += 1
    expect(await begin('d')).toEqual({ probe: true })
  })
})
