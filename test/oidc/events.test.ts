import { sql } from 'kysely'
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { ACR, authenticationBy, PASSWORD_ALONE } from '../../src/oidc/acr.ts'
import { createRecords } from '../../src/oidc/records.ts'
import { createUnitsOfWork } from '../../src/oidc/unit-of-work.ts'
import { createFlow, type Flow } from '../support/flow.ts'
import { type House, startHouse } from '../support/house.ts'
import { conclude, now, settle } from '../support/interactions.ts'

let house: House
let app: { id: string; secret: string }
let alex: { id: string }
let seen = '0'

beforeAll(async () => {
  house = await startHouse()
  const grants = { grants: ['authorization_code' as const, 'refresh_token' as const] }
  app = await house.addClient('app', { secondFactor: 'optional', ...grants })
  await house.addClient('page', { public: true })
  await house.addClient('third', { firstParty: false, secondFactor: 'optional' })
  alex = await house.addAccount('alex', null)
})
afterAll(() => house.stop())

/** What of sessions and tokens was recorded since the last look. */
async function told(): Promise<Array<Record<string, unknown>>> {
  const rows = await house.db
    .selectFrom('audit_event')
    .select(['id', 'type', 'account_id', 'client_id', 'detail'])
    .where('id', '>', seen)
    .where('type', '~', '^(session|token|consent)[.]')
    .orderBy('id')
    .execute()
  seen = rows.at(-1)?.id ?? seen
  return rows.map(({ type, account_id, client_id, detail }) => ({
    type,
    account: account_id,
    client: client_id,
    ...detail,
  }))
}

beforeEach(told)

async function signIn(flow: Flow = createFlow(house, { client: app })) {
  await flow.begin()
  const query = await settle(house, flow, { accountId: alex.id, ts: now(), ...PASSWORD_ALONE })
  return { flow, code: query.get('code') ?? '' }
}

const refresh = (flow: Flow, token: unknown) =>
  flow.redeem('', { grant_type: 'refresh_token', refresh_token: String(token) })

describe('what is recorded (LOG-01)', () => {
  test('a sign-in, its tokens, and raising it', async () => {
    const { flow, code } = await signIn()
    const who = { account: alex.id, client: 'app' }
    expect(await told()).toEqual([
      { type: 'session.started', ...who, acr: ACR.password, amr: 'pwd' },
    ])
    const { body } = await flow.redeem(code)
    expect(await told()).toEqual([{ type: 'token.issued', ...who, grant: 'authorization_code' }])
    await refresh(flow, body.refresh_token)
    expect(await told()).toEqual([{ type: 'token.issued', ...who, grant: 'refresh_token' }])
    // A session that goes on is none that starts.
    await createFlow(house, { client: app, jar: flow.jar }).begin()
    expect(await told()).toEqual([])
    const stronger = createFlow(house, { client: app, jar: flow.jar })
    await stronger.begin({ acr_values: ACR.secondFactor })
    const how = authenticationBy('totp')
    await settle(house, stronger, { accountId: alex.id, ts: now(), ...how })
    expect(await told()).toEqual([
      { type: 'session.renewed', ...who, acr: how.acr, amr: 'pwd otp mfa' },
    ])
  })

  test('a login is one event, also when a consent page follows', async () => {
    const flow = createFlow(house, { client: { id: 'third', secret: '' } })
    await flow.begin()
    const login = { accountId: alex.id, ts: now(), ...PASSWORD_ALONE }
    const { location = '' } = await conclude(house, flow, login)
    await flow.arrive(location)
    expect((await flow.resume(await flow.step('consent'))).get('code')).toBeTruthy()
    const events = await told()
    expect(events.filter(({ type }) => String(type).startsWith('session'))).toHaveLength(1)
  })

  test('signing out', async () => {
    const { flow } = await signIn()
    await told()
    const page = await flow.request('/session/end')
    const xsrf = /name="xsrf" value="([^"]+)"/.exec(page.html)?.[1] ?? ''
    await flow.post('/session/end/confirm', { xsrf })
    expect(await told()).toEqual([])
    const again = await flow.request('/session/end')
    const second = /name="xsrf" value="([^"]+)"/.exec(again.html)?.[1] ?? ''
    await flow.post('/session/end/confirm', { xsrf: second, logout: 'yes' })
    expect(await told()).toMatchObject([{ type: 'session.ended', account: alex.id }])
  })

  test('a code or a refresh token that comes again, once', async () => {
    const who = { account: alex.id, client: 'app' }
    const reused = { type: 'token.reused', ...who }
    const first = await signIn()
    await first.flow.redeem(first.code)
    await told()
    for (let i = 0; i < 2; i++) expect((await first.flow.redeem(first.code)).status).toBe(400)
    expect((await told()).filter(({ type }) => type === 'token.reused')).toEqual([reused])

    const second = await signIn()
    const { body } = await second.flow.redeem(second.code)
    await refresh(second.flow, body.refresh_token)
    await told()
    await refresh(second.flow, body.refresh_token)
    expect(await told()).toContainEqual(reused)
  })

  test('a code that comes twice at once: what was issued and what was taken back', async () => {
    const { code } = await signIn()
    await told()
    const { db, rooms } = house
    const clock = () => sql<Date>`now()`
    const units = createUnitsOfWork(createRecords({ ...rooms, db, clock }))
    // Both have looked before either has stored what came of it.
    const both = Promise.withResolvers<void>()
    let looked = 0
    const outcomes = await Promise.allSettled(
      [1, 2].map(() =>
        units.run(async () => {
          const unit = units.current()
          await unit.find('AuthorizationCode', code)
          if (++looked === 2) both.resolve()
          await both.promise
          unit.consume('AuthorizationCode', code)
          unit.tell({ type: 'token.issued', accountId: alex.id, clientId: 'app' })
        }),
      ),
    )
    expect(outcomes.map(({ status }) => status).toSorted()).toEqual(['fulfilled', 'rejected'])
    const who = { account: alex.id, client: 'app' }
    expect(await told()).toEqual([
      { type: 'token.issued', ...who },
      { type: 'token.reused', ...who },
    ])
  })

  test('a refusal, to a client that showed its secret or that is slowed down for guessing it', async () => {
    const client = await house.addClient('guessed')
    await createFlow(house, { client }).redeem('no code')
    const refused = { type: 'token.refused', account: null, client: 'guessed' }
    expect(await told()).toEqual([{ ...refused, error: 'invalid_grant' }])
    const guesser = createFlow(house, { client: { id: 'guessed', secret: 'wrong' } })
    for (let i = 0; i < 15; i++) await guesser.redeem('no code')
    const events = await told()
    expect(events.length).toBeLessThan(15)
    expect(events[0]).toEqual({ ...refused, error: 'invalid_client' })
  })

  test('a refusal once an hour for each client and error, however often it comes', async () => {
    const { id, secret } = await house.addClient('looping', {
      grants: ['authorization_code', 'refresh_token'],
    })
    const looping = createFlow(house, { client: { id, secret } })
    const refused = { type: 'token.refused', account: null, client: id }
    // One that couldn't be recorded doesn't count.
    await sql`alter table audit_event rename to audit_event_away`.execute(house.db)
    expect((await refresh(looping, 'x')).status).toBeGreaterThanOrEqual(500)
    await sql`alter table audit_event_away rename to audit_event`.execute(house.db)
    for (let i = 0; i < 3; i++) expect((await refresh(looping, 'x')).status).toBe(400)
    await looping.redeem('', { grant_type: 'password' })
    expect(await told()).toEqual([
      { ...refused, error: 'invalid_grant' },
      { ...refused, error: 'unsupported_grant_type' },
    ])
    vi.useFakeTimers({ toFake: ['performance'] })
    vi.advanceTimersByTime(2 * 3_600_000)
    await refresh(looping, 'x')
    vi.useRealTimers()
    expect(await told()).toEqual([{ ...refused, error: 'invalid_grant' }])
  })

  test('no waiting of a device for its person', async () => {
    const tv = await house.addClient('tv', { grants: ['device_code'], redirectUris: [] })
    const ask = async (path: string, fields: Record<string, string>) => {
      const authorization = `Basic ${btoa(`${tv.id}:${tv.secret}`)}`
      const body = new URLSearchParams(fields)
      const answer = await fetch(house.url + path, {
        method: 'POST',
        headers: { authorization },
        body,
      })
      const said: Record<string, string> = JSON.parse(await answer.text())
      return said
    }
    const { device_code: code = '' } = await ask('/device/auth', { scope: 'openid' })
    const grant = 'urn:ietf:params:oauth:grant-type:device_code'
    const poll = () => ask('/token', { grant_type: grant, device_code: code })
    expect((await poll()).error).toBe('authorization_pending')
    expect((await poll()).error).toBe('slow_down')
    expect(await told()).toEqual([])
  })

  test('nothing for what anybody may send: unknown clients, and public ones', async () => {
    for (const id of ['nobody', 'page']) {
      const flow = createFlow(house, { client: { id, secret: '' } })
      await flow.redeem('no code', { client_id: id })
      await fetch(`${house.url}/token`, {
        method: 'POST',
        body: new URLSearchParams({
          grant_type: 'authorization_code',
          client_id: id,
          code: 'x',
          redirect_uri: 'https://rp.example/cb',
          code_verifier: flow.verifier,
        }),
      })
    }
    expect(await told()).toEqual([])
  })

  test('no token, code or id of a session is in it (LOG-02)', async () => {
    const { flow, code } = await signIn()
    const { body } = await flow.redeem(code)
    const all = JSON.stringify(await house.db.selectFrom('audit_event').selectAll().execute())
    const cookies = (await flow.jar.getCookies(house.issuer)).map(({ value }) => value)
    for (const secret of [code, body.access_token, body.refresh_token, ...cookies])
      expect(all).not.toContain(String(secret))
  })
})
