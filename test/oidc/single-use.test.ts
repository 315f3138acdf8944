import { setTimeout as pause } from 'node:timers/promises'
import { sql } from 'kysely'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { createFlow, type Flow } from '../support/flow.ts'
import { type House, startHouse } from '../support/house.ts'

let house: House
let beside: House
let app: { id: string; secret: string }
let flow: Flow

beforeAll(async () => {
  house = await startHouse()
  beside = await startHouse({ beside: house })
  app = await house.addClient('app', { grants: ['authorization_code', 'refresh_token'] })
  await house.addAccount('alex')
})
beforeEach(() => {
  flow = createFlow(house, { client: app })
})
afterAll(async () => {
  await beside.stop()
  await house.stop()
})

type Tokens = Awaited<ReturnType<Flow['redeem']>>

/**
 * Two requests, one to each instance, that have both read the record before either has used it: the
 * moment at which only the database can tell them apart.
 */
async function atTheSameMoment(model: string, request: () => Promise<Tokens>): Promise<Tokens[]> {
  return house.db
    .transaction()
    .execute(async (trx) => {
      await trx
        .selectFrom('oidc_record')
        .select('key')
        .where('model', '=', model)
        .forUpdate()
        .execute()
      const both = [house, beside].map(({ url }) => {
        flow.url = url
        return request()
      })
      while ((await waiting()) < 2) await pause(10)
      return { both }
    })
    .then(({ both }) => Promise.all(both))
}

async function waiting(): Promise<number> {
  const { rows } = await sql<{ count: number }>`
    select count(*)::int as count from pg_stat_activity
    where datname = current_database() and wait_event_type = 'Lock'`.execute(house.db)
  return rows[0]?.count ?? 0
}

const refresh = (token: unknown) =>
  flow.redeem('', { grant_type: 'refresh_token', refresh_token: String(token) })

async function expectOneAndDead(answers: Tokens[]): Promise<void> {
  expect(answers.map(({ status }) => status).toSorted()).toEqual([200, 400])
  const won = answers.find(({ status }) => status === 200)
  const lost = answers.find(({ status }) => status === 400)
  expect(lost?.body.error).toBe('invalid_grant')
  const me = await fetch(`${house.url}/me`, {
    headers: { authorization: `Bearer ${won?.body.access_token}` },
  })
  expect(me.status).toBe(401)
  await me.text()
  expect((await refresh(won?.body.refresh_token)).body.error).toBe('invalid_grant')
}

test('a code that two instances redeem at the same moment works once, and gives nothing that lasts (OIDC-05, OIDC-06)', async () => {
  const code = (await flow.complete('alex')).get('code') ?? ''
  await expectOneAndDead(await atTheSameMoment('AuthorizationCode', () => flow.redeem(code)))
})

test('a refresh token that two instances take at the same moment works once, and its family is dead (OIDC-08)', async () => {
  const { body } = await flow.redeem((await flow.complete('alex')).get('code') ?? '')
  const answers = await atTheSameMoment('RefreshToken', () => refresh(body.refresh_token))
  await expectOneAndDead(answers)
})

test('a refresh token used before an instance starts is known to it, and its family is dead (OIDC-08)', async () => {
  const { body } = await flow.redeem((await flow.complete('alex')).get('code') ?? '')
  const { body: renewed } = await refresh(body.refresh_token)
  const started = await startHouse({ beside: house })
  flow.url = started.url
  expect((await refresh(body.refresh_token)).body.error).toBe('invalid_grant')
  expect((await refresh(renewed.refresh_token)).body.error).toBe('invalid_grant')
  await started.stop()
})

test('refresh tokens end 14 days after the first, however often they are changed (OIDC-09)', async () => {
  const DAY = 86_400
  const away = { scope: 'openid offline_access', prompt: 'consent' }
  const ours = await house.addClient('away', { grants: ['authorization_code', 'refresh_token'] })
  flow = createFlow(house, { client: ours })
  await flow.toCode('alex', away)
  const answer = await flow.code(house.lastCode())
  const page = await flow.request(answer.location ?? '')
  await flow.arrive(page.location ?? '')
  const query = await flow.resume(await flow.step('consent'))
  let { body } = await flow.redeem(query.get('code') ?? '')
  for (let days = 0; days < 12; days += 4) {
    house.moveClock(4 * DAY)
    ;({ body } = await refresh(body.refresh_token))
    expect(body.refresh_token).toBeTruthy()
  }
  house.moveClock(3 * DAY)
  expect((await refresh(body.refresh_token)).body.error).toBe('invalid_grant')
})
