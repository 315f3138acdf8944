import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { Server } from 'node:net'
import { getCACertificates, setDefaultCACertificates } from 'node:tls'
import * as client from 'openid-client'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { makeCertificate } from '../support/certificate.ts'
import { createFlow } from '../support/flow.ts'
import { type House, REDIRECT_URI, startHouse } from '../support/house.ts'
import { ASSERTION_TYPE, assertion, makePair, postTo } from '../support/proofs.ts'
import { type Said, sendJson } from '../support/send-json.ts'
import { inTurn } from '../support/turns.ts'

let house: House
let other: House
let off: House

/** What a client publishes somewhere; what it answers can be changed. */
const published = { answer: (_: ServerResponse): void => {}, asked: 0, slowly: 0 }
const publish = ({ url }: IncomingMessage, response: ServerResponse) => {
  if (url === '/slow') {
    published.slowly++
    // It begins, and has no end.
    return void response.write('[')
  }
  published.asked++
  published.answer(response)
}
const certificate = makeCertificate('127.0.0.2')
const publisher = createServer(publish)
const tlsPublisher = createTlsServer(certificate, publish)
const authorities = getCACertificates()
let outside = ''
let forWebhooks = ''

async function listen(server: Server, host: string): Promise<string> {
  await once(server.listen(0, host), 'listening')
  const address = server.address()
  if (typeof address !== 'object' || !address) throw new Error('not listening')
  return `${host}:${address.port}`
}

beforeAll(async () => {
  outside = `https://${await listen(tlsPublisher, '127.0.0.2')}`
  forWebhooks = `http://${await listen(publisher, '127.0.0.3')}`
  setDefaultCACertificates([...authorities, certificate.cert])
  const env = {
    DYNAMIC_REGISTRATION: 'token',
    REGISTRATION_ALLOWED_HOSTS: '127.0.0.2',
    WEBHOOK_ALLOWED_HOSTS: '127.0.0.3',
  }
  house = await startHouse({ env })
  other = await startHouse({ beside: house })
  off = await startHouse({ beside: house, env: { DYNAMIC_REGISTRATION: 'off' } })
  await house.addAccount('alex')
})
afterAll(async () => {
  setDefaultCACertificates(authorities)
  for (const server of [publisher, tlsPublisher]) {
    server.closeAllConnections()
    server.close()
  }
  await off.stop()
  await other.stop()
  await house.stop()
})

const APP = { client_name: 'Partner', redirect_uris: [REDIRECT_URI] }
const register = (token: string | undefined, said: Said | string = APP, url = house.url) =>
  sendJson('POST', `${url}/reg`, token, said)

const newToken = async (uses = 1, days = 1) =>
  (await house.rooms.registrationTokens.create({ uses, days })).token

const events = (type: string) =>
  house.db.selectFrom('audit_event').select('client_id').where('type', '=', type).execute()

describe('registering oneself [OIDC-25]', () => {
  test('is off unless it is switched on', async () => {
    expect((await register(await newToken(), APP, off.url)).status).toBe(404)
    expect((await sendJson('GET', `${off.url}/reg/x`, 'x')).status).toBe(404)
    const discovery = await sendJson(
      'GET',
      `${off.url}/.well-known/openid-configuration`,
      undefined,
    )
    expect(Object.keys(discovery.body).join()).not.toContain('registration')
    const on = await sendJson('GET', `${house.url}/.well-known/openid-configuration`, undefined)
    expect(on.body.registration_endpoint).toBe(`${house.issuer}/reg`)
  })

  test('takes a token of an admin’s, which is good so often and so long', async () => {
    for (const token of [undefined, '', 'x', 'eyJhbGciOiJub25lIn0.e30.'])
      expect((await register(token)).status, token).toBeGreaterThanOrEqual(400)
    expect((await register('x')).status).toBe(401)
    const twice = await newToken(2)
    const answers = await Promise.all(
      [house, other, house, other, house].map(({ url }) => register(twice, APP, url)),
    )
    expect(answers.map(({ status }) => status).toSorted()).toEqual([201, 201, 401, 401, 401])
    expect((await register(twice)).status).toBe(401)
    const made = await house.rooms.registrationTokens.create()
    await house.rooms.registrationTokens.revoke(made.made.id)
    expect((await register(made.token)).status).toBe(401)
    const short = await newToken()
    for (const one of [house, other]) one.moveClock(24 * 3600 + 1)
    expect((await register(short)).status).toBe(401)
    const rows = await house.db.selectFrom('registration_token').selectAll().execute()
    expect(JSON.stringify(rows)).not.toContain(twice)
    expect(await events('client.registered')).toHaveLength(2)
  })

  test('leads to a sign-in by a stock library, which always asks for consent', async () => {
    const config = await client.dynamicClientRegistration(
      new URL(house.issuer),
      {
        ...APP,
        logo_uri: `${outside}/logo.png`,
        policy_uri: 'http://10.0.0.1/',
        contacts: ['a@b.example'],
      },
      undefined,
      { initialAccessToken: await newToken(), execute: [client.allowInsecureRequests] },
    )
    const { client_id: id } = config.clientMetadata()
    expect(config.clientMetadata()).not.toHaveProperty('logo_uri')
    expect(published.asked).toBe(0)
    const summary = await house.rooms.clients.show(id)
    expect(summary).toMatchObject({
      registeredBy: expect.stringMatching(/^rt_/),
      firstParty: false,
      grants: ['authorization_code'],
    })
    const verifier = client.randomPKCECodeVerifier()
    const url = client.buildAuthorizationUrl(config, {
      redirect_uri: REDIRECT_URI,
      scope: 'openid',
      state: 's',
      code_challenge: await client.calculatePKCECodeChallenge(verifier),
      code_challenge_method: 'S256',
    })
    const flow = createFlow(house)
    await flow.arrive((await flow.request(url.href)).location ?? '')
    await flow.password('alex')
    const resumed = await flow.request((await flow.code(house.lastCode())).location ?? '')
    const consent = await flow.arrive(resumed.location ?? '')
    expect(consent.html).toContain('Partner')
    const query = await flow.resume(await flow.step('consent'))
    const tokens = await client.authorizationCodeGrant(
      config,
      new URL(`${REDIRECT_URI}?${query}`),
      { pkceCodeVerifier: verifier, expectedState: 's' },
    )
    expect(tokens.claims()).toMatchObject({ aud: id, acr: 'https://refeds.org/profile/mfa' })
  })

  test('is refused for what an admin would be refused, or may say alone', async () => {
    const token = await newToken()
    const bad: Said[] = [
      {},
      { redirect_uris: [] },
      { redirect_uris: 'https://a.example/' },
      { redirect_uris: ['https://a.example/#x'] },
      { redirect_uris: ['https://*.a.example/'] },
      { redirect_uris: ['https://u:p@a.example/'] },
      { redirect_uris: ['javascript:alert(1)'] },
      { redirect_uris: ['com.example.app:/cb'] },
      { redirect_uris: Array.from({ length: 21 }, (_, index) => `https://a.example/${index}`) },
      { redirect_uris: [`https://a.example/${'x'.repeat(2000)}`] },
      { ...APP, post_logout_redirect_uris: ['data:text/html,x'] },
      { ...APP, client_name: 'x'.repeat(65) },
      { ...APP, scope: 'openid admin:read' },
      { ...APP, scope: 'profile' },
      { ...APP, grant_types: ['client_credentials'] },
      { ...APP, grant_types: ['urn:ietf:params:oauth:grant-type:device_code'] },
      { ...APP, grant_types: ['implicit'], response_types: ['id_token'] },
      { ...APP, token_endpoint_auth_method: 'client_secret_jwt' },
      { ...APP, token_endpoint_auth_method: 'private_key_jwt' },
      { ...APP, token_endpoint_auth_method: 'none', jwks: { keys: [] } },
      { ...APP, id_token_signed_response_alg: 'none' },
      { ...APP, jwks: { keys: [{ kty: 'oct', k: 'AAAA' }] } },
    ]
    for (const said of bad)
      expect((await register(token, said)).status, JSON.stringify(said)).toBe(400)
    for (const text of ['', '[]', '"x"', '{', '{"__proto__":{"client_name":"x"}}', '1'])
      expect((await register(token, text)).status, text).toBe(400)
    // Beside a registration that is complete, so that nothing else is wrong (input 105).
    const complete = JSON.stringify(APP).slice(1, -1)
    for (const key of ['__proto__', 'constructor', 'prototype', '\\u005f_proto__'])
      for (const member of [`"${key}":{"firstParty":true}`, `"x":[{"${key}":null}]`])
        expect(await register(token, `{${complete},${member}}`), member).toMatchObject({
          status: 400,
          body: { error: 'invalid_request' },
        })
    const nested = `{${complete},"x":${'['.repeat(25_000)}${']'.repeat(25_000)}}`
    expect((await register(await newToken(), nested)).status).toBe(201)
    expect({}).not.toHaveProperty('firstParty')
    expect((await register(token, { ...APP, x: 'x'.repeat(60_000) })).status).toBe(400)
    // None of it has used the token up; what isn't known is left out.
    const { status, body } = await register(token, {
      ...APP,
      client_id: 'sallyport-account',
      client_secret: 'mine',
      first_party: true,
      firstParty: true,
      introspects: ['app'],
      pkce: 'optional',
      'client_name#de': 'Partner',
    })
    expect(status).toBe(201)
    expect(body).not.toMatchObject({ client_id: 'sallyport-account' })
    expect(body.client_secret).not.toBe('mine')
    expect(await house.rooms.clients.show(String(body.client_id))).toMatchObject({
      firstParty: false,
      introspects: [],
      apiScopes: [],
    })
  })
})

test('a public client has no scheme but of its own domain [OIDC-42, OIDC-03]', async () => {
  const token = await newToken()
  const open = { ...APP, token_endpoint_auth_method: 'none' }
  for (const uri of [
    'myapp:/cb',
    'javascript:alert(1)',
    'data:text/html,x',
    'file:///x',
    'blob:https://rp.example/x',
    'vbscript:x',
    '.app:/cb',
    'app.:/cb',
  ])
    for (const said of [{ redirect_uris: [uri] }, { post_logout_redirect_uris: [uri] }]) {
      const { status, body } = await register(token, { ...open, ...said })
      expect([status, body.error], JSON.stringify(said)).toEqual([400, 'invalid_redirect_uri'])
    }
  const own = ['com.example.app:/cb']
  const said = { ...open, redirect_uris: own, post_logout_redirect_uris: own }
  expect((await register(token, said)).status).toBe(201)
})

const INSIDE = [
  'https://127.0.0.1/x',
  'https://localhost/x',
  'https://10.0.0.1/x',
  'https://169.254.169.254/latest/meta-data',
  'https://[::1]/x',
  'https://[::ffff:10.0.0.1]/x',
  'https://0.0.0.0/x',
  'https://2130706433/x',
  'https://intranet/x',
  'http://outside.example/x',
  'file:///etc/passwd',
]

describe('what a client says is elsewhere [OIDC-25]', () => {
  test.each(['jwks_uri', 'sector_identifier_uri'])('as %s leads nowhere inside', async (member) => {
    const token = await newToken()
    for (const uri of INSIDE) {
      const said =
        member === 'jwks_uri'
          ? { ...APP, token_endpoint_auth_method: 'private_key_jwt', jwks_uri: uri }
          : { ...APP, subject_type: 'pairwise', sector_identifier_uri: uri }
      const { status, body } = await register(token, said)
      expect([status, body.error], uri).toEqual([400, 'invalid_client_metadata'])
    }
    // A name that nobody has looked up yet shows where it leads when it is.
    const said = { ...APP, subject_type: 'pairwise' }
    const uri = 'https://does-not-exist.invalid/x'
    expect((await register(token, { ...said, sector_identifier_uri: uri })).status).toBe(400)
  })

  test('as keys is asked for at no host that is trusted for webhooks alone', async () => {
    const pair = await makePair()
    published.answer = (response) => response.end(JSON.stringify({ keys: [pair.public] }))
    const keyed = { ...APP, token_endpoint_auth_method: 'private_key_jwt' }
    const keysAt = async (uri: string) => register(await newToken(), { ...keyed, jwks_uri: uri })
    const asked = published.asked
    for (const uri of [`${forWebhooks}/keys`, `${forWebhooks.replace('http:', 'https:')}/keys`]) {
      const { status, body } = await keysAt(uri)
      expect([status, body.error], uri).toEqual([400, 'invalid_client_metadata'])
    }
    const { body } = await keysAt(`${outside}/keys`)
    expect(body).not.toHaveProperty('client_secret')
    const id = String(body.client_id)
    const prove = async () => {
      const { status } = await postTo(house.url, '/token/introspection', {
        client_assertion_type: ASSERTION_TYPE,
        client_assertion: await assertion(house, id, pair),
        token: 'x',
      })
      return status
    }
    expect(await prove()).toBe(200)
    expect(published.asked).toBe(asked + 1)
    // Not even once an admin has named such a host for it.
    await house.rooms.clients.patch(id, { jwksUri: `${forWebhooks}/keys` })
    expect(await prove()).toBe(401)
    expect(published.asked).toBe(asked + 1)
  })

  test('as sector is asked for over TLS alone; without one, it is the host people come back to', async () => {
    const token = await newToken()
    const said = { ...APP, subject_type: 'pairwise' }
    const asked = published.asked
    const plain = { ...said, sector_identifier_uri: `${outside.replace('https:', 'http:')}/sector` }
    expect((await register(token, plain)).status).toBe(400)
    expect(published.asked).toBe(asked)
    const { body } = await register(token, said)
    expect(body.subject_type).toBe('pairwise')
    expect(await house.rooms.clients.show(String(body.client_id))).toMatchObject({
      sector: 'rp.example',
    })
  })
})

describe('a sector that lists whose it is [OIDC-38, OIDC-25]', () => {
  const REDIRECTS = [REDIRECT_URI, 'https://second.example/cb']
  const listing = (uris: unknown) => JSON.stringify(uris)
  const answer = (text: string, status = 200, headers = {}) => {
    published.answer = (response) => response.writeHead(status, headers).end(text)
  }

  test('is taken where it lists all addresses, and then not asked for again', async () => {
    const token = await newToken()
    const uri = `${outside}/sector`
    const said = {
      client_name: 'Partner',
      redirect_uris: REDIRECTS,
      subject_type: 'pairwise',
      sector_identifier_uri: uri,
    }
    const all = listing([...REDIRECTS, 'https://third.example/cb'])
    // It takes 2.5 seconds, so the others are tried meanwhile.
    const began = performance.now()
    const slow = register(token, { ...said, sector_identifier_uri: `${outside}/slow` }).then(
      (answer) => ({ ...answer, ms: performance.now() - began }),
    )
    const bad: Array<[what: string, answer: () => void]> = [
      ['omits one', () => answer(listing([REDIRECT_URI]))],
      ['has one that only begins alike', () => answer(listing([REDIRECT_URI, `${REDIRECTS[1]}2`]))],
      ['is empty', () => answer('')],
      ['is no JSON', () => answer('<html>')],
      ['is no list', () => answer(JSON.stringify({ redirect_uris: REDIRECTS }))],
      ['lists what is no address', () => answer(listing([...REDIRECTS, 1]))],
      ['is too long', () => answer(`${all}${' '.repeat(100_000)}`)],
      ['is not found', () => answer(all, 404)],
      ['is elsewhere', () => answer(all, 302, { location: `${outside}/elsewhere` })],
    ]
    for (const [what, publishIt] of bad) {
      publishIt()
      const asked = published.asked
      const { status, body } = await register(token, said)
      expect([status, body.error], what).toEqual([400, 'invalid_client_metadata'])
      expect(published.asked, what).toBe(asked + 1)
    }
    const { ms, ...refused } = await slow
    expect(refused).toMatchObject({ status: 400, body: { error: 'invalid_client_metadata' } })
    expect(ms).toBeLessThan(3500)
    expect(published.slowly).toBe(1)

    answer(all)
    const { status, body } = await register(token, said)
    expect(status).toBe(201)
    const id = String(body.client_id)
    const asked = published.asked
    const sector = outside.slice('https://'.length)
    expect(await house.rooms.clients.show(id)).toMatchObject({ subjectType: 'pairwise', sector })
    const flow = createFlow(house, { client: { id, secret: String(body.client_secret) } })
    expect((await flow.begin()).status).toBe(200)
    expect(published.asked).toBe(asked)

    // What is changed later is held against it, too.
    const target = String(body.registration_client_uri)
    const change = (redirects: string[]) =>
      sendJson('PUT', target, String(body.registration_access_token), {
        ...said,
        client_id: id,
        redirect_uris: redirects,
      })
    const foreign = await change([REDIRECT_URI, 'https://fourth.example/cb'])
    expect([foreign.status, foreign.body.error]).toEqual([400, 'invalid_client_metadata'])
    expect((await change([REDIRECT_URI, 'https://third.example/cb'])).status).toBe(200)
  })
})

describe('a client that registered itself', () => {
  async function registered(said: Said = APP) {
    const { body } = await register(await newToken(), said)
    return {
      id: String(body.client_id),
      uri: String(body.registration_client_uri),
      token: String(body.registration_access_token),
      secret: String(body.client_secret),
    }
  }

  test('reads, changes and removes itself, by a token that changes with each change', async () => {
    const { id, uri, token, secret } = await registered()
    const polluted = `{"client_id":"${id}",${JSON.stringify(APP).slice(1, -1)},"__proto__":{"x":1}}`
    expect((await sendJson('PUT', uri, token, polluted)).status).toBe(400)
    const read = await sendJson('GET', uri, token)
    expect(read).toMatchObject({
      status: 200,
      body: {
        client_id: id,
        client_secret: secret,
        client_secret_expires_at: 0,
        client_name: 'Partner',
      },
    })
    const said = { ...APP, client_id: id, client_name: 'Renamed', scope: 'openid email' }
    const changed = await sendJson('PUT', uri, token, said)
    expect(changed).toMatchObject({ status: 200, body: { client_name: 'Renamed' } })
    const next = String(changed.body.registration_access_token)
    expect(next).not.toBe(token)
    expect((await sendJson('GET', uri, token)).status).toBe(401)
    expect(await house.rooms.clients.show(id)).toMatchObject({
      name: 'Renamed',
      scope: ['openid', 'email'],
      version: 2,
    })
    for (const bad of [
      { ...said, client_id: 'other' },
      { ...said, redirect_uris: ['https://a.example/#x'] },
      { ...said, scope: 'openid admin:write' },
      { ...said, token_endpoint_auth_method: 'none' },
      { ...said, client_secret: 'wrong' },
    ])
      expect((await sendJson('PUT', uri, next, bad)).status, JSON.stringify(bad)).toBe(400)
    const stranger = await registered()
    expect((await sendJson('DELETE', uri, stranger.token)).status).toBe(401)
    expect((await sendJson('DELETE', uri, undefined)).status).toBeGreaterThanOrEqual(400)
    expect((await sendJson('DELETE', uri, next)).status).toBe(204)
    expect(await house.rooms.clients.show(id)).toBeUndefined()
    expect((await sendJson('GET', uri, next)).status).toBe(401)
    expect(await events('client.deleted')).toContainEqual({ client_id: id })
  })

  test('changes itself once where it is told to at the same time', async () => {
    const { id, uri, token } = await registered()
    const answers = await Promise.all(
      [house, other, house, other].map(({ url }, index) =>
        sendJson('PUT', uri.replace(house.issuer, url), token, {
          ...APP,
          client_id: id,
          client_name: `Name ${index}`,
        }),
      ),
    )
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(1)
    for (const { status } of answers) expect(status).toBeLessThan(500)
  })

  test.each<[string, (id: string) => Promise<unknown>]>([
    ['changes', (id) => house.rooms.clients.patch(id, { firstParty: true })],
    ['removes', (id) => house.rooms.clients.remove(id)],
  ])('keeps no token that it gets just as an admin %s it', async (_what, byAdmin) => {
    for (const order of ['before', 'after']) {
      const { id, uri, token } = await registered()
      const itself = () => sendJson('PUT', uri, token, { ...APP, client_id: id })
      const admin = () => byAdmin(id)
      if (order === 'before') await inTurn(house, 'RegistrationAccessToken', itself, admin)
      else await inTurn(house, 'RegistrationAccessToken', admin, itself)
      const left = house.db.selectFrom('oidc_record').where('client_id', '=', id)
      expect(await left.select('model').execute(), order).toEqual([])
    }
  })

  test('is changed by admins alone once one of them has, and shown as what it is', async () => {
    const { id, uri, token } = await registered()
    await house.rooms.clients.patch(id, { firstParty: true })
    const said = { ...APP, client_id: id, redirect_uris: ['https://evil.example/cb'] }
    expect((await sendJson('PUT', uri, token, said)).status).toBe(401)
    expect((await house.rooms.clients.list()).find((one) => one.id === id)).toMatchObject({
      redirectUris: [REDIRECT_URI],
      registeredBy: expect.any(String),
    })
    await house.rooms.clients.remove(id)
    expect((await sendJson('GET', uri, token)).status).toBe(401)
  })
})
