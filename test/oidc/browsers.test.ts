import { CookieJar } from 'tough-cookie'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Answer, burst, claimsOf, createFlow, type Flow } from '../support/flow.ts'
import { type House, PHONES, startHouse } from '../support/house.ts'

const ISSUER = 'https://login.example.com'

/** Signs in and keeps every cookie that was set on the way, as it was set. */
async function cookiesOfSignIn(house: House, client: { id: string; secret: string }) {
  const flow = createFlow(house, { client })
  const set: string[] = []
  const { request } = flow
  flow.request = async (target, init) => {
    const answer = await request(target, init)
    set.push(...answer.headers.getSetCookie())
    return answer
  }
  const query = await flow.complete('alex')
  expect(query.get('code')).toBeTruthy()
  await flow.request('/session/end')
  return set
}

const nameOf = (cookie: string) => cookie.slice(0, cookie.indexOf('='))

describe('cookies (SES-02)', () => {
  test('under https are held to this host and to https, and kept from scripts', async () => {
    const house = await startHouse({ env: { ISSUER, TRUST_PROXY: '1' } })
    const app = await house.addClient('app')
    await house.addAccount('alex')
    const set = await cookiesOfSignIn(house, app)
    for (const cookie of set) {
      const name = nameOf(cookie)
      expect(cookie).toMatch(/; secure(;|$)/i)
      expect(cookie).toMatch(/; httponly(;|$)/i)
      expect(cookie).toMatch(/; samesite=(lax|strict)(;|$)/i)
      expect(cookie).not.toMatch(/; domain=/i)
      expect(cookie.length).toBeLessThan(1024)
      if (/; path=\/(;|$)/i.test(cookie)) expect(name).toMatch(/^__Host-sallyport_/)
      else expect(name).toMatch(/^__Secure-sallyport_/)
    }
    const names = new Set(set.map(nameOf))
    for (const name of names) {
      if (!name.endsWith('.sig')) expect(names).toContain(`${name}.sig`)
    }
    expect(names).toContain('__Host-sallyport_session')
    expect(names).toContain('__Secure-sallyport_interaction')
    expect(names).toContain('__Secure-sallyport_resume')
    expect(names).toContain('__Host-sallyport_browser')

    const document = await fetch(`${house.url}/.well-known/openid-configuration`)
    const urls = Object.entries<unknown>(JSON.parse(await document.text())).filter(
      ([name]) => name === 'issuer' || /_endpoint$|_uri$/.test(name),
    )
    for (const [name, url] of urls) expect(String(url).startsWith(ISSUER), name).toBe(true)
    await house.stop()
  })

  test('under http on this machine have everything but the names and the flag that need https', async () => {
    const house = await startHouse()
    const app = await house.addClient('app')
    await house.addAccount('alex')
    for (const cookie of await cookiesOfSignIn(house, app)) {
      expect(nameOf(cookie)).toMatch(/^sallyport_/)
      expect(cookie).toMatch(/; httponly(;|$)/i)
      expect(cookie).toMatch(/; samesite=(lax|strict)(;|$)/i)
      expect(cookie).not.toMatch(/; (domain=|secure)/i)
    }
    await house.stop()
  })
})

describe('one browser', () => {
  let house: House
  let app: { id: string; secret: string }
  let alex: { id: string }
  let bo: { id: string }
  beforeAll(async () => {
    house = await startHouse()
    app = await house.addClient('app', { grants: ['authorization_code', 'refresh_token'] })
    alex = await house.addAccount('alex')
    bo = await house.addAccount('bo', PHONES[1])
  })
  afterAll(() => house.stop())

  const newFlow = (jar = new CookieJar()) => createFlow(house, { client: app, jar })

  async function subOf(flow: Flow, query: URLSearchParams): Promise<unknown> {
    const { status, body } = await flow.redeem(query.get('code') ?? '')
    expect(status).toBe(200)
    return claimsOf(body).sub
  }

  /** Follows redirects, and forms that send themselves, until the way leads out. */
  async function follow(flow: Flow, answer: Answer): Promise<URLSearchParams> {
    let at = answer
    for (let hops = 0; hops < 8; hops++) {
      const form = /<form method="post" action="([^"]+)"/.exec(at.html)?.[1]
      const xsrf = /name="xsrf" value="([^"]+)"/.exec(at.html)?.[1]
      if (at.location?.startsWith(house.issuer)) at = await flow.request(at.location)
      else if (at.location) return new URL(at.location).searchParams
      else if (form && xsrf) at = await flow.post(form, { xsrf, logout: 'yes' })
      else break
    }
    throw new Error(`no way out: ${at.status} ${at.html}`)
  }

  test('with 30 sign-ins begun at once can finish the first and the last (SES-12)', async () => {
    const jar = new CookieJar()
    const flows = await burst(30, async () => {
      const flow = newFlow(jar)
      expect((await flow.begin()).status).toBe(200)
      return flow
    })
    for (const flow of [flows[0], flows[29]]) {
      if (!flow) throw new Error('not begun')
      const sent = (await jar.getCookieString(`${house.issuer}${flow.path}`)).length
      expect(sent).toBeLessThan(4096)
      const page = await flow.page()
      expect(page.status).toBe(200)
      flow.formToken = /name="form_token" value="([^"]+)"/.exec(page.html)?.[1] ?? ''
      expect((await flow.password('alex')).status).toBe(303)
      expect(await subOf(flow, await flow.resume(await flow.code(house.lastCode())))).toBe(alex.id)
    }
  })

  test('in which a second person signs in gives the app that person, and forgets the first (SES-10, OIDC-39)', async () => {
    const first = newFlow()
    const tokens = await first.redeem((await first.complete('alex')).get('code') ?? '')
    const second = newFlow(first.jar)
    const claims = JSON.stringify({ id_token: { sub: { essential: true, value: bo.id } } })
    await second.toCode('bo', { claims })
    const answer = await second.code(house.lastCode(PHONES[1]))
    expect(await subOf(second, await follow(second, answer))).toBe(bo.id)

    const { location } = await newFlow(first.jar).begin({ prompt: 'none' })
    const silent = newFlow(first.jar)
    const query = new URL((await silent.begin({ prompt: 'none' })).location ?? '').searchParams
    expect(location).toContain('code=')
    expect(await subOf(silent, query)).toBe(bo.id)
    const refreshed = await first.redeem('', {
      grant_type: 'refresh_token',
      refresh_token: String(tokens.body.refresh_token),
    })
    expect(refreshed.body.error).toBe('invalid_grant')
  })

  test('of someone whose account was disabled is told to sign in, and can’t (SES-06)', async () => {
    const gone = await house.addAccount('gone', PHONES[2])
    const flow = newFlow()
    await flow.complete('gone', PHONES[2])
    await house.db
      .updateTable('account')
      .set({ disabled_at: new Date() })
      .where('id', '=', gone.id)
      .execute()
    const silent = await newFlow(flow.jar).begin({ prompt: 'none' })
    expect(silent.location).toContain('error=login_required')
    const again = newFlow(flow.jar)
    expect((await again.begin()).html).toContain('autocomplete="current-password"')
    expect((await again.password('gone')).status).toBe(401)
  })

  test('of someone who is let in again begins anew: no session, no open challenge (ADM-19)', async () => {
    const back = await house.addAccount('back', PHONES[2])
    const flow = newFlow()
    await flow.complete('back', PHONES[2])
    const half = newFlow()
    await half.toCode('back')
    await house.rooms.trustedDevices.trust(back.id, 'Firefox')
    await house.rooms.accounts.disable(back.id)
    await house.rooms.accounts.enable(back.id)
    const { status, location } = await half.code(house.lastCode(PHONES[2]))
    expect([status, location]).toEqual([400, undefined])
    expect(await house.rooms.sessions.list(back.id)).toEqual([])
    expect(await house.rooms.trustedDevices.list(back.id)).toEqual([])
    const silent = await newFlow(flow.jar).begin({ prompt: 'none' })
    expect(silent.location).toContain('error=login_required')
  })

  test('is signed out for good: its old cookies are worth nothing (SES-05)', async () => {
    const flow = newFlow()
    await flow.complete('alex')
    const kept = await CookieJar.deserialize(await flow.jar.serialize())
    const page = await flow.request('/session/end')
    const xsrf = /name="xsrf" value="(\w+)"/.exec(page.html)?.[1] ?? ''
    expect((await newFlow(kept).begin({ prompt: 'none' })).location).toContain('code=')
    await flow.post('/session/end/confirm', { xsrf, logout: 'yes' })
    for (const jar of [flow.jar, kept]) {
      const { location } = await newFlow(jar).begin({ prompt: 'none' })
      expect(location).toContain('error=login_required')
    }
  })
})
