import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { CookieJar } from 'tough-cookie'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { type Answer, claimsOf, createFlow, type Flow } from '../support/flow.ts'
import { asSegment, forgedHints, segments } from '../support/forged-hints.ts'
import { type House, startHouse } from '../support/house.ts'

const BYE = 'https://rp.example/bye'
const PRODUCTS = resolve(import.meta.dirname, '../../docs/integrations')

let house: House
let app: { id: string; secret: string }
let browser: Flow
let tokens: Record<string, unknown>
let idToken: string

beforeAll(async () => {
  house = await startHouse()
  app = await house.addClient('app', {
    grants: ['authorization_code', 'refresh_token'],
    postLogoutRedirectUris: [BYE],
    name: 'App <b>& Co',
  })
  await house.addClient('shop')
  await house.addClient('other', { postLogoutRedirectUris: ['https://other.example/bye'] })
  await house.addAccount('alex')
})
afterAll(() => house.stop())

beforeEach(async () => {
  browser = createFlow(house, { client: app })
  const query = await browser.complete('alex')
  tokens = (await browser.redeem(query.get('code') ?? '')).body
  idToken = String(tokens.id_token)
})

const endSession = (params: Record<string, string>) =>
  browser.request(`/session/end?${new URLSearchParams(params)}`)

/** Whether this browser is signed in, as an app would find out without a page. */
async function isSignedIn(jar = browser.jar): Promise<boolean> {
  const { location = '' } = await createFlow(house, { client: app, jar }).begin({ prompt: 'none' })
  if (location.includes('error=login_required')) return false
  expect(location).toContain('code=')
  return true
}

/** The form of the page that asks, as its buttons send it. */
function confirm(
  page: Answer,
  fields: Record<string, string> = { logout: 'yes' },
): Promise<Answer> {
  const xsrf = /name="xsrf" value="(\w+)"/.exec(page.html)?.[1] ?? ''
  return browser.post('/session/end/confirm', { xsrf, ...fields })
}

describe('a logout asked for by an app', () => {
  test('asks the person, then ends the session and goes back with state (OIDC-31, SES-05, SES-16)', async () => {
    const before = await CookieJar.deserialize(await browser.jar.serialize())
    const state = 'a b&c=d%20é"<>'
    const page = await endSession({ id_token_hint: idToken, post_logout_redirect_uri: BYE, state })
    expect(page.status).toBe(200)
    expect(page.html).toContain('App &lt;b&gt;&amp; Co')
    expect(await isSignedIn()).toBe(true)

    const again = await endSession({ id_token_hint: idToken, post_logout_redirect_uri: BYE, state })
    const answer = await confirm(again)
    expect(answer.status).toBe(303)
    const { origin, pathname, searchParams } = new URL(answer.location ?? '')
    expect(origin + pathname).toBe(BYE)
    expect(Object.fromEntries(searchParams)).toEqual({ state })

    expect(await isSignedIn()).toBe(false)
    expect(await isSignedIn(before)).toBe(false)
    const me = await fetch(`${house.url}/me`, {
      headers: { authorization: `Bearer ${tokens.access_token}` },
    })
    expect(me.status).toBe(401)
    await me.text()
    const refreshed = await browser.redeem('', {
      grant_type: 'refresh_token',
      refresh_token: String(tokens.refresh_token),
    })
    expect(refreshed.body.error).toBe('invalid_grant')
  })

  test('without state goes back without it, and without an address to our own page', async () => {
    const bare = await confirm(
      await endSession({ id_token_hint: idToken, post_logout_redirect_uri: BYE }),
    )
    expect(bare.location).toBe(BYE)
    await browser.complete('alex')
    const own = await confirm(await endSession({ state: 'only state' }))
    expect(own.location).toMatch(new RegExp(`^${house.issuer}/`))
    expect((await browser.request(own.location ?? '')).status).toBe(200)
    expect(await isSignedIn()).toBe(false)
  })

  test.each(['grafana.md', 'oauth2-proxy.md'])(
    'by client id and no hint, as %s has it to copy, goes back with state as well [OIDC-31]',
    async (name) => {
      const text = readFileSync(join(PRODUCTS, name), 'utf8')
      const [, link = ''] =
        /^(?:signout_redirect_url = |\/oauth2\/sign_out\?rd=)(.+)$/m.exec(text) ?? []
      const address = new URL(link.startsWith('https:') ? link : decodeURIComponent(link))
      const [, back = ''] = /--post-logout-redirect-uri (\S+)/.exec(text) ?? []
      await house.rooms.clients.patch('shop', { postLogoutRedirectUris: [back] })

      address.searchParams.set('state', 'a state')
      const answer = await confirm(await browser.request(address.href))
      expect([answer.status, answer.location]).toEqual([303, `${back}?state=a+state`])
      expect(await isSignedIn()).toBe(false)
    },
  )

  test('leaves someone signed in who says so', async () => {
    const page = await endSession({ id_token_hint: idToken, post_logout_redirect_uri: BYE })
    expect((await confirm(page, {})).location).toBe(BYE)
    expect(await isSignedIn()).toBe(true)
  })

  test('by a mere GET, as an image of another site makes it, changes nothing (SES-16, input 91)', async () => {
    for (const params of [{}, { client_id: 'app' }, { id_token_hint: idToken }]) {
      const page = await browser.request(
        `/session/end?${new URLSearchParams(Object.entries(params))}`,
        { headers: { 'sec-fetch-site': 'cross-site', 'sec-fetch-dest': 'image', accept: '*/*' } },
      )
      expect(page.status).toBe(200)
      expect(page.location).toBeUndefined()
      expect(page.headers.get('x-frame-options')).toBe('DENY')
      expect(await isSignedIn()).toBe(true)
    }
  })
})

describe('a forged logout form (SES-16)', () => {
  const evil = { origin: 'https://evil.example', 'sec-fetch-site': 'cross-site' }

  test('without the token of its page, or with a made-up one, is refused', async () => {
    const forms: Record<string, string>[] = [
      { logout: 'yes' },
      { logout: 'yes', xsrf: '' },
      { logout: 'yes', xsrf: 'x'.repeat(48) },
    ]
    for (const opened of [false, true]) {
      if (opened) await endSession({})
      for (const fields of forms) {
        expect((await browser.post('/session/end/confirm', fields)).status).toBe(400)
        expect((await browser.post('/session/end/confirm', fields, evil)).status).toBe(403)
        expect(await isSignedIn()).toBe(true)
      }
    }
  })

  test('with the token of another browser’s page is refused', async () => {
    const theirs = createFlow(house)
    const page = await theirs.request('/session/end')
    const xsrf = /name="xsrf" value="(\w+)"/.exec(page.html)?.[1] ?? ''
    expect(xsrf).not.toBe('')
    await endSession({})
    const answer = await browser.post('/session/end/confirm', { xsrf, logout: 'yes' })
    expect(answer.status).toBe(400)
    expect(await isSignedIn()).toBe(true)
  })

  test('with the right token, but from another site, is refused (WEB-01)', async () => {
    const page = await browser.request('/session/end')
    const xsrf = /name="xsrf" value="(\w+)"/.exec(page.html)?.[1] ?? ''
    const answer = await browser.post('/session/end/confirm', { xsrf, logout: 'yes' }, evil)
    expect(answer.status).toBe(403)
    expect(await isSignedIn()).toBe(true)
  })

  test('posted to the page that asks leads there, and to nothing more', async () => {
    const answer = await browser.post(
      '/session/end',
      { id_token_hint: idToken, logout: 'yes' },
      evil,
    )
    expect(answer.status).toBe(303)
    expect(answer.location).toMatch(`${house.issuer}/session/end?id_token_hint=`)
    const page = await browser.request(answer.location ?? '')
    expect(page.html).toContain('name="logout"')
    expect(await isSignedIn()).toBe(true)
  })
})

test('a logout token that somebody posts has no address here, and ends nothing [OIDC-33]', async () => {
  const { iss, sub, aud } = claimsOf(tokens)
  const events = { 'http://schemas.openid.net/event/backchannel-logout': {} }
  const unsigned = [
    { alg: 'none', typ: 'logout+jwt' },
    { iss, sub, aud, jti: 'x', events },
  ]
  const logout_token = `${unsigned.map(asSegment).join('.')}.`
  const answers: Record<string, number> = {}
  for (const path of ['/backchannel-logout', '/logout', '/session/end', '/session/end/confirm'])
    answers[path] = (await browser.post(path, { logout_token })).status
  expect(answers).toEqual({
    '/backchannel-logout': 404,
    '/logout': 404,
    // As any form is: to the page that asks.
    '/session/end': 303,
    '/session/end/confirm': 400,
  })
  expect(await isSignedIn()).toBe(true)
})

describe('no redirect, and nobody is signed out (OIDC-31, input 90)', () => {
  async function expectRefused(params: Record<string, string>): Promise<void> {
    const answer = await endSession(params)
    expect(answer.status, JSON.stringify(params)).toBe(400)
    expect(answer.location).toBeUndefined()
    expect(answer.html).not.toMatch(/<form(?! method="post" action="\/language")|evil\.example/)
    expect(await isSignedIn()).toBe(true)
  }

  test('for an address that isn’t registered, or is with something added', async () => {
    for (const post_logout_redirect_uri of [
      'https://evil.example/',
      `${BYE}?x=1`,
      `${BYE}/`,
      `${BYE}#x`,
      'https://rp.example/cb',
      'https://other.example/bye',
      'javascript:alert(1)',
    ]) {
      await expectRefused({ id_token_hint: idToken, post_logout_redirect_uri })
      await expectRefused({ client_id: 'app', post_logout_redirect_uri })
    }
  })

  test('for a hint that we didn’t sign (OIDC-14)', async () => {
    for (const [, id_token_hint] of await forgedHints(idToken, { ...house, ...app }))
      await expectRefused({ id_token_hint, post_logout_redirect_uri: BYE, state: 'x' })
  })

  test('for a hint that is no token, or names no client of ours', async () => {
    const [header, , signature] = segments(idToken)
    const auds = ['nobody', ['app'], 5, null, { a: 1 }, 'app\0', '']
    for (const id_token_hint of [
      'garbage',
      'a.b.c',
      'x'.repeat(5000),
      '..',
      ...auds.map((aud) => `${header}.${asSegment({ aud })}.${signature}`),
      `${header}.${Buffer.from('null').toString('base64url')}.${signature}`,
    ]) {
      await expectRefused({ id_token_hint, post_logout_redirect_uri: BYE })
    }
  })

  test('for a hint of one client and the id of another, or parameters given twice', async () => {
    await expectRefused({
      id_token_hint: idToken,
      client_id: 'other',
      post_logout_redirect_uri: BYE,
    })
    const twice = await browser.request(`/session/end?client_id=app&client_id=other`)
    expect(twice.status).toBe(400)
  })

  test('without a hint or a client id the address counts for nothing', async () => {
    const answer = await confirm(await endSession({ post_logout_redirect_uri: BYE }))
    expect(answer.location).toMatch(new RegExp(`^${house.issuer}/`))
  })
})
