import * as client from 'openid-client'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { burst, createFlow, type Flow } from '../support/flow.ts'
import { type House, REDIRECT_URI, startHouse } from '../support/house.ts'
import { makePair, type Pair, postTo, proof } from '../support/proofs.ts'

interface Registered {
  id: string
  secret: string
}

let house: House
let other: House
let robot: Registered
let pair: Pair
let signedIn: Flow

const PAGE = { id: 'page', secret: '' }

beforeAll(async () => {
  house = await startHouse()
  other = await startHouse({ beside: house })
  pair = await makePair()
  robot = await house.addClient('robot', { redirectUris: [], grants: ['client_credentials'] })
  await house.addClient('page', {
    public: true,
    requireDpop: true,
    grants: ['authorization_code', 'refresh_token'],
  })
  await house.addAccount('alex')
  signedIn = createFlow(house, { client: PAGE })
  await signedIn.complete('alex')
})
afterAll(async () => {
  await other.stop()
  await house.stop()
})

const basic = ({ id, secret }: Registered) => ({
  authorization: `Basic ${btoa(`${id}:${secret}`)}`,
})
const tokenUrl = () => `${house.issuer}/token`

/** A program's own token, for a proof. */
const robotToken = (dpop: string, url = house.url) =>
  postTo(url, '/token', { grant_type: 'client_credentials' }, { ...basic(robot), dpop })

/** A new code in the browser that is signed in. */
async function newCode(more: Record<string, string> = {}) {
  const flow = createFlow(house, { client: PAGE, jar: signedIn.jar })
  const answer = await flow.request(flow.authorizationUrl(more))
  const query = await flow.resume(answer)
  return {
    grant_type: 'authorization_code',
    code: query.get('code') ?? '',
    code_verifier: flow.verifier,
    redirect_uri: REDIRECT_URI,
    client_id: 'page',
  }
}

async function redeemed() {
  const dpop = await proof(pair, 'POST', tokenUrl())
  return (await postTo(house.url, '/token', await newCode(), { dpop })).body
}

const refresh = (token: unknown, headers: Record<string, string>) =>
  postTo(
    house.url,
    '/token',
    { grant_type: 'refresh_token', refresh_token: String(token), client_id: 'page' },
    headers,
  )

async function userinfo(headers: Record<string, string>) {
  const answer = await fetch(`${house.url}/me`, { headers })
  return { status: answer.status, challenge: answer.headers.get('www-authenticate') ?? '' }
}

describe('a token bound to a key [OIDC-23]', () => {
  test('is got and used by a stock library', async () => {
    const config = await client.discovery(new URL(house.issuer), 'page', undefined, client.None(), {
      execute: [client.allowInsecureRequests],
    })
    const keys = await client.randomDPoPKeyPair()
    const handle = client.getDPoPHandle(config, keys)
    const verifier = client.randomPKCECodeVerifier()
    const url = client.buildAuthorizationUrl(config, {
      redirect_uri: REDIRECT_URI,
      scope: 'openid',
      code_challenge: await client.calculatePKCECodeChallenge(verifier),
      code_challenge_method: 'S256',
      dpop_jkt: await handle.calculateThumbprint(),
    })
    const query = await signedIn.resume(await signedIn.request(url.href))
    const back = new URL(`${REDIRECT_URI}?${query}`)
    const tokens = await client.authorizationCodeGrant(
      config,
      back,
      { pkceCodeVerifier: verifier },
      undefined,
      { DPoP: handle },
    )
    expect(tokens.token_type).toBe('dpop')
    const sub = tokens.claims()?.sub ?? ''
    const info = await client.fetchUserInfo(config, tokens.access_token, sub, { DPoP: handle })
    expect(info.sub).toBe(sub)
    const renewed = await client.refreshTokenGrant(config, tokens.refresh_token ?? '', undefined, {
      DPoP: handle,
    })
    expect(renewed.token_type).toBe('dpop')
  })

  test('takes each proof once, whichever instances it is shown to at the same moment', async () => {
    const dpop = await proof(pair, 'POST', tokenUrl())
    const answers = await burst(12, (index) => robotToken(dpop, [house, other][index % 2]?.url))
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(1)
    expect((await robotToken(dpop, other.url)).body.error).toBe('invalid_grant')
  })

  test('takes a proof from ahead once, for as long as it is good', async () => {
    const dpop = await proof(pair, 'POST', tokenUrl(), {
      claims: { iat: Math.floor(Date.now() / 1000) + 300 },
    })
    expect((await robotToken(dpop)).status).toBe(200)
    // The database forgets by its own clock, and must not do so before the proof has ended.
    house.moveClock(600)
    await house.rooms.replays.sweep(1000)
    expect((await robotToken(dpop)).status).toBe(400)
    house.moveClock(-600)
  })

  test('is given for no bent proof', async () => {
    const now = Math.floor(Date.now() / 1000)
    const rsa = await makePair('RS256')
    const bend = (claims: Record<string, unknown>) => proof(pair, 'POST', tokenUrl(), { claims })
    const hostile: Record<string, string> = {
      'for another method': await bend({ htm: 'GET' }),
      'for another address': await bend({ htu: `${house.issuer}/me` }),
      'for another host': await bend({ htu: 'https://evil.example/token' }),
      'too old': await bend({ iat: now - 400 }),
      'too far ahead': await bend({ iat: now + 400 }),
      'without a time': await bend({ iat: undefined }),
      'without an id': await bend({ jti: undefined }),
      'of another type': await proof(pair, 'POST', tokenUrl(), { header: { typ: 'jwt' } }),
      'with the private key': await proof(pair, 'POST', tokenUrl(), { header: { jwk: pair.jwk } }),
      'with another’s key': await proof(pair, 'POST', tokenUrl(), { header: { jwk: rsa.public } }),
      'of nothing': 'x',
    }
    for (const [name, dpop] of Object.entries(hostile)) {
      const { status, body } = await robotToken(dpop)
      expect({ name, status, error: body.error }).toEqual({
        name,
        status: 400,
        error: 'invalid_dpop_proof',
      })
    }
  })

  test('is told by introspection', async () => {
    const dpop = await proof(pair, 'POST', tokenUrl())
    const { body } = await robotToken(dpop)
    const token = String(body.access_token)
    expect(body.token_type).toBe('DPoP')
    const told = await postTo(house.url, '/token/introspection', { token }, basic(robot))
    expect(told.body).toMatchObject({
      active: true,
      token_type: 'DPoP',
      cnf: { jkt: expect.stringMatching(/^[\w-]{43}$/) },
    })
  })

  test('opens userinfo with a proof of its key for it, and in no other way', async () => {
    const { access_token: access } = await redeemed()
    const token = String(access)
    const me = `${house.issuer}/me`
    const good = await proof(pair, 'GET', me, { token })
    const authorization = `DPoP ${token}`
    expect((await userinfo({ authorization, dpop: good })).status).toBe(200)
    const stranger = await makePair()
    const refused: Record<string, Record<string, string>> = {
      'as a bearer token': { authorization: `Bearer ${token}` },
      'without a proof': { authorization },
      'with the same proof': { authorization, dpop: good },
      'with another key': { authorization, dpop: await proof(stranger, 'GET', me, { token }) },
      'with a proof for no token': { authorization, dpop: await proof(pair, 'GET', me) },
      'with a proof for another token': {
        authorization,
        dpop: await proof(pair, 'GET', me, { token: 'other' }),
      },
    }
    for (const [name, headers] of Object.entries(refused)) {
      const { status } = await userinfo(headers)
      expect({ name, refused: status === 400 || status === 401 }).toEqual({ name, refused: true })
    }
    expect((await userinfo({ authorization: `Bearer ${token}` })).challenge).toContain('DPoP')
  })

  test('doesn’t open the admin API as a bearer token', async () => {
    const admin = await house.addClient('admin-robot', {
      redirectUris: [],
      grants: ['client_credentials'],
      scope: ['admin:read'],
    })
    const fields = { grant_type: 'client_credentials', scope: 'admin:read' }
    const dpop = await proof(pair, 'POST', tokenUrl())
    for (const [headers, status] of [
      [{}, 200],
      [{ dpop }, 401],
    ] as const) {
      const { body } = await postTo(house.url, '/token', fields, { ...basic(admin), ...headers })
      const answer = await fetch(`${house.url}/api/admin/v1/clients`, {
        headers: { authorization: `Bearer ${body.access_token}` },
      })
      expect(answer.status).toBe(status)
    }
  })

  test('binds what a public client refreshes by to its key', async () => {
    const { refresh_token: token } = await redeemed()
    const stranger = await makePair()
    const theirs = await proof(stranger, 'POST', tokenUrl())
    expect((await refresh(token, { dpop: theirs })).body.error).toBe('invalid_grant')
    expect((await refresh(token, {})).body.error).toBe('invalid_grant')
    const own = await refresh(token, { dpop: await proof(pair, 'POST', tokenUrl()) })
    expect(own.body.token_type).toBe('DPoP')
  })

  test('holds a code to the key that its request named', async () => {
    const stranger = await makePair()
    const fields = await newCode({ dpop_jkt: 'A'.repeat(43) })
    const dpop = await proof(stranger, 'POST', tokenUrl())
    expect((await postTo(house.url, '/token', fields, { dpop })).body.error).toBe('invalid_grant')
  })

  test('is the only one for a client that must use DPoP', async () => {
    const bearer = await postTo(house.url, '/token', await newCode())
    expect(bearer.body.error).toBe('invalid_grant')
    const { body } = await robotToken(await proof(pair, 'POST', tokenUrl()))
    await house.rooms.clients.patch('robot', { requireDpop: true })
    // What it had before is bound as well, and ends nonetheless: not all of it would be.
    const token = String(body.access_token)
    const told = await postTo(house.url, '/token/introspection', { token }, basic(robot))
    expect(told.body.active).toBe(false)
  })
})
