import { sql } from 'kysely'
import * as client from 'openid-client'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { type Answer, claimsOf, createFlow, type Flow } from '../support/flow.ts'
import { type House, PHONES, startHouse } from '../support/house.ts'
import { postTo } from '../support/proofs.ts'

const GRANT = 'urn:ietf:params:oauth:grant-type:device_code'

let house: House
let other: House

beforeAll(async () => {
  house = await startHouse({ env: { TRUST_PROXY: '1' } })
  other = await startHouse({ beside: house })
  await house.addClient('tv', {
    name: 'Evening TV',
    public: true,
    redirectUris: [],
    grants: ['device_code', 'refresh_token'],
  })
  await house.addClient('cli', {
    name: 'Stranger’s tool',
    public: true,
    firstParty: false,
    redirectUris: [],
    grants: ['device_code'],
  })
  await house.addClient('app')
  await house.addAccount('alex')
  await house.addAccount('blair', PHONES[1])
})
afterAll(async () => {
  await other.stop()
  await house.stop()
})

interface Asked {
  device_code: string
  user_code: string
  verification_uri: string
  verification_uri_complete: string
  expires_in: number
  interval: number
}

async function ask(id = 'tv', scope = 'openid profile', url = house.url): Promise<Asked> {
  const { status, body } = await postTo(url, '/device/auth', { client_id: id, scope })
  expect(status, JSON.stringify(body)).toBe(200)
  return {
    device_code: String(body.device_code),
    user_code: String(body.user_code),
    verification_uri: String(body.verification_uri),
    verification_uri_complete: String(body.verification_uri_complete),
    expires_in: Number(body.expires_in),
    interval: Number(body.interval),
  }
}

const poll = (code: string, { id = 'tv', url = house.url } = {}) =>
  postTo(url, '/token', { grant_type: GRANT, device_code: code, client_id: id })

const xsrfOf = ({ html }: Answer) => /name="xsrf" value="([^"]+)"/.exec(html)?.[1] ?? ''

/** Types a code on the page for it. */
async function type(flow: Flow, code: string, from = '127.0.0.1'): Promise<Answer> {
  const page = await flow.request('/device')
  const fields = { xsrf: xsrfOf(page), user_code: code }
  return flow.post('/device', fields, { 'x-forwarded-for': from })
}

/** From the page with the code to the one that comes after "Continue". */
async function confirm(flow: Flow, code: string): Promise<Answer> {
  const question = await type(flow, code)
  return flow.post('/device', { xsrf: xsrfOf(question), user_code: code, confirm: 'yes' })
}

/** Follows redirects of our own. */
async function follow(flow: Flow, answer: Answer): Promise<Answer> {
  let at = answer
  for (let hops = 0; at.location && hops < 5; hops++) at = await flow.request(at.location)
  return at
}

/** Connects a device, by password and code. */
async function connect(flow: Flow, code: string, who = 'alex', phone: string = PHONES[0]) {
  await flow.arrive((await confirm(flow, code)).location ?? '')
  await flow.password(who)
  return follow(flow, await flow.code(house.lastCode(phone)))
}

const events = (type: string) =>
  house.db
    .selectFrom('audit_event')
    .select(['account_id', 'client_id'])
    .where('type', '=', type)
    .execute()

describe('a TV or a command line [CHL-16]', () => {
  test('signs somebody in by a stock library, with both factors', async () => {
    const config = await client.discovery(new URL(house.issuer), 'tv', undefined, client.None(), {
      execute: [client.allowInsecureRequests],
    })
    const asked = await client.initiateDeviceAuthorization(config, {
      scope: 'openid profile offline_access',
    })
    expect(asked).toMatchObject({
      user_code: expect.stringMatching(/^[B-DF-HJ-NP-TV-XZ]{4}-[B-DF-HJ-NP-TV-XZ]{4}$/),
      verification_uri: `${house.issuer}/device`,
      expires_in: 600,
      interval: 5,
    })
    const flow = createFlow(house)
    const filled = await flow.request(asked.verification_uri_complete ?? '')
    expect(filled.html).toContain(`value="${asked.user_code}"`)
    const question = await flow.post('/device', {
      xsrf: xsrfOf(filled),
      user_code: asked.user_code.replace('-', ' ').toLowerCase(),
    })
    expect(question.html).toContain('Evening TV')
    expect(question.html).toContain(asked.user_code)
    expect(question.html).toContain('Your name')
    expect(question.html).toContain('they would get into your account')
    const done = await connect(flow, asked.user_code)
    expect([done.status, done.html]).toEqual([200, expect.stringContaining('is connected')])
    // It would wait for the five seconds.
    const tokens = await client.pollDeviceAuthorizationGrant(config, { ...asked, interval: 0 })
    const claims = tokens.claims()
    expect(claims).toMatchObject({
      acr: 'https://refeds.org/profile/mfa',
      amr: ['pwd', 'otp', 'sms', 'mfa'],
      auth_time: expect.any(Number),
    })
    expect(tokens.scope).toBe('openid profile offline_access')
    const info = await client.fetchUserInfo(config, tokens.access_token, claims?.sub ?? '')
    expect(info.preferred_username).toBe('alex')
    const renewed = await client.refreshTokenGrant(config, tokens.refresh_token ?? '')
    expect(renewed.claims()?.sub).toBe(claims?.sub)
    const sub = claims?.sub ?? ''
    expect(await events('device.approved')).toEqual([{ account_id: sub, client_id: 'tv' }])
    expect((await poll(asked.device_code)).body.error).toBe('invalid_grant')
    // What was given to whoever showed the code first is taken back.
    await expect(client.refreshTokenGrant(config, renewed.refresh_token ?? '')).rejects.toThrow()
  })

  test('is asked about again where a session is there already, and consent is as anywhere', async () => {
    const flow = createFlow(house)
    await flow.complete('alex')
    const { user_code, device_code } = await ask('cli', 'openid email')
    const consent = await flow.arrive((await confirm(flow, user_code)).location ?? '')
    expect(consent.html).toContain('Stranger’s tool')
    expect(consent.html).toContain('on a device of your own')
    expect((await poll(device_code, { id: 'cli' })).body.error).toBe('authorization_pending')
    const done = await follow(flow, await flow.step('consent'))
    expect(done.html).toContain('is connected')
    const { body } = await poll(device_code, { id: 'cli' })
    expect(claimsOf(body)).toMatchObject({ amr: ['pwd', 'otp', 'sms', 'mfa'] })
  })

  test('is asked for by alternating instances, and its code counts once', async () => {
    const { user_code, device_code } = await ask('tv', 'openid', other.url)
    const flow = createFlow(house)
    const instances = [house, other]
    const at = (step: number) => {
      flow.url = instances[step % 2]?.url ?? ''
    }
    at(0)
    const page = await flow.request('/device')
    at(1)
    const question = await flow.post('/device', { xsrf: xsrfOf(page), user_code })
    at(0)
    const confirmed = await flow.post('/device', {
      xsrf: xsrfOf(question),
      user_code,
      confirm: 'yes',
    })
    at(1)
    await flow.arrive(confirmed.location ?? '')
    at(0)
    await flow.password('alex')
    at(1)
    const answer = await flow.code(house.lastCode())
    at(0)
    expect((await follow(flow, answer)).html).toContain('is connected')
    const answers = await Promise.all(
      [house, other, house, other].map(({ url }) => poll(device_code, { url })),
    )
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(1)
  })

  test('keeps no code in the database that could be typed or shown [CRY-09]', async () => {
    const { user_code, device_code } = await ask()
    const rows = await house.db
      .selectFrom('oidc_record')
      .selectAll()
      .where('model', '=', 'DeviceCode')
      .execute()
    const stored = rows
      .flatMap((row) => Object.values(row))
      .map((value) => (Buffer.isBuffer(value) ? value.toString('latin1') : String(value)))
      .join('\n')
    for (const secret of [user_code, user_code.replace('-', ''), device_code])
      expect(stored).not.toContain(secret)
  })
})

describe('a device that asks', () => {
  test('too soon is told to slow down, by whichever instance, and more each time (RFC 8628 3.5)', async () => {
    const { device_code } = await ask()
    const asking = async (after: number, url: string) => {
      for (const one of [house, other]) one.moveClock(after)
      return (await poll(device_code, { url })).body.error
    }
    expect(await asking(0, house.url)).toBe('authorization_pending')
    expect(await asking(5, other.url)).toBe('authorization_pending')
    expect(await asking(1, house.url)).toBe('slow_down')
    expect(await asking(6, other.url)).toBe('slow_down')
    expect(await asking(16, house.url)).toBe('authorization_pending')
    expect(await asking(10, house.url)).toBe('slow_down')
    const burst = await Promise.all([house, other, house].map(({ url }) => asking(0, url)))
    expect(burst).toEqual(['slow_down', 'slow_down', 'slow_down'])
  })

  test('for another app’s code gets nothing, and doesn’t slow down whose it is', async () => {
    const { device_code } = await ask()
    for (const _ of [1, 2])
      expect((await poll(device_code, { id: 'cli' })).body.error).toBe('invalid_grant')
    expect((await poll(device_code)).body.error).toBe('authorization_pending')
    expect((await poll(`${device_code}x`)).body.error).toBe('invalid_grant')
  })

  test('after ten minutes is told that it is over, and so is its person', async () => {
    const { device_code, user_code } = await ask()
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 601_000 })
    try {
      expect((await poll(device_code)).body.error).toBe('expired_token')
      const answer = await type(createFlow(house), user_code)
      expect([answer.status, answer.html]).toEqual([400, expect.stringContaining('has expired')])
    } finally {
      vi.useRealTimers()
    }
  })

  test('for an app that wasn’t registered for it is refused', async () => {
    const { status, body } = await postTo(house.url, '/device/auth', { client_id: 'page' })
    expect([status, body.error]).toEqual([401, 'invalid_client'])
    await house.addClient('page', { public: true })
    const refused = await postTo(house.url, '/device/auth', { client_id: 'page', scope: 'openid' })
    expect([refused.status, refused.body.error]).toEqual([400, 'invalid_request'])
    const admin = await postTo(house.url, '/device/auth', {
      client_id: 'tv',
      scope: 'openid admin:read',
    })
    expect(admin.body.error).toBe('invalid_scope')
    const long = { client_id: 'tv', scope: 'openid', login_hint: 'l'.repeat(8000) }
    expect(await postTo(house.url, '/device/auth', long)).toMatchObject({
      status: 400,
      body: {
        error: 'invalid_request',
        error_description: expect.stringContaining('the request is too long'),
      },
    })
    await expect(
      house.addClient('pair', {
        redirectUris: [],
        grants: ['device_code'],
        subjectType: 'pairwise',
        sector: 'a.example',
      }),
    ).rejects.toThrow('comes back to no host')
  })
})

describe('whoever types a code', () => {
  test.each(['abort', 'cancel'])('and doesn’t go on, by %s, ends it for the device', async (by) => {
    const { device_code, user_code } = await ask()
    const flow = createFlow(house)
    let told: Answer
    if (by === 'abort') {
      const xsrf = xsrfOf(await type(flow, user_code))
      told = await flow.post('/device', { xsrf, user_code, confirm: 'yes', abort: 'yes' })
    } else {
      await flow.arrive((await confirm(flow, user_code)).location ?? '')
      told = await follow(flow, await flow.step('cancel'))
    }
    expect([told.status, told.html]).toEqual([200, expect.stringContaining('Nothing was conn')])
    expect((await poll(device_code)).body.error).toBe('access_denied')
    expect((await events('device.denied')).at(-1)).toMatchObject({ client_id: 'tv' })
    expect((await type(flow, user_code)).html).toContain('used already')
  })

  test('that somebody else has confirmed gets no further', async () => {
    const { user_code, device_code } = await ask()
    const [alex, blair] = [createFlow(house), createFlow(house)]
    await alex.arrive((await confirm(alex, user_code)).location ?? '')
    expect((await confirm(blair, user_code)).html).toContain('used already')
    await alex.password('alex')
    await follow(alex, await alex.code(house.lastCode()))
    expect((await type(blair, user_code)).html).toContain('used already')
    const { body } = await poll(device_code)
    expect(claimsOf(body)).toHaveProperty('sub')
  })

  test('at the same moment as somebody else: one of them goes on', async () => {
    const { user_code } = await ask()
    const people = await Promise.all(
      [house, other, house, other].map(async ({ url }) => {
        const flow = createFlow(house, { url })
        return { flow, xsrf: xsrfOf(await type(flow, user_code)) }
      }),
    )
    const answers = await Promise.all(
      people.map(({ flow, xsrf }) => flow.post('/device', { xsrf, user_code, confirm: 'yes' })),
    )
    expect(answers.filter(({ status }) => status === 303)).toHaveLength(1)
  })

  test('or only opens the page leaves nothing for longer than a sign-in may take', async () => {
    const longest = () =>
      house.db
        .selectFrom('oidc_record')
        .select(sql<number>`max(extract(epoch from expires_at - now()))::float8`.as('seconds'))
        .where('model', '=', 'Session')
        .executeTakeFirstOrThrow()
    await sql`delete from oidc_record where model = 'Session'`.execute(house.db)
    for (const path of ['/device', '/session/end']) await createFlow(house).request(path)
    const { seconds } = await longest()
    expect(seconds).toBeGreaterThan(60)
    expect(seconds).toBeLessThan(16 * 60)
    await createFlow(house, { client: { id: 'app', secret: '' } }).complete('alex')
    expect((await longest()).seconds).toBeGreaterThan(11 * 3600)
  })

  test('from another site, or without the page’s token, does nothing [WEB-01]', async () => {
    const { user_code, device_code } = await ask()
    const flow = createFlow(house)
    const xsrf = xsrfOf(await type(flow, user_code))
    const fields = { xsrf, user_code, confirm: 'yes' }
    const forged = [
      await flow.post('/device', fields, { origin: 'https://evil.example' }),
      await flow.post('/DEVICE/', fields, { 'sec-fetch-site': 'cross-site' }),
      await flow.post('/device', { user_code, confirm: 'yes' }),
      await createFlow(house).post('/device', fields),
      await flow.request(`/device?${new URLSearchParams(fields)}`),
    ]
    expect(forged.map(({ status }) => status)).toEqual([403, 403, 400, 400, 200])
    expect(forged.flatMap(({ location }) => location ?? [])).toEqual([])
    expect((await poll(device_code)).body.error).toBe('authorization_pending')
  })

  test('wrongly again and again is stopped, from one address and from everywhere (RFC 8628 5.1) [THR-07]', async () => {
    for (const one of [house, other]) one.moveClock(11 * 60)
    const { user_code } = await ask()
    const flow = createFlow(house)
    const nowhere = ['', 'x', '\0', '%', "' or 1=1", 'B'.repeat(20_000), 'ABCD-EFGH']
    for (const code of nowhere) expect((await type(flow, code)).status).toBe(400)
    // One of each ten is right, and takes nothing back.
    const xsrf = xsrfOf(await type(flow, user_code))
    const tries = await Promise.all(
      Array.from({ length: 14 }, (_, index) => {
        const at = createFlow(house, { jar: flow.jar, url: [house, other][index % 2]?.url ?? '' })
        return at.post('/device', { xsrf, user_code: `BCDF-${'GHJKLMNPQRSTVW'[index]}ZZZ` })
      }),
    )
    const judged = tries.filter(({ html }) => html.includes('isn’t right'))
    const stopped = tries.filter(({ status }) => status === 429)
    // All but the first find the page's token used.
    expect(judged.length).toBeLessThanOrEqual(10)
    for (let count = judged.length; count < 10; count++)
      expect((await type(flow, 'BCDF-ZZZZ')).status).toBe(400)
    const late = await type(flow, user_code)
    expect(late.status).toBe(429)
    expect(Number(late.headers.get('retry-after'))).toBeGreaterThan(500)
    expect(stopped.length + judged.length).toBeGreaterThan(0)
    expect(await events('device.codes-limited')).toHaveLength(1)
    for (const one of [house, other]) one.moveClock(10 * 60)
    expect((await type(flow, user_code)).html).toContain('Evening TV')
    const waits = await Promise.all(
      Array.from({ length: 1030 }, (_, count) => {
        const address = `address ${count % 120}`
        return house.rooms.devices.countTry({ address, network: address })
      }),
    )
    expect(waits.filter((wait) => wait === 0)).toHaveLength(1000)
    // Whoever has typed no wrong code goes on, and has one to get wrong.
    const guesser = '198.51.100.7'
    for (const from of ['198.51.100.8', guesser])
      expect((await type(flow, user_code, from)).html).toContain('Evening TV')
    expect((await type(flow, 'BCDF-ZZZZ', guesser)).status).toBe(400)
    expect((await type(flow, user_code, guesser)).status).toBe(429)
    expect((await type(flow, user_code, '198.51.100.9')).html).toContain('Evening TV')
  })

  test('wrongly from many addresses of one line stops that network and nobody else [THR-08]', async () => {
    for (const one of [house, other]) one.moveClock(11 * 60)
    const { user_code } = await ask()
    const flow = createFlow(house)
    for (let line = 0; line < 50; line++)
      expect((await type(flow, 'BCDF-ZZZZ', `2001:db8:7:${line}::1`)).status).toBe(400)
    expect((await type(flow, user_code, '2001:db8:7:ffff::1')).status).toBe(429)
    expect((await type(flow, user_code, '2001:db8:8::1')).html).toContain('Evening TV')
    expect(await events('device.codes-limited')).toHaveLength(3)
  })
})
