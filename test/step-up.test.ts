import * as client from 'openid-client'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { challenge, insufficient } from '../examples/protected-api/bearer.ts'
import { type ProtectedApi, startProtectedApi } from '../examples/protected-api/protected-api.ts'
import { ACR, authenticationBy, PASSWORD_ALONE } from '../src/oidc/acr.ts'
import { missingOnlySecondFactor } from '../src/oidc/assurance.ts'
import { claimsOf, createFlow, type Flow } from './support/flow.ts'
import { type House, PHONES, REDIRECT_URI, startHouse } from './support/house.ts'
import { now, settle, storedInteraction } from './support/interactions.ts'
import { freePort } from './support/ports.ts'

let house: House
let api: ProtectedApi
let config: client.Configuration
let app: { id: string; secret: string }
let sam: { id: string }

beforeAll(async () => {
  house = await startHouse()
  app = await house.addClient('app', { secondFactor: 'optional' })
  const resource = await house.addClient('api', {
    grants: ['client_credentials'],
    redirectUris: [],
    introspects: ['app'],
  })
  sam = await house.addAccount('sam', null)
  config = await client.discovery(new URL(house.issuer), app.id, app.secret, undefined, {
    execute: [client.allowInsecureRequests],
  })
  api = await startProtectedApi({
    issuer: house.issuer,
    clientId: resource.id,
    clientSecret: resource.secret,
    port: await freePort(),
  })
})
afterAll(async () => {
  await api.close()
  await house.stop()
})

/** Sends the person to the provider; what the pages find out there is given. */
async function authorize(
  jar: Flow['jar'] | undefined,
  how: Parameters<typeof settle>[2],
  params: Record<string, string> = {},
) {
  const flow = createFlow(house, { client: { id: 'app', secret: '' }, ...(jar && { jar }) })
  const pkceCodeVerifier = client.randomPKCECodeVerifier()
  const url = client.buildAuthorizationUrl(config, {
    redirect_uri: REDIRECT_URI,
    scope: 'openid',
    code_challenge: await client.calculatePKCECodeChallenge(pkceCodeVerifier),
    code_challenge_method: 'S256',
    ...params,
  })
  await flow.arrive((await flow.request(url.href)).location ?? '')
  const { payload, prompt } = await storedInteraction(house, flow)
  const missing = missingOnlySecondFactor({ ...payload, prompt })
  const query = await settle(house, flow, how)
  const callback = new URL(`${REDIRECT_URI}?${query}`)
  const tokens = await client.authorizationCodeGrant(config, callback, { pkceCodeVerifier })
  return { jar: flow.jar, tokens, missing }
}

function call(token: string, method: string, path: string): Promise<Response> {
  return client.fetchProtectedResource(config, token, new URL(path, api.url), method)
}

/** What the API says it needs, as openid-client reads it. */
async function challengeOf(token: string): Promise<client.WWWAuthenticateChallengeParameters> {
  const error: unknown = await call(token, 'POST', '/transfers').catch((thrown) => thrown)
  if (!(error instanceof client.WWWAuthenticateChallengeError)) throw new Error('no challenge')
  expect(error.status).toBe(401)
  return error.cause[0]?.parameters ?? {}
}

describe('an API that wants more than a password (RFC 9470)', () => {
  test('says so, the app sends the person back, and the new token will do', async () => {
    const login = { accountId: sam.id, ts: now() - 60 }
    const first = await authorize(undefined, { ...login, ...PASSWORD_ALONE })
    const weak = first.tokens.access_token
    expect((await call(weak, 'GET', '/balance')).status).toBe(200)

    const needed = await challengeOf(weak)
    expect(needed).toMatchObject({
      error: 'insufficient_user_authentication',
      acr_values: ACR.secondFactor,
      max_age: '300',
    })
    const { acr_values: acrValues = '', max_age: maxAge = '' } = needed
    const second = await authorize(
      first.jar,
      { ...login, ts: now(), ...authenticationBy('sms') },
      { acr_values: acrValues, max_age: maxAge },
    )
    // The password is fresh enough: only the code was asked for.
    expect(second.missing).toBe(sam.id)
    const strong = second.tokens.access_token
    expect(second.tokens.claims()).toMatchObject(authenticationBy('sms'))
    const done = await call(strong, 'POST', '/transfers')
    expect(await done.json()).toEqual({ done: 'transfers', for: sam.id })

    // What was given before is what it was (OIDC-17).
    expect(await challengeOf(weak)).toEqual(needed)
  })

  test('and for which the second factor was shown too long ago', async () => {
    const login = { accountId: sam.id, ts: now() - 600, ...authenticationBy('totp') }
    const old = await authorize(undefined, login)
    const { acr_values: acrValues = '', max_age: maxAge = '' } = await challengeOf(
      old.tokens.access_token,
    )
    const params = { acr_values: acrValues, max_age: maxAge }
    const again = await authorize(old.jar, { ...login, ts: now() }, params)
    // Both factors: `max_age` asks for a sign-in, not for a part of one.
    expect(again.missing).toBeUndefined()
    expect((await call(again.tokens.access_token, 'POST', '/transfers')).status).toBe(200)
  })

  test('takes no token that isn’t live, or that nobody is behind', async () => {
    const login = { accountId: sam.id, ts: now(), ...PASSWORD_ALONE }
    const { jar, tokens } = await authorize(undefined, login)
    const flow = createFlow(house, { jar })
    const page = await flow.request('/session/end')
    const xsrf = /name="xsrf" value="([^"]+)"/.exec(page.html)?.[1] ?? ''
    await flow.post('/session/end/confirm', { xsrf, logout: 'yes' })
    for (const token of [tokens.access_token, 'made-up', String(tokens.id_token)]) {
      const headers = { authorization: `Bearer ${token}` }
      const answer = await fetch(`${api.url}/balance`, { headers })
      expect(answer.status).toBe(401)
      expect(answer.headers.get('www-authenticate')).toBe('Bearer error="invalid_token"')
    }
    for (const headers of [{}, { authorization: 'Basic YTpi' }]) {
      const answer = await fetch(`${api.url}/balance`, { headers })
      expect(answer.status).toBe(401)
      expect(answer.headers.get('www-authenticate')).toBe('Bearer')
    }
    expect((await fetch(`${api.url}/elsewhere`)).status).toBe(404)
  })
})

describe('at the pages', () => {
  test('someone signed in with a password alone is asked for the code only (OIDC-17, OIDC-18)', async () => {
    const kim = await house.addAccount('kim')
    const first = createFlow(house, { client: { id: 'app', secret: '' } })
    await first.begin()
    await settle(house, first, { accountId: kim.id, ts: now() - 60, ...PASSWORD_ALONE })

    const sent = house.codeTexts().length
    const flow = createFlow(house, { client: app, jar: first.jar })
    const page = await flow.begin({ acr_values: ACR.secondFactor })
    expect(page.html).not.toContain('current-password')
    // Looking sends nothing (WEB-03).
    expect(house.codeTexts().length).toBe(sent)
    expect((await flow.step('step-up')).status).toBe(303)
    expect((await flow.page()).html).toContain('one-time-code')
    const before = now()
    const query = await flow.resume(await flow.code(house.lastCode()))
    const claims = claimsOf((await flow.redeem(query.get('code') ?? '')).body)
    expect(claims).toMatchObject({ sub: kim.id, ...authenticationBy('sms') })
    expect(claims.auth_time).toBeGreaterThanOrEqual(before)
  })

  test('someone who has none sets one up, and the session goes on, raised', async () => {
    const mo = await house.addAccount('mo', null)
    const first = createFlow(house, { client: { id: 'app', secret: '' } })
    await first.begin()
    await settle(house, first, { accountId: mo.id, ts: now() - 60, ...PASSWORD_ALONE })
    const flow = createFlow(house, { client: app, jar: first.jar })
    await flow.begin({ acr_values: ACR.secondFactor })
    await flow.step('step-up')
    await flow.step('enrol-phone', { number: PHONES[2] })
    expect((await flow.code(house.lastCode(PHONES[2]))).status).toBeLessThan(400)
    const query = await flow.resume(await flow.step('enrol-finish'))
    const { body } = await flow.redeem(query.get('code') ?? '')
    expect(claimsOf(body)).toMatchObject({ sub: mo.id, ...authenticationBy('sms') })
  })

  test('and for both with prompt=login, or past max_age (SES-14)', async () => {
    const lee = await house.addAccount('lee', PHONES[1])
    const first = createFlow(house, { client: { id: 'app', secret: '' } })
    await first.begin()
    await settle(house, first, { accountId: lee.id, ts: now() - 60, ...PASSWORD_ALONE })
    for (const params of [{ prompt: 'login' }, { max_age: '30' }]) {
      const flow = createFlow(house, { client: app, jar: first.jar })
      const page = await flow.begin({ acr_values: ACR.secondFactor, ...params })
      expect(page.html).toContain('current-password')
      // What the page doesn’t offer isn’t taken either.
      await flow.step('step-up')
      expect((await flow.page()).html).toContain('current-password')
    }
  })
})

describe('the example’s rule', () => {
  const need = { acr: ACR.secondFactor, maxAgeSeconds: 300 }

  test.each([
    [{ acr: ACR.secondFactor, authTime: 700 }, need, undefined],
    [{ acr: ACR.password, authTime: 1000 }, need, 'stronger'],
    [{ acr: undefined, authTime: 1000 }, need, 'stronger'],
    [{ acr: ACR.secondFactor, authTime: 699 }, need, 'more recent'],
    [{ acr: ACR.secondFactor, authTime: undefined }, need, 'more recent'],
    [{ acr: ACR.password, authTime: 0 }, {}, undefined],
    [{ acr: ACR.password, authTime: 0 }, { acr: ACR.password }, undefined],
  ])('%o for %o: %s', (signIn, asked, missing) => {
    const answer = insufficient({ sub: 'sam', ...signIn }, asked, 1000)
    if (missing) expect(answer).toContain(missing)
    else expect(answer).toBeUndefined()
  })

  test('names all that is needed, whichever is missing', () => {
    for (const signIn of [
      { acr: ACR.password, authTime: 1000 },
      { acr: ACR.secondFactor, authTime: 0 },
    ])
      expect(insufficient({ sub: 'sam', ...signIn }, need, 1000)).toMatch(
        /acr_values="https:\/\/refeds\.org\/profile\/mfa", max_age="300"$/,
      )
  })

  test('a challenge without parameters is the bare scheme', () => {
    expect(challenge({})).toBe('Bearer')
  })
})
