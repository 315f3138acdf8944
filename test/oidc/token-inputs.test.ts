import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { burst, claimsOf, createFlow, type Flow } from '../support/flow.ts'
import { type House, PHONES, startHouse } from '../support/house.ts'

const GRANTS = { grants: ['authorization_code' as const, 'refresh_token' as const] }
const OTHER_VERIFIER = 'x'.repeat(43)

let house: House
/** a second instance of the same provider */
let beside: House
let app: { id: string; secret: string }
let other: { id: string; secret: string }
/** a browser in which alex is signed in: codes without pages */
let signedIn: Flow

beforeAll(async () => {
  house = await startHouse()
  beside = await startHouse({ beside: house })
  app = await house.addClient('app', {
    ...GRANTS,
    redirectUris: ['https://rp.example/cb', 'https://rp.example/cb2'],
  })
  other = await house.addClient('other', GRANTS)
  await house.addAccount('alex')
  signedIn = createFlow(house, { client: app })
  await signedIn.complete('alex')
})
afterAll(async () => {
  await beside.stop()
  await house.stop()
})

type Tokens = { status: number; body: Record<string, unknown> }

async function newCode(params: Record<string, string> = {}): Promise<{ flow: Flow; code: string }> {
  const flow = createFlow(house, { client: app, jar: signedIn.jar })
  const answer = await flow.begin({ prompt: 'none', ...params })
  const code = new URL(answer.location ?? '').searchParams.get('code')
  if (!code) throw new Error(`no code: ${answer.location}`)
  return { flow, code }
}

async function newTokens(params?: Record<string, string>): Promise<Tokens & { flow: Flow }> {
  const { flow, code } = await newCode(params)
  const tokens = await flow.redeem(code)
  expect(tokens.status).toBe(200)
  return { ...tokens, flow }
}

async function refresh(
  token: unknown,
  more: Record<string, string> = {},
  { client = app, url = house.url } = {},
): Promise<Tokens> {
  const response = await fetch(`${url}/token`, {
    method: 'POST',
    headers: { authorization: `Basic ${btoa(`${client.id}:${client.secret}`)}` },
    body: new URLSearchParams({
      grant_type: 'refresh_token',
      refresh_token: String(token),
      ...more,
    }),
  })
  return { status: response.status, body: JSON.parse(await response.text()) }
}

async function userinfo(token: unknown): Promise<number> {
  const response = await fetch(`${house.url}/me`, { headers: { authorization: `Bearer ${token}` } })
  await response.text()
  return response.status
}

async function expectDead({ body }: Tokens): Promise<void> {
  expect(await userinfo(body.access_token)).toBe(401)
  expect(await refresh(body.refresh_token)).toMatchObject({
    status: 400,
    body: { error: 'invalid_grant' },
  })
}

/** One of many won, and what it won is worth nothing any more. */
async function expectOneDeadWinner(answers: Tokens[]): Promise<void> {
  const winners = answers.filter(({ status }) => status === 200)
  expect(winners).toHaveLength(1)
  for (const { status, body } of answers) {
    if (status !== 200)
      expect({ status, error: body.error }).toEqual({ status: 400, error: 'invalid_grant' })
  }
  for (const winner of winners) await expectDead(winner)
}

describe('an authorization code', () => {
  test('used a second time is refused, and takes back what the first use gave (OIDC-05, input 81)', async () => {
    const { flow, code } = await newCode()
    const first = await flow.redeem(code)
    expect(first.status).toBe(200)
    expect(await userinfo(first.body.access_token)).toBe(200)
    expect(await flow.redeem(code)).toMatchObject({ status: 400, body: { error: 'invalid_grant' } })
    await expectDead(first)
  })

  test('used 20 times at once works once, and what it gave is dead (OIDC-05, OIDC-06, input 81)', async () => {
    const { flow, code } = await newCode()
    await expectOneDeadWinner(await burst(20, () => flow.redeem(code)))
  })

  test('used 20 times at once on two instances works once (OIDC-05, OIDC-06, input 81)', async () => {
    const { flow, code } = await newCode()
    const answers = await burst(20, (index) => {
      flow.url = index % 2 ? house.url : beside.url
      return flow.redeem(code)
    })
    await expectOneDeadWinner(answers)
  })

  test('used twice leaves the session and other sign-ins alone', async () => {
    const elsewhere = createFlow(house, { client: app })
    const query = await elsewhere.complete('alex')
    const before = await elsewhere.redeem(query.get('code') ?? '')
    const { flow, code } = await newCode()
    await flow.redeem(code)
    await flow.redeem(code)
    expect((await newCode()).code).toBeTruthy()
    expect(await userinfo(before.body.access_token)).toBe(200)
    expect((await refresh(before.body.refresh_token)).status).toBe(200)
  })

  test('is good for its client, redirect_uri and verifier only (OIDC-04, OIDC-07, input 82)', async () => {
    const { flow, code } = await newCode()
    const stranger = createFlow(house, { client: other })
    const refused = [
      await stranger.redeem(code, { code_verifier: flow.verifier }),
      await flow.redeem(code, { redirect_uri: 'https://rp.example/cb2' }),
      await flow.redeem(code, { redirect_uri: 'https://rp.example/cb/' }),
      await flow.redeem(code, { redirect_uri: 'https://evil.example/' }),
      await flow.redeem(code, { code_verifier: OTHER_VERIFIER }),
      await flow.redeem(code, { code_verifier: '' }),
      await flow.redeem(`${code}x`),
      await flow.redeem(code.toLowerCase()),
      await flow.redeem('\0'),
    ]
    for (const { status, body } of refused) {
      expect(status).toBe(400)
      expect(body).toEqual({ error: 'invalid_grant', error_description: expect.any(String) })
    }
    // Malformed rather than wrong: RFC 6749 section 5.2 has a word of its own for it.
    for (const code_verifier of [
      'x'.repeat(42),
      'x'.repeat(129),
      `${'x'.repeat(43)}=`,
      '\0'.repeat(43),
    ]) {
      const { status, body } = await flow.redeem(code, { code_verifier })
      expect(status).toBe(400)
      expect(['invalid_grant', 'invalid_request']).toContain(body.error)
      expect(body.access_token).toBeUndefined()
    }
    expect((await flow.redeem(code)).status).toBe(200)
  })

  test('isn’t told apart from one that never was (OIDC-07)', async () => {
    const { flow, code } = await newCode()
    const wrong = await flow.redeem(code, { code_verifier: OTHER_VERIFIER })
    expect(await flow.redeem('never-was')).toEqual(wrong)
  })

  test('is dead after a minute', async () => {
    const { flow, code } = await newCode()
    house.moveClock(61)
    expect(await flow.redeem(code)).toMatchObject({ status: 400, body: { error: 'invalid_grant' } })
    house.moveClock(-61)
  })
})

describe('a refresh token', () => {
  test('is changed at each use; an old one is refused and kills the family (OIDC-08, input 83)', async () => {
    const first = await newTokens()
    const second = await refresh(first.body.refresh_token)
    const third = await refresh(second.body.refresh_token)
    expect([second.status, third.status]).toEqual([200, 200])
    const all = [first, second, third].map(({ body }) => body.refresh_token)
    expect(new Set(all).size).toBe(3)
    expect(await userinfo(third.body.access_token)).toBe(200)
    expect((await refresh(first.body.refresh_token, {}, { url: beside.url })).status).toBe(400)
    await expectDead(third)
  })

  test('used 20 times at once on two instances works once, then the family is dead (OIDC-08, input 83)', async () => {
    const { body } = await newTokens()
    const answers = await burst(20, (index) =>
      refresh(body.refresh_token, {}, { url: index % 2 ? house.url : beside.url }),
    )
    await expectOneDeadWinner(answers)
  })

  test('is good for its own client only, and survives a stranger’s try', async () => {
    const { body } = await newTokens()
    expect((await refresh(body.refresh_token, {}, { client: other })).body.error).toBe(
      'invalid_grant',
    )
    expect((await refresh(body.refresh_token)).status).toBe(200)
  })

  test('gives no wider scope than it has, but a narrower one (input 88)', async () => {
    const { body } = await newTokens({ scope: 'openid email' })
    const wider = await refresh(body.refresh_token, { scope: 'openid email phone' })
    expect(wider).toMatchObject({ status: 400, body: { error: 'invalid_scope' } })
    const odd = await refresh(body.refresh_token, { scope: 'openid "x"' })
    expect(odd).toMatchObject({ status: 400, body: { error: 'invalid_scope' } })
    const narrower = await refresh(body.refresh_token, { scope: 'openid' })
    expect(narrower).toMatchObject({ status: 200, body: { scope: 'openid' } })
  })

  test('keeps sub, auth_time, acr and amr of the sign-in (OIDC-18)', async () => {
    const { body } = await newTokens()
    const { sub, auth_time, acr, amr } = claimsOf(body)
    const next = await refresh(body.refresh_token)
    expect(claimsOf(next.body)).toMatchObject({ sub, auth_time, acr, amr })
  })

  test('isn’t given to a client that isn’t registered for it', async () => {
    const plain = await house.addClient('plain')
    const flow = createFlow(house, { client: plain, jar: signedIn.jar })
    const answer = await flow.begin({ scope: 'openid offline_access', prompt: 'consent' })
    expect(answer.status).toBeLessThan(400)
    const direct = await createFlow(house, { client: plain, jar: signedIn.jar }).begin()
    expect(direct.location).toContain('code=')
  })
})

test('a disabled account’s codes, tokens and sessions are dead at once (SES-06, input 84)', async () => {
  const gone = await house.addAccount('gone', PHONES[2])
  const browser = createFlow(house, { client: app })
  const query = await browser.complete('gone', PHONES[2])
  const tokens = await browser.redeem(query.get('code') ?? '')
  const open = createFlow(house, { client: app, jar: browser.jar })
  const { location } = await open.begin()
  expect(await userinfo(tokens.body.access_token)).toBe(200)

  const disable = (at: Date | null) =>
    house.db.updateTable('account').set({ disabled_at: at }).where('id', '=', gone.id).execute()
  await disable(new Date())
  await expectDead(tokens)
  const code = new URL(location ?? '').searchParams.get('code') ?? ''
  expect((await open.redeem(code)).body.error).toBe('invalid_grant')
  const silent = await createFlow(house, { client: app, jar: browser.jar }).begin({
    prompt: 'none',
  })
  expect(silent.location).toContain('error=login_required')
})

// The last: the time that passes is everybody's.
test('auth_time is when the code was right, not the password, and stays so [OIDC-18]', async () => {
  const pass = (seconds: number) => {
    for (const instance of [house, beside]) instance.moveClock(seconds)
  }
  const flow = createFlow(house, { client: app })
  const typed = house.now()
  await flow.toCode('alex')
  pass(120)
  const query = await flow.resume(await flow.code(house.lastCode()))
  const { passed_at } = await house.db
    .selectFrom('challenge')
    .select('passed_at')
    .where('passed_at', 'is not', null)
    .orderBy('passed_at', 'desc')
    .executeTakeFirstOrThrow()
  const { body } = await flow.redeem(query.get('code') ?? '')
  const { auth_time } = claimsOf(body)
  expect(auth_time).toBe(Math.floor((passed_at?.getTime() ?? 0) / 1000))
  expect(auth_time).toBeGreaterThanOrEqual(Math.floor(typed) + 120)

  pass(60)
  const refreshed = await refresh(body.refresh_token)
  const silent = createFlow(house, { client: app, jar: flow.jar })
  const code = new URL((await silent.begin({ prompt: 'none' })).location ?? '').searchParams
  const again = await silent.redeem(code.get('code') ?? '')
  for (const later of [refreshed, again]) expect(claimsOf(later.body).auth_time).toBe(auth_time)
})
