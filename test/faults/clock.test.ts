import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { sql } from 'kysely'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Child, killChildren } from '../support/children.ts'
import { claimsOf, createFlow } from '../support/flow.ts'
import { type House, PHONES, startHouse } from '../support/house.ts'
import { startInstance } from '../support/instance.ts'

const WRONG_CLOCK = pathToFileURL(join(import.meta.dirname, '../support/wrong-clock.ts')).href
const MINUTE = 60
/** An ID token's life. */
const LIFE = 15 * MINUTE
/** Far more than a test takes, and far less than any of the clocks is off. */
const SANE = 2 * MINUTE

let house: House
let wrong: Child & { url: string }
let app: { id: string; secret: string }

beforeAll(async () => {
  house = await startHouse()
  app = await house.addClient('app', { grants: ['authorization_code', 'refresh_token'] })
  await house.addAccount('alex')
  wrong = await startInstance(house, {
    NODE_OPTIONS: `--import=${WRONG_CLOCK}`,
    CLOCK_OFF_SECONDS: String(10 * MINUTE),
    CLOCK_JUMPS_TO_SECONDS: String(-60 * MINUTE),
  })
})
afterAll(async () => {
  await killChildren()
  await house.stop()
})

/** A browser whose requests go to the two instances by turns, beginning at one of them. */
function byTurns(first: 'right' | 'wrong') {
  const urls = first === 'right' ? [house.url, wrong.url] : [wrong.url, house.url]
  const flow = createFlow(house, { client: app })
  let turn = 0
  return Object.defineProperty(flow, 'url', { get: () => urls[turn++ % 2] })
}

async function expectTellsTimeOfDatabase(): Promise<void> {
  for (const first of ['right', 'wrong'] as const) {
    const flow = byTurns(first)
    await flow.toCode('alex')
    const query = await flow.resume(await flow.code(house.lastCode()))
    const { status, body } = await flow.redeem(query.get('code') ?? '')
    expect(status, JSON.stringify(body)).toBe(200)
    const { iat, exp, auth_time } = claimsOf(body)
    for (const time of [iat, auth_time])
      expect(Math.abs(Number(time) - house.now())).toBeLessThan(SANE)
    expect(Number(exp) - Number(iat)).toBe(LIFE)
    const refreshed = await flow.redeem('', {
      grant_type: 'refresh_token',
      refresh_token: String(body.refresh_token),
    })
    expect(refreshed.status).toBe(200)
    // And the browser's session, at both.
    for (let round = 0; round < 2; round++) {
      const silent = await flow.request(flow.authorizationUrl({ prompt: 'none', max_age: '600' }))
      expect(silent.location).toContain('code=')
    }
  }
}

/** However wrong the clock: what is over is over, there as here. */
async function expectOverIsOver(): Promise<void> {
  const flow = createFlow(house, { client: app, url: wrong.url })
  await flow.toCode('alex')
  await sql`update challenge set expires_at = now() - interval '1 second'`.execute(house.db)
  const late = await flow.code(house.lastCode())
  expect(late.location).toBeUndefined()
  expect(late.html).toContain('data-code="expired"')

  const old = createFlow(house, { client: app, url: wrong.url })
  const query = await old.complete('alex')
  await sql`
    update oidc_record set expires_at = now() - interval '1 second'
    where model = 'AuthorizationCode'`.execute(house.db)
  expect((await old.redeem(query.get('code') ?? '')).body.error).toBe('invalid_grant')
}

/** An age below nothing would be young enough for anybody. */
async function expectNoAgeBelowNothing(): Promise<void> {
  const flow = createFlow(house, { client: app })
  // A while ago, by the database's clock.
  house.moveClock(-3)
  await flow.complete('alex')
  house.moveClock(3)
  flow.url = wrong.url
  const asked = await flow.request(flow.authorizationUrl({ max_age: '1' }))
  expect(asked.location).toContain('/interaction/')
}

describe('an instance whose clock is ten minutes ahead', () => {
  test('goes by the database’s, from the first page to the tokens (AVL-12, input 112)', async () => {
    await expectTellsTimeOfDatabase()
    await expectOverIsOver()
    expect(wrong.out).toContain('the clock of this machine')
  })
})

describe('an instance whose clock is set back by more than an hour while it serves', () => {
  test('goes on by the database’s, at once (AVL-13)', async () => {
    wrong.process.kill('SIGUSR2')
    await wrong.says('the clock was set')
    await expectTellsTimeOfDatabase()
    await expectOverIsOver()
    await expectNoAgeBelowNothing()
  })
})

describe('a database whose clock is set back by two hours', () => {
  test('locks and limits hold, and each ends when it would have (AVL-13)', async () => {
    const back = await startHouse({ beside: house, env: { SMS_LIMIT_PHONE_HOUR: '2' } })
    const newFlow = () => createFlow(house, { client: app, url: back.url })
    const enter = async (username: string) => {
      const flow = newFlow()
      await flow.begin()
      return (await flow.password(username)).status
    }
    try {
      await house.addAccount('guessed', PHONES[1])
      await house.addAccount('texted', PHONES[2])
      const stranger = newFlow()
      await stranger.begin()
      for (let guess = 0; guess < 10; guess++) await stranger.password('guessed', `not ${guess}`)
      const outcomes = async () => [
        (await stranger.password('guessed')).status,
        await enter('texted'),
      ]
      expect([await enter('texted'), await enter('texted')]).toEqual([303, 303])
      expect(await outcomes()).toEqual([401, 429])
      back.moveClock(-120 * MINUTE)
      expect(await outcomes()).toEqual([401, 429])
      back.moveClock(121 * MINUTE)
      expect(await outcomes()).toEqual([303, 429])
      back.moveClock(65 * MINUTE)
      expect(await enter('texted')).toBe(303)
    } finally {
      await back.stop()
    }
  })
})
