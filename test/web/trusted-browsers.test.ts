import type { CookieJar } from 'tough-cookie'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { parsePhoneNumber } from '../../src/phone-number.ts'
import { signInToAccount } from '../support/account.ts'
import { createFlow, type Flow } from '../support/flow.ts'
import { expectNoWayIn, isSignedIn, otherThan } from '../support/guesses.ts'
import { type House, startHouse } from '../support/house.ts'
import {
  addApp,
  addPhone,
  appCode,
  appKeyOn,
  arrive,
  codeTexts,
  eventsOf,
  headingOf,
  MFA,
  noticesOf,
  SFA,
} from '../support/second-factors.ts'

const DAY = 24 * 3600
const CODE = 'Enter your code'
const BOX = '<input id="remember" name="remember" type="checkbox" value="yes"'

let house: House
let client: { id: string; secret: string }
let strict: { id: string; secret: string }
let people = 0

beforeAll(async () => {
  house = await startHouse({ env: { TRUSTED_DEVICE_DAYS: '30' } })
  client = await house.addClient('app')
  strict = await house.addClient('strict', { secondFactor: 'required' })
})
afterAll(() => house.stop())
beforeEach(() => house.gateway.reset())

const visit = (more: Parameters<typeof createFlow>[1] = {}) =>
  createFlow(house, { client, ...more })

async function newcomer() {
  people += 1
  const username = `person${people}`
  const phone = `+46701${500_000 + people}`
  const { id } = await house.addAccount(username, phone)
  return { id, username, phone }
}

type Person = Awaited<ReturnType<typeof newcomer>>

/** Signs in with both factors and has the browser remembered. */
async function remember({ username, phone }: Person, flow = visit()): Promise<CookieJar> {
  await flow.toCode(username, { prompt: 'login' })
  const code = house.lastCode(phone)
  await arrive(flow, await flow.step('code', { code, remember: 'yes' }))
  await forgetSession(flow.jar)
  return flow.jar
}

const isOf = (name: string) => (key: string) => key.replace(/\.sig$/, '') === name

async function without(jar: CookieJar, isUnwanted: (key: string) => boolean): Promise<void> {
  for (const { key, domain, path } of await jar.getCookies(house.issuer))
    if (isUnwanted(key)) await jar.store.removeCookie(domain ?? '', path ?? '/', key)
}

/** As if the browser had been closed: the session's cookie is gone, and the one that remembers stays. */
const forgetSession = (jar: CookieJar) => without(jar, (key) => key.startsWith('sallyport_session'))

/** What the browser holds as remembered: the cookie and its signature. */
async function tokenIn(jar: CookieJar): Promise<string[]> {
  const cookies = await jar.getCookies(house.issuer)
  return cookies
    .filter(({ key }) => isOf('sallyport_trusted')(key))
    .toSorted((a, b) => a.key.length - b.key.length)
    .map((cookie) => cookie.cookieString())
}

async function put(jar: CookieJar, cookies: readonly string[]): Promise<void> {
  await without(jar, isOf('sallyport_trusted'))
  for (const cookie of cookies) await jar.setCookie(`${cookie}; Path=/`, house.issuer)
}

/** Gives name and password. @returns whether a code was asked for then */
async function isAsked(
  { username }: Person,
  jar: CookieJar,
  {
    params,
    ...more
  }: NonNullable<Parameters<typeof createFlow>[1]> & {
    params?: Record<string, string>
  } = {},
): Promise<boolean> {
  await forgetSession(jar)
  const sent = codeTexts(house).length
  const flow = visit({ jar, ...more })
  await flow.begin(params)
  const answer = await flow.password(username)
  expect(answer.status).toBe(303)
  const asked = answer.location === house.issuer + flow.path
  expect(codeTexts(house).length - sent).toBe(asked ? 1 : 0)
  return asked
}

describe('the box', () => {
  test('is there and unticked, says for how long, and isn’t part of adding a factor (TRD-04)', async () => {
    const { username } = await newcomer()
    const flow = visit()
    await flow.toCode(username)
    const { html } = await flow.page()
    expect(html).toContain(BOX)
    expect(html).not.toMatch(/type="checkbox"[^>]*checked/)
    expect(html).toContain('for 30 days')
    const bare = visit()
    await bare.toCode((await house.addAccount(`bare${people}`, null)).username)
    await bare.step('enrol-phone', { number: '+46701599999' })
    expect(headingOf(await bare.page())).toBe(CODE)
    expect((await bare.page()).html).not.toContain(BOX)
  })

  test('left alone, or said yes to in other words, remembers nothing', async () => {
    const person = await newcomer()
    const flow = visit()
    await flow.toCode(person.username)
    const code = house.lastCode(person.phone)
    expect((await flow.step('code', { code, remember: 'true' })).status).toBe(400)
    await arrive(flow, await flow.code(code))
    expect(await tokenIn(flow.jar)).toEqual([])
    expect(await isAsked(person, flow.jar)).toBe(true)
    expect(await house.rooms.trustedDevices.list(person.id)).toEqual([])
  })

  test('isn’t there by default, and a form that says yes all the same changes nothing (TRD-04)', async () => {
    const off = await startHouse({ beside: house, env: { TRUSTED_DEVICE_DAYS: '0' } })
    try {
      const person = await newcomer()
      const remembered = await remember(person)
      const flow = visit({ url: off.url, jar: remembered })
      await flow.toCode(person.username)
      expect((await flow.page()).html).not.toContain(BOX)
      const code = house.lastCode(person.phone)
      await arrive(flow, await flow.step('code', { code, remember: 'yes' }))
      expect(await house.rooms.trustedDevices.list(person.id)).toHaveLength(1)
    } finally {
      await off.stop()
    }
  })

  test('remembers only with a right code', async () => {
    const person = await newcomer()
    const flow = visit()
    await flow.toCode(person.username)
    const code = house.lastCode(person.phone)
    await flow.step('code', { code: otherThan(code), remember: 'yes' })
    expect(await tokenIn(flow.jar)).toEqual([])
    expect(await house.rooms.trustedDevices.list(person.id)).toEqual([])
  })

  test('goes with a backup code, too', async () => {
    const person = await newcomer()
    const [code = ''] = await house.rooms.backupCodes.issue(person.id)
    const flow = visit()
    await flow.toCode(person.username)
    expect((await flow.request(`${flow.path}?use=backup-code`)).html).toContain(BOX)
    await arrive(flow, await flow.step('backup-code', { code, remember: 'yes' }))
    expect(await isAsked(person, flow.jar)).toBe(false)
  })
})

describe('a remembered browser', () => {
  test('is asked for no code, and the app is told so (TRD-06, OIDC-15)', async () => {
    const person = await newcomer()
    const jar = await remember(
      person,
      visit({ headers: { 'user-agent': 'x (X11; Linux) Firefox/140.0' } }),
    )
    expect(
      (await house.rooms.trustedDevices.list(person.id)).map(({ browser }) => browser),
    ).toEqual(['Firefox on Linux'])
    const flow = visit({ jar })
    await flow.begin()
    const claims = await arrive(flow, await flow.password(person.username))
    expect(claims).toMatchObject({ sub: person.id, acr: SFA, amr: ['pwd'] })
    expect(codeTexts(house)).toHaveLength(1)
    expect(await eventsOf(house, person.id)).toContain('trusted-browser.used')
  })

  test('needs the password as before, and is no help against the throttle (TRD-08)', async () => {
    const person = await newcomer()
    const jar = await remember(person)
    const flow = visit({ jar })
    await flow.begin()
    const before = await tokenIn(jar)
    const answer = await flow.password(person.username, 'not the password')
    expect(answer.status).toBe(401)
    expectNoWayIn(answer)
    expect(await tokenIn(jar)).toEqual(before)
  })

  test('is one of this person: nobody else is let by (TRD-01, input 79)', async () => {
    const [person, other] = [await newcomer(), await newcomer()]
    const jar = await remember(person)
    expect(await isAsked(other, jar)).toBe(true)
    expect(await isAsked(person, jar)).toBe(false)
  })

  test.each([
    ['without its signature', ([cookie = '']: string[]) => [cookie]],
    ['altered', ([cookie = '', sig = '']: string[]) => [`${cookie.slice(0, -4)}AAAA`, sig]],
    [
      'made up',
      ([, sig = '']: string[]) => [`sallyport_trusted=${'A'.repeat(22)}.${'B'.repeat(43)}`, sig],
    ],
    [
      'that says who it is',
      ([, sig = '']: string[]) => [
        'sallyport_trusted=eyJhbGciOiJub25lIn0.eyJzdWIiOiJhbGV4In0.',
        sig,
      ],
    ],
    ['of 8 kB', ([, sig = '']: string[]) => [`sallyport_trusted=${'A'.repeat(8000)}`, sig]],
  ])('with a cookie %s is asked (TRD-01, input 79)', async (_how, forge) => {
    const person = await newcomer()
    const jar = await remember(person)
    const real = await tokenIn(jar)
    expect(real).toHaveLength(2)
    await put(jar, forge(real))
    expect(await isAsked(person, jar)).toBe(true)
    await put(jar, real)
    expect(await isAsked(person, jar)).toBe(false)
  })

  test.each([
    ['X-OTP-Skip', '1'],
    ['X-Trusted-Device', 'true'],
    ['X-Forwarded-For', '127.0.0.1'],
    ['X-Forwarded-For', '10.0.0.1'],
    ['X-Real-IP', '::1'],
    ['Forwarded', 'for=127.0.0.1'],
    ['X-Original-URL', '/admin'],
    ['X-Remote-User', 'person'],
  ])('is not made by a header: %s: %s (TRD-09)', async (name, value) => {
    const person = await newcomer()
    expect(await isAsked(person, visit().jar, { headers: { [name]: value } })).toBe(true)
  })

  test('has a new token after each use, and keeps its place in the list (TRD-07)', async () => {
    const person = await newcomer()
    const jar = await remember(person)
    const tokens = [await tokenIn(jar)]
    const [{ id } = { id: '' }] = await house.rooms.trustedDevices.list(person.id)
    for (const _ of [1, 2]) {
      expect(await isAsked(person, jar)).toBe(false)
      tokens.push(await tokenIn(jar))
    }
    expect(new Set(tokens.flat()).size).toBe(6)
    expect((await house.rooms.trustedDevices.list(person.id)).map((one) => one.id)).toEqual([id])
  })

  test('whose old token comes again is copied: the code is asked, the owner told, and all are forgotten (TRD-07)', async () => {
    const person = await newcomer()
    const [jar, elsewhere, thief] = [await remember(person), await remember(person), visit().jar]
    const stolen = await tokenIn(jar)
    expect(await isAsked(person, jar)).toBe(false)
    house.moveClock(60)
    await put(thief, stolen)
    expect(await isAsked(person, thief)).toBe(true)
    expect(await tokenIn(thief)).toEqual([])
    expect(await noticesOf(house, person.id)).toContain('trusted-browser.copied')
    expect(await house.rooms.trustedDevices.list(person.id)).toEqual([])
    expect(await isAsked(person, jar)).toBe(true)
    expect(await isAsked(person, elsewhere)).toBe(true)
  })

  test('holds nothing in its cookie but a key: what it knew at an earlier time is worth nothing (TRD-10)', async () => {
    const person = await newcomer()
    const jar = await remember(person)
    const before = await tokenIn(jar)
    await house.rooms.trustedDevices.endAll(person.id)
    await put(jar, before)
    expect(await isAsked(person, jar)).toBe(true)
    const dump = JSON.stringify(await house.db.selectFrom('trusted_device').selectAll().execute())
    for (const cookie of before) expect(dump).not.toContain(cookie.split('=')[1])
  })

  test('is forgotten after its days, and earlier when nobody comes (TRD-02)', async () => {
    const person = await newcomer()
    const [used, idle] = [await remember(person), await remember(person)]
    house.moveClock(13 * DAY)
    expect(await isAsked(person, used)).toBe(false)
    house.moveClock(2 * DAY)
    expect(await isAsked(person, idle)).toBe(true)
    house.moveClock(11 * DAY)
    expect(await isAsked(person, used)).toBe(false)
    house.moveClock(5 * DAY)
    expect(await isAsked(person, used)).toBe(true)
  })
})

describe('the code is asked all the same', () => {
  const acr = (value: string, essential: boolean) =>
    JSON.stringify({ id_token: { acr: { essential, value } } })

  test.each([
    ['acr_values', { acr_values: MFA }],
    ['an essential acr', { claims: acr(MFA, true) }],
    ['a voluntary acr', { claims: acr(MFA, false) }],
    ['max_age', { max_age: '3600' }],
    ['prompt=login', { prompt: 'login' }],
  ])('for %s (TRD-05, input 80)', async (_name, params) => {
    const person = await newcomer()
    const jar = await remember(person)
    expect(await isAsked(person, jar, { params })).toBe(true)
    expect(await isAsked(person, jar)).toBe(false)
  })

  test('for a client that is registered to want it, whatever its URL says (TRD-05)', async () => {
    const person = await newcomer()
    const jar = await remember(person)
    expect(await isAsked(person, jar, { client: strict })).toBe(true)
    const params = { acr_values: SFA }
    expect(await isAsked(person, jar, { client: strict, params })).toBe(true)
  })

  test('of someone signed in by it, as a step of its own: nothing less leads to such a client', async () => {
    const person = await newcomer()
    const jar = await remember(person)
    const flow = visit({ jar })
    await flow.begin()
    await arrive(flow, await flow.password(person.username))
    const up = createFlow(house, { client: strict, jar })
    expect(headingOf(await up.begin())).toBe('Confirm that it’s you')
    await up.step('step-up')
    expect(headingOf(await up.page())).toBe(CODE)
    const claims = await arrive(up, await up.code(house.lastCode(person.phone)))
    expect(claims).toMatchObject({ acr: MFA, amr: ['pwd', 'otp', 'sms', 'mfa'] })
  })
})

describe('it ends', () => {
  const changes: Array<[string, (person: Person) => Promise<unknown>]> = [
    [
      'a changed password',
      ({ id }) => house.rooms.accounts.setPassword(id, 'quite another horse', { how: 'changed' }),
    ],
    [
      'a password set by a mailed link',
      ({ id }) => house.rooms.accounts.setPassword(id, 'quite another horse', { how: 'reset' }),
    ],
    [
      'a phone that an admin adds',
      ({ id }) => {
        const parsed = parsePhoneNumber(`+46702${500_000 + people}`, '*')
        if ('fault' in parsed) throw new Error(parsed.fault)
        return house.rooms.phoneChanges.add(id, parsed, true)
      },
    ],
    [
      'a phone of their own adding',
      async ({ username, phone }) => {
        const me = await signInToAccount(house, username, { phone })
        const added = await me.addPhone(`+46702${500_000 + people}`)
        expect(added.location).toContain('done=phone-added')
      },
    ],
    [
      'an app of their own adding',
      async ({ username, phone }) => {
        const me = await signInToAccount(house, username, { phone })
        await me.post('/account/app/add')
        const key = appKeyOn(await me.get('/account/app/prove'))
        const code = appCode(key, house.now())
        expect((await me.post('/account/app/prove', { code })).location).toContain('done=')
      },
    ],
    ['a reset of all factors', ({ id }) => house.rooms.phoneChanges.reset(id)],
    [
      'another primary phone',
      async ({ id }) => {
        const phone = await addPhone(house, id, `+46702${500_000 + people}`)
        await house.rooms.phoneChanges.makePrimary(id, phone, undefined)
      },
    ],
    [
      'a removed phone',
      async ({ id }) => {
        const phone = await addPhone(house, id, `+46702${500_000 + people}`)
        await house.rooms.phoneChanges.remove(id, phone, { keepLast: true })
      },
    ],
    [
      'a removed app',
      async (person) => {
        await addApp(house, person)
        await house.rooms.authenticators.remove(person.id)
      },
    ],
    ['new backup codes', ({ id }) => house.rooms.backupCodes.issue(id)],
    ['its owner forgetting all', ({ id }) => house.rooms.trustedDevices.endAll(id)],
  ]

  test.each(changes)('with %s, in all browsers (TRD-03, input 79)', async (name, change) => {
    const person = await newcomer()
    const jars = [await remember(person), await remember(person)]
    await change(person)
    for (const jar of jars) {
      const flow = visit({ jar })
      await flow.begin()
      const password = name.includes('password') ? 'quite another horse' : undefined
      const answer = await flow.password(person.username, password)
      expect(answer.location).toBe(house.issuer + flow.path)
    }
  })

  test('with the account: disabled, enabled again, and asked (TRD-03)', async () => {
    const person = await newcomer()
    const jar = await remember(person)
    await house.rooms.accounts.disable(person.id)
    const flow = visit({ jar })
    await flow.begin()
    expect((await flow.password(person.username)).status).toBe(401)
    await house.rooms.accounts.enable(person.id)
    expect(await isAsked(person, jar)).toBe(true)
  })

  test('where codes are locked: no code, no way round it (TRD-08)', async () => {
    const person = await newcomer()
    const jar = await remember(person)
    for (const _ of [1, 2]) {
      const flow = visit()
      await flow.toCode(person.username)
      const code = house.lastCode(person.phone)
      for (let guess = 0; guess < 5; guess++) await flow.code(otherThan(code))
    }
    const flow = visit({ jar })
    await flow.begin()
    expect((await flow.password(person.username)).status).toBe(401)
    house.moveClock(601)
    expect(await isAsked(person, jar)).toBe(false)
  })

  test('and what was signed in by it is no longer enough, and is asked for the code', async () => {
    const person = await newcomer()
    const jar = await remember(person)
    const flow = visit({ jar })
    await flow.begin()
    await arrive(flow, await flow.password(person.username))
    const quiet = () => visit({ jar })
    expect(await isSignedIn(quiet())).toBe(true)
    await house.rooms.trustedDevices.endAll(person.id)
    expect(await isSignedIn(quiet())).toBe(false)
    const next: Flow = visit({ jar })
    expect(headingOf(await next.begin())).toBe('Confirm that it’s you')
    await next.step('step-up')
    const claims = await arrive(next, await next.code(house.lastCode(person.phone)))
    expect(claims.acr).toBe(MFA)
    expect(await isSignedIn(quiet())).toBe(true)
  })
})
