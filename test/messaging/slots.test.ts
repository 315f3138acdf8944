import { setTimeout as sleep } from 'node:timers/promises'
import { sql } from 'kysely'
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { databaseClock } from '../../src/db/clock.ts'
import type { SendResult } from '../../src/messaging/gateway.ts'
import { createSlots } from '../../src/messaging/slots.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import {
  ACCEPTED,
  createTestMessenger,
  REQUEST,
  type Scripted,
  scripted,
  UNKNOWN,
} from '../support/scripted-gateways.ts'

describe('slots', () => {
  const LONG = 20_000

  test('let so many in, and the others in the order they came', async () => {
    const { enter, leave } = createSlots(2)
    expect([await enter(LONG), await enter(LONG)]).toEqual([true, true])
    const order: string[] = []
    const waiting = ['a', 'b', 'c'].map(async (name) => {
      const room = await enter(LONG)
      order.push(name)
      return room
    })
    leave()
    expect(await waiting[0]).toBe(true)
    expect(order).toEqual(['a'])
    leave()
    leave()
    expect(await Promise.all(waiting)).toEqual([true, true, true])
    expect(order).toEqual(['a', 'b', 'c'])
  })

  test('give no place to who no longer waits, and lose none', async () => {
    const { enter, leave } = createSlots(1)
    expect(await enter(LONG)).toBe(true)
    const patient = [enter(LONG)]
    expect(await enter(1)).toBe(false)
    patient.push(enter(LONG))
    leave()
    expect(await patient[0]).toBe(true)
    leave()
    expect(await patient[1]).toBe(true)
    leave()
    expect(await enter(0)).toBe(true)
    expect(await enter(0)).toBe(false)
  })
})

describe('a hundred sends at once', () => {
  const CAP = 32
  let database: TestDatabase

  beforeAll(async () => {
    database = await createTestDatabase()
  })
  beforeEach(async () => {
    await sql`truncate message, gateway_state`.execute(database.db)
  })
  afterAll(() => database.destroy())

  const house = (...gateways: Scripted[]) =>
    createTestMessenger({ db: database.db, clock: databaseClock, gateways })

  /** Answers nothing until its time-out, and counts how many wait for it. */
  function hanging(timeoutMs: number) {
    const seen = { now: 0, most: 0 }
    const gateway = scripted(
      'hanging',
      async (signal) => {
        seen.now += 1
        seen.most = Math.max(seen.most, seen.now)
        await sleep(60_000, undefined, { signal }).catch(() => {})
        seen.now -= 1
        return UNKNOWN
      },
      { timeoutMs },
    )
    return Object.assign(gateway, { seen })
  }

  const hundred = (send: () => Promise<unknown>) => Promise.all(Array.from({ length: 100 }, send))

  test('are no more than the cap at a gateway that hangs, and go by the next one', async () => {
    const slow = hanging(1000)
    const next = scripted('next', ACCEPTED, { timeoutMs: 20_000 })
    const { send, lines } = house(slow, next)
    const outcomes = await hundred(() => send(REQUEST))
    expect(slow.seen.now).toBe(0)
    expect(slow.seen.most).toBeLessThanOrEqual(CAP)
    expect(next.asked).toHaveLength(100)
    expect(outcomes).toEqual(new Array(100).fill({ outcome: 'accepted' }))
    expect(lines.join()).toContain('gateway busy')
  })

  test('all end where there is no other gateway', async () => {
    const slow = hanging(1000)
    const { send } = house(slow)
    const outcomes = await hundred(() => send(REQUEST))
    expect(slow.seen.now).toBe(0)
    expect(slow.seen.most).toBeLessThanOrEqual(CAP)
    expect(outcomes).not.toContainEqual({ outcome: 'accepted' })
  })

  test('are not sent late: whoever waited past the expiry goes by no gateway (AVL-21)', async () => {
    const gate = Promise.withResolvers<SendResult>()
    const gateway = scripted('g0', () => gate.promise, { timeoutMs: 20_000 })
    const { send } = house(gateway)
    const lasting = Array.from({ length: CAP }, () => send(REQUEST))
    await vi.waitUntil(() => gateway.asked.length === CAP, 20_000)
    const short = await Promise.all(
      Array.from({ length: 20 }, () => send({ ...REQUEST, expiresInSeconds: 0.2 })),
    )
    expect(short).toEqual(new Array(20).fill({ outcome: 'failed' }))
    gate.resolve(ACCEPTED)
    expect(await Promise.all(lasting)).toEqual(new Array(CAP).fill({ outcome: 'accepted' }))
    expect(gateway.asked).toHaveLength(CAP)
  })
})
