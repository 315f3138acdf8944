import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import { SignJWT, UnsecuredJWT } from 'jose'
import * as client from 'openid-client'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { burst } from '../support/flow.ts'
import { type House, REDIRECT_URI, startHouse } from '../support/house.ts'
import { ASSERTION_TYPE, assertion, makePair, type Pair, postTo } from '../support/proofs.ts'

const MACHINE = { redirectUris: [], grants: ['client_credentials' as const] }

let house: House
let other: House
let pair: Pair

/** Where an app publishes its keys; what it answers can be changed. */
const published = { answer: (_: ServerResponse): void => {}, asked: 0 }
const publisher = createServer((_, response) => {
  published.asked++
  published.answer(response)
})

beforeAll(async () => {
  await once(publisher.listen(0, '127.0.0.1'), 'listening')
  house = await startHouse({ env: { WEBHOOK_ALLOWED_HOSTS: '127.0.0.1' } })
  other = await startHouse({ beside: house })
  pair = await makePair()
  await house.addClient('robot', { ...MACHINE, jwks: { keys: [pair.public] } })
})
afterAll(async () => {
  publisher.closeAllConnections()
  publisher.close()
  await other.stop()
  await house.stop()
})

const present = (value: string, url = house.url) =>
  postTo(url, '/token', {
    grant_type: 'client_credentials',
    client_assertion_type: ASSERTION_TYPE,
    client_assertion: value,
  })

/** The address of the publisher, once a client of that name reads its keys there. */
async function publishing(id: string): Promise<string> {
  const address = publisher.address()
  if (typeof address !== 'object' || !address) throw new Error('not listening')
  const jwksUri = `http://127.0.0.1:${address.port}/${id}`
  await house.addClient(id, { ...MACHINE, jwksUri })
  return jwksUri
}

const REFUSED = { status: 401, body: { error: 'invalid_client' } }

describe('an app that proves itself by keys [OIDC-27]', () => {
  test('gets tokens by a stock library, with each algorithm there is', async () => {
    for (const alg of ['RS256', 'PS256', 'ES256', 'EdDSA']) {
      const own = await makePair(alg)
      const id = `by-${alg.toLowerCase()}`
      const { secret } = await house.addClient(id, { ...MACHINE, jwks: { keys: [own.public] } })
      expect(secret).toBe('')
      const config = await client.discovery(
        new URL(house.issuer),
        id,
        undefined,
        client.PrivateKeyJwt({ key: own.privateKey, kid: 'k1' }),
        { execute: [client.allowInsecureRequests] },
      )
      expect((await client.clientCredentialsGrant(config)).access_token).toBeTruthy()
    }
  })

  test('shows each assertion once, whichever instances it is shown to at the same moment', async () => {
    const value = await assertion(house, 'robot', pair)
    // Many enough to slow down somebody who guesses a secret; here there is none to guess (THR-24).
    const answers = await burst(16, (index) => present(value, [house, other][index % 2]?.url))
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(1)
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200, 401]))
    expect(await present(value, other.url)).toMatchObject(REFUSED)
    expect((await present(await assertion(house, 'robot', pair))).status).toBe(200)
  })

  test('is refused with a bent assertion (input 86)', async () => {
    const stranger = await makePair()
    const now = Math.floor(Date.now() / 1000)
    await house.addClient('bent', { ...MACHINE, jwks: { keys: [pair.public] } })
    const claims = { iss: 'bent', sub: 'bent', aud: house.issuer, jti: 'x', exp: now + 60 }
    const publicText = new TextEncoder().encode(JSON.stringify(pair.public))
    const bend = (bent: Record<string, unknown>) => assertion(house, 'bent', pair, { claims: bent })
    const hostile: Record<string, string> = {
      'alg none': new UnsecuredJWT(claims).encode(),
      'HS256 by the public key': await new SignJWT(claims)
        .setProtectedHeader({ alg: 'HS256', kid: 'k1' })
        .sign(publicText),
      'another key': await assertion(house, 'bent', stranger),
      'of another client': await bend({ iss: 'other' }),
      'for another server': await bend({ aud: 'https://other.example' }),
      'for the token endpoint': await bend({ aud: `${house.issuer}/token` }),
      'for another server, too': await bend({ aud: [house.issuer, 'https://other.example'] }),
      'for nobody': await bend({ aud: undefined }),
      ended: await bend({ iat: now - 120, exp: now - 60 }),
      'without an end': await bend({ exp: undefined }),
      'good for a day': await bend({ exp: now + 86_400 }),
      'without an id': await bend({ jti: undefined }),
      'with an id that is no text': await bend({ jti: 7 }),
      'with an endless id': await bend({ jti: 'x'.repeat(2000) }),
      'not good yet': await bend({ nbf: now + 3600 }),
    }
    for (const [name, value] of Object.entries(hostile))
      expect({ name, ...(await present(value)) }).toMatchObject({ name, ...REFUSED })
    expect((await present(await assertion(house, 'bent', pair))).status).toBe(200)
  }, 20_000)

  test('can’t use a secret instead, nor two ways at once', async () => {
    const basic = { authorization: `Basic ${btoa('robot:secret')}` }
    const grant = { grant_type: 'client_credentials' }
    expect(await postTo(house.url, '/token', grant, basic)).toMatchObject(REFUSED)
    const both = {
      ...grant,
      client_assertion_type: ASSERTION_TYPE,
      client_assertion: await assertion(house, 'robot', pair),
    }
    expect((await postTo(house.url, '/token', both, basic)).body.error).toBe('invalid_request')
  })

  test('loses its secret when it gets keys, and can’t be left with nothing', async () => {
    const { secret } = await house.addClient('moving', MACHINE)
    const { clients } = house.rooms
    await clients.patch('moving', { jwks: { keys: [pair.public] } })
    const basic = { authorization: `Basic ${btoa(`moving:${secret}`)}` }
    const grant = { grant_type: 'client_credentials' }
    expect(await postTo(house.url, '/token', grant, basic)).toMatchObject(REFUSED)
    expect((await present(await assertion(house, 'moving', pair))).status).toBe(200)
    await expect(clients.patch('moving', { jwks: null })).rejects.toThrow('nothing left')
    await expect(clients.rotateSecret('moving')).rejects.toThrow('has no secret')
  })

  test('ends its own tokens, and nobody else’s, by revocation [OIDC-30]', async () => {
    for (const id of ['robot-2', 'robot-3'])
      await house.addClient(id, { ...MACHINE, jwks: { keys: [pair.public] } })
    const { body } = await present(await assertion(house, 'robot-3', pair))
    const ask = async (path: string, id: string) =>
      postTo(house.url, path, {
        token: String(body.access_token),
        client_assertion_type: ASSERTION_TYPE,
        client_assertion: await assertion(house, id, pair),
      })
    expect((await ask('/token/revocation', 'robot-2')).status).toBe(200)
    expect((await ask('/token/introspection', 'robot-3')).body.active).toBe(true)
    expect((await ask('/token/revocation', 'robot-3')).status).toBe(200)
    expect((await ask('/token/introspection', 'robot-3')).body).toEqual({ active: false })
  })
})

describe('keys that are read at an address [OIDC-25]', () => {
  test('are read again when the app changes them', async () => {
    const next = await makePair('ES256', 'k2')
    published.answer = (response) => response.end(JSON.stringify({ keys: [pair.public] }))
    await publishing('reading')
    expect((await present(await assertion(house, 'reading', pair))).status).toBe(200)
    expect((await present(await assertion(house, 'reading', pair))).status).toBe(200)
    expect(published.asked).toBe(1)
    published.answer = (response) => response.end(JSON.stringify({ keys: [next.public] }))
    const renewed = await assertion(house, 'reading', next, { header: { kid: 'k2' } })
    // Another instance has read none yet.
    expect((await present(renewed, other.url)).status).toBe(200)
  })

  test('count for nothing when they are moved, endless, slow or none', async () => {
    const set = JSON.stringify({ keys: [pair.public] })
    const answers: Record<string, (response: ServerResponse) => void> = {
      moved: (response) => response.writeHead(302, { location: '/elsewhere' }).end(set),
      endless: (response) => response.end(`${set}${' '.repeat(100_000)}`),
      slow: (response) => response.writeHead(200).write(' '),
      none: (response) => response.end('<html>'),
    }
    for (const [name, answer] of Object.entries(answers)) {
      published.answer = answer
      await publishing(name)
      const before = published.asked
      const presented = await assertion(house, name, pair)
      const began = performance.now()
      expect(await present(presented)).toMatchObject(REFUSED)
      expect(performance.now() - began, name).toBeLessThan(3500)
      // Nothing was asked for at the place it was moved to.
      expect(published.asked - before).toBe(1)
    }
  }, 20_000)

  test('aren’t read inside', async () => {
    for (const jwksUri of [
      'https://10.0.0.1/keys',
      'https://169.254.169.254/keys',
      'https://[::1]/keys',
      'https://localhost/keys',
      'http://app.example/keys',
      'file:///etc/passwd',
    ])
      await expect(house.addClient('inside', { ...MACHINE, jwksUri })).rejects.toThrow(
        'The address of the keys must',
      )
  })
})

describe('a registration with keys is refused', () => {
  test('for private, weak, odd and too many keys, without repeating them', async () => {
    const weak = 'uQ'.padEnd(171, 'A')
    const sets: Array<[string, unknown]> = [
      ['holds a private part', [{ ...pair.public, d: String(pair.jwk.d) }]],
      ['expected', [{ kty: 'oct', k: 'c2VjcmV0' }]],
      ['at least 2048 bits', [{ kty: 'RSA', e: 'AQAB', n: weak }]],
      ['can’t be read', [{ ...pair.public, x: 'AA' }]],
      ['curve Ed25519', [{ kty: 'OKP', crv: 'X25519', x: 'A'.repeat(43) }]],
      ['at most 16384', [{ ...pair.public, x5c: ['A'.repeat(20_000)] }]],
      ['expected', Array.from({ length: 11 }, () => pair.public)],
      ['expected', []],
      ['expected', [{ ...pair.public, use: 'enc' }]],
    ]
    for (const [sentence, keys] of sets) {
      const body: Parameters<House['addClient']>[1] = JSON.parse(
        JSON.stringify({ ...MACHINE, jwks: { keys } }),
      )
      const made = house.addClient('bad', body)
      await expect(made, sentence).rejects.toThrow(sentence)
      await expect(made).rejects.not.toThrow(String(pair.jwk.d))
    }
  })

  test('when it is public, or says both what they are and where', async () => {
    const jwks = { keys: [pair.public] }
    const open = { redirectUris: [REDIRECT_URI], public: true, jwks }
    await expect(house.addClient('open', open)).rejects.toThrow('no private key')
    const both = { ...MACHINE, jwks, jwksUri: 'https://app.example/keys' }
    await expect(house.addClient('both', both)).rejects.toThrow('not both')
  })
})
