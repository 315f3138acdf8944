import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { signInToAccount } from '../support/account.ts'
import { createFlow, type Flow } from '../support/flow.ts'
import { isSignedIn, otherThan } from '../support/guesses.ts'
import { type House, startHouse } from '../support/house.ts'
import {
  addApp,
  addPhone,
  appCode,
  appKeyOn,
  arrive,
  codeTexts,
  headingOf,
  MFA,
  phonesOn,
  SFA,
} from '../support/second-factors.ts'

const SIGN_IN = 'Sign in'
const CODE = 'Enter your code'
const STEP_UP = 'Confirm that it’s you'
const BACK = 'Use the usual code instead'
const CHOICE = 'Other ways to sign in'

/** Instances of one provider, each set another way. */
let house: House
/** where only admins enrol */
let closed: House
/** where every number gets one text an hour, and every address three */
let tight: House
/** where texts go to Denmark only */
let narrow: House
let lax: { id: string; secret: string }
let third: { id: string; secret: string }
let people = 0

beforeAll(async () => {
  house = await startHouse({ env: { TRUSTED_DEVICE_DAYS: '30' } })
  ;[closed, tight, narrow] = await Promise.all([
    startHouse({ beside: house, env: { SELF_ENROLMENT: 'off' } }),
    startHouse({
      beside: house,
      env: { SMS_LIMIT_PHONE_HOUR: '1', SMS_LIMIT_IP_HOUR: '3', TRUST_PROXY: '1' },
    }),
    startHouse({ beside: house, env: { SMS_ALLOWED_COUNTRIES: 'DK' } }),
  ])
  lax = await house.addClient('app', { secondFactor: 'optional' })
  third = await house.addClient('third', { secondFactor: 'optional', firstParty: false })
})
afterAll(async () => {
  for (const one of [closed, tight, narrow, house]) await one.stop()
})
beforeEach(() => house.gateway.reset())

const visit = (more: Parameters<typeof createFlow>[1] = {}) =>
  createFlow(house, { client: lax, ...more })

/** A visit to the house of tight limits, from an address of its own. */
const tightly = (address = `192.0.2.${++people}`) =>
  visit({ url: tight.url, headers: { 'x-forwarded-for': address } })

/** Someone with as many phones as are asked for, the first of them the primary one. */
async function newcomer(phones = 1) {
  people += 1
  const username = `person${people}`
  const numbers = Array.from({ length: phones }, (_, i) => `+46701${600_000 + people * 10 + i}`)
  const account = await house.addAccount(username, null)
  const ids: string[] = []
  for (const number of numbers) ids.push(await addPhone(house, account.id, number))
  return { ...account, numbers, ids, phone: numbers[0] ?? '' }
}

async function atCode(username: string, flow = visit()): Promise<Flow> {
  await flow.toCode(username)
  expect(headingOf(await flow.page())).toBe(CODE)
  return flow
}

/** Signed in by a password alone, at an app that leaves it at that. */
async function byPassword(username: string, flow = visit()): Promise<Flow> {
  await flow.begin()
  expect((await arrive(flow, await flow.password(username))).acr).toBe(SFA)
  return flow
}

const essential = (value: string) =>
  JSON.stringify({ id_token: { acr: { essential: true, value } } })

describe('whoever has a second factor is asked for it, where an app leaves it open, too (CHL-15)', () => {
  /** A browser that was remembered, and signed in with the password alone. */
  async function remembered() {
    const person = await newcomer()
    const first = await atCode(person.username)
    await first.step('code', { code: house.lastCode(person.phone), remember: 'yes' })
    // As if the browser had been closed before the way back to the app.
    const { jar } = first
    return { person, jar: (await byPassword(person.username, visit({ jar }))).jar }
  }

  async function forget(jar: Flow['jar']): Promise<void> {
    for (const { key, domain, path } of await jar.getCookies(house.issuer))
      if (key.startsWith('sallyport_trusted'))
        await jar.store.removeCookie(domain ?? '', path ?? '/', key)
  }

  test('by a request that wants it shown, whether or not the browser shows that it is remembered', async () => {
    const { person, jar } = await remembered()
    for (const cookie of ['with', 'without']) {
      if (cookie === 'without') await forget(jar)
      const up = visit({ jar })
      expect([cookie, headingOf(await up.begin({ max_age: '3600' }))]).toEqual([cookie, STEP_UP])
      const anew = visit({ jar })
      await anew.begin({ prompt: 'login' })
      await anew.password(person.username)
      expect([cookie, headingOf(await anew.page())]).toEqual([cookie, CODE])
    }
    const up = visit({ jar })
    await up.begin({ max_age: '3600' })
    await up.step('step-up')
    expect((await arrive(up, await up.code(house.lastCode(person.phone)))).acr).toBe(MFA)
  })

  test('by any request, once the browser isn’t remembered any more', async () => {
    const { jar } = await remembered()
    expect(await isSignedIn(visit({ jar }))).toBe(true)
    await forget(jar)
    expect(await isSignedIn(visit({ jar }))).toBe(false)
    expect(headingOf(await visit({ jar }).begin())).toBe(STEP_UP)
  })

  test.each<[string, (id: string, username: string) => Promise<unknown>]>([
    ['a phone', (id) => addPhone(house, id, `+46701${700_000 + people}`)],
    ['an authenticator app', (id, username) => addApp(house, { id, username })],
    ['backup codes', (id) => house.rooms.backupCodes.issue(id, { enrolling: true })],
  ])('also in a session from before they had %s', async (_what, give) => {
    const { id, username } = await newcomer(0)
    const { jar } = await byPassword(username)
    expect(await isSignedIn(visit({ jar }))).toBe(true)
    await give(id, username)
    expect(await isSignedIn(visit({ jar }))).toBe(false)
  })

  test('but not for what is none: a number not proven, an app not confirmed, a code that was used', async () => {
    const { id, username } = await newcomer(0)
    const { jar } = await byPassword(username)
    await house.db
      .updateTable('phone')
      .set({ pending: true, is_primary: false })
      .where('id', '=', await addPhone(house, id, `+46701${700_000 + people}`))
      .execute()
    await house.rooms.authenticators.begin({ id, username })
    await house.rooms.backupCodes.issue(id, { enrolling: true })
    await house.db
      .updateTable('backup_code')
      .set({ used_at: new Date() })
      .where('account_id', '=', id)
      .execute()
    expect(await isSignedIn(visit({ jar }))).toBe(true)
  })
})

describe('where only admins enrol, for someone without a second factor (OIDC-16)', () => {
  const WISHES: Array<[string, Record<string, string>]> = [
    ['acr_values', { acr_values: MFA }],
    ['a voluntary claim', { claims: JSON.stringify({ id_token: { acr: { value: MFA } } }) }],
  ]

  test.each(WISHES)('%s gets the password’s level, at once and later', async (_name, params) => {
    const { username } = await newcomer(0)
    const flow = visit({ url: closed.url })
    await flow.begin(params)
    const claims = await arrive(flow, await flow.password(username))
    expect(claims).toMatchObject({ acr: SFA, amr: ['pwd'] })
    const again = visit({ url: closed.url, jar: flow.jar })
    const { location } = await again.request(again.authorizationUrl({ ...params, prompt: 'none' }))
    expect(new URL(location ?? '').searchParams.get('code')).toBeTruthy()
  })

  test('a wish doesn’t go round in circles where people are asked for consent, either', async () => {
    const { username } = await newcomer(0)
    const flow = visit({ url: closed.url, client: third })
    await flow.begin({ acr_values: MFA })
    const asked = await flow.request((await flow.password(username)).location ?? '')
    await flow.arrive(asked.location ?? '')
    expect((await arrive(flow, await flow.step('consent'))).acr).toBe(SFA)
  })

  test('what the app insists on ends in its own error, by the button of the page that says why', async () => {
    const { username } = await newcomer(0)
    const claims = essential(MFA)
    const stops = [
      async (flow: Flow) => {
        await flow.begin({ claims })
        return flow.password(username)
      },
      // The same in a step-up.
      async (flow: Flow) => {
        const { jar } = await byPassword(username, visit({ url: closed.url }))
        for (const cookie of await jar.getCookies(house.issuer))
          await flow.jar.setCookie(cookie, house.issuer)
        expect(headingOf(await flow.begin({ claims }))).toBe(STEP_UP)
        return flow.step('step-up')
      },
    ]
    for (const stop of stops) {
      const flow = visit({ url: closed.url })
      const page = await stop(flow)
      expect([page.status, headingOf(page)]).toEqual([403, 'Your account has no phone yet'])
      expect(page.html).toContain(`action="${flow.path}/give-up"`)
      expect(page.html).not.toContain(`action="${flow.path}/cancel"`)
      const query = await flow.resume(await flow.step('give-up'))
      expect(Object.fromEntries(query)).toMatchObject({
        error: 'unmet_authentication_requirements',
        state: 'a state',
        iss: house.issuer,
      })
    }
  })

  test('a wish leads to adding one where people may', async () => {
    const { username } = await newcomer(0)
    const flow = visit()
    await flow.begin({ acr_values: MFA })
    await flow.password(username)
    expect(headingOf(await flow.page())).toBe('Add your phone')
  })
})

describe('a text that is refused', () => {
  test('again to the same phone leaves the code that was sent', async () => {
    const { username, phone } = await newcomer()
    const flow = await atCode(username, tightly())
    tight.moveClock(31)
    const stop = await flow.step('resend')
    expect([stop.status, headingOf(stop)]).toEqual([429, 'Too many texts'])
    expect(stop.html).toContain(`<form method="get" action="${flow.path}">`)
    expect(stop.html).toContain(BACK)
    expect(headingOf(await flow.page())).toBe(CODE)
    expect((await arrive(flow, await flow.code(house.lastCode(phone)))).acr).toBe(MFA)
  })

  test('to another phone leaves the code that was sent to the first', async () => {
    const { username, phone, ids, numbers } = await newcomer(2)
    const other = await house.addAccount(`sharing${people}`, numbers[1] ?? '')
    await atCode(other.username, tightly())
    const flow = await atCode(username, tightly())
    const stop = await flow.step('phone', { phone: ids[1] ?? '' })
    expect(stop.status).toBe(429)
    expect(stop.html).toContain(BACK)
    expect((await arrive(flow, await flow.code(house.lastCode(phone)))).acr).toBe(MFA)
  })

  test('because there were enough leaves the code, too', async () => {
    const { username, phone } = await newcomer()
    const flow = await atCode(username)
    for (const seconds of [31, 61, 121]) {
      house.moveClock(seconds)
      expect((await flow.step('resend')).status).toBe(303)
    }
    const stop = await flow.step('resend')
    expect([stop.status, headingOf(stop)]).toEqual([429, 'No more texts for this sign-in'])
    expect(stop.html).toContain(BACK)
    expect((await arrive(flow, await flow.code(house.lastCode(phone)))).acr).toBe(MFA)
  })

  test('to the primary phone leaves the choice of another, also after looking again', async () => {
    const { username, ids, numbers } = await newcomer(2)
    await atCode(username, tightly())
    const flow = tightly()
    await flow.begin()
    const stop = await flow.password(username)
    expect([stop.status, phonesOn(stop)]).toEqual([429, [ids[1]]])
    expect(stop.html).not.toContain(BACK)
    const sent = codeTexts(house).length
    const page = await flow.page()
    expect([page.status, headingOf(page), phonesOn(page)]).toEqual([200, CHOICE, [ids[1]]])
    expect(codeTexts(house)).toHaveLength(sent)
    expect((await flow.step('phone', { phone: ids[1] ?? '' })).status).toBe(303)
    expect((await arrive(flow, await flow.code(house.lastCode(numbers[1])))).acr).toBe(MFA)
  })

  test('whichever phone it would go to leaves no choice, and no page that looks like one', async () => {
    const address = '198.51.100.1'
    for (const _ of [1, 2, 3]) await atCode((await newcomer()).username, tightly(address))
    const { username } = await newcomer(2)
    const flow = tightly(address)
    await flow.begin()
    const stop = await flow.password(username)
    expect([stop.status, phonesOn(stop)]).toEqual([429, []])
    expect(headingOf(await flow.page())).toBe(SIGN_IN)
  })
})

/** Ten wrong codes of a person's authenticator app, over two sign-ins. */
async function guessApp(username: string, key: string): Promise<void> {
  for (const _ of [1, 2]) {
    const flow = visit()
    await flow.toCode(username)
    // None that the app shows around now is taken by chance.
    const shown = [-30, 0, 30, 60].map((away) => appCode(key, house.now() + away))
    for (let guess = 0, wrong = '000000'; guess < 5; wrong = otherThan(wrong))
      if (!shown.includes(wrong)) {
        await flow.code(wrong)
        guess += 1
      }
  }
}

describe('wrong codes of an authenticator app', () => {
  test('lock the account like all others, for texts too (THR-01, THR-06)', async () => {
    const person = await newcomer(2)
    const key = await addApp(house, person)
    const flow = visit()
    await flow.toCode(person.username)
    await flow.step('phone', { phone: person.ids[0] ?? '' })
    const code = house.lastCode(person.phone)
    await guessApp(person.username, key)

    const sent = codeTexts(house).length
    house.moveClock(121)
    const locked = [403, 'Too many wrong codes']
    const answers = [
      await flow.step('resend'),
      await flow.step('phone', { phone: person.ids[1] ?? '' }),
      await flow.code(code),
    ]
    for (const answer of answers) {
      expect([answer.status, headingOf(answer)]).toEqual(locked)
      expect(answer.html).not.toContain(BACK)
    }
    const next = visit()
    await next.begin()
    expect((await next.password(person.username)).status).toBe(401)
    expect(codeTexts(house)).toHaveLength(sent)
    expect(await isSignedIn(visit({ jar: flow.jar }))).toBe(false)
  })
})

describe('a country that is off the list', () => {
  test('gets no text again, and none by another way (THR-15)', async () => {
    const { id, username, ids } = await newcomer(2)
    const danish = await addPhone(house, id, `+4520${600_000 + people}`)
    const flow = await atCode(username)
    const sent = codeTexts(house).length
    flow.url = narrow.url
    narrow.moveClock(31)
    for (const refused of [
      await flow.step('resend'),
      await flow.step('phone', { phone: ids[1] ?? '' }),
    ])
      expect([refused.status, headingOf(refused)]).toEqual([403, 'We can’t text your number'])
    expect(codeTexts(house)).toHaveLength(sent)
    expect((await flow.step('phone', { phone: danish })).status).toBe(303)
    expect(codeTexts(house).at(-1)?.to).toMatch(/^\+45/)
  })
})

describe('an authenticator app that was added beside a phone', () => {
  test('proves no sensitive change by itself, until its hold-off is over', async () => {
    const { id, username, phone } = await newcomer()
    const me = await signInToAccount(house, username, { phone })
    await me.post('/account/app/add')
    const key = appKeyOn(await me.get('/account/app/prove'))
    await me.post('/account/app/prove', { code: appCode(key, house.now()) })
    expect(await house.rooms.authenticators.describe(id)).toMatchObject({ held: true })

    /** One's own pages in another browser, by the app. */
    async function byApp(): Promise<Flow> {
      const flow = visit()
      const toProvider = await flow.request((await flow.request('/account')).location ?? '')
      await flow.arrive(toProvider.location ?? '')
      await flow.password(username)
      let at = await flow.code(appCode(key, house.now()))
      while (at.location) at = await flow.request(at.location)
      expect(headingOf(at)).toBe('Your account')
      return flow
    }
    house.moveClock(60)
    const held = await byApp()
    expect((await held.request('/account/password')).status).toBe(403)
    expect((await held.request('/account/phones/add')).html).toContain(
      'It can confirm changes from',
    )
    house.moveClock(24 * 3600)
    expect((await (await byApp()).request('/account/password')).status).toBe(200)
  })
})
