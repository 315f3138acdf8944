import { sql } from 'kysely'
import { pino } from 'pino'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { DeliveryState, Gateway } from '../../src/messaging/gateway.ts'
import { createWatch, firstLookSeconds, type Watch } from '../../src/messaging/watch.ts'
import { createWatchStatements, type WatchedMessage } from '../../src/messaging/watch-statements.ts'
import { movedClock } from '../support/clock.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import {
  ACCEPTED,
  carrying,
  createTestMessenger,
  REQUEST,
  scripted,
} from '../support/scripted-gateways.ts'

const WAIT = 20
const REPORTS = { addressed: 'account', read: () => ({ reports: [] }) } as const

let database: TestDatabase
let offset = 0
const clock = movedClock(() => offset, sql`timestamptz '2030-01-02 12:00:00+00'`)
const watches: Watch[] = []

beforeAll(async () => {
  database = await createTestDatabase()
})
beforeEach(async () => {
  offset = 0
  await sql`truncate message, gateway_state, gateway_report`.execute(database.db)
})
afterEach(async () => {
  for (const watch of watches.splice(0)) {
    watch.stop()
    await watch.idle()
  }
})
afterAll(() => database.destroy())

/** One instance, whose first gateway can be asked where `poll` is given and reports otherwise. */
function instance(poll?: Gateway['poll']) {
  const first = scripted('g0', ACCEPTED, { reports: REPORTS, poll })
  const house = createTestMessenger({
    db: database.db,
    clock,
    gateways: [first, scripted('g1', ACCEPTED, { reports: REPORTS })],
    calls: ['g0'],
  })
  const rerouted: WatchedMessage[] = []
  const watch = createWatch({
    db: database.db,
    clock,
    orders: house.orders,
    reports: house.reports,
    waitSeconds: WAIT,
    log: pino({ level: 'silent' }),
  })
  watches.push(watch)
  const answers = { sent: true, broken: false }
  return {
    ...house,
    rerouted,
    answers,
    /** Looks at all that is due. */
    async look(): Promise<void> {
      watch.start(async (message) => {
        if (answers.broken) throw new Error('the database is gone')
        rerouted.push(message)
        return answers.sent
      })
      await watch.idle()
    },
  }
}

async function rows() {
  const { rows } = await sql<{ state: string; overdue: boolean; seconds: number | null }>`
    select state, overdue, extract(epoch from watch_at - ${clock()})::float8 as seconds
    from message order by created_at, id`.execute(database.db)
  return rows
}

/** A gateway that tells one state after the other. */
function telling(...states: Array<DeliveryState | null>) {
  const asked: string[] = []
  const poll: Gateway['poll'] = async (providerId) => {
    const state = states[asked.push(providerId) - 1] ?? null
    return state && { providerId, state, key: `${providerId} ${state}` }
  }
  return { asked, poll }
}

describe('a message that was taken', () => {
  test('is sent by another way when its time is over, and then no more', async () => {
    const house = instance()
    await house.send(REQUEST)
    expect(await rows()).toEqual([{ state: 'accepted', overdue: false, seconds: WAIT }])
    offset += WAIT - 1
    await house.look()
    expect(house.rerouted).toEqual([])
    offset += 1
    await house.look()
    expect(house.rerouted).toMatchObject([
      { challenge_id: 'challenge-1', gateway: 'g0', channel: 'sms', country: 'SE', tried: ['g0'] },
    ])
    expect(await rows()).toEqual([{ state: 'accepted', overdue: false, seconds: null }])
    offset += 600
    await house.look()
    expect(house.rerouted).toHaveLength(1)
  })

  test('has more time where it is a call', async () => {
    const house = instance()
    const content = { channel: 'voice', speechIn: () => ({ language: 'en', parts: [] }) } as const
    await house.send({ ...REQUEST, content })
    offset += 89
    await house.look()
    expect(house.rerouted).toEqual([])
    offset += 1
    await house.look()
    expect(house.rerouted).toMatchObject([{ channel: 'voice' }])
  })

  test('is said to be overdue where there is no other way, until it arrives', async () => {
    const house = instance()
    house.answers.sent = false
    await house.send(REQUEST)
    offset += WAIT
    await house.look()
    expect(await rows()).toEqual([{ state: 'accepted', overdue: true, seconds: null }])
    await house.reports.record('g0', { providerId: 'p-1', state: 'delivered', key: 'k' })
    expect(await rows()).toEqual([{ state: 'delivered', overdue: false, seconds: null }])
  })

  test('is not waited for once its gateway says that it failed', async () => {
    const house = instance()
    await house.send(REQUEST)
    const wrong = { failure: 'recipient', fault: 'landline' } as const
    await house.reports.record('g0', { providerId: 'p-1', state: 'failed', key: 'k', ...wrong })
    await house.look()
    expect(house.rerouted).toMatchObject([{ state: 'failed', ...wrong }])
  })

  test('is let be once it was delivered', async () => {
    const house = instance()
    await house.send(REQUEST)
    await sql`update message set state = 'delivered'`.execute(database.db)
    offset += WAIT
    await house.look()
    expect(house.rerouted).toEqual([])
    expect(await rows()).toEqual([{ state: 'delivered', overdue: false, seconds: null }])
  })

  test('is asked after where its gateway can be, until it should have arrived', async () => {
    const gateway = telling('sent', null, 'sent')
    const house = instance(gateway.poll)
    await house.send(REQUEST)
    for (const seconds of [5, 10, 15]) {
      offset = seconds
      await house.look()
    }
    expect(gateway.asked).toEqual(['p-1', 'p-1', 'p-1'])
    expect(await rows()).toEqual([{ state: 'sent', overdue: false, seconds: 5 }])
    expect(house.rerouted).toEqual([])
    offset = WAIT
    await house.look()
    expect(house.rerouted).toMatchObject([{ state: 'sent' }])
  })

  test.each<[DeliveryState, number]>([
    ['delivered', 0],
    ['failed', 1],
  ])('is done with when its gateway, once asked, says %s', async (state, times) => {
    const house = instance(telling(state).poll)
    await house.send(REQUEST)
    offset = 5
    await house.look()
    expect(await rows()).toEqual([{ state, overdue: false, seconds: null }])
    expect(house.rerouted).toHaveLength(times)
  })

  test('waits its time where its gateway can’t be asked just now', async () => {
    const house = instance(async () => {
      throw new Error('down')
    })
    await house.send(REQUEST)
    offset = 5
    await house.look()
    expect(await rows()).toEqual([{ state: 'accepted', overdue: false, seconds: 5 }])
  })

  test('is looked at again where following it up failed', async () => {
    const house = instance()
    await house.send(REQUEST)
    offset += WAIT
    house.answers.broken = true
    await house.look()
    house.answers.broken = false
    await house.look()
    expect(house.rerouted).toEqual([])
    offset += 180
    await house.look()
    expect(house.rerouted).toHaveLength(1)
  })
})

test('several instances follow each message once between them', async () => {
  const houses = [instance(), instance(), instance()]
  for (let i = 0; i < 50; i++)
    await houses[i % 3]?.send({ ...REQUEST, carries: carrying(`challenge-${i}`) })
  offset += WAIT
  const follow = async () => {
    await Promise.all(houses.map(({ look }) => look()))
    return houses.flatMap(({ rerouted }) => rerouted.map((one) => one.challenge_id))
  }
  // One of them is amid taking some, and ends before it has.
  const taking = database.db.transaction().execute(async (trx) => {
    const { rows } = await createWatchStatements(clock).take(20).execute(trx)
    expect(rows).toHaveLength(20)
    expect(await follow()).toHaveLength(30)
    throw new Error('ends')
  })
  await expect(taking).rejects.toThrow('ends')
  const followed = await follow()
  expect(followed).toHaveLength(50)
  expect(new Set(followed).size).toBe(50)
})

test('a gateway that can be asked is asked soon; one that tells nothing is not waited for', () => {
  const { gateway } = scripted('g0', ACCEPTED)
  const [asked, reporting] = [
    { ...gateway, poll: async () => null },
    { ...gateway, reports: REPORTS },
  ]
  expect(firstLookSeconds(gateway, 'sms', WAIT)).toBeNull()
  expect(firstLookSeconds(reporting, 'sms', WAIT)).toBe(WAIT)
  expect(firstLookSeconds(asked, 'sms', WAIT)).toBe(5)
  expect(firstLookSeconds(asked, 'sms', 3)).toBe(3)
  // A call takes its time.
  expect(firstLookSeconds(reporting, 'voice', WAIT)).toBe(90)
  expect(firstLookSeconds(reporting, 'voice', 120)).toBe(120)
})
