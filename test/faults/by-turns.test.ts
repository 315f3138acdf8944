import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { ACR } from '../../src/oidc/acr.ts'
import { signInToAccount } from '../support/account.ts'
import { openApi } from '../support/api.ts'
import { type Balancer, startBalancer } from '../support/balancer.ts'
import { addAdmin, signInToConsole } from '../support/console.ts'
import { claimsOf, createFlow, type Flow } from '../support/flow.ts'
import { otherThan } from '../support/guesses.ts'
import { type House, PASSWORD, PHONES, startHouse } from '../support/house.ts'
import { askForLink, choosePassword, mailedLink } from '../support/links.ts'
import { addPhone, arrive, backupCodesOn } from '../support/second-factors.ts'

const BETTER = 'four words nobody guesses'
const BYE = 'https://rp.example/bye'

let first: House
let second: House
let balancer: Balancer
/** The provider as one sees it from outside: each request goes to the other instance than the one before. */
let house: House
let client: { id: string; secret: string }
let people = 0

beforeAll(async () => {
  first = await startHouse({ env: { VOICE_GATEWAYS: 'outbox', TRUSTED_DEVICE_DAYS: '30' } })
  second = await startHouse({ beside: first })
  balancer = await startBalancer([first.url, second.url])
  house = { ...first, url: balancer.url }
  client = await house.addClient('app', {
    grants: ['authorization_code', 'refresh_token'],
    postLogoutRedirectUris: [BYE],
  })
  await house.addClient('lax', { secondFactor: 'optional' })
})
afterAll(async () => {
  await balancer.close()
  await second.stop()
  await first.stop()
})
beforeEach(() => balancer.served.fill(0))
afterEach(() => {
  for (const served of balancer.served) expect(served).toBeGreaterThan(0)
})

const newFlow = () => createFlow(house, { client })
const newName = () => `person${++people}`
function later(seconds: number): void {
  for (const instance of [first, second]) instance.moveClock(seconds)
}

async function signedIn(username: string) {
  const flow = newFlow()
  const query = await flow.complete(username)
  const { status, body } = await flow.redeem(query.get('code') ?? '')
  expect(status).toBe(200)
  return { flow, body }
}

const isSignedIn = async (flow: Flow) =>
  (await flow.request(flow.authorizationUrl({ prompt: 'none' }))).location?.includes('code=')

describe('on two instances, each request at the other one (AVL-11)', () => {
  test('a sign-in goes on: text, wrong code, the text again, a call, tokens, renewal, sign-out', async () => {
    const username = newName()
    await house.addAccount(username)
    const flow = newFlow()
    await flow.toCode(username)
    const code = house.lastCode()
    expect((await flow.code(otherThan(code))).status).toBe(400)
    later(31)
    expect((await flow.step('resend')).status).toBe(303)
    expect(house.lastCode()).toBe(code)
    later(121)
    expect((await flow.step('call')).status).toBe(303)
    expect((await flow.page()).html).toContain('We are calling')
    const query = await flow.resume(await flow.code(code))
    const { body } = await flow.redeem(query.get('code') ?? '')
    expect(claimsOf(body).acr).toBe(ACR.secondFactor)

    let token = String(body.refresh_token)
    for (let round = 0; round < 3; round++) {
      const renewed = await flow.redeem('', { grant_type: 'refresh_token', refresh_token: token })
      expect(renewed.status).toBe(200)
      token = String(renewed.body.refresh_token)
      const bearer = { headers: { authorization: `Bearer ${renewed.body.access_token}` } }
      expect((await flow.request('/me', bearer)).status).toBe(200)
    }
    expect(await isSignedIn(flow)).toBe(true)
    const params = new URLSearchParams({
      id_token_hint: String(body.id_token),
      post_logout_redirect_uri: BYE,
    })
    const page = await flow.request(`/session/end?${params}`)
    const xsrf = /name="xsrf" value="(\w+)"/.exec(page.html)?.[1] ?? ''
    const out = page.location
      ? page
      : await flow.post('/session/end/confirm', { xsrf, logout: 'yes' })
    expect(out.location).toContain(BYE)
    expect(await isSignedIn(flow)).toBe(false)
    const renewed = await flow.redeem('', { grant_type: 'refresh_token', refresh_token: token })
    expect(renewed.body.error).toBe('invalid_grant')
  })

  test('guesses count together: of a code, and of a password', async () => {
    const username = newName()
    await house.addAccount(username)
    const flow = newFlow()
    await flow.toCode(username)
    const code = house.lastCode()
    for (let guess = 0; guess < 5; guess++) await flow.code(otherThan(code))
    expect((await flow.code(code)).location).toBeUndefined()

    const name = newName()
    await house.addAccount(name, PHONES[1])
    for (let guess = 0; guess < 10; guess++) {
      const stranger = newFlow()
      await stranger.begin()
      expect((await stranger.password(name, `not it ${guess}`)).location).toBeUndefined()
    }
    const owner = newFlow()
    await owner.begin()
    expect((await owner.password(name)).location).toBeUndefined()
  })

  test('somebody new adds a phone, is given backup codes, and signs in with one', async () => {
    const username = newName()
    await house.addAccount(username, null)
    const flow = newFlow()
    await flow.toCode(username)
    await flow.step('enrol-phone', { number: PHONES[2] })
    const codes = backupCodesOn(await flow.code(house.lastCode(PHONES[2])))
    expect(await arrive(flow, await flow.step('enrol-finish', { saved: 'yes' }))).toMatchObject({
      acr: ACR.secondFactor,
    })
    const again = newFlow()
    await again.toCode(username)
    const claims = await arrive(again, await again.step('backup-code', { code: codes[0] ?? '' }))
    expect(claims.acr).toBe(ACR.secondFactor)
    const once = newFlow()
    await once.toCode(username)
    expect((await once.step('backup-code', { code: codes[0] ?? '' })).location).toBeUndefined()
  })

  test('a session by password alone is stepped up', async () => {
    const username = newName()
    const { id } = await house.addAccount(username, null)
    const flow = createFlow(house, { client: { id: 'lax', secret: '' } })
    await flow.begin()
    expect((await flow.resume(await flow.password(username))).get('code')).toBeTruthy()
    await addPhone(house, id, PHONES[3])
    await flow.begin({ acr_values: ACR.secondFactor })
    expect((await flow.step('step-up')).status).toBe(303)
    const query = await flow.resume(await flow.code(house.lastCode(PHONES[3])))
    expect(query.get('code')).toBeTruthy()
  })

  test('people keep house at /account: a phone more, another password, sessions elsewhere ended', async () => {
    const username = newName()
    await house.addAccount(username)
    const elsewhere = await signedIn(username)
    const me = await signInToAccount(house, username)
    expect((await me.addPhone(PHONES[1])).location).toContain('done=phone-added')
    expect(await me.text('/account/phones')).toContain('68')
    const change = { current: PASSWORD, password: BETTER, again: BETTER }
    expect((await me.post('/account/password', change)).status).toBe(303)
    expect(await isSignedIn(elsewhere.flow)).toBe(false)
    const flow = newFlow()
    await flow.begin()
    expect((await flow.password(username, PASSWORD)).status).not.toBe(303)
    expect((await flow.password(username, BETTER)).status).toBe(303)
  })

  test('a forgotten password is chosen anew by a mailed link', async () => {
    const username = newName()
    const { id } = await house.addAccount(username)
    const browser = newFlow()
    expect((await askForLink(browser, username)).status).toBe(303)
    const link = await mailedLink(house, id)
    expect((await choosePassword(browser, link, BETTER)).status).toBe(303)
    const flow = newFlow()
    await flow.begin()
    expect((await flow.password(username, BETTER)).status).toBe(303)
  })

  test('an admin works in the console, and a program by the API', async () => {
    await addAdmin(house, 'ada', 'admin')
    const console = await signInToConsole(house, 'ada')
    expect(console.arrived.status).toBe(200)
    const username = newName()
    const made = await console.submit('/admin/people/new', { username, name: 'New' })
    expect(made.html).toContain(`${house.issuer}/link/`)
    expect(await console.text('/admin/people')).toContain(username)

    const api = await openApi(house)
    const key = { 'idempotency-key': 'by-turns' }
    const body = { username: newName() }
    const [one, two] = [
      await api.post('/accounts', body, key),
      await api.post('/accounts', body, key),
    ]
    expect([one.status, two.status]).toEqual([201, 201])
    expect(two.json).toEqual(one.json)
    let cursor: string | undefined
    const names: string[] = []
    do {
      const query = new URLSearchParams({ limit: '3', ...(cursor && { cursor }) })
      const { json } = await api.get(`/accounts?${query}`)
      names.push(...json.items.map((item: { username: string }) => item.username))
      cursor = json.next ?? undefined
    } while (cursor)
    expect(new Set(names).size).toBe(names.length)
    expect(names).toContain(username)
  })

  test('a page of one is dressed by the other, though its files were other ones', async () => {
    const { html } = await newFlow().begin()
    const path = /\/assets\/styles\.[0-9a-f]{12}\.css/.exec(html)?.[0] ?? ''
    const own = await fetch(first.url + path)
    expect(own.headers.get('cache-control')).toContain('immutable')
    const other = await fetch(second.url + path.replace(/[0-9a-f]{12}/, '0123456789ab'))
    expect(other.status).toBe(200)
    expect(await other.text()).toBe(await own.text())
    // It isn't what stands behind that name, and mustn't be kept for it.
    expect(other.headers.get('cache-control')).toBe('no-store')
  })
})
