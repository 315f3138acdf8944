import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { createLocalJWKSet, generateKeyPair, jwtVerify, SignJWT, UnsecuredJWT } from 'jose'
import { sql } from 'kysely'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { later } from '../../src/db/clock.ts'
import { type House, PHONES, startHouse } from '../support/house.ts'
import { type Received, type Receiver, startReceiver } from '../support/receiver.ts'
import {
  CALLBACK,
  createSuiteClient,
  expectErrorPage,
  json,
  POST_LOGOUT,
  type SuiteOptions,
  type Tokens,
} from '../support/suite.ts'

const EVENT = 'http://schemas.openid.net/event/backchannel-logout'

let house: House
let first: { id: string; secret: string }
let other: { id: string; secret: string }
let told: Receiver
let deaf: Receiver
let document: Record<string, unknown>

beforeAll(async () => {
  told = await startReceiver()
  deaf = await startReceiver()
  house = await startHouse({
    env: { ISSUER: 'https://op.example', WEBHOOK_ALLOWED_HOSTS: '127.0.0.1' },
  })
  const settings = {
    redirectUris: [CALLBACK],
    postLogoutRedirectUris: [POST_LOGOUT],
    pkce: 'optional' as const,
  }
  first = await house.addClient('first', {
    ...settings,
    backchannelLogoutUri: `${told.url}/first`,
    backchannelLogoutSessionRequired: true,
  })
  other = await house.addClient('other', { ...settings, backchannelLogoutUri: deaf.url })
  await house.addAccount('alex')
  await house.addAccount('bo', PHONES[1])
  document = await json(`${house.url}/.well-known/openid-configuration`)
})
afterAll(async () => {
  await house.stop()
  await Promise.all([told.close(), deaf.close()])
})

let client: ReturnType<typeof createSuiteClient>
let tokens: Tokens
let state: string

beforeEach(async () => {
  for (const receiver of [told, deaf]) receiver.reset()
  client = suite()
  tokens = await client.complete()
  state = randomBytes(64).toString('base64url')
})

const suite = (more: Partial<SuiteOptions> = {}) =>
  createSuiteClient(house, { client: first, ...more })

/** Opens the end-session endpoint and, if it asks, says yes. */
async function endSession(params: Record<string, string>, { post = false } = {}) {
  const query = new URLSearchParams(params)
  const page = post
    ? await client.flow.post('/session/end', query, { origin: 'https://suite.example' })
    : await client.flow.request(`/session/end?${query}`)
  const asked = page.location ? await client.flow.request(page.location) : page
  const xsrf = /name="xsrf" value="(\w+)"/.exec(asked.html)?.[1]
  if (!xsrf) return asked
  return client.flow.post('/session/end/confirm', { xsrf, logout: 'yes' })
}

const hinted = () => ({
  id_token_hint: tokens.idToken,
  post_logout_redirect_uri: POST_LOGOUT,
  state,
})

async function expectSignedIn(yes: boolean): Promise<void> {
  const outcome = await suite({ jar: client.flow.jar }).authorize({ prompt: 'none' })
  if (yes) expect(outcome.callback?.get('code')).toBeTruthy()
  else expect(client.errorOf(outcome)).toBe('login_required')
}

describe('oidcc-rp-initiated-logout-certification-test-plan [OIDC-31]', () => {
  test('oidcc-rp-initiated-logout-discovery-endpoint-verification', () => {
    expect(document.end_session_endpoint).toMatch(/^https:\/\/op\.example\//)
  })

  test('oidcc-rp-initiated-logout: back with the state, and signed out; by a form as well', async () => {
    for (const post of [false, true]) {
      const { status, location } = await endSession(hinted(), { post })
      expect([status, location]).toEqual([303, `${POST_LOGOUT}?state=${state}`])
      await expectSignedIn(false)
      tokens = await client.complete()
    }
  })

  test.each([
    ['bad-post-logout-redirect-uri', { post_logout_redirect_uri: `${POST_LOGOUT}/bad` }],
    ['query-added-to-post-logout-redirect-uri', { post_logout_redirect_uri: `${POST_LOGOUT}?a=b` }],
  ])('oidcc-rp-initiated-logout-%s: a page, and nobody is sent on', async (_module, bent) => {
    expectErrorPage({ callback: undefined, page: await endSession({ ...hinted(), ...bent }) })
    await expectSignedIn(true)
  })

  test('oidcc-rp-initiated-logout-modified-id-token-hint, -bad-id-token-hint [OIDC-14]', async () => {
    const { privateKey } = await generateKeyPair('RS256')
    const unsigned = new UnsecuredJWT(tokens.claims).encode()
    const foreign = await new SignJWT(tokens.claims)
      .setProtectedHeader({ alg: 'RS256' })
      .sign(privateKey)
    for (const id_token_hint of [unsigned, foreign]) {
      const page = await endSession({ ...hinted(), id_token_hint })
      expectErrorPage({ callback: undefined, page })
      await expectSignedIn(true)
    }
  })

  test('oidcc-rp-initiated-logout-no-id-token-hint: out, but not sent to where nobody vouches for', async () => {
    const { location } = await endSession({ post_logout_redirect_uri: POST_LOGOUT, state })
    expect(location).toMatch(/^https:\/\/op\.example\//)
    await expectSignedIn(false)
  })

  test.each([
    ['no-params', () => ({})],
    ['no-post-logout-redirect-uri', () => ({ id_token_hint: tokens.idToken, state })],
    ['only-state', () => ({ state })],
  ])('oidcc-rp-initiated-logout-%s: out, with a page of ours', async (_module, params) => {
    const { location = '' } = await endSession(params())
    expect(location).toMatch(/^https:\/\/op\.example\//)
    expect((await client.flow.request(location)).status).toBe(200)
    await expectSignedIn(false)
  })

  test('oidcc-rp-initiated-logout-no-state: back without one', async () => {
    const { state: _left, ...params } = hinted()
    expect((await endSession(params)).location).toBe(POST_LOGOUT)
    await expectSignedIn(false)
  })
})

/** The claims of the logout token that came, which is checked as Back-Channel Logout 2.6 wants it. */
async function logoutToken({ headers, body }: Received, audience = first.id) {
  expect(headers['content-type']).toMatch(/^application\/x-www-form-urlencoded\b/)
  const form = new URLSearchParams(body)
  expect([...form.keys()]).toEqual(['logout_token'])
  const { keys } = await json(`${house.url}/jwks`)
  const { payload, protectedHeader } = await jwtVerify(
    form.get('logout_token') ?? '',
    createLocalJWKSet({ keys: Array.isArray(keys) ? keys : [] }),
    {
      issuer: house.issuer,
      audience,
      typ: 'logout+jwt',
      algorithms: ['RS256'],
      requiredClaims: ['iat', 'exp', 'jti', 'events', 'sub'],
      maxTokenAge: 60,
    },
  )
  expect(protectedHeader.kid).toMatch(/./)
  expect(payload.events).toEqual({ [EVENT]: {} })
  expect(payload).not.toHaveProperty('nonce')
  expect(Number(payload.exp) - Number(payload.iat)).toBeLessThanOrEqual(120)
  return payload
}

async function arrived(receiver: Receiver, count = 1): Promise<Received[]> {
  await expect.poll(() => receiver.requests.length, { timeout: 10_000 }).toBe(count)
  return receiver.requests
}

const events = async (type: string) =>
  (
    await house.db
      .selectFrom('audit_event')
      .select(['client_id'])
      .where('type', '=', type)
      .execute()
  ).length

describe('oidcc-backchannel-rp-initiated-logout-certification-test-plan [OIDC-32]', () => {
  test('oidcc-backchannel-logout-discovery-endpoint-verification', () => {
    expect(document).toMatchObject({
      backchannel_logout_supported: true,
      backchannel_logout_session_supported: true,
      end_session_endpoint: expect.stringMatching(/^https:/),
    })
  })

  test('oidcc-backchannel-rp-initiated-logout: told before the person is back, with the sub and sid of the ID token', async () => {
    const { location } = await endSession(hinted())
    expect(told.requests.map(({ path }) => path)).toEqual(['/hook/first'])
    const [request] = told.requests
    const { sub, sid } = request ? await logoutToken(request) : {}
    expect({ sub, sid }).toEqual({ sub: tokens.claims.sub, sid: tokens.claims.sid })
    expect(sid).toMatch(/./)
    expect(location).toBe(`${POST_LOGOUT}?state=${state}`)
    await expectSignedIn(false)
  })
})

describe('an app that is told of sign-outs [OIDC-32]', () => {
  test('holds up nobody when it hangs, and is told again, by a new token, as often as it takes', async () => {
    const theirs = suite({ client: other, jar: client.flow.jar })
    const { claims } = await theirs.complete()
    // Its registration asks for no sid.
    expect(claims.sid).toBeUndefined()
    deaf.answer = 'hang'
    const began = performance.now()
    expect((await endSession(hinted())).status).toBe(303)
    expect(performance.now() - began).toBeLessThan(3000)
    expect(await waiting('under way')).toBe(1)
    await expectSignedIn(false)
    expect(told.requests).toHaveLength(1)
    const [before] = await arrived(deaf)
    await expect.poll(() => waiting('under way'), { timeout: 10_000 }).toBe(0)
    expect(performance.now() - began).toBeLessThan(4000)

    deaf.answer = 500
    house.moveClock(90)
    await arrived(deaf, 2)
    deaf.answer = 204
    house.moveClock(90)
    const [, , after] = await arrived(deaf, 3)
    const [old, fresh] = await Promise.all(
      [before, after].map((request) => (request ? logoutToken(request, other.id) : undefined)),
    )
    expect(fresh?.sub).toBe(tokens.claims.sub)
    expect(fresh).not.toHaveProperty('sid')
    expect(fresh?.jti).not.toBe(old?.jti)
    await expect.poll(() => waiting()).toBe(0)
  })

  test('hears of sessions that end in other ways, and of none that goes on', async () => {
    const bos = suite({ person: { username: 'bo', phone: PHONES[1] } })
    const bo = await bos.complete()
    const mine = await suite().complete()
    const account = String(tokens.claims.sub)
    const sids = async () =>
      (await Promise.all(told.requests.map((request) => logoutToken(request)))).map(
        ({ sid }) => sid,
      )

    // One browser, as admins and people themselves end it; then all, as it follows from a change.
    const sessions = await house.rooms.sessions.list(account)
    expect(await house.rooms.sessions.end(account, sessions[0]?.uid ?? '')).toBe(true)
    await house.rooms.accounts.disable(account)
    await house.rooms.accounts.enable(account)
    await arrived(told, sessions.length)
    expect(await sids()).toEqual(expect.arrayContaining([tokens.claims.sid, mine.claims.sid]))
    expect(await sids()).not.toContain(bo.claims.sid)

    // Somebody else signs in in bo's browser: the provider ends bo's session by a form of its own.
    const { page } = await suite({ jar: bos.flow.jar }).authorize({ prompt: 'login' })
    const xsrf = /name="xsrf" value="([^"]+)"/.exec(page.html)?.[1] ?? ''
    await bos.flow.post('/session/end/confirm', { xsrf, logout: 'yes' })
    await arrived(told, sessions.length + 1)
    expect(await sids()).toContain(bo.claims.sid)
  })

  test('is sent nothing inside, neither at an address that came past the check nor where one leads', async () => {
    let reached = 0
    const inside = createServer((socket) => {
      reached++
      socket.destroy()
    })
    await once(inside.listen(0, '127.0.0.2'), 'listening')
    const address = inside.address()
    if (typeof address !== 'object' || !address) throw new Error('not listening on a port')
    const uri = `https://127.0.0.2:${address.port}/x`
    await sql`
      update client set metadata = jsonb_set(metadata, '{backchannel_logout_uri}', to_jsonb(${uri}::text))
      where id = ${first.id}`.execute(house.db)
    await suite({ client: other, jar: client.flow.jar }).complete()
    Object.assign(deaf, { answer: 307, location: uri })
    const logged = house.logged.length
    expect((await endSession(hinted())).status).toBe(303)
    await expectSignedIn(false)
    await expect.poll(() => waiting('under way')).toBe(0)
    expect([await waiting(), reached]).toEqual([2, 0])
    const lines = house.logged.slice(logged).join('')
    expect(lines).toContain('"problem":"the URL must not lead inside')
    expect(lines).toContain('"problem":"answered 307"')
    inside.close()
    await house.db.deleteFrom('logout_delivery').execute()
    await house.rooms.clients.patch(first.id, { backchannelLogoutUri: `${told.url}/first` })
  })

  test('is given up in the end, and that is on record', async () => {
    told.answer = 500
    await endSession(hinted())
    await house.db.updateTable('logout_delivery').set({ tries: 7 }).execute()
    house.moveClock(90)
    await expect.poll(() => events('logout.failed'), { timeout: 10_000 }).toBe(1)
    expect(await waiting()).toBe(0)
    expect(await events('logout.sent')).toBeGreaterThan(3)
  })

  test.each([
    ['http://127.0.0.2/x', 'must be an https: URL'],
    ['https://localhost/x', 'must not lead inside'],
    ['https://169.254.169.254/x', 'must not lead inside'],
    ['https://[::1]/x', 'must not lead inside'],
    ['https://rp.example/x#fragment', 'must have no user, password or fragment'],
    ['', 'is empty'],
  ])('isn’t one at %s: %s', async (backchannelLogoutUri, problem) => {
    await expect(house.rooms.clients.patch('first', { backchannelLogoutUri })).rejects.toThrow(
      problem,
    )
  })
})

/** How many are yet to be told, or are being told just now. */
async function waiting(how?: 'under way'): Promise<number> {
  const all = house.db.selectFrom('logout_delivery').select('id')
  // Past a failed try, the next one is due sooner.
  const tried = all.where('next_try_at', '>', later(house.clock, 30))
  return (await (how ? tried : all).execute()).length
}
