import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { makePair } from '../support/proofs.ts'
import { createPlace, type Place, randomKey } from './command-line.ts'

let database: TestDatabase
let place: Place
let cli: Place['cli']
let json: Place['json']

beforeAll(async () => {
  database = await createTestDatabase()
  place = createPlace(database.url)
  ;({ cli, json } = place)
})

afterAll(async () => {
  place.remove()
  await database.destroy()
})

const CALLBACK = ['--redirect-uri', 'https://shop.example.com/callback']

describe.concurrent('client', { timeout: 90_000 }, () => {
  test('create prints the secret once; list and show never do', async () => {
    const made = await json([
      ...['client', 'create', '--id', 'shop', '--name', 'The shop', ...CALLBACK],
      ...['--redirect-uri', 'https://a.example/cb', 'https://b.example/cb', '--first-party'],
      ...['--post-logout-redirect-uri', 'https://shop.example.com/', '--second-factor', 'optional'],
      ...['--grant', 'authorization_code,refresh_token', '--scope', 'openid profile', 'email'],
    ])
    expect(made).toEqual({
      client_id: 'shop',
      client_secret: expect.stringMatching(/^[\w-]{43}$/),
    })
    const summary = {
      client_id: 'shop',
      name: 'The shop',
      redirect_uris: [
        'https://shop.example.com/callback',
        'https://a.example/cb',
        'https://b.example/cb',
      ],
      post_logout_redirect_uris: ['https://shop.example.com/'],
      grant_types: ['authorization_code', 'refresh_token'],
      public: false,
      first_party: true,
      second_factor: 'optional',
      scope: 'openid profile email',
      introspects: [],
      pkce: 'required',
      backchannel_logout_uri: null,
      backchannel_logout_session_required: false,
      jwks: null,
      jwks_uri: null,
      id_token_signed_response_alg: 'RS256',
      require_pushed_authorization_requests: false,
      dpop_bound_access_tokens: false,
      subject_type: 'public',
      sector: null,
      api_scope: '',
      version: 1,
      created_at: expect.any(String),
      updated_at: expect.any(String),
      previous_secret_until: null,
      registered_by: null,
    }
    expect(await json(['client', 'show', 'shop'])).toEqual(summary)
    expect(await json(['client', 'list'])).toContainEqual(summary)
    const shown = await Promise.all([cli(['client', 'show', 'shop']), cli(['client', 'list'])])
    for (const { code, out, err } of shown) {
      expect(code).toBe(0)
      expect(out).toContain('The shop')
      expect(out + err).not.toContain(made.client_secret)
    }
  })

  test('a public one has no secret', async () => {
    const args = ['client', 'create', '--id', 'app', '--public']
    const made = await json([...args, '--redirect-uri', 'com.example.app:/callback'])
    expect(made).toEqual({ client_id: 'app' })
    expect(await json(['client', 'show', 'app'])).toMatchObject({ public: true, scope: null })
  })

  test('a machine needs no redirect URI; one that signs people in does', async () => {
    const args = ['client', 'create', '--id', 'machine']
    expect(await cli(args)).toMatchObject({
      code: 1,
      out: '',
      err: 'A client that signs people in needs a redirect URI.\n',
    })
    expect(await json([...args, '--grant', 'client_credentials'])).toMatchObject({
      client_id: 'machine',
    })
    const tv = [
      'client',
      'create',
      '--id',
      'tv',
      '--public',
      '--grant',
      'device_code,refresh_token',
    ]
    expect(await json(tv)).toEqual({ client_id: 'tv' })
    expect(await json(['client', 'show', 'tv'])).toMatchObject({
      grant_types: ['urn:ietf:params:oauth:grant-type:device_code', 'refresh_token'],
    })
  })

  test('tokens by which clients register themselves are made, listed and ended', async () => {
    const tokens = ['client', 'registration-token']
    const args = [...tokens, 'create', '--name', 'Partner', '--uses', '5', '--days', '30']
    const { id, token, ...more } = await json(args)
    expect(more).toMatchObject({ name: 'Partner', uses: 5, uses_left: 5 })
    const listed = await cli([...tokens, 'list'])
    expect(listed.out).toContain(`${id}`)
    expect(listed.out).not.toContain(`${token}`)
    expect(await json([...tokens, 'revoke', `${id}`])).toEqual({ id, revoked: true })
    expect(await cli([...tokens, 'revoke', `${id}`])).toMatchObject({ code: 1 })
  })

  test('an API is registered, and apps for its scopes, by keys and other switches', async () => {
    const api = await json([
      ...['api', 'create', '--id', 'orders', '--resource', 'https://orders.example.com'],
      ...['--name', 'Orders', '--scope', 'orders.read,orders.write', '--lifetime', '300'],
    ])
    expect(api).toMatchObject({
      id: 'orders',
      scope: 'orders.read orders.write',
      lifetime_seconds: 300,
      algorithm: 'RS256',
    })
    const keys = join(mkdtempSync(join(tmpdir(), 'sallyport-keys-')), 'jwks.json')
    const { public: key } = await makePair()
    writeFileSync(keys, JSON.stringify({ keys: [key] }))
    const made = await json([
      ...['client', 'create', '--id', 'bound', ...CALLBACK, '--jwks', keys, '--require-par'],
      ...['--require-dpop', '--pairwise', '--api-scope', 'orders.read'],
      ...['--id-token-algorithm', 'EdDSA'],
    ])
    expect(made).toEqual({ client_id: 'bound' })
    const [changed, unused, shown, misused] = await Promise.all([
      json(['client', 'update', 'bound', '--no-require-par', '--no-pairwise']),
      cli(['api', 'delete', 'orders']),
      cli(['api', 'list']),
      cli(['client', 'create', '--id', 'x', ...CALLBACK, '--jwks', 'package.json']),
    ])
    expect(changed).toMatchObject({
      jwks: { keys: [key] },
      id_token_signed_response_alg: 'EdDSA',
      require_pushed_authorization_requests: false,
      dpop_bound_access_tokens: true,
      subject_type: 'public',
      sector: null,
      api_scope: 'orders.read',
    })
    expect(unused).toMatchObject({ code: 1, out: '' })
    expect(unused.err).toContain('take them from bound first')
    expect(shown.out).toContain('orders.read orders.write')
    expect(misused.code).toBe(2)
    expect(misused.err).toContain('JSON Web Key Set')
  })

  test('update changes what is given, and takes away what is to go', async () => {
    await json([
      ...['client', 'create', '--id', 'desk', ...CALLBACK, '--first-party', '--name', 'Desk'],
      ...['--second-factor', 'required', '--scope', 'openid,admin:read'],
    ])
    const changed = await json([
      ...['client', 'update', 'desk', '--redirect-uri', 'https://new.example/cb', '--no-name'],
      ...['--no-second-factor', '--scope', 'openid,admin:read,admin:write'],
    ])
    expect(changed).toMatchObject({
      client_id: 'desk',
      name: null,
      redirect_uris: ['https://new.example/cb'],
      first_party: true,
      second_factor: null,
      scope: 'openid admin:read admin:write',
      version: 2,
    })
    const [refused, unknown] = await Promise.all([
      cli(['client', 'update', 'desk', '--no-first-party']),
      cli(['client', 'update', 'nobody', '--name', 'N']),
    ])
    expect(refused).toMatchObject({ code: 1, out: '' })
    expect(refused.err).toContain('only if it is first-party')
    expect(unknown).toEqual({ code: 1, out: '', err: 'There is no client nobody.\n' })
  })

  test('rotate-secret prints the new secret, and until when the old one is good', async () => {
    await json(['client', 'create', '--id', 'rotating', ...CALLBACK])
    const from = Date.now()
    const rotated = await json(['client', 'rotate-secret', 'rotating', '--overlap-hours', '2'])
    expect(rotated).toEqual({
      client_id: 'rotating',
      client_secret: expect.stringMatching(/^[\w-]{43}$/),
      previous_until: expect.any(String),
    })
    expect(Date.parse(rotated.previous_until)).toBeCloseTo(from + 2 * 3600_000, -5)
    const text = await cli(['client', 'rotate-secret', 'rotating', '--overlap-hours', '0'])
    expect(text.out).toMatch(/^client_secret +[\w-]{43}\nprevious until +-\n\nThe secret is not/m)
    expect(
      (await cli(['client', 'rotate-secret', 'rotating', '--overlap-hours', '721'])).code,
    ).toBe(2)
  })

  test('an id is taken once, and free again after delete', async () => {
    const args = ['client', 'create', '--id', 'once', ...CALLBACK]
    const first = await cli(args)
    expect(first.out).toMatch(/^client_id {6}once\nclient_secret {2}[\w-]{43}\n/)
    expect(await cli(args)).toMatchObject({
      code: 1,
      out: '',
      err: expect.stringContaining('already'),
    })
    expect(await json(['client', 'delete', 'once'])).toEqual({ client_id: 'once', deleted: true })
    const err = 'There is no client once.\n'
    expect(await cli(['client', 'delete', 'once'])).toEqual({ code: 1, out: '', err })
    expect(await cli(['client', 'show', 'once'])).toEqual({ code: 1, out: '', err })
    expect((await cli(args)).code).toBe(0)
  })

  test.each([
    ['https://shop.example.com/callback#fragment', 'must have no fragment'],
    ['https://user@shop.example.com/callback', 'must have no user name'],
    // Of a public client, which may have a scheme of its own (RFC 8252 section 7.1).
    ['javascript:alert(1)', 'must be https:', '--public'],
    ['myapp:/cb', 'reverse-domain scheme', '--public'],
    ['/callback', 'is not a URL'],
  ])('refuses the redirect URI %s [OIDC-03, OIDC-42]', async (uri, why, ...more) => {
    const args = ['client', 'create', '--id', 'lint', ...more]
    const answers = await Promise.all([
      cli([...args, '--redirect-uri', uri]),
      cli([...args, ...CALLBACK, '--post-logout-redirect-uri', uri]),
    ])
    for (const { code, out, err } of answers) {
      expect({ code, out }).toEqual({ code: 1, out: '' })
      expect(err).toContain(why)
    }
  })

  test('production refuses plain http but to loopback', async () => {
    const production = {
      NODE_ENV: 'production',
      ISSUER: 'https://login.example.com',
      SMS_GATEWAYS: 'textbee',
      SMS_ALLOWED_COUNTRIES: '*',
      TEXTBEE_API_KEY: randomKey(),
      TEXTBEE_DEVICE_ID: 'device',
      TEXTBEE_WEBHOOK_SECRET: randomKey(),
    }
    const create = (id: string, uri: string) =>
      cli(['client', 'create', '--id', id, '--redirect-uri', uri], '', production)
    const [plain, loopback] = await Promise.all([
      create('plain', 'http://shop.example.com/callback'),
      create('loopback', 'http://127.0.0.1:8080/callback'),
    ])
    expect(plain).toMatchObject({ code: 1, out: '' })
    expect(plain.err).toContain('must be https:, except to loopback')
    expect(loopback).toMatchObject({ code: 0, err: '' })
  })
})
