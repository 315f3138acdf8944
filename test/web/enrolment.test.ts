import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { PASSWORD_ALONE } from '../../src/oidc/acr.ts'
import { burst, createFlow, type Flow } from '../support/flow.ts'
import { expectNoWayIn, isSignedIn, otherThan } from '../support/guesses.ts'
import { type House, startHouse } from '../support/house.ts'
import { now, settle } from '../support/interactions.ts'
import {
  addPhone,
  alertOf,
  appCode,
  appKeyOn,
  arrive,
  backupCodesOn,
  codeTexts,
  eventsOf,
  headingOf,
  MFA,
  noticesOf,
} from '../support/second-factors.ts'

const ADD_PHONE = 'Add your phone'
const CODE = 'Enter your code'
const KEEP_CODES = 'Keep these backup codes'
const AMR = ['pwd', 'otp', 'sms', 'mfa']

let house: House
let client: { id: string; secret: string }
let people = 0

beforeAll(async () => {
  house = await startHouse({
    env: { DEFAULT_COUNTRY: 'SE', SMS_ALLOWED_COUNTRIES: 'SE,DK,US,GB' },
  })
  client = await house.addClient('app')
  await house.addClient('lax', { secondFactor: 'optional' })
})
afterAll(() => house.stop())
beforeEach(() => house.gateway.reset())

/** Someone with a password and nothing else, and a number that nobody has yet. */
async function newcomer() {
  people += 1
  const username = `person${people}`
  const { id } = await house.addAccount(username, null)
  return { id, username, phone: `+46701${300_000 + people}` }
}

const visit = (more: Parameters<typeof createFlow>[1] = {}) =>
  createFlow(house, { client, ...more })

/** A browser in which someone with only the password done stands before the number page. */
async function atNumber(username: string, flow = visit()): Promise<Flow> {
  await flow.toCode(username)
  return flow
}

/** The same, a step on: a code was sent to the number. */
async function atCode({ username, phone }: { username: string; phone: string }, flow = visit()) {
  await atNumber(username, flow)
  const answer = await flow.step('enrol-phone', { number: phone })
  expect([answer.status, answer.location]).toEqual([303, house.issuer + flow.path])
  return flow
}

/** The same, all the way: the number is proven, and codes are shown. */
async function atBackupCodes(person: { username: string; phone: string }, flow = visit()) {
  await atCode(person, flow)
  const page = await flow.code(house.lastCode(person.phone))
  expect(headingOf(page)).toBe(KEEP_CODES)
  return { flow, codes: backupCodesOn(page) }
}

const numbersOf = async (accountId: string) =>
  (await house.rooms.phones.list(accountId)).map(({ number }) => number)

describe('the first sign-in of someone without a second factor', () => {
  test('leads through number, code and backup codes to a token that tells of both factors (CHL-28, OIDC-15)', async () => {
    const person = await newcomer()
    const flow = await atNumber(person.username)
    const number = await flow.page()
    expect([number.status, headingOf(number)]).toEqual([200, ADD_PHONE])
    expect(house.codeTexts()).toEqual([])
    await flow.step('enrol-phone', { number: person.phone })
    const code = await flow.page()
    expect(headingOf(code)).toBe(CODE)
    expect(code.html).toContain(`••• ••• ${person.phone.slice(-2)}`)
    expect(code.html).not.toContain('name="remember"')
    const kept = await flow.code(house.lastCode(person.phone))
    expect([kept.status, headingOf(kept)]).toEqual([200, KEEP_CODES])
    expect(kept.headers.get('cache-control')).toContain('no-store')
    expect(new Set(backupCodesOn(kept)).size).toBe(10)
    expect(await isSignedIn(visit({ jar: flow.jar }))).toBe(false)

    const claims = await arrive(flow, await flow.step('enrol-finish'))
    expect(claims).toMatchObject({ sub: person.id, acr: MFA, amr: AMR })
    const [phone, ...others] = await house.rooms.phones.list(person.id)
    expect(others).toEqual([])
    expect(phone).toMatchObject({ number: person.phone, verified: true, primary: true })
    // The first of its kind: nothing is held off.
    expect(phone?.heldUntil).toBeNull()
    const told = await eventsOf(house, person.id)
    for (const type of ['phone.proven', 'phone.added', 'backup-codes.issued'])
      expect(told.filter((one) => one === type)).toHaveLength(1)
    expect(await noticesOf(house, person.id)).toEqual(['phone.added'])
    const again = await arrive(flow, await nextSignIn(person.username, person.phone, flow))
    expect(again.amr).toEqual(AMR)
  })

  test('tells when the last factor was checked, not when the person went on (OIDC-18)', async () => {
    const { flow } = await atBackupCodes(await newcomer())
    const { passed_at } = await house.db
      .selectFrom('challenge')
      .select('passed_at')
      .orderBy('passed_at', (order) => order.desc().nullsLast())
      .executeTakeFirstOrThrow()
    const claims = await arrive(flow, await flow.step('enrol-finish'))
    expect(claims.auth_time).toBe(Math.floor((passed_at?.getTime() ?? 0) / 1000))
  })

  test('says what texting is worth, and offers what is better (ADM-16)', async () => {
    const { html } = await (await atNumber((await newcomer()).username)).page()
    expect(html).toContain('NIST calls texting a restricted way to sign in')
    expect(html).toContain('Use an authenticator app')
  })

  async function nextSignIn(username: string, phone: string, flow: Flow) {
    await flow.toCode(username, { prompt: 'login' })
    return flow.code(house.lastCode(phone))
  }
})

describe('a number', () => {
  test.each([
    ['070-130 90 01', '', '+46701309001'],
    ['(0)70 130 9002', 'SE', '+46701309002'],
    ['20 12 34 56', 'DK', '+4520123456'],
    ['+45 20 12 34 57', 'SE', '+4520123457'],
    ['0046 70 130 90 03', '', '+46701309003'],
    ['07400 123456', 'GB', '+447400123456'],
  ])('%s, country “%s”, is %s', async (number, country, whole) => {
    const { username, id } = await newcomer()
    const flow = await atNumber(username)
    expect((await flow.step('enrol-phone', { number, country })).status).toBe(303)
    await flow.step('enrol-finish')
    await flow.code(house.lastCode(whole))
    expect(await numbersOf(id)).toEqual([whole])
  })

  test.each([
    [
      'no number',
      'That is not a phone number.',
      [
        '',
        ' ',
        '+1',
        '+0000000000',
        '112',
        '+4670123\r\nX: y',
        '7'.repeat(40),
        `+46${'7'.repeat(38)}`,
        'seventy',
        '+46 70 ABC DEFG',
        '📱',
        '+46701234567;ext=1',
        '+46701234567 ext. 1',
        '+46701234567x1',
        '+4670',
        "' or 1=1 --",
        '\0',
        '+46\u202e701234567',
        '٠٧٠١٢٣٤٥٦٧',
      ],
    ],
    [
      'a number that gets no texts',
      'That number can’t receive our texts',
      ['+979123456789', '+4681234567', '+46900123456', '0771 234 567'],
    ],
    [
      'of a country that isn’t allowed, or of none, as of a satellite',
      'We don’t send texts to numbers of that country',
      ['+33612345678', '+4915112345678', '+881612345678'],
    ],
  ])('is refused in words when it is %s (input 95)', async (_kind, words, numbers) => {
    const { username, id } = await newcomer()
    const flow = await atNumber(username)
    for (const number of numbers) {
      const page = await flow.step('enrol-phone', { number })
      expect([page.status, headingOf(page)], number).toEqual([400, ADD_PHONE])
      expect(alertOf(page), number).toContain(words)
    }
    expect(house.codeTexts()).toEqual([])
    expect(
      await house.db.selectFrom('phone').select('id').where('account_id', '=', id).execute(),
    ).toEqual([])
  })

  test('that was refused stands in its field, with its country, as text', async () => {
    const flow = await atNumber((await newcomer()).username)
    const { html } = await flow.step('enrol-phone', { number: '"><b>1', country: 'DK' })
    expect(html).toContain('value="&quot;&gt;&lt;b&gt;1"')
    expect(html).toMatch(/<option value="DK" selected>/)
  })

  test('is the same in another spelling: one row, one count (input 96)', async () => {
    const { username, id, phone } = await newcomer()
    const flow = await atNumber(username)
    for (const number of [
      phone,
      `0${phone.slice(3)}`,
      `00${phone.slice(1, 5)} ${phone.slice(5)}`,
    ]) {
      await flow.step('enrol-phone', { number })
      await flow.step('enrol-other')
    }
    expect(new Set(codeTexts(house).map(({ to }) => to))).toEqual(new Set([phone]))
    const rows = await house.db
      .selectFrom('phone')
      .select('id')
      .where('account_id', '=', id)
      .execute()
    expect(rows).toHaveLength(1)
  })

  test('has only countries to choose from that may be texted, and the default one chosen', async () => {
    const { html } = await (await atNumber((await newcomer()).username)).page()
    const options = [...html.matchAll(/<option value="([A-Z]{2})"( selected)?>/g)]
    expect(options.map(([, code]) => code).toSorted()).toEqual(['DK', 'GB', 'SE', 'US'])
    expect(options.filter(([, , selected]) => selected).map(([, code]) => code)).toEqual(['SE'])
  })

  test('with a form that isn’t ours, in shape or origin, is refused', async () => {
    const { phone, username } = await newcomer()
    const flow = await atNumber(username)
    const double = new URLSearchParams([
      ['number', phone],
      ['number', phone],
      ['form_token', flow.formToken],
    ])
    const answers = await Promise.all([
      flow.step('enrol-phone'),
      flow.step('enrol-phone', { number: phone, form_token: 'x' }),
      flow.step('enrol-phone', { number: phone }, { origin: 'https://evil.example' }),
      flow.post(`${flow.path}/enrol-phone`, double),
    ])
    expect(answers.map(({ status }) => status)).toEqual([400, 403, 403, 400])
    expect(house.codeTexts()).toEqual([])
  })
})

describe('the code that proves a number', () => {
  test('may be typed wrong, sent again and typed right', async () => {
    const person = await newcomer()
    const flow = await atCode(person)
    const code = house.lastCode(person.phone)
    const wrong = await flow.code(otherThan(code))
    expect([wrong.status, headingOf(wrong)]).toEqual([400, CODE])
    expect(await numbersOf(person.id)).toEqual([])
    expect((await flow.step('resend')).status).toBe(429)
    house.moveClock(31)
    expect((await flow.step('resend')).status).toBe(303)
    expect(house.lastCode(person.phone)).toBe(code)
    expect(headingOf(await flow.code(code))).toBe(KEEP_CODES)
    expect(await numbersOf(person.id)).toEqual([person.phone])
  })

  test('is of the number it went to: another one takes another code (CHL-13)', async () => {
    const [person, other] = [await newcomer(), await newcomer()]
    const flow = await atCode(person)
    const old = house.lastCode(person.phone)
    expect((await flow.step('enrol-other')).status).toBe(303)
    expect(headingOf(await flow.page())).toBe(ADD_PHONE)
    // Nothing is asked, so nothing is a guess.
    expect((await flow.code(old)).status).toBe(400)
    await flow.step('enrol-phone', { number: other.phone })
    const code = house.lastCode(other.phone)
    if (old !== code) expect(alertOf(await flow.code(old))).toContain('isn’t right')
    expect(headingOf(await flow.code(code))).toBe(KEEP_CODES)
    expect(await numbersOf(person.id)).toEqual([other.phone])
  })

  test('goes to a number typed on the page that the way back shows, and nobody is lost (CHL-14)', async () => {
    const [person, other] = [await newcomer(), await newcomer()]
    const flow = await atCode(person)
    expect((await flow.step('enrol-phone', { number: other.phone })).status).toBe(303)
    expect(headingOf(await flow.page())).toBe(CODE)
    expect(headingOf(await flow.code(house.lastCode(other.phone)))).toBe(KEEP_CODES)
  })

  test('goes out once for a form that comes twice', async () => {
    const { username, phone } = await newcomer()
    const flow = await atNumber(username)
    const answers = await burst(2, () => flow.step('enrol-phone', { number: phone }))
    expect(answers.map(({ status }) => status)).toEqual([303, 303])
    expect(codeTexts(house)).toHaveLength(1)
    expect(headingOf(await flow.code(house.lastCode(phone)))).toBe(KEEP_CODES)
  })

  test('expires, with a way to begin again', async () => {
    const person = await newcomer()
    const flow = await atCode(person)
    const code = house.lastCode(person.phone)
    house.moveClock(301)
    expect(headingOf(await flow.code(code))).toBe('That code has expired')
    expect(await numbersOf(person.id)).toEqual([])
    await flow.step('restart')
    expect(headingOf(await flow.page())).toBe('Sign in')
    await flow.password(person.username)
    await flow.step('enrol-phone', { number: person.phone })
    expect(headingOf(await flow.code(house.lastCode(person.phone)))).toBe(KEEP_CODES)
  })

  test('counts for nothing when the sign-in is begun again (CHL-14)', async () => {
    const person = await newcomer()
    const flow = await atCode(person)
    await flow.step('restart')
    expect(headingOf(await flow.code(house.lastCode(person.phone)))).toBe(
      'This code can’t be used any more',
    )
    expectNoWayIn(await flow.step('enrol-finish'))
    expect(headingOf(await flow.page())).toBe('Sign in')
    expect(await numbersOf(person.id)).toEqual([])
  })

  test.each(['the number', 'the code', 'the backup codes'])(
    'is given up with the sign-in, by cancelling before %s (CHL-26)',
    async (where) => {
      const person = await newcomer()
      const flow = await (where === 'the number' ? atNumber(person.username) : atCode(person))
      if (where === 'the backup codes') await flow.code(house.lastCode(person.phone))
      const query = await flow.resume(await flow.step('cancel'))
      expect([query.get('error'), query.get('state'), query.get('iss')]).toEqual([
        'access_denied',
        'a state',
        house.issuer,
      ])
      expectNoWayIn(await flow.step('enrol-finish'))
    },
  )

  test('is the first proof of a number that an admin typed (ADM-08)', async () => {
    const { id, username, phone } = await newcomer()
    await addPhone(house, id, phone, false)
    const verified = async () => (await house.rooms.phones.list(id)).map((each) => each.verified)
    const flow = visit()
    await flow.toCode(username)
    const code = house.lastCode(phone)
    await flow.code(otherThan(code))
    expect(await verified()).toEqual([false])
    expect(await arrive(flow, await flow.code(code))).toMatchObject({ acr: MFA, amr: AMR })
    expect(await verified()).toEqual([true])
  })
})

describe('backup codes at the end of it', () => {
  test('are shown to one of two that come at once; the other may have new ones, and then the first are dead', async () => {
    const person = await newcomer()
    const flow = await atCode(person)
    const code = house.lastCode(person.phone)
    const both = await burst(2, () => flow.code(code))
    expect(both.map(({ status }) => status).toSorted()).toEqual([200, 303])
    const first = both.flatMap(backupCodesOn)
    const reloaded = await flow.page()
    expect(headingOf(reloaded)).toBe('One more thing')
    expect(backupCodesOn(reloaded)).toEqual([])
    const second = backupCodesOn(await flow.step('enrol-codes'))
    expect(new Set([...first, ...second]).size).toBe(20)
    await arrive(flow, await flow.step('enrol-finish'))

    await flow.toCode(person.username, { prompt: 'login' })
    expect((await flow.step('backup-code', { code: first[0] ?? '' })).status).toBe(400)
    const claims = await arrive(flow, await flow.step('backup-code', { code: second[0] ?? '' }))
    expect(claims.amr).toEqual(['pwd', 'otp', 'mfa'])
  })

  test('can be done without', async () => {
    const person = await newcomer()
    const flow = await atCode(person)
    await flow.code(house.lastCode(person.phone))
    expect((await flow.page()).html).toContain('Go on without them')
    expect((await arrive(flow, await flow.step('enrol-finish'))).acr).toBe(MFA)
  })

  test('are gone with the sign-in: finishing twice ends once, and going back shows nothing (BKP-05)', async () => {
    const { flow } = await atBackupCodes(await newcomer())
    const [one, other] = await burst(2, () => flow.step('enrol-finish'))
    if (!one || !other) throw new Error('no answers')
    expect([one.status, other.status]).toEqual([303, 303])
    await arrive(flow, one)
    for (const late of [
      await flow.page(),
      await flow.step('enrol-codes'),
      await flow.step('enrol-finish'),
    ]) {
      expectNoWayIn(late)
      expect(backupCodesOn(late)).toEqual([])
      expect(late.status).toBe(400)
    }
  })
})

describe('an authenticator app instead', () => {
  test('is proven by its code, and told of as what it is', async () => {
    const person = await newcomer()
    const flow = await atNumber(person.username)
    expect((await flow.step('enrol-app')).status).toBe(303)
    const page = await flow.page()
    expect(headingOf(page)).toBe('Add an authenticator app')
    expect(page.html).toContain('<svg')
    const key = appKeyOn(page)
    const code = appCode(key, house.now())
    const wrong = await flow.code(otherThan(code))
    expect([wrong.status, appKeyOn(wrong)]).toEqual([400, key])
    expect(wrong.html).toContain('4 tries')
    expect(await house.rooms.authenticators.describe(person.id)).toBeUndefined()
    const kept = await flow.code(code)
    expect(backupCodesOn(kept)).toHaveLength(10)
    const claims = await arrive(flow, await flow.step('enrol-finish'))
    expect(claims).toMatchObject({ acr: MFA, amr: ['pwd', 'otp', 'mfa'] })
    expect(codeTexts(house)).toEqual([])
    // It was used: the same code won't do again.
    await flow.toCode(person.username, { prompt: 'login' })
    expect((await flow.code(code)).status).toBe(400)
  })

  test('can be begun twice, given up for a phone and taken up again; only the newest key counts', async () => {
    const person = await newcomer()
    const flow = await atNumber(person.username)
    await burst(2, () => flow.step('enrol-app'))
    const first = appKeyOn(await flow.page())
    await flow.step('enrol-app')
    const second = appKeyOn(await flow.page())
    expect(second).not.toBe(first)
    await flow.step('enrol-other')
    expect(headingOf(await flow.page())).toBe(ADD_PHONE)
    await flow.step('enrol-phone', { number: person.phone })
    const code = appCode(second, house.now())
    if (code !== house.lastCode(person.phone)) expect((await flow.code(code)).status).toBe(400)
    await flow.step('enrol-app')
    const third = appKeyOn(await flow.page())
    expect([first, second]).not.toContain(third)
    expect(headingOf(await flow.code(appCode(third, house.now())))).toBe(KEEP_CODES)
    expect(await numbersOf(person.id)).toEqual([])
  })

  test('shows its key to the browser that began it and to no other', async () => {
    const { username } = await newcomer()
    const [owner, other] = [await atNumber(username), await atNumber(username)]
    await other.step('enrol-app')
    const stale = appKeyOn(await other.page())
    await owner.step('enrol-app')
    const key = appKeyOn(await owner.page())
    await other.step('app')
    await other.step('code', { code: appCode(stale, house.now()) })
    const seen = await other.page()
    expect(headingOf(seen)).toBe(ADD_PHONE)
    expect(appKeyOn(seen)).toBe('')
    expect(headingOf(await owner.code(appCode(key, house.now())))).toBe(KEEP_CODES)
  })
})

describe('what was typed and never proven', () => {
  test('counts for nothing, and is swept', async () => {
    const person = await newcomer()
    await atCode(person)
    expect(await numbersOf(person.id)).toEqual([])
    const later = await atNumber(person.username)
    expect(headingOf(await later.page())).toBe(ADD_PHONE)
    house.moveClock(3601)
    await house.rooms.phones.sweep(1000)
    const left = await house.db
      .selectFrom('phone')
      .select('id')
      .where('pending', '=', true)
      .execute()
    expect(left).toEqual([])
  })

  test('is shared with nobody: its account’s other browsers go on with theirs', async () => {
    const [person, other] = [await newcomer(), await newcomer()]
    const here = await atCode(person)
    const there = await atNumber(person.username)
    await there.step('enrol-phone', { number: other.phone })
    // The account's one unproven number is the newer one now; the older code is worth nothing, and nobody is lost.
    expect(headingOf(await here.page())).toBe(ADD_PHONE)
    await here.step('enrol-phone', { number: person.phone })
    expect(headingOf(await here.code(house.lastCode(person.phone)))).toBe(KEEP_CODES)
    expect(await numbersOf(person.id)).toEqual([person.phone])
  })
})

describe('a first factor is added once', () => {
  test('by two browsers at once: one is in, the other is told and is asked for it next', async () => {
    const person = await newcomer()
    const both = [await atCode(person), await atCode(person)]
    const codes = codeTexts(house).map(({ code }) => code)
    const answers = await burst(
      2,
      (index) => both[index]?.code(codes[index] ?? '') ?? Promise.reject(),
    )
    expect(answers.map(headingOf).toSorted()).toEqual([
      KEEP_CODES,
      'This code can’t be used any more',
    ])
    const behind = both[answers.findIndex((answer) => headingOf(answer) !== KEEP_CODES)]
    if (!behind) throw new Error('nobody was behind')
    expectNoWayIn(await behind.step('enrol-finish'))
    await behind.step('restart')
    await behind.password(person.username)
    expect(headingOf(await behind.page())).toBe(CODE)
    expect(await numbersOf(person.id)).toEqual([person.phone])
  })

  test('by two browsers, a number and an app, at once: never both', async () => {
    const person = await newcomer()
    const [texted, app] = [await atCode(person), await atNumber(person.username)]
    await app.step('enrol-app')
    const key = appKeyOn(await app.page())
    const answers = await Promise.all([
      texted.code(house.lastCode(person.phone)),
      app.code(appCode(key, house.now())),
    ])
    expect(answers.map(headingOf).filter((heading) => heading === KEEP_CODES)).toHaveLength(1)
    const confirmed = await house.rooms.authenticators.describe(person.id)
    expect((await numbersOf(person.id)).length + (confirmed ? 1 : 0)).toBe(1)
  })

  test('not beside one that an admin has given meanwhile', async () => {
    const [person, given] = [await newcomer(), await newcomer()]
    const flow = await atCode(person)
    await addPhone(house, person.id, given.phone)
    const answer = await flow.code(house.lastCode(person.phone))
    expect(headingOf(answer)).toBe('This code can’t be used any more')
    expect(await numbersOf(person.id)).toEqual([given.phone])
    expectNoWayIn(await flow.step('enrol-finish'))
    const app = await atNumber((await newcomer()).username)
    expect(headingOf(await app.page())).toBe(ADD_PHONE)
  })

  test('nor by backup codes that an admin gives meanwhile: they prove no number', async () => {
    const person = await newcomer()
    const flow = await atCode(person)
    const [code = ''] = await house.rooms.backupCodes.issue(person.id)
    // New codes end what was open; even what is begun after them is a sign-in with one, and no enrolment.
    for (const each of [flow, await atNumber(person.username)]) {
      expectNoWayIn(await each.step('enrol-finish'))
      expect(backupCodesOn(await each.step('enrol-codes'))).toEqual([])
    }
    expect(headingOf(await flow.step('backup-code', { code }))).not.toBe(KEEP_CODES)
    expect(await numbersOf(person.id)).toEqual([])
  })

  test('and not by an app either', async () => {
    const [person, given] = [await newcomer(), await newcomer()]
    const flow = await atNumber(person.username)
    await flow.step('enrol-app')
    const key = appKeyOn(await flow.page())
    await addPhone(house, person.id, given.phone)
    const answer = await flow.code(appCode(key, house.now()))
    expect(headingOf(answer)).toBe('This code can’t be used any more')
    expect(await house.rooms.authenticators.describe(person.id)).toBeUndefined()
  })
})

describe('limits hold while enrolling', () => {
  test('guesses: five a challenge, ten in a row an account', async () => {
    const person = await newcomer()
    const flow = await atCode(person)
    for (const round of [1, 2]) {
      const code = house.lastCode(person.phone)
      for (let guess = 0; guess < 5; guess++) await flow.code(otherThan(code))
      const dead = await flow.code(code)
      expect([dead.status, headingOf(dead)]).toEqual([403, 'Too many wrong codes'])
      await flow.step('restart')
      const again = await flow.password(person.username)
      expect(again.status).toBe(round === 1 ? 303 : 401)
      if (round === 1) await flow.step('enrol-phone', { number: person.phone })
    }
    expect(await numbersOf(person.id)).toEqual([])
  })

  test('sends: four a challenge, to however many numbers', async () => {
    const { username, phone } = await newcomer()
    const flow = await atNumber(username)
    for (let send = 0; send < 4; send++) {
      // The first number may have had a slip of the finger; the next ones wait like any other text.
      if (send > 1) house.moveClock(30 * 2 ** (send - 1))
      expect(
        (await flow.step('enrol-phone', { number: `${phone.slice(0, -2)}${send}0` })).status,
      ).toBe(303)
      await flow.step('enrol-other')
    }
    const refused = await flow.step('enrol-phone', { number: phone })
    expect([refused.status, headingOf(refused)]).toEqual([429, 'No more texts for this sign-in'])
    expect(codeTexts(house)).toHaveLength(4)
  })

  test('backup codes are nobody’s way round it', async () => {
    const person = await newcomer()
    const flow = await atCode(person)
    const code = 'BCDF-GHJK-LMNP-QRST'
    for (let guess = 0; guess < 5; guess++) expectNoWayIn(await flow.step('backup-code', { code }))
    expect(headingOf(await flow.page())).toBe('Too many wrong codes')
  })
})

describe('with only the password done (CHL-01, ADM-04, input 94)', () => {
  test('no other step of an enrolment opens anything', async () => {
    const { username, id } = await newcomer()
    const flow = await atNumber(username)
    const challenged = [
      'enrol-finish',
      'enrol-codes',
      'code',
      'backup-code',
      'resend',
      'phone',
      'app',
      'step-up',
      'consent',
      'enrol-other',
    ]
    for (const step of challenged)
      expectNoWayIn(await flow.step(step, { code: '123456', phone: 'x' }))
    expect(headingOf(await flow.page())).toBe(ADD_PHONE)
    expect(await isSignedIn(visit({ jar: flow.jar }))).toBe(false)
    expect((await house.rooms.backupCodes.count(id)).total).toBe(0)
  })

  test('someone who has a factor gets no other, and their codes stay', async () => {
    const { username, id, phone } = await newcomer()
    await addPhone(house, id, phone)
    await house.rooms.backupCodes.issue(id)
    const before = await house.rooms.backupCodes.count(id)
    const flow = visit()
    await flow.toCode(username)
    for (const step of ['enrol-phone', 'enrol-app', 'enrol-other', 'enrol-codes', 'enrol-finish'])
      expectNoWayIn(await flow.step(step, { number: '+46701399999' }))
    expect(headingOf(await flow.page())).toBe(CODE)
    expect(await house.rooms.backupCodes.count(id)).toEqual(before)
    const phones = house.db.selectFrom('phone').select('number').where('account_id', '=', id)
    expect(await phones.execute()).toHaveLength(1)
    expect(
      await house.db
        .selectFrom('authenticator')
        .select('id')
        .where('account_id', '=', id)
        .execute(),
    ).toEqual([])
    expect((await arrive(flow, await flow.code(house.lastCode(phone)))).acr).toBe(MFA)
  })

  test('who changes the password meanwhile, or is disabled, ends it, the last page included (CHL-19)', async () => {
    for (const change of [
      (id: string) => house.rooms.accounts.setPassword(id, 'quite another horse', { how: 'reset' }),
      (id: string) => house.rooms.phoneChanges.reset(id),
    ]) {
      const [early, late] = [await newcomer(), await newcomer()]
      const [open, { flow: passed }] = [await atCode(early), await atBackupCodes(late)]
      await change(early.id)
      await change(late.id)
      expectNoWayIn(await open.code(house.lastCode(early.phone)))
      for (const step of ['enrol-codes', 'enrol-finish']) {
        const answer = await passed.step(step)
        expectNoWayIn(answer)
        expect(backupCodesOn(answer)).toEqual([])
      }
      expect(await isSignedIn(visit({ jar: passed.jar }))).toBe(false)
    }
  })
})

describe('someone signed in with a password alone', () => {
  const lax = { id: 'lax', secret: '' }

  test('adds a factor when one is asked for, and keeps the session', async () => {
    const person = await newcomer()
    const first = createFlow(house, { client: lax })
    await first.begin()
    await first.resume(await first.password(person.username))
    const before = await house.rooms.sessions.list(person.id)

    const flow = createFlow(house, { client: lax, jar: first.jar })
    expect(headingOf(await flow.begin({ acr_values: MFA }))).toBe('Confirm that it’s you')
    expect((await flow.step('step-up')).status).toBe(303)
    expect(headingOf(await flow.page())).toBe(ADD_PHONE)
    await flow.step('enrol-phone', { number: person.phone })
    expect(headingOf(await flow.code(house.lastCode(person.phone)))).toBe(KEEP_CODES)
    const query = await flow.resume(await flow.step('enrol-finish'))
    expect(query.get('code')).toBeTruthy()
    const [session, ...others] = await house.rooms.sessions.list(person.id)
    expect(others).toEqual([])
    expect(session).toMatchObject({ uid: before[0]?.uid, acr: MFA, amr: AMR })
  })

  test('shows the password first when that was long ago', async () => {
    const person = await newcomer()
    const first = createFlow(house, { client: lax })
    await first.begin()
    await settle(house, first, { accountId: person.id, ts: now() - 1300, ...PASSWORD_ALONE })
    const flow = createFlow(house, { client: lax, jar: first.jar })
    await flow.begin({ acr_values: MFA })
    const answer = await flow.step('step-up')
    expect(answer.location).toContain('use=password')
    expect(headingOf(await flow.request(answer.location ?? ''))).toBe('Sign in')
    await flow.password(person.username)
    expect(headingOf(await flow.page())).toBe(ADD_PHONE)
  })
})

describe('another account’s number (ENU-10)', () => {
  test.each(['allow', 'warn', 'refuse'])('PHONE_SHARING=%s', async (sharing) => {
    const owner = await newcomer()
    await addPhone(house, owner.id, owner.phone)
    const person = await newcomer()
    const second = await startHouse({ beside: house, env: { PHONE_SHARING: sharing } })
    try {
      const free = await newcomer()
      const before = await seenUntilRight(visit({ url: second.url }), free, free.phone)
      const flow = visit({ url: second.url })
      // Until the code is right, nothing tells that the number is anybody's.
      expect(await seenUntilRight(flow, person, owner.phone)).toEqual(before)

      const answer = await flow.code(house.lastCode(owner.phone))
      const events = await house.db
        .selectFrom('audit_event')
        .select('detail')
        .where('account_id', '=', person.id)
        .where('type', '=', 'phone.proven')
        .execute()
      if (sharing === 'refuse') {
        expect([answer.status, headingOf(answer)]).toEqual([400, ADD_PHONE])
        expect(alertOf(answer)).toContain('belongs to another account')
        expect(await numbersOf(person.id)).toEqual([])
        expect(events).toEqual([])
        await flow.step('enrol-phone', { number: person.phone })
        expect(headingOf(await flow.code(house.lastCode(person.phone)))).toBe(KEEP_CODES)
        return
      }
      expect(headingOf(answer)).toBe(KEEP_CODES)
      expect(await numbersOf(person.id)).toEqual([owner.phone])
      expect(events.map(({ detail }) => Object.hasOwn(Object(detail), 'shared'))).toEqual([
        sharing === 'warn',
      ])
    } finally {
      await second.stop()
    }
  })

  test('PHONE_SHARING=refuse holds for two who prove one number at the same moment', async () => {
    const second = await startHouse({ beside: house, env: { PHONE_SHARING: 'refuse' } })
    try {
      const shared = `+46701${390_000 + people}`
      const [one, other] = [await newcomer(), await newcomer()]
      const flows = [visit({ url: second.url }), visit({ url: second.url })]
      const codes: string[] = []
      for (const [index, person] of [one, other].entries()) {
        const flow = await atNumber(person.username, flows[index])
        await flow.step('enrol-phone', { number: shared })
        codes.push(house.lastCode(shared))
      }
      await Promise.all(flows.map((flow, index) => flow.code(codes[index] ?? '')))
      const held = [...(await numbersOf(one.id)), ...(await numbersOf(other.id))]
      expect(held).toEqual([shared])
    } finally {
      await second.stop()
    }
  })

  /** All that answers say on the way, but for what is each sign-in's and each number's own. */
  async function seenUntilRight(flow: Flow, { username }: { username: string }, phone: string) {
    await atNumber(username, flow)
    const answers = [
      await flow.step('enrol-phone', { number: phone }),
      await flow.page(),
      await flow.code(otherThan(house.lastCode(phone))),
    ]
    return answers.map(({ status, html }) => [
      status,
      html
        .replaceAll(flow.path, '/…')
        .replaceAll(flow.formToken, '…')
        .replaceAll(`••• ••• ${phone.slice(-2)}`, '…')
        .replaceAll(`ending in ${phone.slice(-2)}`, '…')
        .replace(/\b(29|30)\b/g, '…'),
    ])
  }
})

test('a first factor that follows one its owner removed is held off as if it stood beside it', async () => {
  const person = await newcomer()
  const old = `+46701${395_000 + people}`
  const phoneId = await addPhone(house, person.id, old)
  await visit().complete(person.username, old)
  const { phoneChanges, sessions } = house.rooms
  const [session] = await sessions.list(person.id)
  await phoneChanges.remove(person.id, phoneId, { keepLast: false, sessionUid: session?.uid })
  const flow = await atNumber(person.username)
  await flow.step('enrol-phone', { number: person.phone })
  // No backup codes either: those are never held off.
  const claims = await arrive(flow, await flow.code(house.lastCode(person.phone)))
  expect(claims.acr).toBe(MFA)
  expect((await house.rooms.backupCodes.count(person.id)).total).toBe(0)
  const [added] = await house.rooms.phones.list(person.id)
  expect(added?.heldUntil).toBeInstanceOf(Date)
  // An admin who takes a phone away knows whom they do it for.
  const helped = await newcomer()
  const lost = await addPhone(house, helped.id, `+46701${396_000 + people}`)
  await phoneChanges.remove(helped.id, lost, { keepLast: false })
  const again = await atNumber(helped.username)
  await again.step('enrol-phone', { number: helped.phone })
  await again.code(house.lastCode(helped.phone))
  expect((await house.rooms.phones.list(helped.id))[0]?.heldUntil).toBeNull()
})

describe('SELF_ENROLMENT=off', () => {
  test('tells whom to ask, and the app gets an OAuth error', async () => {
    const { username, phone } = await newcomer()
    const second = await startHouse({ beside: house, env: { SELF_ENROLMENT: 'off' } })
    try {
      const flow = visit({ url: second.url })
      await flow.begin()
      const page = await flow.password(username)
      expect([page.status, headingOf(page)]).toEqual([403, 'Your account has no phone yet'])
      expect(page.html).toContain('Ask the people who run this service')
      for (const step of ['enrol-phone', 'enrol-app', 'enrol-codes', 'enrol-finish'])
        expectNoWayIn(await flow.step(step, { number: phone }))
      expect(house.codeTexts()).toEqual([])
      const query = await flow.resume(await flow.step('cancel'))
      expect(query.get('error')).toBe('access_denied')
    } finally {
      await second.stop()
    }
  })
})
