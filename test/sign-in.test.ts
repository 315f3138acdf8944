import * as client from 'openid-client'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { burst, claimsOf, createFlow } from './support/flow.ts'
import { type House, PHONES, REDIRECT_URI, startHouse } from './support/house.ts'

const MFA = 'https://refeds.org/profile/mfa'

describe('a sign-in', () => {
  let house: House
  let app: { id: string; secret: string }

  beforeAll(async () => {
    house = await startHouse()
    app = await house.addClient('app', {
      grants: ['authorization_code', 'refresh_token', 'client_credentials'],
    })
    await house.addAccount('alex')
  })
  afterAll(() => house.stop())

  test('gives openid-client an ID token that tells the truth', async () => {
    const config = await client.discovery(new URL(house.issuer), app.id, app.secret, undefined, {
      execute: [client.allowInsecureRequests],
    })
    const verifier = client.randomPKCECodeVerifier()
    const [state, nonce] = [client.randomState(), client.randomNonce()]
    const url = client.buildAuthorizationUrl(config, {
      redirect_uri: REDIRECT_URI,
      scope: 'openid profile email phone',
      code_challenge: await client.calculatePKCECodeChallenge(verifier),
      code_challenge_method: 'S256',
      state,
      nonce,
    })
    const before = Math.floor(Date.now() / 1000)
    const flow = createFlow(house)
    await flow.arrive((await flow.request(url.href)).location ?? '')
    await flow.password('alex')
    const query = await flow.resume(await flow.code(house.lastCode()))
    const tokens = await client.authorizationCodeGrant(
      config,
      new URL(`${REDIRECT_URI}?${query}`),
      {
        pkceCodeVerifier: verifier,
        expectedState: state,
        expectedNonce: nonce,
      },
    )
    const claims = tokens.claims()
    expect(claims).toMatchObject({
      iss: house.issuer,
      aud: app.id,
      acr: MFA,
      amr: ['pwd', 'otp', 'sms', 'mfa'],
      nonce,
    })
    expect(claims?.auth_time).toBeGreaterThanOrEqual(before)
    const userinfo = await client.fetchUserInfo(config, tokens.access_token, claims?.sub ?? '')
    expect(userinfo).toMatchObject({
      name: 'Person alex',
      preferred_username: 'alex',
      email: 'alex@example.com',
      email_verified: false,
      phone_number: PHONES[0],
      phone_number_verified: true,
    })
    const refreshed = await client.refreshTokenGrant(config, tokens.refresh_token ?? '')
    expect(refreshed.claims()?.auth_time).toBe(claims?.auth_time)
    const own = await client.clientCredentialsGrant(config)
    expect(own.access_token).toBeTruthy()
  })

  test('begins beside others in one statement, and each goes on for itself', async () => {
    house.statements.length = 0
    const flows = await burst(24, async () => {
      const flow = createFlow(house, { client: app })
      await flow.begin()
      return flow
    })
    const stored = house.statements.filter((statement) => /insert into oidc_record/.test(statement))
    expect(stored.length).toBeLessThan(24)
    for (const flow of flows) expect((await flow.page()).status).toBe(200)
  })

  test('takes at most 19 SQL statements, with everything on', async () => {
    await house.addAccount('counted', PHONES[1])
    const signIn = async () => {
      house.statements.length = 0
      const flow = createFlow(house, { client: app })
      await flow.toCode('counted')
      await flow.page()
      const query = await flow.resume(await flow.code(house.lastCode(PHONES[1])))
      expect((await flow.redeem(query.get('code') ?? '')).status).toBe(200)
      // Notices are looked for in the background, whether or not anybody signs in.
      return house.statements.filter((statement) => !/\bnotice\b/.test(statement)).length
    }
    // The very first one also makes the phone's HOTP secret.
    expect(await signIn()).toBeLessThanOrEqual(19)
    expect(await signIn()).toBeLessThanOrEqual(18)
  })

  test('signed in once, the next app gets its token without a page', async () => {
    const other = await house.addClient('other')
    const flow = createFlow(house, { client: app })
    const first = await flow.redeem((await flow.complete('alex')).get('code') ?? '')
    const second = createFlow(house, { client: other, jar: flow.jar })
    const sent = house.codeTexts().length
    const answer = await second.begin()
    const token = await second.redeem(new URL(answer.location ?? '').searchParams.get('code') ?? '')
    expect(claimsOf(token.body)).toMatchObject({
      acr: MFA,
      auth_time: claimsOf(first.body).auth_time,
    })
    expect(house.codeTexts().length).toBe(sent)
  })

  test('can be cancelled at the password and at the code: the app gets access_denied with state and iss (CHL-26)', async () => {
    for (const stage of ['password', 'code']) {
      const flow = createFlow(house, { client: app })
      await flow.begin({ state: 'a b&c=d%20é"<>' })
      if (stage === 'code') await flow.password('alex')
      const query = await flow.resume(await flow.step('cancel'))
      expect(Object.fromEntries(query)).toMatchObject({
        error: 'access_denied',
        state: 'a b&c=d%20é"<>',
        iss: house.issuer,
      })
      const late = await flow.code(stage === 'code' ? house.lastCode() : '123456')
      expect(late.status).toBeGreaterThanOrEqual(400)
    }
  })

  test('starting again from the code page leaves nothing of the password', async () => {
    const flow = createFlow(house, { client: app })
    await flow.toCode('alex')
    const code = house.lastCode()
    expect((await flow.step('restart')).status).toBe(303)
    expect((await flow.page()).html).toContain('autocomplete="current-password"')
    expect((await flow.code(code)).status).toBe(400)
  })

  test('refreshing, opening twice and looking with HEAD send nothing and change nothing (WEB-03)', async () => {
    const flow = createFlow(house, { client: app })
    await flow.toCode('alex')
    const sent = house.codeTexts().length
    for (let i = 0; i < 3; i++) await flow.page()
    await flow.request(flow.path, { method: 'HEAD' })
    await flow.request(`${flow.path}/resend`)
    await flow.request(`${flow.path}/code`)
    expect(house.codeTexts().length).toBe(sent)
    expect((await flow.resume(await flow.code(house.lastCode()))).get('code')).toBeTruthy()
  })

  test('every answer after a form is a 303 (CHL-27)', async () => {
    const flow = createFlow(house, { client: app })
    await flow.begin()
    expect((await flow.password('alex')).status).toBe(303)
    expect((await flow.code(house.lastCode())).status).toBe(303)
  })

  test('the text ends in the origin-bound line and nothing of the request is in it (OTP-21, OTP-24)', async () => {
    const flow = createFlow(house, {
      client: app,
      headers: { 'user-agent': 'evil @evil.example #000000' },
    })
    await flow.toCode('alex')
    const text = house.gateway.messages.at(-1)?.text ?? ''
    expect(text).toMatch(/^Sallyport: \d{6} is your sign-in code\..*\n\n@localhost #\d{6}$/s)
    expect(text).not.toContain('evil')
  })
})

describe('accounts without a phone', () => {
  let house: House
  beforeAll(async () => {
    house = await startHouse({ env: { SELF_ENROLMENT: 'off' } })
    await house.addClient('strict')
    await house.addClient('lax', { secondFactor: 'optional' })
    await house.addAccount('bare', null)
    await house.addAccount('alex')
  })
  afterAll(() => house.stop())

  test('are told whom to ask, and the app gets no token (CHL-28)', async () => {
    const flow = createFlow(house, { client: { id: 'strict', secret: '' } })
    await flow.begin()
    const answer = await flow.password('bare')
    expect(answer.status).toBe(403)
    expect(answer.html).toContain('no phone')
    const query = await flow.resume(await flow.step('cancel'))
    expect(query.get('error')).toBe('access_denied')
  })

  test('pass on the password alone where a client lets them, and the token says so', async () => {
    const { id } = { id: 'lax' }
    const row = await house.rooms.clients.findRow(id)
    const secret = row ? String(house.rooms.clients.metadataOf(row).client_secret) : ''
    const flow = createFlow(house, { client: { id, secret } })
    await flow.begin()
    const query = await flow.resume(await flow.password('bare'))
    const { body } = await flow.redeem(query.get('code') ?? '')
    expect(claimsOf(body)).toMatchObject({ acr: 'https://refeds.org/profile/sfa', amr: ['pwd'] })
  })

  test('a session of a password alone is not enough for an app that wants more, whatever the URL says', async () => {
    const flow = createFlow(house, { client: { id: 'lax', secret: '' } })
    await flow.begin()
    expect((await flow.resume(await flow.password('bare'))).get('code')).toBeTruthy()
    const strict = createFlow(house, { client: { id: 'strict', secret: '' }, jar: flow.jar })
    const quiet = await strict.begin({
      prompt: 'none',
      acr_values: 'https://refeds.org/profile/sfa',
    })
    expect(quiet.location).toContain('error=login_required')
    // Only the second factor is missing, and there is none to ask for.
    await strict.begin()
    expect((await strict.step('step-up')).status).toBe(403)
  })

  test('an enrolled account is asked for its code whatever the policy (CHL-15)', async () => {
    const flow = createFlow(house, { client: { id: 'lax', secret: '' } })
    await flow.begin()
    const answer = await flow.password('alex')
    expect(answer.location).toContain('/interaction/')
    expect((await flow.page()).html).toContain('one-time-code')
  })
})

describe('apps that are not first-party', () => {
  test('get what the person allows, after a page that names it', async () => {
    const house = await startHouse()
    const app = await house.addClient('third', { firstParty: false, name: 'Third <b>Party' })
    await house.addAccount('alex')
    const flow = createFlow(house, { client: app })
    await flow.toCode('alex', { scope: 'openid email' })
    let answer = await flow.code(house.lastCode())
    answer = await flow.request(answer.location ?? '')
    const page = await flow.arrive(answer.location ?? '')
    expect(page.html).toContain('Third &lt;b&gt;Party')
    expect(page.html).toContain('e-mail')
    expect(page.html).toContain('alex')
    expect(page.html).not.toContain('Your phone number')
    const query = await flow.resume(await flow.step('consent'))
    expect((await flow.redeem(query.get('code') ?? '')).status).toBe(200)

    const again = createFlow(house, { client: app, jar: flow.jar })
    const direct = await again.begin({ scope: 'openid email' })
    expect(direct.location).toContain(REDIRECT_URI)

    const more = createFlow(house, { client: app, jar: flow.jar })
    const asked = await more.begin({ scope: 'openid email phone' })
    expect(asked.html).toContain('Your phone number')
    expect((await more.resume(await more.step('cancel'))).get('error')).toBe('access_denied')
    await house.stop()
  })
})
