import { createServer, type Server } from 'node:http'
import Koa from 'koa'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { browserName } from '../../src/web/browser-name.ts'
import { createTrustedBrowserCookie } from '../../src/web/trusted-browser.ts'
import { freePort } from '../support/ports.ts'

const TOKEN = `${'i'.repeat(22)}.${'s'.repeat(43)}`

describe.each([
  [false, 'sallyport_trusted'],
  [true, '__Host-sallyport_trusted'],
])('the cookie, secure %s', (secure, name) => {
  let server: Server
  let origin: string

  beforeAll(async () => {
    const app = new Koa({ proxy: true })
    app.keys = ['a key of this test, long enough']
    const cookie = createTrustedBrowserCookie({ secure, days: 14 })
    app.use((ctx) => {
      if (ctx.path === '/set') cookie.set(ctx, TOKEN)
      if (ctx.path === '/clear') cookie.clear(ctx)
      ctx.body = `read: ${cookie.read(ctx)}`
    })
    const port = await freePort()
    server = createServer(app.callback())
    await new Promise<void>((listening) => server.listen(port, '127.0.0.1', listening))
    origin = `http://127.0.0.1:${port}`
  })
  afterAll(() => new Promise((closed) => server.close(closed)))

  const get = (path: string, cookie = '') =>
    fetch(origin + path, {
      headers: { cookie, ...(secure && { 'x-forwarded-proto': 'https' }) },
    })
  const read = async (cookie: string) => (await get('/', cookie)).text()

  async function given(): Promise<{ value: string; signature: string }> {
    const cookies = (await get('/set')).headers.getSetCookie().map((line) => line.split(';')[0])
    const [value = '', signature = ''] = cookies
    return { value, signature }
  }

  test('is for the browser alone, as long as browsers are remembered', async () => {
    for (const line of (await get('/set')).headers.getSetCookie()) {
      expect(line).toMatch(new RegExp(`^${name}(\\.sig)?=`))
      expect(line).toMatch(/; path=\/;/)
      expect(line).toMatch(/; samesite=lax/)
      expect(line).toMatch(/; httponly/)
      expect(line.includes('; secure')).toBe(secure)
      const expires = Date.parse(/expires=([^;]+)/.exec(line)?.[1] ?? '')
      expect(Math.abs(expires - Date.now() - 14 * 24 * 3600 * 1000)).toBeLessThan(3600 * 1000)
    }
  })

  test('is read as it was set', async () => {
    const { value, signature } = await given()
    expect(await read(`${value}; ${signature}`)).toBe(`read: ${TOKEN}`)
  })

  test('is not read when it was forged or altered (TRD-01)', async () => {
    const { value, signature } = await given()
    const altered = value.replace('s', 't')
    expect(altered).not.toBe(value)
    for (const forged of [
      value,
      `${altered}; ${signature}`,
      `${value}; ${signature.slice(0, -5)}`,
      `${name}=other; ${signature}`,
      '',
    ])
      expect(await read(forged)).toBe('read: undefined')
  })

  test('is taken away', async () => {
    const lines = (await get('/clear')).headers.getSetCookie()
    expect(lines.length).toBeGreaterThan(0)
    for (const line of lines) expect(line).toMatch(/expires=Thu, 01 Jan 1970/)
  })
})

describe('a browser’s name', () => {
  const WEBKIT = 'AppleWebKit/537.36 (KHTML, like Gecko)'
  test.each([
    [
      'Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:143.0) Gecko/20100101 Firefox/143.0',
      'Firefox on Windows',
    ],
    [`Mozilla/5.0 (X11; Linux x86_64) ${WEBKIT} Chrome/140.0.0.0 Safari/537.36`, 'Chrome on Linux'],
    [
      `Mozilla/5.0 (Windows NT 10.0; Win64; x64) ${WEBKIT} Chrome/140.0.0.0 Safari/537.36 Edg/140.0.0.0`,
      'Microsoft Edge on Windows',
    ],
    [
      'Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 Mobile/15E148 Safari/604.1',
      'Safari on iOS',
    ],
    ['', 'Unknown browser'],
    ['-', 'Unknown browser'],
    ['<script>alert(1)</script>/1.0 x', 'Unknown browser'],
    ['{{ 7 * 7 }}/1.0 x', 'Unknown browser'],
    ['\u202Egnirts/1.0 x', 'Unknown browser'],
    ['a\nb/1.0 x', 'Unknown browser'],
    [`${'x'.repeat(60)}/1.0 x`, 'Unknown browser'],
  ])('of %j is %j', (userAgent, name) => {
    expect(browserName(userAgent)).toBe(name)
  })

  test('is plain and short, whatever the browser says', () => {
    const [start, end] = ['Mozilla/5.0 (', ')'].map((edge) => edge.repeat(20_000))
    for (const userAgent of [
      `${start}${end}`,
      'x/'.repeat(50_000),
      `Firefox/${'9'.repeat(50_000)}`,
    ])
      expect(browserName(userAgent)).toMatch(/^[A-Za-z0-9 .+-]{1,70}$/)
  })
})
