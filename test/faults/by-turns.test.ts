import { setTimeout as pause } from 'node:timers/promises'
import { sql } from 'kysely'
import { CookieJar } from 'tough-cookie'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { ACR } from '../../src/oidc/acr.ts'
import { signInToAccount } from '../support/account.ts'
import { openApi } from '../support/api.ts'
import { type Balancer, startBalancer } from '../support/balancer.ts'
import { addAdmin, signInToConsole } from '../support/console.ts'
import { burst, claimsOf, createFlow } from '../support/flow.ts'
import { isSignedIn, otherThan } from '../support/guesses.ts'
import { type House, PASSWORD, PHONES, REDIRECT_URI, startHouse } from '../support/house.ts'
import { askForLink, choosePassword, mailedLink } from '../support/links.ts'
import { postTo } from '../support/proofs.ts'
import { type Receiver, startReceiver } from '../support/receiver.ts'
import { addPhone, appCode, appKeyOn, arrive, backupCodesOn } from '../support/second-factors.ts'
import { type Said, sendJson } from '../support/send-json.ts'

const BETTER = 'four words nobody guesses'
const BYE = 'https://rp.example/bye'

let first: House
let second: House
let balancer: Balancer
/** The provider as one sees it from outside: each request goes to the other instance than the one before. */
let house: House
let client: { id: string; secret: string }
/** Where the app hears of sign-outs. */
let told: Receiver
let people = 0

beforeAll(async () => {
  told = await startReceiver()
  first = await startHouse({
    env: {
      VOICE_GATEWAYS: 'outbox',
      TRUSTED_DEVICE_DAYS: '30',
      DYNAMIC_REGISTRATION: 'token',
      WEBHOOK_ALLOWED_HOSTS: '127.0.0.1',
      // A request that wanted a second one would wait for itself (AVL-06).
      DATABASE_POOL_SIZE: '1',
    },
  })
  second = await startHouse({ beside: first })
  balancer = await startBalancer([first.url, second.url])
  house = { ...first, url: balancer.url }
  client = await house.addClient('app', {
    grants: ['authorization_code', 'refresh_token'],
    postLogoutRedirectUris: [BYE],
    backchannelLogoutUri: told.url,
    backchannelLogoutSessionRequired: true,
    introspects: ['app'],
  })
  await house.addClient('lax', { secondFactor: 'optional' })
})
afterAll(async () => {
  await balancer.close()
  await second.stop()
  await first.stop()
  await told.close()
})
beforeEach(() => balancer.served.fill(0))
afterEach(() => {
  for (const served of balancer.served) expect(served).toBeGreaterThan(0)
})

const newFlow = (jar?: CookieJar) => createFlow(house, { client, ...(jar && { jar }) })
const newName = () => `person${++people}`
function later(seconds: number): void {
  for (const instance of [first, second]) instance.moveClock(seconds)
}

async function signedIn(username: string, phone: string = PHONES[0]) {
  const flow = newFlow()
  const query = await flow.complete(username, phone)
  const { status, body } = await flow.redeem(query.get('code') ?? '')
  expect(status).toBe(200)
  return { flow, body }
}

describe('on two instances of one connection each, every request at the other one (AVL-06, AVL-11)', () => {
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

  test('guesses of an app’s secret count together, and each instance judges one more at most (THR-24)', async () => {
    const grants = ['client_credentials'] as const
    const { secret } = await house.addClient('guessed', { grants: [...grants], redirectUris: [] })
    const shown = async (what: string) => {
      const basic = { authorization: `Basic ${btoa(`guessed:${what}`)}` }
      const own = { grant_type: 'client_credentials' }
      return (await postTo(house.url, '/token', own, basic)).status
    }
    const judged: number[] = []
    for (let guess = 0; guess < 11; guess++) judged.push(await shown(`not it ${guess}`))
    expect(judged).toEqual([...Array<number>(9).fill(401), 429, 429])
    expect([await shown(secret), await shown(secret)]).toEqual([429, 429])
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

  test('somebody adds an authenticator app, has the browser remembered, and needs no code there', async () => {
    const username = newName()
    await house.addAccount(username, null)
    const flow = newFlow()
    await flow.toCode(username)
    expect((await flow.step('enrol-app')).status).toBe(303)
    const key = appKeyOn(await flow.page())
    backupCodesOn(await flow.code(appCode(key, first.now())))
    const { acr } = await arrive(flow, await flow.step('enrol-finish', { saved: 'yes' }))
    expect(acr).toBe(ACR.secondFactor)

    // An app's code is good once.
    later(30)
    const again = newFlow()
    await again.toCode(username)
    const typed = { code: appCode(key, first.now()), remember: 'yes' }
    const claims = await arrive(again, await again.step('code', typed))
    expect(claims.acr).toBe(ACR.secondFactor)
    // The browser was closed meanwhile: what it was for a session is gone.
    const known = newFlow(await without(again.jar, 'sallyport_session'))
    await known.begin()
    expect((await arrive(known, await known.password(username))).acr).not.toBe(ACR.secondFactor)
  })

  test('somebody without a phone at hand gets in by a code of the help desk, once', async () => {
    const username = newName()
    const { id } = await house.addAccount(username)
    const api = await openApi(house)
    const made = await api.post(`/accounts/${id}/bypass-codes`, { reason: 'phone at home' })
    expect(made.status).toBe(201)
    const flow = newFlow()
    await flow.toCode(username)
    const { acr } = await arrive(flow, await flow.step('backup-code', { code: made.json.code }))
    expect(acr).toBe(ACR.secondFactor)
    const once = newFlow()
    await once.toCode(username)
    const used = await once.step('backup-code', { code: made.json.code })
    expect(used.location).toBeUndefined()
  })

  test('people are invited one by one, and imported by a file', async () => {
    const api = await openApi(house)
    const username = newName()
    const { json } = await api.post('/accounts', { username, name: 'Invited' })
    const browser = newFlow()
    expect((await choosePassword(browser, json.invitation, BETTER)).status).toBe(303)
    const flow = newFlow()
    await flow.begin()
    expect((await flow.password(username, BETTER)).status).toBe(303)

    const names = [newName(), newName(), newName()]
    const begun = await api.post('/imports', { format: 'csv' })
    const path = `/imports/${begun.json.id}`
    for (const [piece, content] of [
      `username\n${names[0]}\n`,
      `${names[1]}\n${names[2]}\n`,
    ].entries()) {
      const type = { 'content-type': 'text/plain' }
      const { status } = await api.call('PUT', `${path}/content/${piece}`, content, type)
      expect(status).toBe(204)
    }
    expect((await api.post(`${path}/start`)).status).toBe(202)
    await expect
      .poll(async () => (await api.get(path)).json, { timeout: 10_000 })
      .toMatchObject({ state: 'done', created: 3, failed: 0 })
  })

  test('an app registers itself, pushes its request, is consented to, and changes itself', async () => {
    const { token } = await house.rooms.registrationTokens.create()
    const said = { client_name: 'Partner', redirect_uris: [REDIRECT_URI] }
    const tell = (method: string, path: string, bearer: unknown, body?: Said) =>
      sendJson(method, house.url + path, String(bearer), body)
    const made = await tell('POST', '/reg', token, said)
    expect(made.status).toBe(201)
    const [id, secret] = [String(made.body.client_id), String(made.body.client_secret)]
    const key = made.body.registration_access_token

    const username = newName()
    await house.addAccount(username)
    const flow = createFlow(house, { client: { id, secret } })
    const asked = Object.fromEntries(new URL(flow.authorizationUrl(), house.url).searchParams)
    const basic = { authorization: `Basic ${btoa(`${id}:${secret}`)}` }
    const pushed = await postTo(house.url, '/request', asked, basic)
    expect(pushed.status).toBe(201)
    const uri = String(pushed.body.request_uri)
    const query = new URLSearchParams({ client_id: id, request_uri: uri })
    await flow.arrive((await flow.request(`/auth?${query}`)).location ?? '')
    await flow.password(username)
    const resumed = await flow.request((await flow.code(house.lastCode())).location ?? '')
    expect((await flow.arrive(resumed.location ?? '')).html).toContain('Partner')
    const back = await flow.resume(await flow.step('consent'))
    expect((await flow.redeem(back.get('code') ?? '')).status).toBe(200)
    expect((await flow.request(`/auth?${query}`)).status).toBe(400)

    const path = `/reg/${id}`
    expect((await tell('GET', path, key)).body.client_name).toBe('Partner')
    const renamed = { ...said, client_id: id, client_name: 'Renamed' }
    const changed = await tell('PUT', path, key, renamed)
    expect(changed.status).toBe(200)
    const next = changed.body.registration_access_token
    expect((await tell('GET', path, key)).status).toBe(401)
    expect((await tell('GET', path, next)).body.client_name).toBe('Renamed')
  })

  test('tokens are looked into and revoked', async () => {
    const username = newName()
    await house.addAccount(username)
    const { body } = await signedIn(username)
    const basic = { authorization: `Basic ${btoa(`${client.id}:${client.secret}`)}` }
    const active = async (token: unknown) => {
      const asked = { token: String(token) }
      return (await postTo(house.url, '/token/introspection', asked, basic)).body.active
    }
    for (let round = 0; round < 2; round++)
      expect([await active(body.access_token), await active(body.refresh_token)]).toEqual([
        true,
        true,
      ])
    const given = { token: String(body.refresh_token) }
    expect((await postTo(house.url, '/token/revocation', given, basic)).status).toBe(200)
    for (let round = 0; round < 2; round++)
      expect([await active(body.access_token), await active(body.refresh_token)]).toEqual([
        false,
        false,
      ])
  })

  test('an app hears of each sign-out once, and one that is being told holds up no other (AVL-20)', async () => {
    const username = newName()
    const { id } = await house.addAccount(username)
    // What other tests left is told before.
    await expect.poll(untold, { timeout: 10_000 }).toBe(0)
    told.reset()
    await house.db.transaction().execute(async (trx) => {
      await sql`
        insert into logout_delivery (client_id, account_id, sid, created_at, next_try_at)
        select 'app', ${id}, 'sid' || i, now(), now() - make_interval(secs => 60 - i)
        from generate_series(1, 30) i`.execute(house.db)
      // As an instance holds it that is about to tell of it.
      await sql`select from logout_delivery where sid = 'sid1' for update`.execute(trx)
      await expect.poll(() => told.requests.length, { timeout: 10_000 }).toBe(29)
      await expect.poll(untold, { timeout: 10_000 }).toBe(1)
    })
    await expect.poll(untold, { timeout: 10_000 }).toBe(0)
    const sids = told.requests.map(({ body }) => {
      const token = new URLSearchParams(body).get('logout_token')
      return String(claimsOf({ id_token: token }).sid)
    })
    expect(sids).toHaveLength(30)
    expect(new Set(sids).size).toBe(30)
    // No browser was there, and each test is to have been at both.
    for (let round = 0; round < 2; round++) await fetch(`${house.url}/healthz`)
  })

  test('the schema grows while people sign in, and nobody notices (AVL-18)', async () => {
    let grown = false
    const people = burst(3, async (i) => {
      const [username, phone] = [newName(), PHONES[i]]
      await house.addAccount(username, phone)
      let signIns = 0
      for (; !grown || signIns < 2; signIns++) await signedIn(username, phone)
      return signIns
    })
    // Whatever goes wrong is told at the end.
    people.catch(() => {})
    const TABLES = ['oidc_record', 'client', 'account', 'challenge', 'phone', 'second_factor']
    for (const table of TABLES) {
      await pause(100)
      // As a newer version's migration does, which only adds.
      await house.db.transaction().execute(async (trx) => {
        const column = sql`add column added_later text default 'of a newer version'`
        await sql`alter table ${sql.table(table)} ${column}`.execute(trx)
        await sql`create table ${sql.table(`${table}_later`)} (of text)`.execute(trx)
      })
    }
    grown = true
    for (const signIns of await people) expect(signIns).toBeGreaterThan(1)
  })
})

/** A browser's cookies but for those that begin so. */
async function without(jar: CookieJar, beginning: string): Promise<CookieJar> {
  const kept = new CookieJar()
  for (const cookie of await jar.getCookies(house.issuer))
    if (!cookie.key.startsWith(beginning)) await kept.setCookie(cookie, house.issuer)
  return kept
}

/** How many sign-outs are yet to be told of. */
async function untold(): Promise<number> {
  const rows = await house.db.selectFrom('logout_delivery').select('id').execute()
  return rows.length
}
