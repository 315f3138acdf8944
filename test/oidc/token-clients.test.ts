import { generateKeyPair, SignJWT, UnsecuredJWT } from 'jose'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { burst, createFlow } from '../support/flow.ts'
import { type House, REDIRECT_URI, startHouse } from '../support/house.ts'

const ASSERTION = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer'

let house: House
let app: { id: string; secret: string }

beforeAll(async () => {
  house = await startHouse()
  app = await house.addClient('app', { grants: ['authorization_code', 'client_credentials'] })
  await house.addClient('public', { public: true })
  await house.addAccount('alex')
})
afterAll(() => house.stop())

async function token(
  fields: Record<string, string> | string,
  headers: Record<string, string> = {},
  path = '/token',
): Promise<{ status: number; error: unknown; retryAfter: string | null; html: string }> {
  const response = await fetch(house.url + path, {
    method: 'POST',
    headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers },
    body: typeof fields === 'string' ? fields : new URLSearchParams(fields).toString(),
  })
  const html = await response.text()
  const { error, access_token }: Record<string, unknown> = JSON.parse(html)
  if (response.status !== 200) expect(access_token).toBeUndefined()
  return { status: response.status, error, retryAfter: response.headers.get('retry-after'), html }
}

const basic = (id: string, secret: string) => ({
  authorization: `Basic ${btoa(`${id}:${secret}`)}`,
})

/** A client of its own for a test that gets secrets wrong: ten of those lock it. */
const machine = (id: string) =>
  house.addClient(id, { grants: ['client_credentials'], redirectUris: [] })

const OWN = { grant_type: 'client_credentials' }

describe('client authentication (OIDC-26, input 85)', () => {
  test('the right secret works, in the header or in the form', async () => {
    expect((await token(OWN, basic(app.id, app.secret))).status).toBe(200)
    const form = await token({ ...OWN, client_id: app.id, client_secret: app.secret })
    expect(form.status).toBe(200)
  })

  test.each([
    ['colons instead of base64', 'Basic ::::'],
    ['nothing', 'Basic'],
    ['white space', 'Basic  '],
    ['no base64', 'Basic !!!'],
    ['no colon', `Basic ${btoa('app')}`],
    ['only a colon', `Basic ${btoa(':')}`],
    ['an empty secret', `Basic ${btoa('app:')}`],
    ['an empty id', `Basic ${btoa(':secret')}`],
    ['a broken escape', `Basic ${btoa('app:%zz')}`],
    ['a NUL', `Basic ${btoa('app\0:x')}`],
    ['bytes that are no UTF-8', `Basic ${Buffer.from([255, 254, 58, 255]).toString('base64')}`],
    ['another scheme', 'Bearer abc'],
    ['a wrong secret', `Basic ${btoa('app:wrong')}`],
    ['an unknown client', `Basic ${btoa('nobody:wrong')}`],
    ['an id out of JavaScript', `Basic ${btoa('__proto__:constructor')}`],
    ['no secret at all for a public client', `Basic ${btoa('public:secret')}`],
  ])('a Basic header with %s is refused: %s', async (_name, authorization) => {
    const { status, error } = await token(OWN, { authorization })
    expect([400, 401]).toContain(status)
    expect(['invalid_client', 'invalid_request']).toContain(error)
  })

  test('the secret in another case, with white space, doubled or missing is refused', async () => {
    const { id, secret } = await machine('swapped')
    const swapped = secret.replaceAll(/[a-z]/gi, (letter) =>
      letter === letter.toLowerCase() ? letter.toUpperCase() : letter.toLowerCase(),
    )
    for (const wrong of [swapped, `${secret} `, `${secret}\t`, secret + secret, secret.slice(1)]) {
      expect([400, 401], wrong).toContain((await token(OWN, basic(id, wrong))).status)
    }
    const incomplete: Record<string, string>[] = [
      { client_id: id },
      { client_id: id, client_secret: '' },
      { client_secret: secret },
      { client_id: '', client_secret: secret },
    ]
    for (const fields of incomplete) {
      const { status } = await token({ ...OWN, ...fields })
      expect([400, 401], JSON.stringify(fields)).toContain(status)
    }
    const twice = `grant_type=client_credentials&client_id=${id}&client_secret=x&client_secret=${secret}`
    expect(await token(twice)).toMatchObject({ status: 400, error: 'invalid_request' })
  })

  test('two methods at once are refused, both right', async () => {
    const { id, secret } = app
    const both = { ...OWN, client_id: id, client_secret: secret }
    expect(await token(both, basic(id, secret))).toMatchObject({ status: 400 })
    expect(await token({ ...OWN, client_id: 'public' }, basic(id, secret))).toMatchObject({
      status: 400,
    })
  })

  test('a public client that shows a secret is refused', async () => {
    const code = { grant_type: 'authorization_code', code: 'x', redirect_uri: REDIRECT_URI }
    const shown = await token({ ...code, client_id: 'public', client_secret: 'secret' })
    expect(shown).toMatchObject({ status: 401, error: 'invalid_client' })
    expect((await token({ ...code, client_id: 'public' })).error).toBe('invalid_grant')
  })

  test('assertions count for nothing: alg none, HS256 with a public key, another’s key (OIDC-14, input 86)', async () => {
    const asserting = await machine('asserting')
    const claims = {
      iss: asserting.id,
      sub: asserting.id,
      aud: house.issuer,
      jti: 'x',
      exp: 4_000_000_000,
    }
    const { privateKey } = await generateKeyPair('RS256')
    const jwks = await (await fetch(`${house.url}/jwks`)).text()
    // Without client_id, one that can be read names the client; the last can't.
    for (const [client_assertion, error] of [
      [new UnsecuredJWT(claims).encode(), 'invalid_client'],
      [
        await new SignJWT(claims).setProtectedHeader({ alg: 'HS256' }).sign(Buffer.from(jwks)),
        'invalid_client',
      ],
      [
        await new SignJWT(claims)
          .setProtectedHeader({ alg: 'HS256' })
          .sign(Buffer.from(asserting.secret)),
        'invalid_client',
      ],
      [
        await new SignJWT(claims).setProtectedHeader({ alg: 'RS256' }).sign(privateKey),
        'invalid_client',
      ],
      ['garbage', 'invalid_request'],
    ] as const) {
      const assertion = { client_assertion, client_assertion_type: ASSERTION }
      expect(await token({ ...OWN, ...assertion })).toMatchObject({ error })
      const named = await token({ ...OWN, ...assertion, client_id: asserting.id })
      expect(named).toMatchObject({ error })
    }
  })
})

describe('guessing a client’s secret (THR-24)', () => {
  test('is slowed down after ten, for that client only, and its right secret waits as well', async () => {
    const victim = await machine('victim')
    for (let tries = 0; tries < 9; tries++) {
      expect((await token(OWN, basic('victim', 'wrong'))).status).toBe(401)
    }
    expect((await token(OWN, basic('victim', victim.secret))).status).toBe(200)
    // The right one forgives those before it.
    for (let tries = 0; tries < 9; tries++) {
      expect((await token(OWN, basic('victim', 'wrong'))).status).toBe(401)
    }
    const tenth = await token(OWN, basic('victim', 'wrong'))
    expect(tenth).toMatchObject({ status: 429, error: 'slow_down' })
    expect(Number(tenth.retryAfter)).toBeGreaterThan(0)
    expect((await token(OWN, basic('victim', victim.secret))).status).toBe(429)
    const form = { ...OWN, client_id: 'victim', client_secret: victim.secret }
    expect((await token(form)).status).toBe(429)
    expect((await token(OWN, basic(app.id, app.secret))).status).toBe(200)
  })

  test('a client without a secret can’t be locked out by anybody', async () => {
    await house.addClient('open', { public: true })
    for (let tries = 0; tries < 12; tries++) await token(OWN, basic('open', 'wrong'))
    const form = {
      grant_type: 'authorization_code',
      client_id: 'open',
      code: 'x',
      redirect_uri: REDIRECT_URI,
      code_verifier: 'v'.repeat(43),
    }
    expect(await token(form)).toMatchObject({ status: 400, error: 'invalid_grant' })
  })

  test('leaves nothing for clients that there aren’t, of which anybody could make up any number', async () => {
    const counts = () => house.db.selectFrom('sign_in_attempt').select('key').execute()
    const before = await counts()
    for (let tries = 0; tries < 11; tries++) {
      const form = { ...OWN, client_id: 'made-up', client_secret: 'x' }
      expect(await token(form)).toMatchObject({ status: 401, error: 'invalid_client' })
    }
    expect(await counts()).toEqual(before)
  })

  test('isn’t made cheaper by spelling the path another way (THR-09)', async () => {
    await machine('spelt')
    const paths = ['/token/', '/TOKEN', '/Token/', '/token?x=1']
    for (let tries = 0; tries < 12; tries++) {
      await token(OWN, basic('spelt', 'wrong'), paths[tries % paths.length])
    }
    for (const path of ['/token', ...paths]) {
      expect((await token(OWN, basic('spelt', 'wrong'), path)).status, path).toBe(429)
    }
  })

  test('isn’t made cheaper by claiming other addresses, or by going all at once (THR-07)', async () => {
    await machine('burst')
    await burst(20, (index) =>
      token(OWN, { ...basic('burst', 'wrong'), 'x-forwarded-for': `10.0.0.${index}` }),
    )
    expect((await token(OWN, basic('burst', 'wrong'))).status).toBe(429)
  })
})

describe('what the token endpoint doesn’t do', () => {
  test.each([
    'password',
    'implicit',
    'urn:ietf:params:oauth:grant-type:jwt-bearer',
    'urn:ietf:params:oauth:grant-type:token-exchange',
    '__proto__',
    'constructor',
    'none',
    '\0',
  ])('grant_type %j → unsupported_grant_type (OIDC-10, input 87)', async (grant_type) => {
    const fields = { grant_type, username: 'alex', password: 'x', assertion: 'x', device_code: 'x' }
    expect(await token(fields, basic(app.id, app.secret))).toMatchObject({
      status: 400,
      error: 'unsupported_grant_type',
    })
  })

  test('no grant_type, two of them, or one the client isn’t registered for', async () => {
    const as = basic(app.id, app.secret)
    expect(await token({}, as)).toMatchObject({ status: 400, error: 'invalid_request' })
    expect((await token('grant_type=client_credentials&grant_type=password', as)).status).toBe(400)
    for (const grant_type of ['refresh_token', 'urn:ietf:params:oauth:grant-type:device_code']) {
      const others = { grant_type, refresh_token: 'x', device_code: 'x' }
      const { status, error } = await token(others, as)
      expect(status).toBe(400)
      expect(['unauthorized_client', 'invalid_request']).toContain(error)
    }
  })

  test('bodies of another kind, or too long, are refused and not echoed', async () => {
    const as = basic(app.id, app.secret)
    for (const type of ['application/json', 'text/xml', 'multipart/form-data; boundary=x']) {
      const answer = await token('{"grant_type":"client_credentials"}', {
        ...as,
        'content-type': type,
      })
      expect(answer.status).toBe(400)
    }
    expect((await token(`a=${'x'.repeat(1_000_000)}`, as)).status).toBe(400)
    expect((await token('%00=%ff&%zz&[a][b]=c&grant_type[]=password', as)).html).not.toContain('%')
  })
})

test('an access token is taken in the header only, and an ID token is none (OIDC-28, input 89)', async () => {
  const flow = createFlow(house, { client: app })
  const { body } = await flow.redeem((await flow.complete('alex')).get('code') ?? '')
  const me = async (path: string, headers: Record<string, string> = {}) => {
    const response = await fetch(house.url + path, { headers })
    return { status: response.status, html: await response.text(), headers: response.headers }
  }
  const bearer = (value: unknown) => ({ authorization: `Bearer ${value}` })
  expect((await me('/me', bearer(body.access_token))).status).toBe(200)
  expect((await me(`/me?access_token=${body.access_token}`)).status).toBe(400)
  expect(
    (await me(`/me?access_token=${body.access_token}`, bearer(body.access_token))).status,
  ).toBe(400)
  const wrong = await me('/me', bearer(body.id_token))
  expect(wrong.status).toBe(401)
  expect(wrong.headers.get('www-authenticate')).toContain('error="invalid_token"')
  for (const value of [
    '',
    'x',
    '\t',
    'null',
    '__proto__',
    'x'.repeat(10_000),
    `${body.access_token}x`,
  ]) {
    expect([400, 401]).toContain((await me('/me', bearer(value))).status)
  }
  expect([400, 401]).toContain((await me('/me', basic(app.id, app.secret))).status)
  const own = await token(OWN, basic(app.id, app.secret))
  const anyone: Record<string, unknown> = JSON.parse(own.html)
  expect((await me('/me', bearer(anyone.access_token))).status).toBe(401)
})
