import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { type Answer, claimsOf, createFlow, type Flow } from '../support/flow.ts'
import { forgedHints } from '../support/forged-hints.ts'
import { type House, REDIRECT_URI, startHouse } from '../support/house.ts'

let house: House
let app: { id: string; secret: string }
let flow: Flow

beforeAll(async () => {
  house = await startHouse()
  app = await house.addClient('app')
  await house.addClient('two', { redirectUris: [REDIRECT_URI, 'https://rp.example/other'] })
  await house.addAccount('alex')
})
afterAll(() => house.stop())
beforeEach(() => {
  flow = createFlow(house, { client: app })
})

type Params = Record<string, string | undefined>
type Registration = Parameters<House['addClient']>[1]

/** Asks for authorization with one thing bent; nothing is followed. */
const ask = (params: Params) => flow.request(flow.authorizationUrl(params))

/** The same with text put behind the query as it is. */
const askRaw = (more: string, params: Params = {}) =>
  flow.request(flow.authorizationUrl(params) + more)

/** What an app is told, or a failed test when nothing was sent to it. */
function toldApp(answer: Answer): Record<string, string> {
  expect(answer.status).toBe(303)
  expect(answer.location).toMatch(/^https:\/\/rp\.example\/cb[?#]/)
  const { search, hash } = new URL(answer.location ?? '')
  return Object.fromEntries(new URLSearchParams(search || hash.slice(1)))
}

function expectErrorPage(answer: Answer, because = ''): void {
  expect(answer.status, because).toBe(400)
  expect(answer.location, because).toBeUndefined()
  expect(answer.headers.get('content-type')).toContain('text/html')
  expect(answer.html).not.toMatch(
    /http-equiv="?refresh|<form(?! method="post" action="\/language")|rp\.example|evil/i,
  )
}

describe('what can’t be sent back to the app gets an error page and no redirect', () => {
  test.each([
    ['an extra slash', `${REDIRECT_URI}/`, 1],
    ['a user name before another host', 'https://rp.example@evil.example/cb', 2],
    ['dots that climb out of the path', 'https://rp.example/cb/../evil', 3],
    ['encoded dots', 'https://rp.example/cb/%2e%2e/evil', 3],
    ['an unregistered query', `${REDIRECT_URI}?x=1`, 4],
    ['an empty query', `${REDIRECT_URI}?`, 4],
    ['a fragment', `${REDIRECT_URI}#frag`, 5],
    ['an empty fragment', `${REDIRECT_URI}#`, 5],
    ['javascript:', 'javascript:alert(1)', 6],
    ['data:', 'data:text/html,<script>alert(1)</script>', 6],
    ['another port', 'https://rp.example:8443/cb', 1],
    ['the port said aloud', 'https://rp.example:443/cb', 1],
    ['another case of the path', 'https://rp.example/CB', 1],
    ['another case of the host', 'https://RP.example/cb', 1],
    ['another scheme', 'http://rp.example/cb', 1],
    ['a host below', 'https://evil.rp.example/cb', 1],
    ['a host that goes on', 'https://rp.example.evil.example/cb', 1],
    ['a backslash', 'https://rp.example\\@evil.example/cb', 2],
    ['white space around it', ` ${REDIRECT_URI} `, 1],
    ['a line break in it', `${REDIRECT_URI}\r\nX-Evil: 1`, 1],
    ['a NUL in it', `${REDIRECT_URI}\0`, 1],
    ['nothing', '', 7],
  ])('a redirect_uri with %s: %s (OIDC-01, input %d)', async (_name, redirect_uri) => {
    const answer = await ask({ redirect_uri })
    expectErrorPage(answer)
    expect(answer.html).not.toMatch(/<script>alert|javascript:|data:text/)
  })

  test('a missing redirect_uri, with one or two registered (OIDC-02, input 7)', async () => {
    expectErrorPage(await ask({ redirect_uri: undefined }))
    expectErrorPage(await ask({ client_id: 'two', redirect_uri: undefined }))
  })

  test('a redirect_uri given twice, a good one first or last (OIDC-21)', async () => {
    expectErrorPage(await askRaw(`&redirect_uri=${encodeURIComponent('https://evil.example/')}`))
    expectErrorPage(
      await askRaw(`&redirect_uri=${encodeURIComponent(REDIRECT_URI)}`, {
        redirect_uri: 'https://evil.example/',
      }),
    )
  })

  test('a bad redirect_uri stays decisive beside any other fault (OIDC-01)', async () => {
    const faults: Params[] = [
      { response_type: 'token' },
      { response_type: undefined },
      { prompt: 'none' },
      { code_challenge: undefined },
      { request: 'x.y.z' },
      { request_uri: 'https://rp.example/r' },
      { response_mode: 'web_message' },
      { response_mode: 'form_post', scope: 'a"b' },
      { claims: '{' },
    ]
    for (const fault of faults) {
      const answer = await ask({ ...fault, redirect_uri: 'https://evil.example/' })
      expectErrorPage(answer, JSON.stringify(fault))
    }
  })

  test.each([
    ['that nobody has', 'nobody', 8],
    ['with a NUL', 'app\0', 9],
    ['that is only a NUL', '\0', 9],
    ['of 10 kB', 'x'.repeat(10_000), 9],
    ['in other scripts', 'äpp-應用-🦊\u202e\u0000', 9],
    ['that looks like a part of JavaScript', '__proto__', 9],
    ['that looks like SQL', "' or 1=1--", 9],
    ['that is HTML', '"><script>alert(1)</script>', 9],
  ])('a client_id %s: %s (ENU-09, input %3$d)', async (_name, client_id) => {
    const answer = await ask({ client_id })
    expectErrorPage(answer)
    expect(answer.html).not.toContain('<script>alert')
  })

  test('a client_id that is missing or given twice (OIDC-21, inputs 8 and 15)', async () => {
    expectErrorPage(await ask({ client_id: undefined }))
    expectErrorPage(await askRaw('&client_id=app'))
  })

  test('bytes that are no UTF-8 (input 9)', async () => {
    expectErrorPage(await flow.request('/auth?client_id=%ff%fe%ZZ%ed%a0%80&redirect_uri=%c0%ae'))
  })
})

describe('what can be sent back to the app is, with its state and our name (OIDC-11)', () => {
  test.each<[string, Params, string, number]>([
    ['response_type token', { response_type: 'token' }, 'unsupported_response_type', 10],
    ['response_type id_token', { response_type: 'id_token' }, 'unsupported_response_type', 10],
    ['id_token token', { response_type: 'id_token token' }, 'unsupported_response_type', 10],
    ['code token', { response_type: 'code token' }, 'unsupported_response_type', 10],
    ['code id_token', { response_type: 'code id_token' }, 'unsupported_response_type', 10],
    ['response_type none', { response_type: 'none' }, 'unsupported_response_type', 10],
    ['no response_type', { response_type: undefined }, 'invalid_request', 11],
    [
      'no PKCE',
      { code_challenge: undefined, code_challenge_method: undefined },
      'invalid_request',
      12,
    ],
    ['a method without a challenge', { code_challenge: undefined }, 'invalid_request', 12],
    ['a challenge without a method', { code_challenge_method: undefined }, 'invalid_request', 13],
    ['the method plain', { code_challenge_method: 'plain' }, 'invalid_request', 13],
    ['the method s256', { code_challenge_method: 's256' }, 'invalid_request', 13],
    ['a challenge of 42 characters', { code_challenge: 'x'.repeat(42) }, 'invalid_request', 14],
    ['a challenge of 129 characters', { code_challenge: 'x'.repeat(129) }, 'invalid_request', 14],
    ['a challenge with =', { code_challenge: `${'x'.repeat(43)}=` }, 'invalid_request', 14],
    ['prompt none, login', { prompt: 'none login' }, 'invalid_request', 17],
    ['prompt bogus', { prompt: 'bogus' }, 'invalid_request', 18],
    ['prompt select_account', { prompt: 'select_account' }, 'invalid_request', 18],
    ['max_age -1', { max_age: '-1' }, 'invalid_request', 19],
    ['max_age abc', { max_age: 'abc' }, 'invalid_request', 19],
    ['max_age 1.5', { max_age: '1.5' }, 'invalid_request', 19],
    ['max_age 1e999', { max_age: '1e999' }, 'invalid_request', 19],
    ['max_age of 20 digits', { max_age: '99999999999999999999' }, 'invalid_request', 19],
    ['query.jwt', { response_mode: 'query.jwt' }, 'unsupported_response_mode', 28],
    ['web_message', { response_mode: 'web_message' }, 'unsupported_response_mode', 28],
    ['an unknown mode', { response_mode: 'bogus' }, 'unsupported_response_mode', 28],
    ['a quote in the scope', { scope: 'openid "a"' }, 'invalid_scope', 29],
    ['claims without openid', { scope: 'email' }, 'invalid_request', 29],
    ['an id_token_hint that is none', { id_token_hint: 'x.y.z' }, 'invalid_request', 14],
    ['a registration', { registration: '{}' }, 'registration_not_supported', 10],
  ])('%s: %j → %s (input %d)', async (_name, params, error) => {
    const told = toldApp(await ask(params))
    expect(told).toMatchObject({ error, state: 'a state', iss: house.issuer })
    expect(told.code).toBeUndefined()
  })

  test.each(['nonce', 'scope', 'response_type', 'code_challenge', 'prompt', 'max_age', 'claims'])(
    '%s given twice (OIDC-21, input 15)',
    async (name) => {
      const told = toldApp(await askRaw(`&${name}=a&${name}=b`))
      expect(told).toMatchObject({ error: 'invalid_request', state: 'a state', iss: house.issuer })
    },
  )

  test('a state given twice is an error that comes with neither (OIDC-21, input 15)', async () => {
    const told = toldApp(await askRaw('&state=other'))
    expect(told).toMatchObject({ error: 'invalid_request', iss: house.issuer })
    expect(told.state).toBeUndefined()
  })

  test('a forged id_token_hint, also in the browser of whom it is of [OIDC-14]', async () => {
    const query = await flow.complete('alex')
    const idToken = String((await flow.redeem(query.get('code') ?? '')).body.id_token)
    const hinted = async (id_token_hint: string) =>
      toldApp(await ask({ prompt: 'none', id_token_hint }))
    expect((await hinted(idToken)).code).toMatch(/./)
    for (const [what, forged] of await forgedHints(idToken, { ...house, ...app })) {
      const { error, code } = await hinted(forged)
      expect([error, code], what).toEqual(['invalid_request', undefined])
    }
  })

  test('unknown parameters are ignored (OIDC-21)', async () => {
    const answer = await askRaw('&extra=foobar&extra=again&__proto__=x&constructor[a]=1')
    expect(answer.location).toContain('/interaction/')
  })

  test('state comes back byte for byte, in errors and in successes (OIDC-12)', async () => {
    const states = ['a b&c=d%20é"<>', "'+%00\0%0d%0a\r\n\t#?/\\", '🦊\u202e', ' ', '{"a":[1]}']
    for (const state of states) {
      expect(toldApp(await ask({ state, prompt: 'none' })).state).toBe(state)
    }
    const [odd] = states
    const query = await flow.complete('alex', undefined, { state: odd, nonce: odd })
    expect(query.get('state')).toBe(odd)
    expect(query.get('iss')).toBe(house.issuer)
    expect(claimsOf((await flow.redeem(query.get('code') ?? '')).body).nonce).toBe(odd)
    for (const state of states) {
      expect(toldApp(await ask({ state })).state).toBe(state)
    }
  })
})

describe('a native app [OIDC-42, OIDC-03]', () => {
  const SCHEME = 'com.example.app:/cb'
  const LOOPBACK = ['http://127.0.0.1/cb', 'http://[::1]/cb']
  let browser: Flow

  /** An app in the browser where alex is signed in. */
  async function inBrowser(id: string, redirectUris: string[], more: Registration = {}) {
    const client = await house.addClient(id, { redirectUris, public: true, ...more })
    return () => createFlow(house, { client, jar: browser.jar })
  }

  beforeAll(async () => {
    browser = createFlow(house, { client: app })
    await browser.complete('alex')
  })

  test('of others is asked about each time, and gets nothing silently', async () => {
    const visit = await inBrowser('phone', [SCHEME], { firstParty: false })
    for (const time of ['first', 'second', 'third']) {
      const one = visit()
      const page = await one.begin({ redirect_uri: SCHEME })
      expect([time, page.status, page.location]).toEqual([time, 200, undefined])
      expect(page.html).toContain(`action="${one.path}/consent"`)
      const { location = '' } = await one.step('consent')
      const back = new URL((await one.request(location)).location ?? '')
      expect([back.protocol, back.pathname]).toEqual(['com.example.app:', '/cb'])
      const code = back.searchParams.get('code') ?? ''
      const body = new URLSearchParams({
        grant_type: 'authorization_code',
        client_id: 'phone',
        redirect_uri: SCHEME,
        code_verifier: one.verifier,
        code,
      })
      expect((await fetch(`${house.url}/token`, { method: 'POST', body })).status).toBe(200)
    }
    const silent = await visit().begin({ redirect_uri: SCHEME, prompt: 'none' })
    expect(silent.location).toMatch(/^com\.example\.app:\/cb\?error=interaction_required/)
  })

  test('of our own isn’t asked about', async () => {
    const visit = await inBrowser('our-phone', [SCHEME])
    const { location } = await visit().begin({ redirect_uri: SCHEME })
    expect(location).toMatch(/^com\.example\.app:\/cb\?code=/)
  })

  test('comes back to any port of the loopback it named, and to nowhere else', async () => {
    const visit = await inBrowser('desktop', LOOPBACK)
    for (const redirect_uri of [
      'http://127.0.0.1:49152/cb',
      'http://127.0.0.1/cb',
      'http://[::1]:65535/cb',
    ]) {
      const { location = '' } = await visit().begin({ redirect_uri })
      expect(location.startsWith(`${redirect_uri}?code=`), redirect_uri).toBe(true)
    }
    for (const redirect_uri of [
      'http://127.0.0.1:49152/other',
      'http://127.0.0.2:49152/cb',
      'http://localhost:49152/cb',
      'https://127.0.0.1:49152/cb',
      'http://127.0.0.1:49152@evil.example/cb',
      'http://127.0.0.1.evil.example:49152/cb',
      'http://rp.example:49152/cb',
    ])
      expectErrorPage(
        await visit().request(visit().authorizationUrl({ redirect_uri })),
        redirect_uri,
      )
  })

  test('is none that keeps a secret: there the port is as it was registered', async () => {
    const visit = await inBrowser('local-web', ['http://127.0.0.1:8080/cb'], { public: false })
    const redirect_uri = 'http://127.0.0.1:8080/cb'
    expect((await visit().begin({ redirect_uri })).location).toContain('code=')
    for (const other of ['http://127.0.0.1:8081/cb', 'http://127.0.0.1/cb'])
      expectErrorPage(
        await visit().request(visit().authorizationUrl({ redirect_uri: other })),
        other,
      )
  })
})
