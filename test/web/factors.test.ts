import { sql } from 'kysely'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { parsePhoneNumber } from '../../src/phone-number.ts'
import { createGuessStatements } from '../../src/second-factor/guess-statements.ts'
import { createSendGrants } from '../../src/second-factor/send-grants.ts'
import { burst, createFlow, type Flow } from '../support/flow.ts'
import { expectNoWayIn, guessesCounted, isSignedIn, otherThan } from '../support/guesses.ts'
import { type House, startHouse } from '../support/house.ts'
import {
  addApp,
  addPhone,
  alertOf,
  appCode,
  arrive,
  codeTexts,
  eventsOf,
  headingOf,
  MFA,
  noticesOf,
  phonesOn,
} from '../support/second-factors.ts'

const CODE = 'Enter your code'
const APP = 'Enter the code of your app'
const BACKUP = 'Use a backup code'
const UNUSED = 'BCDF-GHJK-LMNP-QRST'

let house: House
let client: { id: string; secret: string }
let people = 0

beforeAll(async () => {
  house = await startHouse()
  client = await house.addClient('app')
})
afterAll(() => house.stop())
beforeEach(() => house.gateway.reset())

const visit = (more: Parameters<typeof createFlow>[1] = {}) =>
  createFlow(house, { client, ...more })

/** Someone with a phone, and as many more as are asked for. */
async function newcomer(more = 0) {
  people += 1
  const username = `person${people}`
  const numbers = Array.from({ length: more + 1 }, (_, i) => `+46701${400_000 + people * 10 + i}`)
  const { id } = await house.addAccount(username, numbers[0] ?? '')
  for (const number of numbers.slice(1)) await addPhone(house, id, number)
  const [phone = '', second = ''] = numbers
  const ids = (await house.rooms.phones.list(id)).map((each) => each.id)
  return { id, username, phone, second, ids }
}

async function atCode(username: string, flow = visit()): Promise<Flow> {
  await flow.toCode(username)
  return flow
}

const lastTo = () => codeTexts(house).at(-1)?.to

/** Moves the clock to a few seconds into a step of the app, so that the step stays the same for the while of a test. */
function alignClock(): void {
  house.moveClock((35 - (house.now() % 30)) % 30)
}

describe('someone with several phones', () => {
  test('chooses another one on the code page, which shows no more than two digits of any (ENU-04)', async () => {
    const person = await newcomer(2)
    const flow = await atCode(person.username)
    expect(lastTo()).toBe(person.phone)
    const page = await flow.page()
    expect(phonesOn(page)).toEqual(person.ids.slice(1))
    for (const { number } of await house.rooms.phones.list(person.id))
      expect(page.html).not.toContain(number.slice(-6))
    const old = house.lastCode(person.phone)
    expect((await flow.step('phone', { phone: person.ids[1] ?? '' })).status).toBe(303)
    expect(lastTo()).toBe(person.second)
    const after = await flow.page()
    expect(after.html).toContain(`••• ••• ${person.second.slice(-2)}`)
    expect(phonesOn(after)).toEqual([person.ids[0], person.ids[2]])
    const code = house.lastCode(person.second)
    if (code !== old) expect((await flow.code(old)).status).toBe(400)
    expect((await arrive(flow, await flow.code(code))).amr).toEqual(['pwd', 'otp', 'sms', 'mfa'])
  })

  test('is asked for the primary one by default, and for labels sees their own words', async () => {
    const person = await newcomer(1)
    await house.rooms.phoneChanges.label(person.id, person.ids[0] ?? '', 'Työ <b>& koti')
    await house.rooms.phoneChanges.makePrimary(person.id, person.ids[1] ?? '', undefined)
    const flow = await atCode(person.username)
    expect(lastTo()).toBe(person.second)
    expect((await flow.page()).html).toContain('Työ &lt;b&gt;&amp; koti')
  })

  test('can’t choose somebody else’s, one that isn’t proven, or none', async () => {
    const [person, other] = [await newcomer(1), await newcomer()]
    const flow = await atCode(person.username)
    const offered = await pendingPhone(person.id)
    for (const phone of [other.ids[0] ?? '', offered, 'x', 'x'.repeat(5000)]) {
      const { status, location } = await flow.step('phone', { phone })
      expect([status, location], phone).toEqual([303, house.issuer + flow.path])
    }
    for (const phone of [other.phone, "' or true--", '', '\0', '\ud800'])
      expect((await flow.step('phone', { phone })).status, phone).toBe(400)
    expect((await flow.step('phone')).status).toBe(400)
    expect(codeTexts(house)).toHaveLength(1)
    expect((await arrive(flow, await flow.code(house.lastCode(person.phone)))).acr).toBe(MFA)
  })

  test('names no number by it: one in the form is nothing (CHL-13)', async () => {
    const person = await newcomer(1)
    const flow = await atCode(person.username)
    const [, id = ''] = person.ids
    await flow.step('phone', { phone: id, number: '+46701499999', to: '+46701499999' })
    expect(lastTo()).toBe(person.second)
  })

  test('a code passes for the phone it was judged for, whatever is chosen meanwhile', async () => {
    const person = await newcomer(1)
    const flow = await atCode(person.username)
    const seat = await house.db
      .selectFrom('challenge')
      .select(['interaction', 'browser'])
      .where('account_id', '=', person.id)
      .executeTakeFirstOrThrow()
    const { otp, sms } = house.config
    const { allowedCountries } = sms
    const rules = { ...otp, allowedCountries, holdOffSeconds: 0, sharing: 'allow' } as const
    const { countPass } = createSendGrants(house.clock, sms.limits)
    const statements = createGuessStatements(house.clock, rules, countPass)
    const { rows } = await statements.guess(house.db, seat)
    expect((await flow.step('phone', { phone: person.ids[1] ?? '' })).status).toBe(303)
    const [guess] = rows
    if (!guess) throw new Error('nothing was guessed at')
    const passed = await statements
      .pass(guess, { factor: 'sms', statement: sql`select` })
      .execute(house.db)
    expect(passed.rows).toEqual([])
    expect((await arrive(flow, await flow.code(house.lastCode(person.second)))).acr).toBe(MFA)
  })

  test('has one budget of sends for all of them', async () => {
    const person = await newcomer(1)
    const flow = await atCode(person.username)
    expect((await flow.step('phone', { phone: person.ids[1] ?? '' })).status).toBe(303)
    // Going to and fro is no way to have texts sent without a wait (THR-11).
    expect((await flow.step('phone', { phone: person.ids[0] ?? '' })).status).toBe(429)
    for (const [wait, phone] of [
      [60, person.ids[0]],
      [120, person.ids[1]],
    ] as const) {
      house.moveClock(wait)
      expect((await flow.step('phone', { phone: phone ?? '' })).status).toBe(303)
    }
    expect(phonesOn(await flow.page())).toEqual([])
    const refused = await flow.step('phone', { phone: person.ids[0] ?? '' })
    expect([refused.status, headingOf(refused)]).toEqual([429, 'No more texts for this sign-in'])
    expect(codeTexts(house)).toHaveLength(4)
    expect((await arrive(flow, await flow.code(house.lastCode(person.second)))).acr).toBe(MFA)
  })

  test('has one budget of guesses for all of them', async () => {
    const person = await newcomer(1)
    const flow = await atCode(person.username)
    for (let guess = 0; guess < 3; guess++) await flow.code(otherThan(house.lastCode(person.phone)))
    await flow.step('phone', { phone: person.ids[1] ?? '' })
    const code = house.lastCode(person.second)
    expect((await flow.code(otherThan(code))).html).toContain('1 try')
    await flow.code(otherThan(code))
    expect(headingOf(await flow.code(code))).toBe('Too many wrong codes')
  })

  test('waits longer before each text to the same one', async () => {
    const person = await newcomer()
    const flow = await atCode(person.username)
    for (const wait of [30, 60]) {
      house.moveClock(wait - 5)
      const early = await flow.step('resend')
      expect([early.status, headingOf(early)]).toEqual([429, CODE])
      expect(Number(early.headers.get('retry-after'))).toBeLessThanOrEqual(5)
      house.moveClock(5)
      expect((await flow.step('resend')).status).toBe(303)
    }
  })

  test('of one that was removed meanwhile, no code is good (CHL-18)', async () => {
    const person = await newcomer(1)
    const flow = await atCode(person.username)
    const remove = { keepLast: true }
    await house.rooms.phoneChanges.remove(person.id, person.ids[0] ?? '', remove)
    expectNoWayIn(await flow.code(house.lastCode(person.phone)))
    expect(
      (await flow.step('phone', { phone: person.ids[1] ?? '' })).status,
    ).toBeGreaterThanOrEqual(400)
  })

  async function pendingPhone(accountId: string): Promise<string> {
    const parsed = parsePhoneNumber('+46701499998', '*')
    if ('fault' in parsed) throw new Error(parsed.fault)
    return house.rooms.phones.offer(accountId, parsed)
  }
})

describe('an authenticator app', () => {
  beforeEach(alignClock)

  test('is asked before any phone, and told of as what it is (OIDC-15)', async () => {
    const person = await newcomer()
    const key = await addApp(house, person)
    const flow = await atCode(person.username)
    const page = await flow.page()
    expect(headingOf(page)).toBe(APP)
    expect(page.html).not.toContain('data-otp')
    expect(house.gateway.requests).toEqual([])
    const claims = await arrive(flow, await flow.code(appCode(key, house.now())))
    expect(claims).toMatchObject({ acr: MFA, amr: ['pwd', 'otp', 'mfa'] })
  })

  test.each([
    [-60, false],
    [-30, true],
    [30, true],
    [60, false],
  ])('may be %d seconds off: %s', async (seconds, right) => {
    const person = await newcomer()
    const key = await addApp(house, person)
    const flow = await atCode(person.username)
    const answer = await flow.code(appCode(key, house.now() + seconds))
    expect(answer.status).toBe(right ? 303 : 400)
  })

  test('shows codes that work once, also in another browser, and none older than the last one used', async () => {
    const person = await newcomer()
    const key = await addApp(house, person)
    const [one, two] = [await atCode(person.username), await atCode(person.username)]
    const code = appCode(key, house.now())
    await arrive(one, await one.code(code))
    for (const late of [code, appCode(key, house.now() - 30)]) {
      const answer = await two.code(late)
      expect([answer.status, headingOf(answer)]).toEqual([400, APP])
    }
    expect((await arrive(two, await two.code(appCode(key, house.now() + 30)))).acr).toBe(MFA)
  })

  test('lets one of several in that come with one code at once', async () => {
    const person = await newcomer()
    const key = await addApp(house, person)
    const flows = await burst(4, () => atCode(person.username))
    const code = appCode(key, house.now())
    const answers = await burst(8, (index) => flows[index % 4]?.code(code) ?? Promise.reject())
    const inside = await Promise.all(flows.map((flow) => isSignedInAfter(flow)))
    expect(inside.filter(Boolean)).toHaveLength(1)
    expect(answers.every(({ status }) => status < 500)).toBe(true)
  })

  test('and a phone can stand in for each other in one sign-in, back and forth', async () => {
    const person = await newcomer()
    const key = await addApp(house, person)
    const flow = await atCode(person.username)
    expect(phonesOn(await flow.page())).toEqual(person.ids)
    await flow.step('phone', { phone: person.ids[0] ?? '' })
    const texted = house.lastCode(person.phone)
    const page = await flow.page()
    expect(headingOf(page)).toBe(CODE)
    expect(page.html).toContain('Use your authenticator app')
    expect((await flow.code(appCode(key, house.now()))).status).toBe(400)
    expect((await flow.step('app')).status).toBe(303)
    expect(headingOf(await flow.page())).toBe(APP)
    // Nothing is texted now, so nothing can be sent again, and what was texted isn't asked for.
    expect((await flow.step('resend')).location).toBe(house.issuer + flow.path)
    if (texted !== appCode(key, house.now())) expect((await flow.code(texted)).status).toBe(400)
    expect((await flow.page()).html).toContain('3 tries')
    const claims = await arrive(flow, await flow.code(appCode(key, house.now())))
    expect(claims.amr).toEqual(['pwd', 'otp', 'mfa'])
  })

  test('that somebody hasn’t got can’t be asked for', async () => {
    const person = await newcomer()
    const flow = await atCode(person.username)
    await house.rooms.authenticators.begin(person)
    expect((await flow.page()).html).not.toContain('Use your authenticator app')
    await flow.step('app')
    expect(headingOf(await flow.page())).toBe(CODE)
    expect((await arrive(flow, await flow.code(house.lastCode(person.phone)))).acr).toBe(MFA)
  })

  test('is told by its own length where texts have another', async () => {
    const long = await startHouse({ beside: house, env: { OTP_LENGTH: '8' } })
    try {
      const person = await newcomer()
      const key = await addApp(house, person)
      const flow = await atCode(person.username, visit({ url: long.url }))
      expect((await flow.page()).html).toContain('6-digit code')
      expect(alertOf(await flow.code('12'))).toContain('6 digits')
      const code = appCode(key, long.now())
      expect(alertOf(await flow.code(otherThan(code)))).toContain('Type the one your app shows now')
      expect((await arrive(flow, await flow.code(code))).acr).toBe(MFA)
    } finally {
      await long.stop()
    }
  })
})

describe('a backup code', () => {
  /** Someone with backup codes, in a browser before the code page. */
  async function withCodes(flow = visit()) {
    const person = await newcomer()
    const codes = await house.rooms.backupCodes.issue(person.id)
    await atCode(person.username, flow)
    return { ...person, codes, flow, use: (code = '') => flow.step('backup-code', { code }) }
  }

  test('lets in without the phone, and says so (BKP-10, OIDC-15)', async () => {
    const { id, codes, flow, use } = await withCodes()
    expect((await flow.page()).html).toContain(BACKUP)
    const page = await flow.request(`${flow.path}?use=backup-code`)
    expect([headingOf(page), page.html.includes('of them left')]).toEqual([BACKUP, false])
    expect(headingOf(await flow.request(flow.path))).toBe(CODE)
    const claims = await arrive(flow, await use(codes[3]))
    expect(claims).toMatchObject({ sub: id, acr: MFA, amr: ['pwd', 'otp', 'mfa'] })
    expect((await house.rooms.backupCodes.count(id)).left).toBe(9)
    expect(await noticesOf(house, id)).toContain('backup-code.used')
    expect((await eventsOf(house, id)).filter((type) => type === 'backup-code.used')).toHaveLength(
      1,
    )
  })

  test.each([
    ['in small letters', (code: string) => code.toLowerCase()],
    ['without dashes', (code: string) => code.replaceAll('-', '')],
    ['with spaces', (code: string) => ` ${code.replaceAll('-', '  ')} `],
    ['with long dashes', (code: string) => code.replaceAll('-', '–')],
  ])('may be typed %s (BKP-09)', async (_how, typed) => {
    const { codes, use } = await withCodes()
    expect((await use(typed(codes[0] ?? ''))).status).toBe(303)
  })

  test.each([
    'ВCDF-GHJK-LMNP-QRST',
    'ＢCDF-GHJK-LMNP-QRST',
    'BCDF-GHJK-LMNP-QRS',
    'BCDF-GHJK-LMNP-QRSTT',
    'BCDF-GHJK-LMNP-QRSA',
    'B'.repeat(10_000),
    '%',
    '',
  ])('of another shape is none, and costs no try: %s', async (code) => {
    const { use, flow } = await withCodes()
    const page = await use(code)
    expect([page.status, headingOf(page)]).toEqual([400, BACKUP])
    expect(alertOf(page)).toContain('16 letters')
    expect(await guessesCounted(house)).toBe(0)
    expect(headingOf(await flow.page())).toBe(CODE)
  })

  test('is used once (input 76, BKP-03)', async () => {
    const { username, codes, flow, use } = await withCodes()
    await arrive(flow, await use(codes[0]))
    const again = await atCode(username)
    const page = await again.step('backup-code', { code: codes[0] ?? '' })
    expect([page.status, headingOf(page)]).toEqual([400, BACKUP])
    expect(alertOf(page)).toContain('That backup code was used before')
    expectNoWayIn(page)
  })

  test('that comes twenty times at once, from several browsers, is one sign-in (input 77, BKP-03)', async () => {
    const { id, username, codes, flow } = await withCodes()
    const flows = [flow, ...(await burst(4, () => atCode(username)))]
    const code = codes[0] ?? ''
    const answers = await burst(
      20,
      (index) => flows[index % 5]?.step('backup-code', { code }) ?? Promise.reject(),
    )
    expect(answers.every(({ status }) => status < 500)).toBe(true)
    const inside = await Promise.all(flows.map((each) => isSignedInAfter(each)))
    expect(inside.filter(Boolean)).toHaveLength(1)
    expect((await house.rooms.backupCodes.count(id)).left).toBe(9)
    expect((await eventsOf(house, id)).filter((type) => type === 'backup-code.used')).toHaveLength(
      1,
    )
    expect(await house.rooms.sessions.list(id)).toHaveLength(1)
  })

  test('and a texted one in each other’s field are refused and counted (input 78)', async () => {
    const { phone, codes, flow, use } = await withCodes()
    const texted = house.lastCode(phone)
    const one = await flow.code(codes[0] ?? '')
    expect([one.status, headingOf(one)]).toEqual([400, CODE])
    const other = await use(texted)
    expect([other.status, headingOf(other)]).toEqual([400, BACKUP])
    expect(await guessesCounted(house)).toBe(2)
    expectNoWayIn(one)
    expectNoWayIn(other)
    // Neither was used up by it.
    expect((await arrive(flow, await use(codes[0]))).acr).toBe(MFA)
  })

  test('has its guesses counted with all others, up to the lock of the account (BKP-04)', async () => {
    const { id, username, phone, flow, use } = await withCodes()
    for (let guess = 0; guess < 3; guess++) await use(UNUSED)
    await flow.code(otherThan(house.lastCode(phone)))
    expect((await use(UNUSED)).status).toBe(403)
    expect(headingOf(await flow.code(house.lastCode(phone)))).toBe('Too many wrong codes')
    const next = await atCode(username)
    for (let guess = 0; guess < 5; guess++) await next.step('backup-code', { code: UNUSED })
    const last = visit()
    await last.begin()
    expect((await last.password(username)).status).toBe(401)
    expect(await noticesOf(house, id)).toContain('codes.locked')
  })

  test('of somebody else is none', async () => {
    const [owner, thief] = [await withCodes(), await withCodes()]
    expectNoWayIn(await thief.use(owner.codes[0]))
    expect((await arrive(owner.flow, await owner.use(owner.codes[0]))).sub).toBe(owner.id)
  })

  test('is dead when newer ones are made', async () => {
    const { id, codes, use } = await withCodes()
    await house.rooms.backupCodes.issue(id)
    expectNoWayIn(await use(codes[0]))
  })

  test('double-clicked leads to the app once', async () => {
    const { codes, flow, use } = await withCodes()
    const answers = await burst(2, () => use(codes[0]))
    expect(answers.map(({ status }) => status)).toEqual([303, 303])
    const way = answers.find(({ location }) => location?.includes('/auth/')) ?? answers[0]
    if (way) expect((await arrive(flow, way)).acr).toBe(MFA)
  })

  test('tells on its page when two are left, and one (BKP-07)', async () => {
    const person = await withCodes()
    const page = async () => (await person.flow.request(`${person.flow.path}?use=backup-code`)).html
    for (const [left, words] of [
      [3, ''],
      [2, 'You have 2 of them left'],
      [1, 'This is the last one you have'],
    ] as const) {
      await spendAllBut(person.id, left)
      const html = await page()
      expect(html.includes('make new ones in your account')).toBe(words !== '')
      expect(html).toContain(words)
    }
    await spendAllBut(person.id, 0)
    expect(headingOf(await person.flow.request(`${person.flow.path}?use=backup-code`))).toBe(CODE)
    expect((await person.flow.page()).html).not.toContain(BACKUP)
  })

  test('gets in someone whose texts a limit refuses, and only them', async () => {
    const tight = await startHouse({ beside: house, env: { SMS_LIMIT_PHONE_HOUR: '1' } })
    try {
      const { username, codes } = await withCodes()
      const flow = visit({ url: tight.url })
      await flow.begin()
      const stop = await flow.password(username)
      expect([stop.status, headingOf(stop)]).toEqual([429, 'Too many texts'])
      expect(stop.html).toContain('You can still use a backup code, or a code from your help desk.')
      const page = await flow.page()
      expect(headingOf(page)).toBe(BACKUP)
      expect(page.html).not.toContain('Use the usual code instead')
      for (const step of ['resend', 'app', 'enrol-phone', 'enrol-finish'])
        expectNoWayIn(await flow.step(step))
      expectNoWayIn(await flow.code('123456'))
      const claims = await arrive(flow, await flow.step('backup-code', { code: codes[0] ?? '' }))
      expect(claims.amr).toEqual(['pwd', 'otp', 'mfa'])
    } finally {
      await tight.stop()
    }
  })

  test('has company: another phone is offered, where a limit is of the number alone', async () => {
    const tight = await startHouse({ beside: house, env: { SMS_LIMIT_PHONE_HOUR: '1' } })
    try {
      const [own, other] = [`+46701${480_000 + people}`, `+46701${490_000 + people}`]
      const { id, username } = await house.addAccount(`two${people++}`, own)
      const otherId = await addPhone(house, id, other)
      const first = visit({ url: tight.url })
      await first.toCode(username)
      expect((await arrive(first, await first.code(house.lastCode(own)))).acr).toBe(MFA)
      const flow = visit({ url: tight.url })
      await flow.begin()
      const stop = await flow.password(username)
      expect(stop.status).toBe(429)
      expect(phonesOn(stop)).toEqual([otherId])
      expect((await flow.step('phone', { phone: otherId })).status).toBe(303)
      expect((await arrive(flow, await flow.code(house.lastCode(other)))).acr).toBe(MFA)
    } finally {
      await tight.stop()
    }
  })

  test('is asked of someone who has nothing else: no new phone on a password alone (CHL-15)', async () => {
    const { id, username } = await house.addAccount(`bare${people++}`, null)
    const [code = ''] = await house.rooms.backupCodes.issue(id)
    const flow = await atCode(username)
    expect(headingOf(await flow.page())).toBe(BACKUP)
    expectNoWayIn(await flow.step('enrol-phone', { number: '+46701499990' }))
    expect(headingOf(await flow.page())).toBe(BACKUP)
    expect((await arrive(flow, await flow.step('backup-code', { code }))).acr).toBe(MFA)
  })

  /** As if all the others had been used. */
  async function spendAllBut(accountId: string, left: number): Promise<void> {
    const rows = await house.db
      .selectFrom('backup_code')
      .select('hash')
      .where('account_id', '=', accountId)
      .where('used_at', 'is', null)
      .offset(left)
      .execute()
    if (rows.length === 0) return
    await house.db
      .updateTable('backup_code')
      .set({ used_at: new Date() })
      .where(
        'hash',
        'in',
        rows.map(({ hash }) => hash),
      )
      .execute()
  }
})

/** Goes where the page leads, and tells whether that was in. */
async function isSignedInAfter(flow: Flow): Promise<boolean> {
  const { location } = await flow.page()
  if (location?.includes('/auth/')) await flow.request(location)
  return isSignedIn(visit({ jar: flow.jar }))
}
