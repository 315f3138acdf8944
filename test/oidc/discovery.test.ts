import { request as httpRequest } from 'node:http'
import { createLocalJWKSet, decodeProtectedHeader, jwtVerify } from 'jose'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ENDPOINTS } from '../../src/web/admin/snippets/snippet.ts'
import { createFlow } from '../support/flow.ts'
import { type House, PHONES, startHouse } from '../support/house.ts'

let house: House
let app: { id: string; secret: string }
let document: Record<string, unknown>

beforeAll(async () => {
  house = await startHouse()
  app = await house.addClient('app', { grants: ['authorization_code', 'refresh_token'] })
  await house.addAccount('alex')
  const answer = await fetch(`${house.url}/.well-known/openid-configuration`)
  document = JSON.parse(await answer.text())
})
afterAll(() => house.stop())

interface PublicKey {
  kty: string
  kid: string
  n?: string
  crv?: string
}
const jwks = async (): Promise<{ keys: PublicKey[] }> =>
  JSON.parse(await (await fetch(`${house.url}/jwks`)).text())

describe('the discovery document tells the truth (OIDC-34)', () => {
  test('about what is on', () => {
    expect(document).toMatchObject({
      issuer: house.issuer,
      response_types_supported: ['code'],
      code_challenge_methods_supported: ['S256'],
      subject_types_supported: ['public', 'pairwise'],
      claims_parameter_supported: true,
      authorization_response_iss_parameter_supported: true,
      acr_values_supported: ['https://refeds.org/profile/sfa', 'https://refeds.org/profile/mfa'],
    })
    expect(new Set(asList('grant_types_supported'))).toEqual(
      new Set([
        ...['authorization_code', 'refresh_token', 'client_credentials'],
        'urn:ietf:params:oauth:grant-type:device_code',
      ]),
    )
    expect(new Set(asList('scopes_supported'))).toEqual(
      new Set([
        ...['openid', 'profile', 'email', 'phone', 'offline_access'],
        ...['admin:read', 'admin:write'],
      ]),
    )
    expect(new Set(asList('id_token_signing_alg_values_supported'))).toEqual(
      new Set(['RS256', 'ES256', 'EdDSA']),
    )
    expect(new Set(asList('token_endpoint_auth_methods_supported'))).toEqual(
      new Set(['client_secret_basic', 'client_secret_post', 'private_key_jwt', 'none']),
    )
  })

  test('about how tokens and requests are bound', () => {
    const algorithms = ['RS256', 'PS256', 'ES256', 'EdDSA', 'Ed25519']
    expect(new Set(asList('dpop_signing_alg_values_supported'))).toEqual(new Set(algorithms))
    expect(new Set(asList('token_endpoint_auth_signing_alg_values_supported'))).toEqual(
      new Set(algorithms),
    )
    expect(document.require_pushed_authorization_requests ?? false).toBe(false)
  })

  test('about what is off', () => {
    // Left out, request_uri_parameter_supported would mean true.
    expect(document.request_uri_parameter_supported).toBe(false)
    expect(document.request_parameter_supported ?? false).toBe(false)
    for (const name of Object.keys(document)) {
      expect(name).not.toMatch(/registration|ciba|backchannel_auth|mtls/)
    }
  })

  test('about addresses: each is ours, and each is there', async () => {
    const addresses = Object.entries(document).filter(([name]) => /_endpoint$|_uri$/.test(name))
    expect(addresses.map(([name]) => name).toSorted()).toEqual([
      'authorization_endpoint',
      'device_authorization_endpoint',
      'end_session_endpoint',
      'introspection_endpoint',
      'jwks_uri',
      'pushed_authorization_request_endpoint',
      'revocation_endpoint',
      'token_endpoint',
      'userinfo_endpoint',
    ])
    for (const [name, address] of addresses) {
      expect(String(address).startsWith(`${house.issuer}/`), name).toBe(true)
      const posted = /^(token|introspection|revocation|pushed|device)/.test(name)
      const method = posted ? 'POST' : 'GET'
      const answer = await fetch(String(address), { method, redirect: 'manual' })
      await answer.text()
      expect(answer.status, name).not.toBe(404)
      expect(answer.status, name).toBeLessThan(500)
    }
    // What is shown for libraries that look none of them up.
    const { discovery, ...shown } = ENDPOINTS
    expect(await (await fetch(`${house.issuer}${discovery}`)).json()).toEqual(document)
    const ours = addresses.map(([, address]) => String(address).replace(house.issuer, ''))
    expect(ours).toEqual(expect.arrayContaining(Object.values(shown)))
  })

  test('and is JSON that may be kept for a while, the same under its other name', async () => {
    const answer = await fetch(`${house.url}/.well-known/openid-configuration`)
    expect(answer.status).toBe(200)
    expect(answer.headers.get('content-type')).toMatch(/^application\/json/)
    expect(answer.headers.get('cache-control')).toMatch(/^public, max-age=\d+$/)
    expect(await answer.json()).toEqual(document)
    const other = await fetch(`${house.url}/.well-known/oauth-authorization-server`)
    expect(await other.json()).toEqual(document)
  })

  function asList(name: string): unknown[] {
    const value = document[name]
    return Array.isArray(value) ? value : []
  }
})

describe('the public keys (CRY-10, input 92)', () => {
  test('have no private parts, and are strong', async () => {
    const { keys } = await jwks()
    expect(keys.length).toBeGreaterThan(0)
    for (const key of keys) {
      const known = ['kty', 'use', 'kid', 'alg', 'e', 'n', 'crv', 'x', 'y']
      expect(known).toEqual(expect.arrayContaining(Object.keys(key)))
      expect(['RSA', 'EC', 'OKP']).toContain(key.kty)
      if (key.kty === 'RSA') {
        expect(Buffer.from(key.n ?? '', 'base64url').length * 8).toBeGreaterThanOrEqual(2048)
      } else expect(key.crv).toBe(key.kty === 'OKP' ? 'Ed25519' : 'P-256')
    }
    expect(new Set(keys.map(({ kid }) => kid)).size).toBe(keys.length)
  })

  test('are the same with a query and in another tab, and may be kept for a while', async () => {
    const plain = await (await fetch(`${house.url}/jwks`)).text()
    const busted = await fetch(`${house.url}/jwks?cb=1&d=p`)
    expect(await busted.text()).toBe(plain)
    expect(busted.headers.get('cache-control')).toMatch(/^public, max-age=\d+$/)
    expect(busted.headers.getSetCookie()).toEqual([])
  })

  test('answer HEAD with headers alone, and a preflight for GET from anywhere', async () => {
    const head = await fetch(`${house.url}/jwks`, { method: 'HEAD' })
    expect(head.status).toBe(200)
    expect(head.headers.get('content-type')).toContain('json')
    expect(await head.text()).toBe('')
    const preflight = await fetch(`${house.url}/jwks`, {
      method: 'OPTIONS',
      headers: { origin: 'https://spa.example', 'access-control-request-method': 'GET' },
    })
    expect(preflight.status).toBe(204)
    expect(preflight.headers.get('access-control-allow-methods')).toBe('GET')
    expect(preflight.headers.get('access-control-allow-credentials')).toBeNull()
    const bare = await fetch(`${house.url}/jwks`, { method: 'OPTIONS' })
    expect(bare.status).toBeLessThan(500)
    expect(await bare.text()).not.toContain('kty')
  })

  test('are shared by two instances', async () => {
    const beside = await startHouse({ beside: house })
    expect(await (await fetch(`${beside.url}/jwks`)).json()).toEqual(await jwks())
    await beside.stop()
  })
})

describe('an ID token (OIDC-13)', () => {
  async function idToken(params: Record<string, string | undefined> = {}) {
    const flow = createFlow(house, { client: app })
    const query = await flow.complete('alex', PHONES[0], params)
    const { body } = await flow.redeem(query.get('code') ?? '')
    const token = String(body.id_token)
    const verified = await jwtVerify(token, createLocalJWKSet(await jwks()), {
      issuer: house.issuer,
      audience: app.id,
      algorithms: ['RS256', 'ES256'],
      requiredClaims: ['iss', 'sub', 'aud', 'exp', 'iat', 'auth_time', 'acr', 'amr'],
    })
    return { token, claims: verified.payload, body }
  }

  test('verifies against our keys and has every claim, and none too many', async () => {
    const began = Math.floor(Date.now() / 1000)
    const { token, claims } = await idToken({
      scope: 'openid profile email phone',
      max_age: '600',
      nonce: 'n-1',
    })
    expect(decodeProtectedHeader(token)).toMatchObject({ alg: 'RS256', kid: expect.any(String) })
    const { sub = '', iat = 0, exp = 0, auth_time, nonce, aud } = claims
    expect(sub).toMatch(/^[\x21-\x7e]{16,255}$/)
    expect(sub).not.toContain(PHONES[0].slice(1))
    expect(aud).toBe(app.id)
    expect(nonce).toBe('n-1')
    expect(iat).toBeGreaterThanOrEqual(began)
    expect(exp - iat).toBeGreaterThan(0)
    expect(exp - iat).toBeLessThanOrEqual(3600)
    expect(auth_time).toBeGreaterThanOrEqual(began)
    expect(auth_time).toBeLessThanOrEqual(iat)
    expect(claims.amr).toEqual(['pwd', 'otp', 'sms', 'mfa'])
    // Personal data belongs to the userinfo endpoint, not into a token that ends up in logs.
    expect(JSON.stringify(claims)).not.toMatch(/@|phone|Person|\+46/)
  })

  test('has no nonce when none was asked for (OIDC-12)', async () => {
    expect((await idToken({ nonce: undefined })).claims.nonce).toBeUndefined()
  })

  test('has the same sub for the same person, and the userinfo endpoint agrees (OIDC-28)', async () => {
    const [first, second] = [await idToken(), await idToken()]
    expect(first.claims.sub).toBe(second.claims.sub)
    const answer = await fetch(`${house.url}/me`, {
      headers: { authorization: `Bearer ${second.body.access_token}` },
    })
    const about: Record<string, unknown> = JSON.parse(await answer.text())
    expect(about.sub).toBe(second.claims.sub)
    expect(about).not.toHaveProperty('email')
    expect(about).not.toHaveProperty('phone_number')
  })
})

test.each(['TRACE', 'PROPFIND', 'DELETE', 'PUT', 'PATCH', 'SEARCH'])(
  '%s is refused anywhere (input 93)',
  async (method) => {
    for (const path of ['/', '/auth', '/token', '/me', '/jwks', '/session/end', '/nowhere']) {
      const answer = await send(method, path)
      expect([405, 501], path).toContain(answer.status)
      expect(answer.body).not.toContain('a-secret-cookie')
    }
  },
)

test('CONNECT opens nothing (input 93)', async () => {
  const answer = await send('CONNECT', 'evil.example:443').catch(() => ({ status: 501 }))
  expect([400, 405, 501]).toContain(answer.status)
})

function send(method: string, path: string): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    const { hostname, port } = new URL(house.url)
    const headers = { cookie: 'x=a-secret-cookie' }
    httpRequest({ hostname, port, path, method, headers }, (response) => {
      let body = ''
      response.setEncoding('utf8').on('data', (piece: string) => {
        body += piece
      })
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body }))
    })
      .on('connect', ({ statusCode }) => resolve({ status: statusCode ?? 0, body: '' }))
      .on('error', reject)
      .end()
  })
}
