import { createServer } from 'node:http'
import { exportJWK, generateKeyPair, SignJWT } from 'jose'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { type RelyingParty, startRelyingParty } from '../examples/relying-party/relying-party.ts'
import { createScriptedBrowser, type Page } from '../examples/scripted-browser.ts'
import { listen } from './support/fake-textbee.ts'
import { type House, PASSWORD, startHouse } from './support/house.ts'
import { freePort } from './support/ports.ts'

let house: House
let app: RelyingParty

beforeAll(async () => {
  // The app logs what it refuses; here that is most of what it does.
  vi.spyOn(console, 'error').mockImplementation(() => {})
  house = await startHouse()
  const port = await freePort()
  const { id, secret } = await house.addClient('example-app', {
    name: 'Example <b>app</b>',
    redirectUris: [`http://localhost:${port}/callback`],
    postLogoutRedirectUris: [`http://localhost:${port}/signed-out`],
  })
  app = await startRelyingParty({ issuer: house.issuer, clientId: id, clientSecret: secret, port })
  await house.addAccount('kim')
})

afterAll(async () => {
  await app?.close()
  await house?.stop()
})

async function beginSignIn(browser = createScriptedBrowser()): Promise<Page> {
  const start = await browser.open(app.url)
  return start.form({ button: 'Sign in' }).submit()
}

async function signIn(browser = createScriptedBrowser()): Promise<Page> {
  const login = await beginSignIn(browser)
  const code = await login.form({ has: 'password' }).submit({ username: 'kim', password: PASSWORD })
  return code.form({ has: 'code' }).submit({ code: house.lastCode() })
}

describe('the example relying party', () => {
  test('signs in with two factors and shows who, and how', async () => {
    const page = await signIn()
    expect(page.url).toBe(`${app.url}/`)
    expect(page.text).toContain('Hello, Person kim')
    expect(page.text).toContain('two factors')
    expect(page.text).toContain('a password, a one-time code, sent by text')
    const claims: unknown = JSON.parse(page.document.querySelector('#claims')?.text ?? '')
    expect(claims).toMatchObject({
      iss: house.issuer,
      aud: 'example-app',
      acr: 'https://refeds.org/profile/mfa',
      amr: ['pwd', 'otp', 'sms', 'mfa'],
    })
  })

  test('a session from before the sign-in is worth nothing after it', async () => {
    const browser = createScriptedBrowser()
    await beginSignIn(browser)
    const before = await browser.cookies(app.url)
    await signIn(browser)
    const stranger = await fetch(app.url, {
      headers: { cookie: `example_app_session=${before.example_app_session}` },
    })
    expect(await stranger.text()).not.toContain('Person kim')
  })

  test('keeps its session in an HttpOnly cookie that other sites’ forms don’t carry', async () => {
    const response = await fetch(`${app.url}/sign-in`, { redirect: 'manual' })
    expect(response.headers.get('set-cookie')).toMatch(
      /^example_app_session=[\w-]{43}; path=\/; samesite=lax; httponly$/,
    )
    const auth = new URL(response.headers.get('location') ?? '')
    expect(Object.fromEntries(auth.searchParams)).toMatchObject({
      response_type: 'code',
      code_challenge_method: 'S256',
      state: expect.stringMatching(/./),
      nonce: expect.stringMatching(/./),
    })
  })

  test('a cancelled sign-in ends on a friendly page', async () => {
    const login = await beginSignIn()
    const page = await login.form({ button: 'Cancel' }).submit()
    expect(page.url).toContain(`${app.url}/callback?error=access_denied`)
    expect(page.text).toContain('You cancelled the sign-in')
    page.form({ button: 'Sign in' })
  })

  test('signs out here and at the provider', async () => {
    const browser = createScriptedBrowser()
    const home = await signIn(browser)
    const asked = await home.form({ button: 'Sign out' }).submit()
    expect(asked.url).toContain(house.issuer)
    const page = await asked.form({ button: 'Sign out' }).submit()
    expect(page.url).toBe(`${app.url}/signed-out`)
    expect(page.text).toContain('You are signed out')
    expect((await browser.open(app.url)).text).not.toContain('Person kim')
    const again = await beginSignIn(browser)
    expect(again.form({ has: 'password' }).method).toBe('POST')
  })

  test('without signing out, the provider’s session signs in again by itself', async () => {
    const browser = createScriptedBrowser()
    await signIn(browser)
    const page = await browser.open(`${app.url}/sign-in`)
    expect(page.url).toBe(`${app.url}/`)
    expect(page.text).toContain('Hello, Person kim')
  })

  test('refuses an answer nobody in this browser asked for', async () => {
    const victim = createScriptedBrowser()
    const unasked = await victim.open(`${app.url}/callback?code=abc&state=def`)
    expect(unasked.status).toBe(400)
    expect(unasked.text).toContain('didn’t start here')
  })

  test('refuses an answer to someone else’s sign-in, and an answer given twice', async () => {
    const attacker = createScriptedBrowser({ until: `${app.url}/callback` })
    const callback = await signIn(attacker)
    expect(callback.stopped).toBe(true)
    const victim = createScriptedBrowser()
    await beginSignIn(victim)
    const planted = await victim.open(callback.url)
    expect(planted.status).toBe(400)
    expect((await victim.open(app.url)).text).not.toContain('Person kim')

    const first = await attacker.open(callback.url, { until: [] })
    expect(first.text).toContain('Hello, Person kim')
    expect((await attacker.open(callback.url, { until: [] })).status).toBe(400)
  })

  test('escapes what the provider says of an error', async () => {
    const browser = createScriptedBrowser()
    const started = await browser.open(`${app.url}/sign-in`, { followOnlySameHost: true })
    const state = new URL(started.url).searchParams.get('state') ?? ''
    const query = new URLSearchParams({ error: '<img src=x>', state, iss: house.issuer })
    const page = await browser.open(`${app.url}/callback?${query}`)
    expect(page.status).toBe(400)
    expect(page.html).toContain('&#60;img src=x&#62;')
    expect(page.html).not.toContain('<img')
  })

  test('says so when the provider is away', async () => {
    const port = await freePort()
    const lonely = await startRelyingParty({
      issuer: `http://localhost:${await freePort()}`,
      clientId: 'x',
      clientSecret: 'y',
      port,
    })
    const page = await createScriptedBrowser().open(`${lonely.url}/sign-in`)
    expect(page.status).toBe(502)
    expect(page.text).toContain('can’t be reached')
    await lonely.close()
  })
})

describe('the example relying party, before a provider that lies', () => {
  test.for([
    ['of the published key', 'signature', {}, 200],
    ['of another key', 'signature', { foreignKey: true }, 502],
    ['for another client', 'audience', { aud: 'someone-else' }, 502],
    ['for another sign-in', 'nonce', { nonce: 'replayed' }, 502],
    ['of another provider', 'issuer', { iss: 'https://elsewhere.example' }, 502],
    ['that has expired', 'expiry', { exp: 1_700_000_000 }, 502],
  ] as const)('an ID token %s (%s)', async ([, , lie, status]) => {
    const provider = await startLyingProvider(lie)
    const port = await freePort()
    const lonely = await startRelyingParty({
      issuer: provider.issuer,
      clientId: 'app',
      clientSecret: 'secret',
      port,
    })
    const browser = createScriptedBrowser({ until: provider.issuer })
    const asked = new URL((await browser.open(`${lonely.url}/sign-in`)).url).searchParams
    provider.nonce = asked.get('nonce') ?? ''
    const page = await browser.open(
      `${lonely.url}/callback?code=c&iss=${provider.issuer}&state=${asked.get('state')}`,
    )
    expect(page.status).toBe(status)
    expect(page.text.includes('Hello, liar')).toBe(status === 200)
    await lonely.close()
    provider.close()
  })
})

interface Lie {
  foreignKey?: boolean
  aud?: string
  nonce?: string
  iss?: string
  exp?: number
}

/** Answers as a provider does, with an ID token in which one thing is wrong. */
async function startLyingProvider({ foreignKey, ...claims }: Lie) {
  const published = await generateKeyPair('RS256')
  const signing = foreignKey ? await generateKeyPair('RS256') : published
  const now = Math.floor(Date.now() / 1000)
  const server = createServer(async (request, response) => {
    const { issuer } = provider
    const honest = { iss: issuer, aud: 'app', sub: 'liar', nonce: provider.nonce, exp: now + 300 }
    const answers: Record<string, () => unknown> = {
      '/.well-known/openid-configuration': () => ({
        issuer,
        authorization_endpoint: `${issuer}/auth`,
        token_endpoint: `${issuer}/token`,
        userinfo_endpoint: `${issuer}/me`,
        jwks_uri: `${issuer}/jwks`,
      }),
      '/jwks': async () => ({ keys: [{ ...(await exportJWK(published.publicKey)), kid: 'k' }] }),
      '/token': async () => ({
        access_token: 'a',
        token_type: 'Bearer',
        id_token: await new SignJWT({ ...honest, iat: now, ...claims })
          .setProtectedHeader({ alg: 'RS256', kid: 'k' })
          .sign(signing.privateKey),
      }),
      '/me': () => ({ sub: 'liar' }),
    }
    response.setHeader('content-type', 'application/json')
    response.end(JSON.stringify(await answers[request.url ?? '']?.()))
  })
  const provider = {
    issuer: `http://localhost:${await listen(server)}`,
    nonce: '',
    close: () => server.close(),
  }
  return provider
}
