import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Answer, claimsOf, createFlow } from '../support/flow.ts'
import { type House, REDIRECT_URI, startHouse } from '../support/house.ts'
import { holding, inTurn, untilWaiting } from '../support/turns.ts'

let house: House
let app: { id: string; secret: string }

beforeAll(async () => {
  house = await startHouse()
  app = await house.addClient()
  await house.addAccount('alex')
})
afterAll(() => house.stop())

/** Lets requests run until each waits to write a record of the model, and then lets them all go on. */
async function heldUp<T>(model: string, count: number, requests: () => Promise<T>[]): Promise<T[]> {
  const { answers } = await holding(house, model, async () => {
    const answers = requests()
    await untilWaiting(house, count)
    return { answers }
  })
  return Promise.all(answers)
}

async function sessions(): Promise<number> {
  const rows = await house.db
    .selectFrom('oidc_record')
    .select('key')
    .where('model', '=', 'Session')
    .execute()
  return rows.length
}

const isCode = ({ location }: Answer) =>
  location?.startsWith(REDIRECT_URI) && location.includes('code=')

test('of resumes of one interaction at the same moment one gives a session and a code (CHL-03)', async () => {
  const flow = createFlow(house, { client: app })
  await flow.toCode('alex')
  const { location = '' } = await flow.code(house.lastCode())
  const cookie = await flow.jar.getCookieString(location)
  const before = await sessions()
  const answers = await heldUp('Interaction', 6, () =>
    Array.from({ length: 6 }, () => createFlow(house).request(location, { headers: { cookie } })),
  )
  expect(answers.filter(isCode)).toHaveLength(1)
  // The others are asked to look again, with no cookie of theirs, and find that it is over.
  const others = answers.filter((answer) => !isCode(answer))
  expect(new Set(others.map(({ status }) => status))).toEqual(new Set([303]))
  expect(others.flatMap(({ headers }) => headers.getSetCookie())).toEqual([])
  const late = await createFlow(house).request(others[0]?.location ?? '', { headers: { cookie } })
  expect(late.status).toBe(400)
  expect(await sessions()).toBe(before + 1)
})

test('signing out beside another request of the session stays signed out (SES-05)', async () => {
  const flow = createFlow(house, { client: app })
  await flow.complete('alex')
  const beside = createFlow(house, { client: app, jar: await flow.jar.clone() })
  const page = await flow.request('/session/end')
  const xsrf = /name="xsrf" value="([^"]+)"/.exec(page.html)?.[1] ?? ''
  await heldUp('Session', 2, () => [
    beside.request(beside.authorizationUrl({ prompt: 'none' })),
    flow.post('/session/end/confirm', { xsrf, logout: 'yes' }),
  ])
  const after = createFlow(house, { client: app, jar: beside.jar })
  expect((await after.begin({ prompt: 'none' })).location).toContain('login_required')
})

describe.each(['before', 'after'])('when all sessions of an account end (SES-07)', (order) => {
  /** The end of all, and beside it what would store another session. */
  async function ending(id: string, model: string, other: () => Promise<Answer>): Promise<Answer> {
    const end = () => house.rooms.sessions.endAllOf(id)
    if (order === 'before') return (await inTurn(house, model, other, end))[0]
    return (await inTurn(house, model, end, other))[1]
  }

  test(`one that got a new id just ${order} is among them`, async () => {
    const { id } = await house.addAccount(`moving-${order}`)
    const flow = createFlow(house, { client: app })
    await flow.complete(`moving-${order}`)
    const page = await flow.request('/session/end?client_id=sallyport-account')
    const xsrf = /name="xsrf" value="([^"]+)"/.exec(page.html)?.[1] ?? ''
    await ending(id, 'Session', () => flow.post('/session/end/confirm', { xsrf }))
    expect(await house.rooms.sessions.list(id)).toEqual([])
    const next = createFlow(house, { client: app, jar: flow.jar })
    expect((await next.begin({ prompt: 'none' })).location).toContain('login_required')
  })

  test(`a sign-in that finishes just ${order} is among them`, async () => {
    const { id } = await house.addAccount(`late-${order}`)
    const flow = createFlow(house, { client: app })
    await flow.toCode(`late-${order}`)
    const { location = '' } = await flow.code(house.lastCode())
    const answer = await ending(id, 'Interaction', () => flow.request(location))
    expect(Boolean(isCode(answer))).toBe(order === 'before')
    const left = house.db.selectFrom('oidc_record').where('account_id', '=', id)
    expect(await left.select('model').execute()).toEqual([])
  })
})

test('two tabs that finish at the same moment both get there, each by the code of its own text (CHL-20, CHL-23)', async () => {
  const first = createFlow(house, { client: app })
  await first.complete('alex')
  const open = async () => {
    const tab = createFlow(house, { client: app, jar: first.jar })
    await tab.toCode('alex', { prompt: 'login' })
    return { tab, code: house.lastCode() }
  }
  const tabs = [await open(), await open()]
  const typed = await Promise.all(
    tabs.map(async ({ tab, code }) => ({ tab, ...(await tab.code(code)) })),
  )
  // The right code that comes first ends what else this browser was asked: the other tab gets another text.
  expect(typed.map(({ status }) => status).toSorted()).toEqual([303, 400])
  const ways = await Promise.all(
    typed.map(async ({ tab, location }) => {
      if (location) return { tab, back: location }
      await tab.step('restart')
      await tab.password('alex')
      const { location: back = '' } = await tab.code(house.lastCode())
      return { tab, back }
    }),
  )
  const ends = await heldUp('Session', 2, () =>
    ways.map(async ({ tab, back }) => ({ tab, back, answer: await tab.request(back) })),
  )
  // Of two that store the session at once, one is asked to look again.
  expect(ends.filter(({ answer }) => isCode(answer))).toHaveLength(1)
  for (const { tab, back, answer } of ends) {
    if (!isCode(answer)) expect([answer.status, answer.location]).toEqual([303, back])
    const code = (await tab.resume(answer)).get('code') ?? ''
    expect((await tab.redeem(code)).status).toBe(200)
  }
})

test('claims asked for by name are limited by the client’s scopes, first-party or not', async () => {
  const claims = JSON.stringify({
    id_token: { email: null },
    userinfo: { email: null, name: null, phone_number: { essential: true } },
  })
  for (const firstParty of [true, false]) {
    const bare = await house.addClient(`bare-${firstParty}`, { scope: ['openid'], firstParty })
    const flow = createFlow(house, { client: bare })
    await flow.toCode('alex', { claims })
    let answer = await flow.code(house.lastCode())
    if (!firstParty) {
      answer = await flow.request(answer.location ?? '')
      const page = await flow.arrive(answer.location ?? '')
      expect(page.html).not.toMatch(/email|phone_number/)
      answer = await flow.step('consent')
    }
    const query = await flow.resume(answer)
    const { body } = await flow.redeem(query.get('code') ?? '')
    expect(claimsOf(body)).not.toHaveProperty('email')
    const info = await fetch(`${house.url}/me`, {
      headers: { authorization: `Bearer ${body.access_token}` },
    })
    expect(Object.keys(JSON.parse(await info.text()))).toEqual(['sub'])
  }
})

test('a claim within the client’s scopes is given when it is asked for by name, the phone too', async () => {
  const flow = createFlow(house, { client: await house.addClient('full') })
  const query = await flow.complete('alex', undefined, {
    claims: JSON.stringify({ userinfo: { phone_number: null, email: null } }),
  })
  const { body } = await flow.redeem(query.get('code') ?? '')
  const info = await fetch(`${house.url}/me`, {
    headers: { authorization: `Bearer ${body.access_token}` },
  })
  expect(JSON.parse(await info.text())).toMatchObject({
    phone_number: '+46701234567',
    email: 'alex@example.com',
  })
})

test('a single-page app calls what it needs from its own origin, and nobody else’s page can read an answer [OIDC-37]', async () => {
  const page = { id: 'page', secret: '' }
  const own = 'https://spa.example'
  await house.addClient('page', { public: true, redirectUris: [REDIRECT_URI, `${own}/cb`] })
  const flow = createFlow(house, { client: page })
  const query = await flow.complete('alex')
  const call = async (path: string, origin: string, init: RequestInit = {}) => {
    const headers = { ...init.headers, origin }
    const answer = await fetch(`${house.url}${path}`, { method: 'POST', ...init, headers })
    const text = await answer.text()
    return { status: answer.status, for: answer.headers.get('access-control-allow-origin'), text }
  }
  const form = (fields: Record<string, string>) => ({
    body: new URLSearchParams({ client_id: 'page', ...fields }),
  })
  const redeem = form({
    grant_type: 'authorization_code',
    code: query.get('code') ?? '',
    redirect_uri: REDIRECT_URI,
    code_verifier: flow.verifier,
  })
  const { text } = await call('/token', own, redeem)
  const token = String(JSON.parse(text).access_token)
  const info = { method: 'GET', headers: { authorization: `Bearer ${token}` } }
  const needed = { '/me': info, '/token': redeem, '/token/revocation': form({ token: 'x' }) }
  const others = {
    '/request': form(Object.fromEntries(new URL(flow.authorizationUrl(), own).searchParams)),
    '/device/auth': form({ scope: 'openid' }),
    '/token/introspection': form({ token }),
  }
  const preflight = {
    method: 'OPTIONS',
    headers: { 'access-control-request-method': 'POST', 'access-control-request-headers': 'dpop' },
  }

  for (const [path, init] of Object.entries(needed)) {
    expect((await call(path, own, preflight)).for, path).toBe(own)
    const answer = await call(path, own, init)
    // A code is redeemed once.
    expect([answer.status, answer.for], path).toEqual([path === '/token' ? 400 : 200, own])
    for (const origin of ['https://evil.example', 'null', `${own}.evil.example`]) {
      const refused = await call(path, origin, init)
      expect([refused.status, refused.for], path).toEqual([400, null])
      expect(refused.text).toContain('not allowed for client')
    }
  }
  for (const [path, init] of Object.entries(others)) {
    expect((await call(path, own, preflight)).for, path).toBe(null)
    const refused = await call(path, own, init)
    expect([refused.status, refused.for], path).toEqual([400, null])
    expect(refused.text).toContain('not allowed for client')
    expect((await call(path, own, form({ client_id: 'nobody' }))).for, path).toBe(null)
  }
  expect((await call('/jwks', 'https://evil.example', { method: 'GET' })).for).not.toBe(null)
})
