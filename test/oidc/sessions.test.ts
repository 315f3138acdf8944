import { createHmac } from 'node:crypto'
import { CookieJar } from 'tough-cookie'
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest'
import { createFlow, type Flow } from '../support/flow.ts'
import { type House, PHONES, startHouse } from '../support/house.ts'

const COOKIE = 'sallyport_session'
const HOUR = 3600

let house: House
let app: { id: string; secret: string }

beforeAll(async () => {
  house = await startHouse()
  app = await house.addClient('app', { grants: ['authorization_code', 'refresh_token'] })
  await house.addAccount('alex')
})
afterAll(() => house.stop())

async function signIn(jar = new CookieJar()): Promise<Flow> {
  const flow = createFlow(house, { client: app, jar })
  await flow.complete('alex')
  return flow
}

/** What the session cookie and its signature hold, as they are. */
async function sessionOf({ jar }: Flow): Promise<{ id: string; signature: string }> {
  const held = new Map((await jar.getCookies(house.issuer)).map(({ key, value }) => [key, value]))
  return { id: held.get(COOKIE) ?? '', signature: held.get(`${COOKIE}.sig`) ?? '' }
}

/** What Keygrip makes of it with a key, as the provider's cookies are signed. */
function sign(id: string, key = house.variables.COOKIE_KEYS ?? ''): string {
  return createHmac('sha1', key).update(`${COOKIE}=${id}`).digest('base64url')
}

/** Whether the cookies of this request make a session, as an app finds out without a page. */
async function isSignedIn(id: string, signature?: string): Promise<boolean> {
  const cookie = `${COOKIE}=${id}${signature === undefined ? '' : `; ${COOKIE}.sig=${signature}`}`
  const flow = createFlow(house, { client: app, headers: { cookie } })
  const answer = await flow.request(flow.authorizationUrl({ prompt: 'none' }))
  expect(answer.status).toBe(303)
  if (answer.location?.includes('error=login_required')) return false
  expect(answer.location).toContain('code=')
  return true
}

describe('the id of a session', () => {
  test('is new after each sign-in, and the old one is dead (SES-01)', async () => {
    const flow = await signIn()
    const first = await sessionOf(flow)
    expect(await isSignedIn(first.id, first.signature)).toBe(true)
    const again = createFlow(house, { client: app, jar: flow.jar })
    await again.complete('alex', PHONES[0], { prompt: 'login' })
    const second = await sessionOf(flow)
    expect(second.id).not.toBe(first.id)
    expect(await isSignedIn(second.id, second.signature)).toBe(true)
    expect(await isSignedIn(first.id, first.signature)).toBe(false)
  })

  test('planted before the sign-in isn’t taken over (SES-09)', async () => {
    // A good one, of a session nobody is signed in to: the logout page starts one.
    const attacker = createFlow(house)
    await attacker.request('/session/end')
    const planted = await sessionOf(attacker)
    expect(planted.id).not.toBe('')
    for (const { id, signature } of [planted, { id: 'known', signature: sign('known') }]) {
      const jar = new CookieJar()
      await jar.setCookie(`${COOKIE}=${id}; Path=/`, house.issuer)
      await jar.setCookie(`${COOKIE}.sig=${signature}; Path=/`, house.issuer)
      const victim = await signIn(jar)
      const now = await sessionOf(victim)
      expect(now.id).not.toBe(id)
      expect(await isSignedIn(now.id, now.signature)).toBe(true)
      expect(await isSignedIn(id, signature)).toBe(false)
    }
  })

  test('counts only as it was signed (SES-03)', async () => {
    const { id, signature } = await sessionOf(await signIn())
    expect(sign(id)).toBe(signature)
    const last = signature.endsWith('A') ? 'B' : 'A'
    for (const wrong of [
      undefined,
      '',
      signature.slice(0, -1) + last,
      sign(id, 'another key of thirty-two characters'),
      sign(''),
      'x'.repeat(2000),
      signature.toUpperCase(),
    ]) {
      expect(await isSignedIn(id, wrong), String(wrong)).toBe(false)
    }
    for (const other of [`${id}x`, id.slice(1), id.toLowerCase(), '', '__proto__', '%00']) {
      expect(await isSignedIn(other, signature), other).toBe(false)
    }
    expect(await isSignedIn(id, signature)).toBe(true)
  })
})

describe('what isn’t a session id', () => {
  /** Every id that the provider's records hold inside, by where it stands. */
  async function insideIds(): Promise<Map<string, string>> {
    const rows = await house.db.selectFrom('oidc_record').selectAll().execute()
    const found = new Map<string, string>()
    for (const { key, model, payload } of rows) {
      const place = { column: 'oidc_record.payload', row: key.toString('hex') }
      const opened: Record<string, unknown> = JSON.parse(
        house.rooms.vault.open(payload, place).toString(),
      )
      for (const name of ['jti', 'uid', 'grantId', 'sessionUid', 'sid', 'cid', 'accountId']) {
        const value = opened[name]
        if (typeof value === 'string') found.set(`${model}.${name}`, value)
      }
    }
    return found
  }

  test('is none in the session’s cookie: no uid, code, grant or token, however signed (SES-13)', async () => {
    await house.db.deleteFrom('oidc_record').execute()
    const flow = await signIn()
    const started = createFlow(house, { client: app })
    await started.begin()
    const query = await createFlow(house, { client: app, jar: flow.jar }).begin()
    const code = new URL(query.location ?? '').searchParams.get('code') ?? ''
    const redeemed = await createFlow(house, { client: app, jar: flow.jar }).begin()
    expect(redeemed.location).toContain('code=')

    const { id } = await sessionOf(flow)
    const ids = await insideIds()
    expect(ids.get('Session.jti')).toBe(id)
    expect(await isSignedIn(id, sign(id))).toBe(true)
    ids.delete('Session.jti')
    ids.set('code', code).set('interaction', started.path.split('/').at(-1) ?? '')
    expect([...ids.keys()]).toEqual(
      expect.arrayContaining([
        'Interaction.jti',
        'Grant.jti',
        'AuthorizationCode.jti',
        'Session.uid',
      ]),
    )
    for (const [place, value] of ids) {
      expect(await isSignedIn(value, sign(value)), place).toBe(false)
      expect(await isSignedIn(value, sign(value, 'x'.repeat(32))), place).toBe(false)
    }
  })

  test('is none of what the table shows: nothing in it can be presented (CRY-09)', async () => {
    await house.db.deleteFrom('oidc_record').execute()
    const flow = createFlow(house, { client: app })
    const query = await flow.complete('alex')
    const { body } = await flow.redeem(query.get('code') ?? '')
    expect(body.refresh_token).toBeTruthy()
    await createFlow(house, { client: app, jar: flow.jar }).begin()
    const rows = await house.db.selectFrom('oidc_record').selectAll().execute()
    expect(new Set(rows.map(({ model }) => model))).toEqual(
      new Set(['Session', 'Grant', 'AuthorizationCode', 'AccessToken', 'RefreshToken']),
    )
    const shown = rows.flatMap(({ key, grant_key, uid_key, session_uid_key }) =>
      [key, grant_key, uid_key, session_uid_key].filter((column) => column !== null),
    )
    const values = new Set(
      shown.flatMap((bytes) =>
        (['hex', 'base64url', 'base64', 'latin1'] as const).map((form) => bytes.toString(form)),
      ),
    )
    for (const value of values) {
      if (/^[\w-]+$/.test(value)) expect(await isSignedIn(value, sign(value))).toBe(false)
      expect((await flow.redeem(value)).body.error).toBe('invalid_grant')
      const refreshed = await flow.redeem('', { grant_type: 'refresh_token', refresh_token: value })
      expect(refreshed.body.error).toBe('invalid_grant')
      const authorization = `Bearer ${encodeURIComponent(value)}`
      const me = await fetch(`${house.url}/me`, { headers: { authorization } })
      expect(me.status).toBe(401)
      await me.text()
    }
    // None of the refusals came from everything being dead.
    const still = await flow.redeem('', {
      grant_type: 'refresh_token',
      refresh_token: String(body.refresh_token),
    })
    expect(still.status).toBe(200)
  })
})

describe('how long a session lives (SES-04)', () => {
  let passed = 0
  function pass(seconds: number): void {
    passed += seconds
    house.moveClock(seconds)
    vi.setSystemTime(Date.now() + seconds * 1000)
  }
  afterEach(() => {
    house.moveClock(-passed)
    passed = 0
    vi.useRealTimers()
  })

  test('twelve hours without use, and a day in all', async () => {
    vi.useFakeTimers({ toFake: ['Date'] })
    const idle = await sessionOf(await signIn())
    const used = await sessionOf(await signIn())
    pass(11 * HOUR)
    expect(await isSignedIn(used.id, used.signature)).toBe(true)
    pass(2 * HOUR)
    expect(await isSignedIn(idle.id, idle.signature)).toBe(false)
    expect(await isSignedIn(used.id, used.signature)).toBe(true)
    pass(10.5 * HOUR)
    expect(await isSignedIn(used.id, used.signature)).toBe(true)
    pass(HOUR)
    expect(await isSignedIn(used.id, used.signature)).toBe(false)
  })
})
