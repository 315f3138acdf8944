import { createHash, randomBytes } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import { UnsecuredJWT } from 'jose'
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest'
import { type House, PHONES, startHouse } from '../support/house.ts'
import {
  CALLBACK,
  createSuiteClient,
  expectErrorPage,
  json,
  type SuiteOptions,
  type Tokens,
} from '../support/suite.ts'

const ALL = 'openid profile email phone'

let house: House
let first: { id: string; secret: string }
let second: { id: string; secret: string }
let document: Record<string, unknown>
/** someone who signed in before the other tests, for those that wait until that is a while ago */
let waiting: ReturnType<typeof createSuiteClient>
let earlier: Tokens
/** a browser in which alex is signed in */
let signedIn: ReturnType<typeof createSuiteClient>
let known: Tokens

beforeAll(async () => {
  house = await startHouse({ env: { ISSUER: 'https://op.example' } })
  const settings = {
    redirectUris: [CALLBACK],
    grants: ['authorization_code' as const, 'refresh_token' as const],
    pkce: 'optional' as const,
  }
  first = await house.addClient('first', settings)
  second = await house.addClient('second', settings)
  await house.addAccount('alex')
  await house.addAccount('bo', PHONES[1])
  await house.addAccount('cleo', PHONES[2])
  waiting = suite({ person: { username: 'bo', phone: PHONES[1] } })
  earlier = await waiting.complete()
  signedIn = suite()
  known = await signedIn.complete({ max_age: '15000' })
  document = await json(`${house.url}/.well-known/openid-configuration`)
})
afterEach(() => void vi.useRealTimers())
afterAll(() => house.stop())

const suite = (more: Partial<SuiteOptions> = {}) =>
  createSuiteClient(house, { client: first, ...more })
/** Another tab of the browser that is signed in. */
const again = (more: Partial<SuiteOptions> = {}) => suite({ jar: signedIn.flow.jar, ...more })

describe('oidcc-basic-certification-test-plan', () => {
  test('oidcc-server: a sign-in without PKCE ends in tokens that are good at userinfo', async () => {
    const client = suite()
    const outcome = await client.authorize()
    expect(outcome.signedIn).toBe(true)
    await client.userinfo(await client.trade(outcome))
  })

  test('oidcc-response-type-missing: the app is told', async () => {
    const client = suite()
    expect(client.errorOf(await client.authorize({ response_type: '' }))).toBe('invalid_request')
  })

  test('oidcc-idtoken-signature: RS256, by a key that the header names', async () => {
    await expect(again().verify(known.idToken)).resolves.toMatchObject({ sub: known.claims.sub })
    const [header, payload, signature = ''] = known.idToken.split('.')
    const bent = `${signature.startsWith('A') ? 'B' : 'A'}${signature.slice(1)}`
    await expect(again().verify(`${header}.${payload}.${bent}`)).rejects.toThrow('signature')
  })

  test('oidcc-idtoken-unsigned: not offered, so the suite leaves it out', () => {
    expect(document.id_token_signing_alg_values_supported).not.toContain('none')
  })

  test.each(['get', 'post-header', 'post-body'] as const)(
    'oidcc-userinfo-%s: [OIDC-28]',
    async (how) => {
      const client = again()
      const about = await client.userinfo(await client.complete({ scope: ALL }), how)
      expect(about.email).toBe('alex@example.com')
    },
  )

  test('oidcc-ensure-request-without-nonce-succeeds-for-code-flow: [OIDC-12]', async () => {
    expect((await again().complete({ nonce: undefined })).claims.nonce).toBeUndefined()
  })

  test.each([
    ['oidcc-scope-profile', 'openid profile', { name: 'Person alex', preferred_username: 'alex' }],
    ['oidcc-scope-email', 'openid email', { email: 'alex@example.com', email_verified: false }],
    ['oidcc-scope-phone', 'openid phone', { phone_number: PHONES[0], phone_number_verified: true }],
  ])('%s: its claims are at userinfo, and no others [OIDC-29]', async (_module, scope, claims) => {
    const client = again()
    const tokens = await client.complete({ scope })
    expect(await client.userinfo(tokens)).toEqual({ sub: tokens.claims.sub, ...claims })
    for (const name of Object.keys(claims)) expect(tokens.claims).not.toHaveProperty(name)
  })

  test('oidcc-scope-address, oidcc-scope-all: no addresses are kept, so the suite leaves them out', () => {
    expect(document.scopes_supported).toEqual(expect.arrayContaining(ALL.split(' ')))
    expect(document.scopes_supported).not.toContain('address')
  })

  test('oidcc-alternate-happy-flow: scopes and parameters turned round', async () => {
    const client = again()
    const outcome = await client.authorize({ scope: 'email openid' }, { turned: true })
    const about = await client.userinfo(await client.trade(outcome))
    expect(about.email).toBe('alex@example.com')
  })

  test.each([
    ['oidcc-display-page', { display: 'page' }],
    ['oidcc-display-popup', { display: 'popup' }],
    ['oidcc-ensure-request-with-unknown-parameter-succeeds', { extra: 'foobar' }],
    ['oidcc-claims-locales', { claims_locales: 'se' }],
    ['oidcc-max-age-10000', { max_age: '10000' }],
    ['oidcc-prompt-none-logged-in', { prompt: 'none' }],
  ])('%s: the same sub and auth_time, and no page [OIDC-19, OIDC-21]', async (_module, params) => {
    const client = again()
    const outcome = await client.authorize(params)
    expect(outcome.signedIn).toBe(false)
    const { sub, auth_time } = (await client.trade(outcome)).claims
    expect({ sub, auth_time }).toEqual({ sub: known.claims.sub, auth_time: known.claims.auth_time })
    expect(auth_time).toBeGreaterThan(0)
  })

  test('oidcc-id-token-hint: with prompt=none, also one that expired [OIDC-19]', async () => {
    const client = again()
    const params = { prompt: 'none', id_token_hint: known.idToken }
    const expired = Number(known.claims.exp) * 1000 + 60_000
    for (const now of [Date.now(), expired]) {
      vi.useFakeTimers({ toFake: ['Date'], now })
      const { sub, auth_time } = (await client.complete(params)).claims
      expect({ sub, auth_time }).toEqual({
        sub: known.claims.sub,
        auth_time: known.claims.auth_time,
      })
      const others = await client.authorize({ ...params, id_token_hint: earlier.idToken })
      expect(client.errorOf(others)).toBe('login_required')
    }
  })

  test('oidcc-prompt-none-not-logged-in: an error, no page and no text [OIDC-19]', async () => {
    const sent = house.gateway.requests.length
    const client = suite()
    expect(client.errorOf(await client.authorize({ prompt: 'none' }))).toBe('login_required')
    expect(house.gateway.requests.length).toBe(sent)
  })

  test('oidcc-login-hint, oidcc-ui-locales: the page is filled in, and in that language', async () => {
    const { flow } = suite()
    const page = await flow.begin({
      client_id: first.id,
      redirect_uri: CALLBACK,
      code_challenge: undefined,
      code_challenge_method: undefined,
      login_hint: 'buffy@sallyport.example',
      ui_locales: 'se da-DK',
    })
    expect(page.html).toContain('value="buffy@sallyport.example"')
    expect(page.html).toMatch(/<html[^>]* lang="da"/)
  })

  test('oidcc-ensure-request-with-acr-values-succeeds: one of them comes back [OIDC-16]', async () => {
    const values = Array.isArray(document.acr_values_supported) ? document.acr_values_supported : []
    const { claims } = await again().complete({ acr_values: values.join(' ') })
    expect(values).toContain(claims.acr)
  })

  test.each([
    ['oidcc-codereuse', 0],
    ['oidcc-codereuse-30seconds', 30],
  ])('%s: invalid_grant, and what it gave ends [OIDC-05]', async (_module, seconds) => {
    const client = again()
    const outcome = await client.authorize({ prompt: 'none' })
    const { access } = await client.trade(outcome)
    house.moveClock(seconds)
    const more = { code: outcome.callback?.get('code') ?? '', redirect_uri: CALLBACK }
    const reused = await client.token({ grant_type: 'authorization_code', ...more })
    expect([reused.status, reused.body.error]).toEqual([400, 'invalid_grant'])
    const dead = await fetch(`${house.url}/me`, { headers: { authorization: `Bearer ${access}` } })
    expect(dead.status).toBe(401)
  })

  test('oidcc-ensure-registered-redirect-uri: a page, and nobody is told [OIDC-01]', async () => {
    expectErrorPage(await suite().authorize({ redirect_uri: `${CALLBACK}/unregistered` }))
  })

  test('oidcc-ensure-post-request-succeeds: also for someone signed in, whose cookies a form brings not [OIDC-20]', async () => {
    const fresh = suite({ person: { username: 'cleo', phone: PHONES[2] } })
    const outcome = await fresh.authorize({}, { post: true })
    expect(outcome.signedIn).toBe(true)
    await fresh.trade(outcome)
    const silent = await again().authorize({ prompt: 'none' }, { post: true })
    await again().trade(silent)
  })

  test('oidcc-server-client-secret-post', async () => {
    await again({ method: 'client_secret_post' }).complete()
  })

  test.each([
    ['oidcc-request-uri-unsigned-supported-correctly-or-rejected-as-unsupported', 'request_uri'],
    ['oidcc-unsigned-request-object-supported-correctly-or-rejected-as-unsupported', 'request'],
    ['oidcc-ensure-request-object-with-redirect-uri', 'request'],
  ])('%s: refused as %s_not_supported, as discovery says [OIDC-24]', async (_module, name) => {
    const object = new UnsecuredJWT({ client_id: first.id, redirect_uri: CALLBACK }).encode()
    const value = name === 'request' ? object : `https://suite.example/requests/${randomBytes(8)}`
    const client = again()
    expect(client.errorOf(await client.authorize({ [name]: value }))).toBe(`${name}_not_supported`)
    expect(document[`${name}_parameter_supported`]).toBe(false)
  })

  test('oidcc-claims-essential: the name is at userinfo [OIDC-39]', async () => {
    const client = again()
    const claims = JSON.stringify({ userinfo: { name: { essential: true } } })
    expect((await client.userinfo(await client.complete({ claims }))).name).toBe('Person alex')
  })

  test('oidcc-refresh-token: a new ID token of the same person, and only for the client it is of [OIDC-08]', async () => {
    const scope = 'openid offline_access'
    const mine = again()
    const before = await mine.complete({ scope, prompt: 'consent' })
    const renewed = await mine.tokensOf(
      await mine.token({ grant_type: 'refresh_token', refresh_token: before.refresh }),
      before.claims.nonce === undefined ? undefined : String(before.claims.nonce),
    )
    const { iss, sub, aud, auth_time } = before.claims
    expect(renewed.claims).toMatchObject({ iss, sub, aud, auth_time })
    expect(renewed.claims.iat).toBeGreaterThanOrEqual(before.claims.iat ?? Infinity)
    expect(renewed.access).not.toBe(before.access)
    await mine.userinfo(renewed)
    const theirs = await again({ client: second }).token({
      grant_type: 'refresh_token',
      refresh_token: renewed.refresh,
    })
    expect([theirs.status, theirs.body.error]).toEqual([400, 'invalid_grant'])
  })

  test('oidcc-ensure-request-with-valid-pkce-succeeds, and a challenge holds where it isn’t required [OIDC-04]', async () => {
    const verifier = randomBytes(32).toString('base64url')
    const params = {
      code_challenge: createHash('sha256').update(verifier).digest('base64url'),
      code_challenge_method: 'S256',
    }
    const client = again()
    await client.trade(await client.authorize(params), { code_verifier: verifier })
    for (const [asked, code_verifier] of [
      [params, undefined],
      [params, 'x'.repeat(43)],
      // A verifier without a challenge tells of a downgrade.
      [{}, verifier],
    ] as const) {
      const { callback } = await client.authorize(asked)
      const refused = await client.token({
        grant_type: 'authorization_code',
        code: callback?.get('code') ?? '',
        redirect_uri: CALLBACK,
        code_verifier,
      })
      expect(refused.body.error).toBe('invalid_grant')
    }
  })

  test('oidcc-prompt-login, oidcc-max-age-1: a second sign-in, with a later auth_time [OIDC-18, OIDC-19]', async () => {
    const begun = Number(earlier.claims.auth_time)
    // The suite waits as long.
    await pause(Math.max(0, (begun + 3) * 1000 - Date.now()))
    const aged = await waiting.authorize({ max_age: '1' })
    expect(aged.signedIn).toBe(true)
    const { claims } = await waiting.trade(aged)
    expect(claims.sub).toBe(earlier.claims.sub)
    expect(claims.auth_time).toBeGreaterThan(begun)
    expect(claims.auth_time).toBeGreaterThan(Date.now() / 1000 - 60)

    const asked = await again().authorize({ prompt: 'login' })
    expect(asked.signedIn).toBe(true)
    const later = (await again().trade(asked)).claims
    expect(later.auth_time).toBeGreaterThan(Number(known.claims.auth_time))
  })
})

describe('beyond the plans', () => {
  test('PKCE is left out only by a client that is registered so and has a secret [OIDC-04]', async () => {
    const client = suite({ client: await house.addClient('strict', { redirectUris: [CALLBACK] }) })
    expect(client.errorOf(await client.authorize())).toBe('invalid_request')
    const settings = { public: true, redirectUris: [CALLBACK], pkce: 'optional' as const }
    await expect(house.addClient('page', settings)).rejects.toThrow('nothing but PKCE')
  })

  test('a hint at somebody else gets no tokens of who then signs in [OIDC-13]', async () => {
    const client = suite()
    const outcome = await client.authorize({ id_token_hint: earlier.idToken })
    expect(outcome.signedIn).toBe(true)
    expect(client.errorOf(outcome)).toBe('login_required')
  })

  test('a posted request is the same as one by address, and no longer than that may be [OIDC-20, OIDC-21]', async () => {
    const { flow } = suite()
    const twice = await flow.post('/auth', new URLSearchParams('state=é&state=a+b%26'))
    expect([twice.status, twice.location]).toEqual([
      303,
      `${house.issuer}/auth?state=%C3%A9&state=a+b%26`,
    ])
    expect((await flow.post('/auth', { state: 'é'.repeat(1200) })).status).toBe(413)
    expect((await flow.post('/auth', { state: 'x'.repeat(100_000) })).status).toBe(413)
    const headers = { 'content-type': 'application/json' }
    const odd = await flow.request('/auth', { method: 'POST', body: '{}', headers })
    expect(odd.status).toBe(415)
  })
})

describe('oidcc-config-certification-test-plan', () => {
  test('oidcc-discovery-endpoint-verification [OIDC-34]', async () => {
    const answer = await fetch(`${house.url}/.well-known/openid-configuration`)
    expect(answer.status).toBe(200)
    expect(answer.headers.get('content-type')).toMatch(/^application\/json\b/)
    await answer.text()
    expect(document).toMatchObject({
      issuer: house.issuer,
      response_types_supported: expect.arrayContaining(['code']),
      subject_types_supported: expect.arrayContaining(['public']),
      id_token_signing_alg_values_supported: expect.arrayContaining(['RS256']),
      scopes_supported: expect.arrayContaining(['openid']),
      grant_types_supported: expect.arrayContaining(['authorization_code']),
      claims_supported: expect.arrayContaining(['sub', 'name', 'email', 'phone_number']),
      claims_parameter_supported: true,
      code_challenge_methods_supported: ['S256'],
    })
    const endpoints = Object.entries(document).filter(([name]) => /_endpoint$|_uri$/.test(name))
    for (const name of ['authorization', 'token', 'userinfo', 'end_session'])
      expect(document).toHaveProperty(`${name}_endpoint`)
    for (const [name, url] of endpoints)
      expect(String(url), name).toMatch(/^https:\/\/op\.example\//)
    for (const [name, value] of Object.entries(document)) {
      if (name.endsWith('_supported') && typeof value !== 'boolean')
        expect(Array.isArray(value), name).toBe(true)
    }
    for (const tag of [document.ui_locales_supported].flat())
      expect(Intl.getCanonicalLocales(String(tag))).toEqual([tag])
    const { keys } = await json(`${house.url}/jwks`)
    const kids = Array.isArray(keys) ? keys.map(({ kid }) => kid) : []
    expect(new Set(kids).size).toBe(kids.length)
    expect(kids.length).toBeGreaterThan(0)
  })
})
