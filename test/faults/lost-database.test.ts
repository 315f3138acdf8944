import { sql } from 'kysely'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { readConfig } from '../../src/config/config.ts'
import { completeSecrets } from '../../src/config/development-keys.ts'
import { createLog } from '../../src/log.ts'
import { startServer } from '../../src/server.ts'
import { type Answer, burst, claimsOf, type Flow } from '../support/flow.ts'
import { REDIRECT_URI } from '../support/house.ts'
import { freePort } from '../support/ports.ts'
import type { Loss } from '../support/tcp-proxy.ts'
import { startWeakHouse, type WeakHouse } from '../support/weak-house.ts'

const MFA = 'https://refeds.org/profile/mfa'
let weak: WeakHouse

beforeAll(async () => {
  weak = await startWeakHouse()
})
afterAll(() => weak.stop())

/** A sign-in taken step by step, each of which can be taken again. */
interface Walk {
  flow: Flow
  /** where the last step that went well led */
  location: string
  accessToken: string
}

const STEPS: Record<string, (walk: Walk) => Promise<Answer>> = {
  // With the phone, which is looked up on its own when tokens are made.
  authorization: ({ flow }) => flow.request(flow.authorizationUrl({ scope: 'openid phone' })),
  'login page': ({ flow, location }) => flow.arrive(location),
  password: ({ flow }) => flow.password('alex'),
  'code page': ({ flow }) => flow.page(),
  code: ({ flow }) => flow.code(weak.house.lastCode()),
  resume: ({ flow, location }) => flow.request(location),
  token: ({ flow, location }) => redeem(flow, new URL(location).searchParams.get('code') ?? ''),
  userinfo: ({ flow, accessToken }) =>
    flow.request('/me', {
      headers: { authorization: `Bearer ${accessToken}`, accept: 'application/json' },
    }),
}
const NAMES = Object.keys(STEPS)

async function take(walk: Walk, name: string): Promise<Answer> {
  const answer = await STEPS[name]?.(walk)
  if (!answer) throw new Error(`no step ${name}`)
  if (answer.status < 400 && answer.location) walk.location = answer.location
  if (name === 'token' && answer.status === 200)
    walk.accessToken = String(JSON.parse(answer.html).access_token)
  return answer
}

async function walkTo(name: string): Promise<Walk> {
  const walk = { flow: weak.newFlow(), location: '', accessToken: '' }
  for (const earlier of NAMES.slice(0, NAMES.indexOf(name))) {
    const { status, html } = await take(walk, earlier)
    if (status >= 400) throw new Error(`${earlier}: ${status} ${html}`)
  }
  return walk
}

function redeem(flow: Flow, code: string): Promise<Answer> {
  const { id, secret } = weak.app
  return flow.request('/token', {
    method: 'POST',
    headers: { authorization: `Basic ${btoa(`${id}:${secret}`)}`, accept: 'application/json' },
    body: new URLSearchParams({
      grant_type: 'authorization_code',
      code,
      redirect_uri: REDIRECT_URI,
      code_verifier: flow.verifier,
    }),
  })
}

async function timed<T>(work: () => Promise<T>): Promise<{ result: T; seconds: number }> {
  const began = performance.now()
  const result = await work()
  return { result, seconds: (performance.now() - began) / 1000 }
}

function expectNotNow(answer: Answer, kind: 'page' | 'json'): void {
  expect(answer.status).toBe(503)
  expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(0)
  if (kind === 'page') {
    expect(answer.headers.get('content-type')).toContain('text/html')
    expect(answer.html).toContain('try again in a moment')
  } else expect(JSON.parse(answer.html).error).toBe('temporarily_unavailable')
}

test.each(NAMES)(
  'with the database stopped, %s hears 503, and goes on when it is back (AVL-04)',
  async (name) => {
    const walk = await walkTo(name)
    await weak.proxy.stop()
    const { result, seconds } = await timed(() => take(walk, name))
    expectNotNow(result, name === 'token' || name === 'userinfo' ? 'json' : 'page')
    expect(seconds).toBeLessThan(4)
    const api = await walk.flow.request(walk.flow.path || '/readyz', {
      headers: { accept: 'application/json' },
    })
    expectNotNow(api, 'json')
    for (const path of ['/healthz', '/jwks', '/.well-known/openid-configuration'])
      expect((await walk.flow.request(path)).status).toBe(200)
    await weak.proxy.start()
    for (const rest of NAMES.slice(NAMES.indexOf(name)))
      expect(await take(walk, rest)).toMatchObject({ status: expect.toSatisfy((s) => s < 400) })
    expect(walk.accessToken).toBeTruthy()
  },
)

describe('a connection lost at any statement', () => {
  const cases = ['authorization', 'password', 'code', 'resume', 'token'].flatMap((name) =>
    (['before', 'after'] as const).map((when): [string, Loss] => [name, when]),
  )

  test.each(cases)(
    'of %s, %s it ran, signs nobody in by mistake and leaves nobody stuck (AVL-01, AVL-04)',
    async (name, when) => {
      let lost = 0
      for (; lost < 10; lost++) {
        const walk = await walkTo(name)
        weak.proxy.loseAt(lost, when)
        const answer = await take(walk, name)
        if (!weak.proxy.hasLost()) break
        expect([303, 503]).toContain(answer.status)
        // A refusal carries nothing of what was to be given.
        if (answer.status === 503) expect(answer.location).toBeUndefined()
        const token = await redeem(walk.flow, await goOn(walk.flow))
        expect(token.status).toBe(200)
        expect(claimsOf(JSON.parse(token.html)).acr).toBe(MFA)
      }
      expect(lost).toBeGreaterThan(0)
    },
  )

  /** What a person does who sees the page that is due, and knows the way back to the app. */
  async function goOn(flow: Flow): Promise<string> {
    const { house } = weak
    const texts = house.codeTexts().length
    let answer = flow.path ? await flow.page() : await flow.begin()
    for (let i = 0; i < 10; i++) {
      const { location, html, status } = answer
      if (location?.startsWith(REDIRECT_URI)) {
        const code = new URL(location).searchParams.get('code')
        if (code) return code
        answer = await flow.begin()
      } else if (location?.includes('/interaction/')) answer = await flow.arrive(location)
      else if (location) answer = await flow.request(location)
      else if (html.includes('current-password')) answer = await flow.password('alex')
      else if (html.includes('one-time-code')) {
        if (status === 400 && house.codeTexts().length === texts) {
          house.moveClock(31)
          answer = await flow.step('resend')
        } else answer = await flow.code(house.lastCode())
      } else answer = await flow.begin()
    }
    throw new Error(`stuck at ${answer.status}: ${answer.html}`)
  }

  test('between the count and the verdict: the guess is counted, nobody is signed in (input 109)', async () => {
    const attempts = async () => {
      const { rows } = await sql<{ attempts: number; passed: boolean; failures: number }>`
        select attempts, passed_at is not null as passed, failures
        from challenge join second_factor using (account_id)
        order by created_at desc limit 1`.execute(weak.house.db)
      return rows[0]
    }
    for (const [when, counted] of [
      ['before', 0],
      ['after', 1],
    ] as const) {
      const walk = await walkTo('code')
      const before = await attempts()
      weak.proxy.loseAt(0, when)
      expectNotNow(await take(walk, 'code'), 'page')
      expect(await attempts()).toEqual({
        attempts: counted,
        passed: false,
        failures: (before?.failures ?? 0) + counted,
      })
      expect((await take(walk, 'code')).status).toBe(303)
      expect((await attempts())?.passed).toBe(true)
    }
  })
})

test('a database that swallows everything is given up on, and its dead connections with it', async () => {
  const flow = weak.newFlow()
  await burst(10, () => flow.request(flow.authorizationUrl()))
  const walk = await walkTo('code')
  const code = weak.house.lastCode()
  const spare = await walkTo('token')
  weak.proxy.hang()
  const given = await burst(4, (i) =>
    timed(() => (i % 2 ? take(walk, 'code page') : take(spare, 'token'))),
  )
  for (const [i, { result, seconds }] of given.entries()) {
    expectNotNow(result, i % 2 ? 'page' : 'json')
    expect(seconds).toBeLessThan(5)
  }
  await weak.proxy.start()
  // Those that wait in the pool are dead too, and one request each finds out.
  await burst(10, () => flow.request('/readyz'))
  for (let i = 0; i < 10; i++) {
    const { result, seconds } = await timed(() => flow.request('/readyz'))
    expect(result.status).toBe(200)
    expect(seconds).toBeLessThan(1)
  }
  expect((await walk.flow.code(code)).status).toBe(303)
})

test('a server whose database is down at its start listens, says so, and recovers by itself (AVL-03)', async () => {
  const port = await freePort()
  await weak.proxy.stop()
  const { variables } = weak.house
  const { config, secrets } = readConfig({ ...variables, PORT: String(port) })
  const complete = completeSecrets(config, secrets, () => {})
  const server = await startServer({ config, secrets: complete, log: createLog('silent', false) })
  const get = (path: string) => fetch(`http://localhost:${port}${path}`, { redirect: 'manual' })
  expect((await get('/healthz')).status).toBe(200)
  for (const path of ['/readyz', '/', '/auth', '/token', '/.well-known/openid-configuration']) {
    const answer = await get(path)
    expect(answer.status).toBe(503)
    expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(0)
    expect(await answer.json()).toMatchObject({ error: 'temporarily_unavailable' })
  }
  await weak.proxy.start()
  const { seconds } = await timed(() => server.ready)
  expect(seconds).toBeLessThan(4)
  for (const path of ['/readyz', '/', '/.well-known/openid-configuration'])
    expect((await get(path)).status).toBe(200)
  await server.stop()
})
