import { CookieJar } from 'tough-cookie'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { readConfig } from '../../src/config/config.ts'
import { type Answer, createFlow, type Flow } from '../support/flow.ts'
import { type House, startHouse } from '../support/house.ts'

const GERMAN = { 'accept-language': 'fi, de-AT;q=0.8, en;q=0.5' }

let house: House
beforeAll(async () => {
  house = await startHouse()
  await house.addClient()
  await house.addAccount('alex')
})
afterAll(() => house.stop())

function languageOf({ headers, html }: Answer): string | undefined {
  const [, tag] = /<html lang="([\w-]+)" dir="ltr">/.exec(html) ?? []
  expect(headers.get('content-language')).toBe(tag)
  expect(html).toContain(tag === 'de' ? '>Weiter<' : '>Continue<')
  return tag
}

function change(flow: Flow, language: string, headers: Record<string, string> = {}) {
  return flow.post('/language', { language }, { referer: house.issuer + flow.path, ...headers })
}

async function cookiesOf(jar: CookieJar) {
  const cookies = await jar.getCookies(house.issuer)
  return cookies.filter(({ key }) => /^sallyport_(language|ui_locales)$/.test(key))
}

describe('the language of the pages is', () => {
  test('the one the app asks for, before that of switch and browser, until it asks for none', async () => {
    const flow = createFlow(house, { headers: GERMAN })
    await flow.begin()
    await change(flow, 'de')
    expect(languageOf(await flow.begin({ ui_locales: 'xx en-GB de' }))).toBe('en')
    expect(languageOf(await flow.page())).toBe('en')
    expect(languageOf(await flow.begin())).toBe('de')
    expect((await cookiesOf(flow.jar)).map(({ key }) => key)).toEqual(['sallyport_language'])
  })

  test('the one the person switched to, which ends what the app asked for', async () => {
    const flow = createFlow(house)
    expect(languageOf(await flow.begin({ ui_locales: 'de' }))).toBe('de')
    const { status, location } = await change(flow, 'en')
    expect([status, location]).toEqual([303, house.issuer + flow.path])
    expect(languageOf(await flow.page())).toBe('en')
    const [kept, ...others] = await cookiesOf(flow.jar)
    expect(others).toEqual([])
    expect(kept).toMatchObject({ httpOnly: true, sameSite: 'lax', path: '/' })
    expect(kept?.TTL()).toBeGreaterThan(364 * 24 * 3600 * 1000)
  })

  test('the browser’s, as far as there is one', async () => {
    expect(languageOf(await createFlow(house, { headers: GERMAN }).begin())).toBe('de')
    const finnish = createFlow(house, { headers: { 'accept-language': 'fi, *;q=0.1' } })
    expect(languageOf(await finnish.begin())).toBe('en')
  })

  test('DEFAULT_LOCALE’s otherwise, which must be one there is', async () => {
    const german = await startHouse({ beside: house, env: { DEFAULT_LOCALE: 'de' } })
    try {
      expect(languageOf(await createFlow(german, { url: german.url }).begin())).toBe('de')
    } finally {
      await german.stop()
    }
    expect(() => readConfig({ DEFAULT_LOCALE: '../en' })).toThrow(/DEFAULT_LOCALE must be/)
  })

  test('what the app asks for also on pages the provider shows by itself', async () => {
    const wrong = await createFlow(house).request('/auth?client_id=nobody&ui_locales=de')
    expect(wrong.html).toContain('<html lang="de"')
    expect(wrong.html).toMatch(/<span lang="en" dir="ltr">invalid_client/)
    const flow = createFlow(house)
    await flow.complete('alex')
    const out = await flow.request('/session/end?ui_locales=de')
    expect(out.html).toContain('>Abmelden?<')
    // A request that is refused before its parameters are known has the browser's.
    const twice = '/auth?ui_locales=de&ui_locales=en&client_id=app'
    expect((await createFlow(house).request(twice)).html).toContain('<html lang="en"')
  })

  test('never one by a cookie that wasn’t signed here', async () => {
    const jar = new CookieJar()
    await jar.setCookie('sallyport_language=de', house.issuer)
    await jar.setCookie('sallyport_ui_locales=de; ', house.issuer)
    expect(languageOf(await createFlow(house, { jar }).begin())).toBe('en')
  })
})

describe('refusals', () => {
  test('are told in the person’s language, and to programs in English', async () => {
    const flow = createFlow(house, { headers: GERMAN })
    const page = await flow.request('/interaction/x')
    expect(page.html).toContain('Diese Anmeldung ist in diesem Browser nicht offen')
    const { html } = await flow.request('/interaction/x', {
      headers: { accept: 'application/json' },
    })
    expect(html).toContain('This sign-in isn’t open in this browser')
  })
})

describe('the switch', () => {
  test('keeps a sign-in where it was, and sends nothing (input 72)', async () => {
    const flow = createFlow(house)
    await flow.toCode('alex')
    const sent = house.codeTexts().length
    const code = house.lastCode()
    await change(flow, 'de')
    expect((await flow.page()).html).toContain('>Code eingeben<')
    expect(house.codeTexts()).toHaveLength(sent)
    expect((await flow.code(code)).location).toContain('/auth/')
  })

  test.each([
    ['elsewhere', 'https://evil.example/x', '/'],
    ['nowhere', '', '/'],
    ['a host like ours', 'ISSUER.evil.example/', '/'],
    ['a path like a host', 'ISSUER//evil.example/x', '//evil.example/x'],
    ['an app’s request', 'ISSUER/auth?ui_locales=de&client_id=nobody', '/auth?client_id=nobody'],
  ])('leads from %s to an address of ours', async (_, referer, path) => {
    const flow = createFlow(house)
    const { headers } = await change(flow, 'de', {
      referer: referer.replace('ISSUER', house.issuer),
    })
    expect(headers.get('location')).toBe(path === '/' ? `${house.issuer}/` : house.issuer + path)
  })

  test('is refused to other sites, and for languages there are none of', async () => {
    const flow = createFlow(house)
    expect((await change(flow, 'de', { origin: 'https://evil.example' })).status).toBe(403)
    expect((await change(flow, '../en')).status).toBe(400)
    expect((await change(flow, '')).status).toBe(400)
    expect(await cookiesOf(flow.jar)).toEqual([])
    expect((await flow.request('/language')).location).toBe(`${house.issuer}/`)
  })

  test('sets cookies of the host alone under https', async () => {
    const issuer = 'https://login.example.com'
    const secure = await startHouse({ env: { ISSUER: issuer, TRUST_PROXY: '1' } })
    try {
      const { headers } = await createFlow(secure).post('/language', { language: 'de' })
      const cookies = headers.getSetCookie()
      expect(cookies).toHaveLength(2)
      for (const cookie of cookies)
        expect(cookie).toMatch(
          /^__Host-sallyport_language(\.sig)?=.*; path=\/; .*secure; httponly/i,
        )
    } finally {
      await secure.stop()
    }
  })
})
