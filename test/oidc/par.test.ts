import * as client from 'openid-client'
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest'
import { createFlow } from '../support/flow.ts'
import { type House, REDIRECT_URI, startHouse } from '../support/house.ts'
import { postTo } from '../support/proofs.ts'

interface Registered {
  id: string
  secret: string
}

let house: House
let other: House
let app: Registered
let rival: Registered

beforeAll(async () => {
  house = await startHouse()
  other = await startHouse({ beside: house })
  app = await house.addClient('app')
  rival = await house.addClient('rival')
  await house.addClient('pushing', { requirePar: true })
  await house.addClient('page', { public: true })
  await house.addAccount('alex')
})
afterEach(() => void vi.useRealTimers())
afterAll(async () => {
  await other.stop()
  await house.stop()
})

const basic = ({ id, secret }: Registered) => ({
  authorization: `Basic ${btoa(`${id}:${secret}`)}`,
})

const paramsOf = (url: string) =>
  Object.fromEntries(new URL(url, 'http://localhost').searchParams.entries())

/** Pushes the request that a flow would make. */
async function push(
  flow: ReturnType<typeof createFlow>,
  more: Record<string, string | undefined> = {},
  by = app,
) {
  const fields = paramsOf(flow.authorizationUrl(more))
  return postTo(house.url, '/request', fields, basic(by))
}

const at = (uri: unknown, id = 'app') =>
  `/auth?${new URLSearchParams({ client_id: id, request_uri: String(uri) })}`

describe('a pushed authorization request [OIDC-22]', () => {
  test('signs somebody in by a stock library', async () => {
    const config = await client.discovery(
      new URL(house.issuer),
      app.id,
      undefined,
      client.ClientSecretBasic(app.secret),
      { execute: [client.allowInsecureRequests] },
    )
    const verifier = client.randomPKCECodeVerifier()
    const url = await client.buildAuthorizationUrlWithPAR(config, {
      redirect_uri: REDIRECT_URI,
      scope: 'openid',
      state: 's',
      code_challenge: await client.calculatePKCECodeChallenge(verifier),
      code_challenge_method: 'S256',
    })
    expect([...url.searchParams.keys()].toSorted()).toEqual(['client_id', 'request_uri'])
    const flow = createFlow(house, { client: app })
    await flow.arrive((await flow.request(url.href)).location ?? '')
    await flow.password('alex')
    const query = await flow.resume(await flow.code(house.lastCode()))
    const back = new URL(`${REDIRECT_URI}?${query}`)
    const checks = { pkceCodeVerifier: verifier, expectedState: 's' }
    const tokens = await client.authorizationCodeGrant(config, back, checks)
    expect(tokens.claims()?.iss).toBe(house.issuer)
  })

  test('is used up by the first code, at every instance and whatever began before', async () => {
    const first = createFlow(house, { client: app })
    const { status, body } = await push(first)
    expect({ status, body }).toEqual({
      status: 201,
      body: {
        expires_in: 60,
        request_uri: expect.stringMatching(/^urn:ietf:params:oauth:request_uri:[\w-]{32,}$/),
      },
    })
    const tabs = [first, createFlow(house, { client: app })]
    const codes: string[] = []
    for (const tab of tabs) {
      await tab.arrive((await tab.request(at(body.request_uri))).location ?? '')
      await tab.password('alex')
      codes.push(house.lastCode())
    }
    const [one, two] = tabs
    expect((await one?.resume(await one.code(codes[0] ?? '')))?.get('code')).toBeTruthy()
    const late = createFlow(house, { client: app, jar: first.jar, url: other.url })
    const again = await late.request(at(body.request_uri))
    expect([again.status, again.location]).toEqual([400, undefined])
    // The request has ended long since when the second tab comes to its end.
    for (const instance of [house, other]) instance.moveClock(5 * 60 - 20)
    const resumed = await two?.code(codes[1] ?? '')
    const end = await two?.request(resumed?.location ?? '')
    expect(end?.location).toContain('error=invalid_request_uri')
  })

  test('of two tabs that end at the same moment gives one code', async () => {
    const begun = createFlow(house, { client: app })
    await begun.complete('alex')
    const { body } = await push(begun)
    const answers = await Promise.all(
      [house, other, house, other].map(async ({ url }) => {
        const tab = createFlow(house, { client: app, url, jar: await begun.jar.clone() })
        return tab.request(at(body.request_uri))
      }),
    )
    expect(answers.filter(({ location }) => location?.includes('code='))).toHaveLength(1)
  })

  test('ends after a minute', async () => {
    const flow = createFlow(house, { client: app })
    const { body } = await push(flow)
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 61_000 })
    expect((await flow.request(at(body.request_uri))).status).toBe(400)
  })

  test('is worth nothing to another client, by a guess, or with parameters beside it', async () => {
    const flow = createFlow(house, { client: app })
    const { body } = await push(flow, { prompt: 'none' })
    for (const uri of [
      at(body.request_uri, 'rival'),
      at(`${body.request_uri}x`),
      at('urn:ietf:params:oauth:request_uri:'),
      at('urn:ietf:params:oauth:request_uri:\0'),
    ])
      expect((await flow.request(uri)).location ?? '').not.toMatch(/code=|interaction/)
    const beside = await flow.request(
      `${at(body.request_uri)}&prompt=login&redirect_uri=https%3A%2F%2Fevil.example&scope=phone`,
    )
    expect(beside.location).toContain(`${REDIRECT_URI}?error=login_required`)
  })

  test('is refused at once for what would be refused later', async () => {
    const flow = createFlow(house, { client: app })
    const bad: Array<Record<string, string | undefined>> = [
      { redirect_uri: 'https://evil.example/' },
      { code_challenge: undefined },
      { response_type: 'token' },
      { scope: 'openid admin:read' },
      { request_uri: 'urn:ietf:params:oauth:request_uri:x' },
      { request_uri: 'http://169.254.169.254/' },
      { request: 'eyJhbGciOiJub25lIn0.e30.' },
    ]
    for (const more of bad) expect((await push(flow, more)).status, JSON.stringify(more)).toBe(400)
    expect((await push(flow, {}, { ...app, secret: 'wrong' })).status).toBe(401)
    expect((await push(flow, {}, rival)).status).toBe(400)
  })

  test('may say what an address can say, and no more, whoever pushes it', async () => {
    const flow = createFlow(house, { client: { id: 'page', secret: '' } })
    const pushed = (state: string) =>
      postTo(house.url, '/request', paramsOf(flow.authorizationUrl({ state })))
    expect((await pushed('s'.repeat(6000))).status).toBe(201)
    for (const state of ['s'.repeat(55_000), 'ä'.repeat(2000)])
      expect(await pushed(state)).toMatchObject({
        status: 400,
        body: {
          error: 'invalid_request',
          error_description: expect.stringMatching(
            /^the request is too long: .* 7168 are the most$/,
          ),
        },
      })
  })

  test('can be pushed by a public client', async () => {
    const flow = createFlow(house, { client: { id: 'page', secret: '' } })
    const { status } = await postTo(house.url, '/request', paramsOf(flow.authorizationUrl()))
    expect(status).toBe(201)
  })

  test('is the only way for a client that must push', async () => {
    const flow = createFlow(house, { client: { id: 'pushing', secret: '' } })
    const answer = await flow.begin()
    expect(answer.location).toContain('error=invalid_request')
    await house.rooms.clients.patch('pushing', { requirePar: false })
    expect((await flow.begin()).status).toBe(200)
  })

  test('can’t be required of what signs nobody in', async () => {
    const machine = { redirectUris: [], grants: ['client_credentials' as const], requirePar: true }
    await expect(house.addClient('machine', machine)).rejects.toThrow('no authorization requests')
  })
})
