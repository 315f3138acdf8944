import { createServer } from 'node:http'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { listen } from '../support/fake-textbee.ts'
import { type Answer, claimsOf, createFlow, type Flow } from '../support/flow.ts'
import { type House, PHONES, startHouse } from '../support/house.ts'
import { postTo } from '../support/proofs.ts'

const MFA = 'https://refeds.org/profile/mfa'

let house: House
let app: { id: string; secret: string }
let alex: { id: string }
let bo: { id: string }
/** a browser in which alex is signed in */
let signedIn: Flow

beforeAll(async () => {
  house = await startHouse()
  app = await house.addClient('app')
  await house.addClient('tv', { public: true, redirectUris: [], grants: ['device_code'] })
  await house.addClient('lax', { secondFactor: 'optional' })
  alex = await house.addAccount('alex')
  bo = await house.addAccount('bo', PHONES[1])
  await house.addAccount('bare', null)
  signedIn = createFlow(house, { client: app })
  await signedIn.complete('alex')
})
afterAll(() => house.stop())

const stranger = () => createFlow(house, { client: app })
const again = () => createFlow(house, { client: app, jar: signedIn.jar })

const queryOf = (answer: Answer) =>
  Object.fromEntries(new URL(answer.location ?? 'about:blank').searchParams)

describe('prompt=none', () => {
  test('answers login_required to a stranger, and sends no text (OIDC-19, input 16)', async () => {
    const sent = house.gateway.requests.length
    const answer = await stranger().begin({ prompt: 'none', login_hint: 'alex' })
    expect(queryOf(answer)).toMatchObject({
      error: 'login_required',
      state: 'a state',
      iss: house.issuer,
    })
    expect(house.gateway.requests.length).toBe(sent)
  })

  test('gives a code to someone signed in, with the same sub and auth_time (OIDC-18, OIDC-19)', async () => {
    const sent = house.gateway.requests.length
    const tokens = await Promise.all(
      [again(), again()].map(async (flow) => {
        const { code = '' } = queryOf(await flow.begin({ prompt: 'none' }))
        return claimsOf((await flow.redeem(code)).body)
      }),
    )
    expect(tokens[0]?.sub).toBe(alex.id)
    expect(tokens[1]?.auth_time).toBe(tokens[0]?.auth_time)
    expect(house.gateway.requests.length).toBe(sent)
  })

  test('shows no page and sends no text when more is asked than the session has (OIDC-19)', async () => {
    const weak = createFlow(house, { client: { id: 'lax', secret: '' } })
    await weak.begin()
    await weak.resume(await weak.password('bare'))
    const sent = house.gateway.requests.length
    const essential = { id_token: { acr: { essential: true, value: MFA } } }
    for (const params of [
      { claims: JSON.stringify(essential) },
      { claims: JSON.stringify({ id_token: { sub: { value: alex.id } } }) },
    ]) {
      const answer = await weak.begin({ prompt: 'none', ...params })
      expect(['login_required', 'unmet_authentication_requirements']).toContain(
        queryOf(answer).error,
      )
    }
    expect(house.gateway.requests.length).toBe(sent)
  })
})

describe('max_age and prompt=login (OIDC-19, input 19)', () => {
  test('max_age=0 and prompt=login ask again, max_age=10000 and 9007199254740991 don’t', async () => {
    for (const params of [{ max_age: '0' }, { prompt: 'login' }, { prompt: 'login consent' }]) {
      const answer = await again().begin(params)
      expect(answer.html, JSON.stringify(params)).toContain('autocomplete="current-password"')
    }
    // However it is written, it is the number.
    for (const max_age of ['0x0', ' 0 ', '0e4'])
      expect((await again().begin({ max_age })).html, max_age).toContain('current-password')
    for (const max_age of ['10000', '9007199254740991', '1e4', '0x10000', ' 10000 ', '']) {
      const { code, error } = queryOf(await again().begin({ max_age }))
      expect([code, error], max_age).toEqual([expect.stringMatching(/./), undefined])
    }
  })

  test('after a forced sign-in auth_time is that of the new one', async () => {
    const flow = again()
    const before = Math.floor(Date.now() / 1000)
    const query = await flow.complete('alex', PHONES[0], { prompt: 'login' })
    const claims = claimsOf((await flow.redeem(query.get('code') ?? '')).body)
    expect(claims.auth_time).toBeGreaterThanOrEqual(before)
  })
})

describe('request objects', () => {
  test('are refused, by value and by reference, and nothing is fetched (OIDC-24, inputs 20 and 21)', async () => {
    let hits = 0
    const listener = createServer((_request, response) => {
      hits += 1
      response.end()
    })
    const port = await listen(listener)
    const b64 = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
    const none = `${b64({ alg: 'none' })}.${b64({ client_id: 'app', scope: 'openid' })}.`
    for (const request of [none, 'garbage', 'a.b.c', '{}', ' ']) {
      expect(queryOf(await stranger().begin({ request })).error).toBe('request_not_supported')
    }
    for (const request_uri of [
      `http://127.0.0.1:${port}/request.jwt`,
      `http://localhost:${port}/#hash`,
      'http://169.254.169.254/',
      'file:///etc/passwd',
    ]) {
      const answer = await stranger().begin({ request_uri })
      expect(queryOf(answer).error).toBe('request_uri_not_supported')
    }
    // One that looks pushed (RFC 9126), and wasn't.
    const pushed = await stranger().begin({ request_uri: 'urn:ietf:params:oauth:request_uri:abc' })
    expect(queryOf(pushed).error).toBe('invalid_request_uri')
    await new Promise((resolve) => listener.close(resolve))
    expect(hits).toBe(0)
  })
})

describe('the claims parameter', () => {
  test.each([
    ['{'],
    ['null'],
    ['[]'],
    ['"x"'],
    ['1'],
    ['{}'],
    ['{"id_token":[]}'],
    ['{"id_token":null}'],
    ['{"userinfo":"x"}'],
    ['{"id_token":{"sub":"x"}}'],
    ['{"id_token":{"sub":5}}'],
    ['{"id_token":{"sub":true}}'],
    ['{"id_token":{"acr":{"essential":true,"values":"x"}}}'],
    ['{"id_token":{"acr":{"essential":true,"values":{"a":1}}}}'],
    ['{"id_token":{"acr":"x"}}'],
    ['{"id_token":{"acr":[1]}}'],
    ['{"userinfo":{"email":7}}'],
  ])('%s is no request for claims: invalid_request (input 22)', async (claims) => {
    for (const flow of [stranger(), again()]) {
      const query = queryOf(await flow.begin({ claims, prompt: 'none' }))
      expect(query).toMatchObject({ error: 'invalid_request', iss: house.issuer })
    }
  })

  test('odd members of it are ignored', async () => {
    const odd =
      '{"id_token":{"sub":null,"nobody":{"x":1},"toString":null,"acr":{"values":[1,null,{}]}},"x":7}'
    const query = queryOf(await again().begin({ claims: odd }))
    expect(query.code).toBeTruthy()
  })

  test('with a key that could reach into other objects is refused, however it comes (input 105)', async () => {
    const REFUSED = {
      error: 'invalid_request',
      error_description: expect.stringContaining('__proto__'),
    }
    for (const key of ['__proto__', 'constructor', 'prototype', '\\u005f_proto__'])
      for (const claims of [
        `{"id_token":{},"${key}":{"userinfo":{"email":null}}}`,
        `{"id_token":{"${key}":{"essential":true}}}`,
        `{"userinfo":{"${key}":null}}`,
        `{"userinfo":{"name":{"value":[{"${key}":7}]}}}`,
      ]) {
        const told = queryOf(await again().begin({ claims }))
        expect(told, claims).toMatchObject(REFUSED)
        expect(told.code).toBeUndefined()
        const { search } = new URL(again().authorizationUrl({ claims }), house.issuer)
        const fields = Object.fromEntries(new URLSearchParams(search))
        const basic = { authorization: `Basic ${btoa(`${app.id}:${app.secret}`)}` }
        for (const sent of [
          await postTo(house.url, '/request', fields, basic),
          await postTo(house.url, '/device/auth', { client_id: 'tv', scope: 'openid', claims }),
        ])
          expect(sent, claims).toMatchObject({ status: 400, body: REFUSED })
      }
    expect({}).not.toHaveProperty('essential')
  })

  test('of 100 kB, and of as many levels as an address holds, are answered at once (input 22)', async () => {
    const long = JSON.stringify({ id_token: { name: { value: 'x'.repeat(100_000) } } })
    const deep = `{"id_token":{"name":{"value":${'['.repeat(6000)}${']'.repeat(6000)}}}}`
    const began = performance.now()
    expect((await stranger().begin({ claims: long })).status).toBe(431)
    const flow = again()
    // Not through URLSearchParams, which would make three characters of each bracket.
    const answer = await flow.request(
      `${flow.authorizationUrl()}&claims=${deep.replaceAll('"', '%22')}`,
    )
    expect(performance.now() - began).toBeLessThan(2000)
    expect(queryOf(answer)).toMatchObject({ error: 'invalid_request', iss: house.issuer })
    // Brackets in a text are no levels: neither to hide others behind, nor to be refused for.
    const hidden = `{"userinfo":{"b":{"value":"${']'.repeat(3000)}"},"name":{"values":${'['.repeat(2000)}${']'.repeat(2000)}}}}`
    const behind = await again().request(
      `${flow.authorizationUrl()}&claims=${hidden.replaceAll('"', '%22')}`,
    )
    expect(queryOf(behind).error).toBe('invalid_request')
    const harmless = JSON.stringify({ id_token: { name: { value: '['.repeat(30) } } })
    expect(queryOf(await again().begin({ claims: harmless })).code).toBeTruthy()
  })

  test('that asks for someone else’s sub never gets the token of who is signed in (OIDC-39, input 23)', async () => {
    const claims = JSON.stringify({ id_token: { sub: { essential: true, value: bo.id } } })
    expect(queryOf(await again().begin({ claims, prompt: 'none' })).error).toBe('login_required')

    // The same person again: still not whom the app asked for.
    const flow = again()
    await flow.toCode('alex', { claims })
    let at = await flow.code(house.lastCode(PHONES[0]))
    for (let hops = 0; at.location?.startsWith(house.issuer) && hops < 5; hops++)
      at = await flow.request(at.location)
    expect(queryOf(at)).toMatchObject({ error: 'login_required', state: 'a state' })
    expect(queryOf(at).code).toBeUndefined()
  })
})

describe('an essential acr (OIDC-16, input 27)', () => {
  test.each([
    [{ essential: true, value: 'urn:unknown' }],
    [{ essential: true, values: ['urn:unknown', 'urn:other'] }],
    [{ essential: true, value: { odd: 1 } }],
    [{ essential: true, values: [null, 1] }],
  ])('of %j gives unmet_authentication_requirements, and no text', async (acr) => {
    const sent = house.gateway.requests.length
    const claims = JSON.stringify({ id_token: { acr } })
    for (const flow of [stranger(), again()]) {
      const query = queryOf(await flow.begin({ claims }))
      expect(query).toMatchObject({
        error: 'unmet_authentication_requirements',
        state: 'a state',
        iss: house.issuer,
      })
    }
    expect(house.gateway.requests.length).toBe(sent)
  })

  test('that a password alone doesn’t reach leads someone without a phone to setting one up', async () => {
    const flow = createFlow(house, { client: { id: 'lax', secret: '' } })
    await flow.begin({
      claims: JSON.stringify({ id_token: { acr: { essential: true, value: MFA } } }),
    })
    await flow.password('bare')
    expect((await flow.page()).html).toContain('autocomplete="tel"')
    const query = await flow.resume(await flow.step('cancel'))
    expect(query.get('error')).toBe('access_denied')
    expect(query.get('code')).toBeNull()
  })

  test('that is only wished for doesn’t stop a sign-in', async () => {
    const query = queryOf(await again().begin({ acr_values: 'urn:unknown' }))
    expect(query.code).toBeTruthy()
  })
})
