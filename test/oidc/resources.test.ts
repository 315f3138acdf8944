import { createRemoteJWKSet, decodeJwt, jwtVerify } from 'jose'
import * as client from 'openid-client'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createFlow, type Flow } from '../support/flow.ts'
import { type House, REDIRECT_URI, startHouse } from '../support/house.ts'
import { makePair, postTo, proof } from '../support/proofs.ts'

interface Registered {
  id: string
  secret: string
}

const ORDERS = 'https://orders.example/api'
const STOCK = 'urn:example:stock'

let house: House
let shop: Registered
let robot: Registered
let browser: Flow

beforeAll(async () => {
  house = await startHouse()
  const { apis } = house.rooms
  await apis.create({
    id: 'orders',
    resource: ORDERS,
    name: 'Orders',
    scopes: ['orders.read', 'orders.write'],
    lifetimeSeconds: 120,
    algorithm: 'ES256',
  })
  await apis.create({ id: 'stock', resource: STOCK, name: 'Stock', scopes: ['stock:read'] })
  shop = await house.addClient('shop', {
    grants: ['authorization_code', 'refresh_token'],
    apiScopes: ['orders.read', 'stock:read'],
  })
  robot = await house.addClient('robot', {
    redirectUris: [],
    grants: ['client_credentials'],
    apiScopes: ['orders.write'],
  })
  await house.addAccount('alex')
  browser = createFlow(house, { client: shop })
  await browser.complete('alex')
})
afterAll(() => house.stop())

const basic = ({ id, secret }: Registered) => ({
  authorization: `Basic ${btoa(`${id}:${secret}`)}`,
})

/** What an API does with a token it is shown, by a stock library. */
const verify = (token: unknown, audience = ORDERS) =>
  jwtVerify(String(token), createRemoteJWKSet(new URL(`${house.url}/jwks`)), {
    issuer: house.issuer,
    audience,
    typ: 'at+jwt',
  })

/** The answer to an authorization request in the browser that is signed in. */
async function authorize(params: Record<string, string>, by = shop) {
  const flow = createFlow(house, { client: by, jar: browser.jar })
  const query = await flow.resume(await flow.request(flow.authorizationUrl(params)))
  return { flow, query, code: query.get('code') ?? '' }
}

const ownToken = (fields: Record<string, string>, more: Record<string, string> = {}) =>
  postTo(
    house.url,
    '/token',
    { grant_type: 'client_credentials', ...fields },
    { ...basic(robot), ...more },
  )

describe('an access token for an API', () => {
  test('is a JWT that tells whose it is, what for, and how they signed in (RFC 9068)', async () => {
    const config = await client.discovery(
      new URL(house.issuer),
      'shop',
      undefined,
      client.ClientSecretBasic(shop.secret),
      { execute: [client.allowInsecureRequests] },
    )
    const verifier = client.randomPKCECodeVerifier()
    const url = client.buildAuthorizationUrl(config, {
      redirect_uri: REDIRECT_URI,
      scope: 'openid orders.read stock:read',
      resource: ORDERS,
      code_challenge: await client.calculatePKCECodeChallenge(verifier),
      code_challenge_method: 'S256',
    })
    const query = await browser.resume(await browser.request(url.href))
    const tokens = await client.authorizationCodeGrant(
      config,
      new URL(`${REDIRECT_URI}?${query}`),
      { pkceCodeVerifier: verifier },
      { resource: ORDERS },
    )
    const { payload, protectedHeader } = await verify(tokens.access_token)
    const { sub, auth_time: at } = tokens.claims() ?? {}
    expect(protectedHeader.alg).toBe('ES256')
    expect(payload).toEqual({
      iss: house.issuer,
      aud: ORDERS,
      sub,
      client_id: 'shop',
      scope: 'orders.read',
      iat: expect.any(Number),
      exp: (payload.iat ?? 0) + 120,
      jti: expect.any(String),
      acr: 'https://refeds.org/profile/mfa',
      amr: ['pwd', 'otp', 'sms', 'mfa'],
      auth_time: at,
    })
    expect(tokens.expires_in).toBe(120)
    const renewed = await client.refreshTokenGrant(config, tokens.refresh_token ?? '', {
      resource: ORDERS,
    })
    expect((await verify(renewed.access_token)).payload).toMatchObject({ sub, auth_time: at })
    // Without the API, the same sign-in gives a token for userinfo, as it always did.
    const plain = await client.refreshTokenGrant(config, renewed.refresh_token ?? '')
    expect(plain.access_token).not.toContain('.')
    expect((await client.fetchUserInfo(config, plain.access_token, sub ?? '')).sub).toBe(sub)
  })

  test('opens nothing here, is no other API’s, and isn’t introspected or revoked', async () => {
    const { flow, code } = await authorize({ scope: 'openid orders.read', resource: ORDERS })
    const token = String((await flow.redeem(code, { resource: ORDERS })).body.access_token)
    await expect(verify(token, STOCK)).rejects.toThrow('aud')
    for (const path of ['/me', '/api/admin/v1/clients']) {
      const answer = await fetch(`${house.url}${path}`, {
        headers: { authorization: `Bearer ${token}` },
      })
      expect(answer.status).toBe(401)
    }
    for (const path of ['/token/introspection', '/token/revocation'])
      expect((await postTo(house.url, path, { token }, basic(shop))).body.error).toBe(
        'unsupported_token_type',
      )
  })

  test('of a request for several is asked for one at a time', async () => {
    const both = new URLSearchParams([
      ...new URL(browser.authorizationUrl({ scope: 'openid orders.read stock:read' }), house.issuer)
        .searchParams,
      ['resource', ORDERS],
      ['resource', STOCK],
    ])
    const query = await browser.resume(await browser.request(`/auth?${both}`))
    const { body } = await browser.redeem(query.get('code') ?? '', { resource: STOCK })
    expect((await verify(body.access_token, STOCK)).payload.scope).toBe('stock:read')
    const refresh = { grant_type: 'refresh_token', refresh_token: String(body.refresh_token) }
    const { body: next } = await browser.redeem('', { ...refresh, resource: ORDERS })
    expect((await verify(next.access_token)).payload.scope).toBe('orders.read')
  })

  test('of a program names the program, and is bound to its key with DPoP', async () => {
    const fields = { resource: ORDERS, scope: 'orders.write' }
    const { payload } = await verify((await ownToken(fields)).body.access_token)
    expect(payload).toMatchObject({ sub: 'robot', client_id: 'robot', scope: 'orders.write' })
    expect(payload).not.toHaveProperty('acr')
    const dpop = await proof(await makePair(), 'POST', `${house.issuer}/token`)
    const { body } = await ownToken(fields, { dpop })
    expect(decodeJwt(String(body.access_token)).cnf).toEqual({ jkt: expect.any(String) })
  })

  test('has the sub of its app where subjects are pairwise [OIDC-38]', async () => {
    const pairwise = await house.addClient('pairwise', {
      subjectType: 'pairwise',
      apiScopes: ['orders.read'],
    })
    const asked = { scope: 'openid orders.read', resource: ORDERS }
    const { flow, code } = await authorize(asked, pairwise)
    const { body } = await flow.redeem(code, { resource: ORDERS })
    const { sub } = decodeJwt(String(body.id_token))
    expect((await verify(body.access_token)).payload.sub).toBe(sub)
  })

  test('is refused where the app isn’t registered for it', async () => {
    const errorOf = async (params: Record<string, string>) =>
      (await authorize({ prompt: 'none', ...params })).query.get('error')
    for (const resource of [
      'https://other.example',
      `${ORDERS}/`,
      'orders',
      `${ORDERS}#x`,
      'urn:\0',
      house.issuer,
    ])
      expect(await errorOf({ scope: 'openid', resource }), resource).toBe('invalid_target')
    expect(await errorOf({ scope: 'openid orders.write', resource: ORDERS })).toBe('invalid_scope')
    expect((await ownToken({ resource: STOCK, scope: 'stock:read' })).body.error).toBe(
      'invalid_target',
    )
    const { flow, code } = await authorize({ scope: 'openid orders.read', resource: ORDERS })
    expect((await flow.redeem(code, { resource: STOCK })).body.error).toBe('invalid_target')
  })

  test('is consented to by name where the app isn’t ours, and shown among what it has', async () => {
    const foreign = await house.addClient('foreign', {
      firstParty: false,
      apiScopes: ['orders.read'],
    })
    const flow = createFlow(house, { client: foreign, jar: browser.jar })
    const asked = { scope: 'openid orders.read', resource: ORDERS }
    const begun = await flow.request(flow.authorizationUrl(asked))
    const page = await flow.arrive(begun.location ?? '')
    expect(page.html).toContain('Orders: orders.read')
    const query = await flow.resume(await flow.step('consent'))
    const { body } = await flow.redeem(query.get('code') ?? '', { resource: ORDERS })
    expect((await verify(body.access_token)).payload.scope).toBe('orders.read')
    const { sub } = decodeJwt(String(body.id_token))
    const held = await house.rooms.consents.list(String(sub))
    expect(held.find(({ clientId }) => clientId === 'foreign')?.scopes).toContain('orders.read')
    const again = await flow.request(flow.authorizationUrl({ ...asked, prompt: 'none' }))
    expect(again.location).toContain('code=')
  })

  test('isn’t renewed once the app has lost the scope', async () => {
    const losing = await house.addClient('losing', {
      grants: ['authorization_code', 'refresh_token'],
      apiScopes: ['orders.read'],
    })
    const { flow, code } = await authorize(
      { scope: 'openid orders.read', resource: ORDERS },
      losing,
    )
    const { body } = await flow.redeem(code, { resource: ORDERS })
    await house.rooms.clients.patch('losing', { apiScopes: [] })
    const refresh = { grant_type: 'refresh_token', refresh_token: String(body.refresh_token) }
    expect((await flow.redeem('', { ...refresh, resource: ORDERS })).status).toBe(400)
  })
})

describe('an API', () => {
  const api = { id: 'new', resource: 'https://new.example', name: 'New', scopes: ['new.read'] }

  test('is registered with sensible words only', async () => {
    const refused: Array<[string, object]> = [
      ['not an absolute URI', { resource: '/orders' }],
      ['no fragment', { resource: 'https://new.example/#a' }],
      ['own', { resource: house.issuer }],
      ['meaning of its own', { scopes: ['openid'] }],
      ['meaning of its own', { scopes: ['admin:everything'] }],
      ['twice', { scopes: ['new.read', 'new.read'] }],
      ['a scope has', { scopes: ['new read'] }],
      ['>=60', { lifetimeSeconds: 59 }],
      ['<=3600', { lifetimeSeconds: 3601 }],
      ['already', { id: 'orders' }],
      ['already', { resource: ORDERS }],
      ['already', { scopes: ['new.read', 'stock:read'] }],
    ]
    for (const [sentence, more] of refused)
      await expect(house.rooms.apis.create({ ...api, ...more }), sentence).rejects.toThrow(sentence)
  })

  test('of two with one scope at the same moment one is registered', async () => {
    const outcomes = await Promise.allSettled(
      ['a', 'b'].map((id) =>
        house.rooms.apis.create({ ...api, id, resource: `https://${id}.example` }),
      ),
    )
    expect(outcomes.map(({ status }) => status).toSorted()).toEqual(['fulfilled', 'rejected'])
  })

  test('stays while apps are registered for its scopes, and those only come from APIs', async () => {
    await expect(house.rooms.apis.remove('stock')).rejects.toThrow('take them from shop first')
    await expect(house.addClient('unknown', { apiScopes: ['nothing.read'] })).rejects.toThrow(
      'No API offers the scope nothing.read.',
    )
    await house.rooms.clients.patch('shop', { apiScopes: ['orders.read'] })
    expect(await house.rooms.apis.remove('stock')).toBe(true)
    expect(await house.rooms.apis.remove('stock')).toBe(false)
  })
})
