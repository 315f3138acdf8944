import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { ACR, authenticationBy, PASSWORD_ALONE } from '../../src/oidc/acr.ts'
import { missingOnlySecondFactor } from '../../src/oidc/assurance.ts'
import { claimsOf, createFlow, type Flow } from '../support/flow.ts'
import { type House, startHouse } from '../support/house.ts'
import { now, settle, storedInteraction } from '../support/interactions.ts'

const MFA = ACR.secondFactor
const SFA = ACR.password

let house: House
let app: { id: string; secret: string }
let bare: { id: string }
/** a browser in which someone signed in with a password alone, a minute ago */
let browser: Flow
let code: string

beforeAll(async () => {
  house = await startHouse()
  const grants = { grants: ['authorization_code' as const, 'refresh_token' as const] }
  app = await house.addClient('lax', { secondFactor: 'optional', ...grants })
  await house.addClient('strict', { secondFactor: 'required' })
  await house.addClient('usual')
  bare = await house.addAccount('bare', null)
})
afterAll(() => house.stop())

beforeEach(async () => {
  browser = createFlow(house, { client: app })
  await browser.begin()
  const login = { accountId: bare.id, ts: now() - 60, ...PASSWORD_ALONE }
  code = (await settle(house, browser, login)).get('code') ?? ''
})

function again(client = app): Flow {
  return createFlow(house, { client, jar: browser.jar })
}

async function session(): Promise<string> {
  const cookies = await browser.jar.getCookies(house.issuer)
  return cookies.find(({ key }) => key === 'sallyport_session')?.value ?? ''
}

const essential = JSON.stringify({ id_token: { acr: { essential: true, value: MFA } } })

describe('someone signed in with a password alone', () => {
  test.each([
    ['acr_values', { acr_values: MFA }],
    ['an essential acr', { claims: essential }],
    ['an essential acr, with less in acr_values', { claims: essential, acr_values: SFA }],
    ['a voluntary acr', { claims: JSON.stringify({ id_token: { acr: { value: MFA } } }) }],
    ['a max_age that isn’t over', { acr_values: MFA, max_age: '3600' }],
  ])('lacks only the second factor for %s', async (_name, params) => {
    const flow = again()
    await flow.begin(params)
    const { payload, prompt } = await storedInteraction(house, flow)
    expect(missingOnlySecondFactor({ ...payload, prompt })).toBe(bare.id)
    const quiet = await again().begin({ ...params, prompt: 'none' })
    expect(quiet.location).toContain('error=login_required')
  })

  test.each([
    ['prompt=login', { acr_values: MFA, prompt: 'login' }],
    ['max_age=0', { acr_values: MFA, max_age: '0' }],
    ['a max_age that is over', { acr_values: MFA, max_age: '30' }],
  ])('is due a whole sign-in for %s (SES-14)', async (_name, params) => {
    const flow = again()
    await flow.begin(params)
    const { payload, prompt } = await storedInteraction(house, flow)
    expect(missingOnlySecondFactor({ ...payload, prompt })).toBeUndefined()
  })

  test('isn’t enough for a client whose floor or default wants more, whatever the URL says', async () => {
    for (const id of ['strict', 'usual']) {
      for (const params of [{}, { acr_values: SFA }, { claims: essential.replace(MFA, SFA) }]) {
        const flow = again({ id, secret: '' })
        await flow.begin(params)
        const { payload, prompt } = await storedInteraction(house, flow)
        expect(missingOnlySecondFactor({ ...payload, prompt })).toBe(bare.id)
      }
    }
  })

  test('passes where nothing more is asked for', async () => {
    for (const params of [{}, { max_age: '3600' }, { acr_values: `${SFA} ${MFA}` }])
      expect((await again().begin(params)).location).toContain('code=')
  })
})

describe('a second factor shown in that session', () => {
  test.each(['sms', 'voice', 'totp', 'backup-code'] as const)(
    '%s raises it: level, methods and time are told',
    async (factor) => {
      const flow = again()
      await flow.begin({ acr_values: MFA })
      const ts = now() - 5
      const query = await settle(house, flow, {
        accountId: bare.id,
        ts,
        ...authenticationBy(factor),
      })
      const { body } = await flow.redeem(query.get('code') ?? '')
      expect(claimsOf(body)).toMatchObject({ auth_time: ts, ...authenticationBy(factor) })
      const quiet = again({ id: 'strict', secret: '' })
      expect((await quiet.begin({ prompt: 'none' })).location).toContain('code=')
    },
  )

  test('gives the session a new id, and the old one is dead (SES-01)', async () => {
    const before = await session()
    const kept = new Map(
      (await browser.jar.getCookies(house.issuer)).map(({ key, value }) => [key, value]),
    )
    const flow = again()
    await flow.begin({ acr_values: MFA })
    await settle(house, flow, { accountId: bare.id, ts: now(), ...authenticationBy('totp') })
    expect(await session()).not.toBe(before)
    const cookie = [...kept].map((pair) => pair.join('=')).join('; ')
    const replayed = createFlow(house, { client: app, headers: { cookie } })
    const answer = await replayed.request(replayed.authorizationUrl({ prompt: 'none' }))
    expect(answer.location).toContain('error=login_required')
  })

  test('leaves old codes and tokens at their level (OIDC-17, OIDC-18)', async () => {
    const { body: first } = await browser.redeem(code)
    expect(claimsOf(first)).toMatchObject({ acr: SFA, amr: ['pwd'] })
    const waiting = again()
    const { location = '' } = await waiting.begin()
    const flow = again()
    await flow.begin({ acr_values: MFA })
    await settle(house, flow, { accountId: bare.id, ts: now(), ...authenticationBy('sms') })
    const refreshed = await browser.redeem('', {
      grant_type: 'refresh_token',
      refresh_token: String(first.refresh_token),
    })
    expect(refreshed.status).toBe(200)
    const { auth_time: then } = claimsOf(first)
    expect(claimsOf(refreshed.body)).toMatchObject({ acr: SFA, amr: ['pwd'], auth_time: then })
    const old = await waiting.redeem(new URL(location).searchParams.get('code') ?? '')
    expect(claimsOf(old.body)).toMatchObject({ acr: SFA, amr: ['pwd'], auth_time: then })
  })

  test('raises no other browser’s session (OIDC-17)', async () => {
    const other = createFlow(house, { client: app })
    await other.begin()
    await settle(house, other, { accountId: bare.id, ts: now(), ...PASSWORD_ALONE })
    const flow = again()
    await flow.begin({ acr_values: MFA })
    const { returnTo } = await storedInteraction(house, flow)
    const { path } = flow
    // Another browser can't end it, even when it knows its address.
    const stolen = await createFlow(house, { client: app, jar: other.jar }).request(returnTo)
    expect(stolen.status).toBe(400)
    flow.path = path
    await settle(house, flow, { accountId: bare.id, ts: now(), ...authenticationBy('sms') })
    const quiet = createFlow(house, { client: app, jar: other.jar })
    const answer = await quiet.begin({ acr_values: MFA, prompt: 'none' })
    expect(answer.location).toContain('error=login_required')
  })
})
