import { request as httpRequest } from 'node:http'
import { parse } from 'node-html-parser'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Answer, claimsOf, createFlow } from '../support/flow.ts'
import { type House, PHONES, REDIRECT_URI, startHouse } from '../support/house.ts'

let house: House
let app: { id: string; secret: string }

beforeAll(async () => {
  house = await startHouse()
  app = await house.addClient('app', { grants: ['authorization_code', 'refresh_token'] })
  await house.addAccount('alex')
})
afterAll(() => house.stop())

const newFlow = (headers: Record<string, string> = {}) =>
  createFlow(house, { client: app, headers })
const queryOf = (answer: Answer) =>
  Object.fromEntries(new URL(answer.location ?? 'about:blank').searchParams)

/** As `fetch` doesn't let anybody choose the Host header. */
function rawRequest(
  path: string,
  headers: Record<string, string>,
  method = 'GET',
): Promise<{ status: number; headers: string; body: string }> {
  return new Promise((resolve, reject) => {
    const { hostname, port } = new URL(house.url)
    const sent = httpRequest({ hostname, port, path, method, headers }, (response) => {
      let body = ''
      response.setEncoding('utf8').on('data', (piece: string) => {
        body += piece
      })
      response.on('end', () =>
        resolve({
          status: response.statusCode ?? 0,
          headers: response.rawHeaders.join('\n'),
          body,
        }),
      )
    })
    sent.on('error', reject).end()
  })
}

describe('hostile values of parameters that reach a page', () => {
  test.each(['"><script>alert(1)</script>', "' onfocus=alert(1) x='", '{{7*7}}', 'a\0b\r\nc'])(
    'login_hint %j is shown as text (input 24)',
    async (login_hint) => {
      const { status, html } = await newFlow().begin({ login_hint })
      expect(status).toBe(200)
      expect(html).not.toContain('<script>alert')
      const field = parse(html).querySelector('#username')
      expect(field?.getAttribute('value')).toBe(login_hint)
      expect(field?.getAttribute('onfocus')).toBeUndefined()
    },
  )

  test('a login_hint of 8 kB does no harm (input 24)', async () => {
    expect((await newFlow().begin({ login_hint: 'x'.repeat(8000) })).status).toBe(200)
  })

  test('ui_locales and claims_locales open no file and change no page (input 25)', async () => {
    const bare = (html: string) => html.replaceAll(/\/interaction\/[\w-]+|value="[\w-]+"/g, '')
    const usual = await newFlow().begin()
    for (const locale of ['../../etc/passwd', '%00', 'xx-'.repeat(1000), '<script>alert(1)']) {
      const answer = await newFlow().begin({ ui_locales: locale, claims_locales: locale })
      expect(answer.status).toBe(200)
      expect(bare(answer.html)).toBe(bare(usual.html))
    }
  })

  test('a state of 8 kB with quotes and line breaks comes back encoded, and splits no header (input 26)', async () => {
    const state = `"'<>\r\nSet-Cookie: evil=1\r\n\r\n${'é"'.repeat(600)}`
    const answer = await newFlow().begin({ state, prompt: 'none' })
    expect(queryOf(answer)).toMatchObject({ state, error: 'login_required' })
    expect(answer.headers.getSetCookie().join()).not.toContain('evil')
    const long = await newFlow().begin({ state: 'x'.repeat(8192), prompt: 'none' })
    expect(queryOf(long).state).toHaveLength(8192)
    expect((await newFlow().begin({ state: 'x'.repeat(20_000) })).status).toBe(431)
  })
})

describe('response modes (input 28)', () => {
  test('form_post sends state and iss as text of a form, under a policy that names its script', async () => {
    const answer = await newFlow().begin({
      response_mode: 'form_post',
      prompt: 'none',
      state: '"><script>alert(1)</script>',
    })
    expect(answer.status).toBe(400)
    expect(answer.html).toContain(`action="${REDIRECT_URI}"`)
    expect(answer.html).toContain('name="error" value="login_required"')
    expect(answer.html).toContain(`name="iss" value="${house.issuer}"`)
    expect(answer.html).not.toContain('<script>alert')
    const policy = answer.headers.get('content-security-policy') ?? ''
    expect(policy).toMatch(/script-src 'self' 'sha256-[\w+/=]+'/)
    expect(policy).not.toContain('unsafe')
    expect(answer.headers.get('cache-control')).toBe('no-store')
  })

  test('fragment puts the answer there, and nothing in the query', async () => {
    const answer = await newFlow().begin({ response_mode: 'fragment', prompt: 'none' })
    const { search, hash } = new URL(answer.location ?? '')
    expect(search).toBe('')
    expect(new URLSearchParams(hash.slice(1)).get('error')).toBe('login_required')
  })
})

describe('scopes (input 29)', () => {
  test('without openid there is an access token and no ID token', async () => {
    const flow = newFlow()
    const query = await flow.complete('alex', PHONES[0], { scope: 'email', nonce: undefined })
    const { status, body } = await flow.redeem(query.get('code') ?? '')
    expect(status).toBe(200)
    expect(body.id_token).toBeUndefined()
    const answer = await fetch(`${house.url}/me`, {
      headers: { authorization: `Bearer ${body.access_token}` },
    })
    expect(answer.status).toBe(403)
    await answer.text()
  })

  test('unknown ones are dropped, and none is no error', async () => {
    const flow = newFlow()
    const query = await flow.complete('alex', PHONES[0], { scope: 'openid admin *' })
    const { body } = await flow.redeem(query.get('code') ?? '')
    expect(body.scope).toBe('openid')
    const answer = await newFlow().begin({ scope: undefined, nonce: undefined })
    expect(answer.status).toBeLessThan(500)
  })

  test('a client gets no scope it isn’t registered for', async () => {
    await house.addClient('narrow', { scope: ['openid'] })
    const flow = createFlow(house, { client: { id: 'narrow', secret: '' } })
    expect(queryOf(await flow.begin({ scope: 'openid email' })).error).toBe('invalid_scope')
  })
})

test('authorization by POST is the same as by GET, to which it leads (OIDC-20, input 30)', async () => {
  const flow = newFlow()
  const address = new URL(flow.authorizationUrl(), house.issuer)
  const answer = await flow.post('/auth', address.searchParams, { origin: 'https://rp.example' })
  expect(answer.status).toBe(303)
  expect(answer.location).toBe(address.href)
  expect(answer.headers.getSetCookie()).toEqual([])
  expect(answer.html).not.toContain('<form')
})

describe('who asks, and under which name, changes nothing (OIDC-34, OIDC-35, input 42)', () => {
  const EVIL: Record<string, string> = {
    host: 'evil.example',
    'x-forwarded-host': 'evil.example',
    'x-forwarded-proto': 'https',
    'x-forwarded-port': '66666',
    'x-forwarded-prefix': '/evil',
    'x-forwarded-for': '6.6.6.6',
    forwarded: 'host=evil.example;proto=https;for=6.6.6.6',
    'x-original-url': 'https://evil.example/auth',
    'x-rewrite-url': '/evil',
    'x-http-method-override': 'DELETE',
  }

  test('the discovery document', async () => {
    const usual = await (await fetch(`${house.url}/.well-known/openid-configuration`)).text()
    const odd = await rawRequest('/.well-known/openid-configuration', EVIL)
    expect(odd).toMatchObject({ status: 200, body: usual })
    expect(JSON.parse(usual)).toMatchObject({ issuer: house.issuer })
  })

  test('redirects, pages and cookies of an authorization', async () => {
    for (const host of ['evil.example', 'evil.example:1', 'localhost@evil.example', '[::1', '']) {
      const answer = await rawRequest(newFlow().authorizationUrl(), { ...EVIL, host })
      expect(answer.status, host).toBe(303)
      // with what is looked for, letters and all, no random id or signature can hold it by chance
      expect(answer.headers).not.toMatch(/\bevil\b|:66666|domain=|; secure/i)
      expect(answer.headers).toMatch(/location\n\/interaction\//i)
      const page = await rawRequest('/auth?client_id=nobody', { ...EVIL, host })
      expect(page.body + page.headers).not.toMatch(/evil\.example/)
    }
  })

  test('an address with another host in the request line', async () => {
    const target = `http://evil.example${newFlow().authorizationUrl({ prompt: 'none' })}`
    const answer = await rawRequest(target, { host: 'evil.example' })
    expect(answer.status).toBeLessThan(500)
    expect(answer.headers).not.toContain('evil.example')
  })

  test('a whole sign-in, its text and its ID token', async () => {
    const { host: _, ...headers } = EVIL
    const flow = newFlow(headers)
    const query = await flow.complete('alex')
    expect(query.get('iss')).toBe(house.issuer)
    const { body } = await flow.redeem(query.get('code') ?? '')
    expect(claimsOf(body).iss).toBe(house.issuer)
    expect(JSON.stringify(house.gateway.messages)).not.toContain('evil')
  })
})
