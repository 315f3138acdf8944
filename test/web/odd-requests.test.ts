import { sql } from 'kysely'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createFlow } from '../support/flow.ts'
import { expectStillOpen } from '../support/guesses.ts'
import { type House, PASSWORD, startHouse } from '../support/house.ts'
import { exchange, head } from '../support/raw.ts'

let house: House

beforeAll(async () => {
  house = await startHouse()
  await house.addClient('app')
  await house.addAccount('alex')
})
afterAll(() => house.stop())

const send = (method: string, target: string, headers: Record<string, string> = {}) =>
  exchange(house.config.port, head(method, target, headers))

describe('an odd request', () => {
  test.each(['TRACE', 'PROPFIND', 'PUT', 'DELETE', 'PATCH', 'MKCOL', 'SEARCH', 'QUERY', 'PURGE'])(
    'of method %s is refused on every route (input 93, WEB-13)',
    async (method) => {
      for (const path of [
        '/',
        '/auth',
        '/token',
        '/interaction/x',
        '/interaction/x/code',
        '/nothing',
      ]) {
        const answer = await send(method, path, { 'X-Secret': 'reflected' })
        expect(answer).toMatch(/^HTTP\/1.1 (405|501) /)
        expect(answer).toMatch(/\r\nallow: GET, HEAD, POST, OPTIONS\r\n/i)
        expect(answer).not.toContain('reflected')
      }
    },
  )

  test('that pages for development would answer finds nothing, with a sign-in under way [OIDC-41]', async () => {
    const flow = createFlow(house)
    await flow.begin()
    for (const answer of [
      await flow.request(`${flow.path}/abort`),
      await flow.post(flow.path, { prompt: 'login', login: 'alex', password: 'x' }),
    ])
      expect([answer.status, answer.location]).toEqual([404, undefined])
    // Whoever types any name and password is not let in.
    expect((await flow.password('alex', 'x')).location).toBeUndefined()
  })

  test('to be a tunnel, or in no known method, is refused (input 93)', async () => {
    expect(await send('CONNECT', 'evil.example:443')).toMatch(/^$|^HTTP\/1.1 40[05] /)
    expect(await send('CONNECT', '/')).toMatch(/^$|^HTTP\/1.1 40[05] /)
    expect(await send('SALLYPORT', '/')).toMatch(/^HTTP\/1.1 400 /)
  })

  test.each([
    ['a header of 64 kB', 431, { 'X-Long': 'x'.repeat(65_536) }],
    ['500 headers', 431, Object.fromEntries(range(500).map((i) => [`X-${i}`, 'y'.repeat(40)]))],
    ['cookies of 16 kB', 431, { Cookie: `sallyport_session=${'x'.repeat(16_384)}` }],
    ['an address of 64 kB', 431, {}],
  ])('with %s is refused with %d (input 106, WEB-21)', async (what, status, headers) => {
    const target = what.startsWith('an address') ? `/auth?x=${'x'.repeat(65_536)}` : '/'
    expect(await send('GET', target, headers)).toMatch(new RegExp(`^HTTP/1.1 ${status} `))
  })

  test('with much in it, but not too much, is answered without a fault (input 106)', async () => {
    for (const headers of [
      Object.fromEntries(range(500).map((i) => [`X-${i}`, 'y'])),
      { Cookie: `sallyport_session=${'x'.repeat(12_000)}; sallyport_session.sig=x` },
      {
        Cookie: range(400)
          .map((i) => `sallyport_interaction=${i}`)
          .join('; '),
      },
      { Cookie: '=; ;;=x; a=%ff%00; "' },
      { 'X-Forwarded-For': '1,'.repeat(5000), 'X-Forwarded-Proto': 'x,'.repeat(2000) },
      { Accept: `${'text/x;q=0.1,'.repeat(800)}text/html` },
      { 'Accept-Language': 'x'.repeat(9000), 'User-Agent': '\x7f\xff' },
      { Authorization: `Basic ${'A'.repeat(10_000)}` },
      { Referer: 'javascript:alert(1)', Origin: '\\', 'Sec-Fetch-Site': 'x' },
      { Range: 'bytes=0-,0-,0-', 'If-None-Match': '*', 'If-Modified-Since': 'x' },
      { Expect: '100-continue' },
    ]) {
      for (const path of ['/', '/auth?client_id=app', '/interaction/x', '/me'])
        expect(await send('GET', path, headers)).toMatch(/^HTTP\/1.1 (100|200|303|40[0-9]) /)
    }
  })

  test('to speak WebSocket or HTTP/2 is refused or answered as plain HTTP (input 107)', async () => {
    const sockets = { Connection: 'Upgrade, close', Upgrade: 'websocket' }
    const key = { 'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==', 'Sec-WebSocket-Version': '13' }
    for (const path of ['/', '/interaction/x', '/nothing'])
      expect(await send('GET', path, { ...sockets, ...key })).toMatch(/^HTTP\/1.1 (200|40[0-9]) /)
    const h2c = {
      Connection: 'Upgrade, HTTP2-Settings, close',
      Upgrade: 'h2c',
      'HTTP2-Settings': '',
    }
    expect(await send('GET', '/', h2c)).toMatch(/^HTTP\/1.1 (200|40[0-9]) /)
    const known = await exchange(house.config.port, 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')
    expect(known).toMatch(/^HTTP\/1.1 40[05] /)
  })

  test.each([
    ...['/.env', '/.git/config', '/debug', '/interaction/', '/interaction'],
    ...['/assets/', '/assets', '/assets/../package.json', '/package.json'],
    ...[
      '/assets/%2e%2e%2fpackage.json',
      '/assets/styles.css.map',
      '/assets/code.js',
      '/admin/bootstrap',
    ],
    ...['/src/main.ts', '/server-status', '/.well-known/', '/favicon.ico', '//evil.example', '/%'],
    ...['/auth/../.env', '/healthz/', '/HEALTHZ', '/interaction/a/b/c', '/interaction/__proto__/x'],
  ])('for %s finds nothing (input 108, WEB-12, WEB-20)', async (path) => {
    const answer = await send('GET', path, { Accept: 'text/html' })
    expect(answer).toMatch(/^HTTP\/1.1 404 /)
    expect(answer).not.toMatch(/\r\nlocation:/i)
  })

  test.each<Record<string, string>>([
    { 'X-Forwarded-For': '203.0.113.9' },
    { Forwarded: 'for=203.0.113.9' },
    { Via: '1.1 proxy' },
  ])(
    'for /metrics from outside, by a proxy that says %j, finds nothing (input 108)',
    async (by) => {
      expect(await send('GET', '/metrics', by)).toMatch(/^HTTP\/1.1 404 /)
      const here = await send('GET', '/metrics', {})
      expect(here).toMatch(/^HTTP\/1.1 200 /)
      expect(here).toContain('sallyport_codes_total{outcome="right"}')
    },
  )

  test('can’t make a redirect lead elsewhere or split a header (WEB-12)', async () => {
    for (const uid of [
      '//evil.example',
      '%0d%0aLocation:%20https://evil.example',
      '\\evil.example',
    ]) {
      for (const step of ['code', 'login', 'resend']) {
        const answer = await send('GET', `/interaction/${uid}/${step}`)
        expect(answer).not.toMatch(/\r\nlocation: *(https?:)?[/\\]{2}/i)
        expect(answer.match(/\r\nlocation:/gi)?.length ?? 0).toBeLessThan(2)
      }
    }
    const flow = createFlow(house)
    for (const wish of ['//evil.example', '/\\evil.example', 'https:evil.example']) {
      await flow.begin({ returnTo: wish, return_to: wish, next: wish, redirect: wish })
      const answer = await flow.step('login', {
        username: 'alex',
        password: PASSWORD,
        returnTo: wish,
        redirect_uri: wish,
      })
      expect(answer.location).toBe(new URL(flow.path, house.issuer).href)
    }
  })

  test('leaves the service as it was: the next sign-in works', async () => {
    const flow = createFlow(house)
    await flow.toCode('alex')
    await expectStillOpen(flow, house.lastCode())
  })
})

describe('a fault inside', () => {
  test('shows a number to quote, and nothing of what broke (WEB-16)', async () => {
    const broken = await startHouse()
    const client = await broken.addClient('app')
    await broken.addAccount('alex')
    const flow = createFlow(broken, { client })
    await flow.toCode('alex')
    const code = broken.lastCode()
    const fresh = createFlow(broken)
    await fresh.begin()
    for (const table of ['challenge', 'oidc_record', 'account', 'client', 'phone'])
      await sql`alter table ${sql.table(table)} rename to ${sql.table(`gone_${table}`)}`.execute(
        broken.db,
      )

    const answers = {
      page: await flow.page(),
      code: await flow.code(code),
      resend: await flow.step('resend'),
      cancel: await flow.step('cancel'),
      password: await fresh.password('alex'),
      authorization: await fresh.request(fresh.authorizationUrl()),
      resume: await flow.back(),
      logout: await flow.request('/session/end'),
      userinfo: await flow.request('/me', { headers: { authorization: 'Bearer abc' } }),
    }
    for (const [name, { status, headers, html }] of Object.entries(answers)) {
      expect(status, `${name}: ${html}`).toBe(500)
      const id = headers.get('x-request-id') ?? ''
      expect(id).toMatch(/^[0-9a-f-]{36}$/)
      expect(html).not.toMatch(
        /relation|does not exist|select |gone_|challenge"|\bat \/|\.ts\b|42P01/i,
      )
      expect(headers.get('content-security-policy')).toContain("frame-ancestors 'none'")
      expect(headers.get('cache-control')).toContain('no-store')
      if (headers.get('content-type')?.startsWith('text/html')) {
        expect(html).toContain('Something went wrong on our side')
        expect(html).toContain(id)
      }
      const line = broken.logged.find(
        (line) => line.includes(id) && line.includes('does not exist'),
      )
      expect(line, `${name} is explained in the log`).toBeDefined()
    }
    const token = await flow.redeem('abc')
    expect(token.status).toBe(500)
    expect(Object.keys(token.body).sort()).toEqual(['error', 'error_description'])
    await broken.stop()
  })
})

function range(count: number): number[] {
  return Array.from({ length: count }, (_, index) => index)
}
