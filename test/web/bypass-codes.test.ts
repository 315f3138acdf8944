import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { inCircumstances } from '../../src/audit/circumstances.ts'
import { createBypassCodes } from '../../src/second-factor/bypass-codes.ts'
import { signInToAccount } from '../support/account.ts'
import { burst, createFlow, type Flow } from '../support/flow.ts'
import { expectNoWayIn, guessesCounted, isSignedIn } from '../support/guesses.ts'
import { type House, PASSWORD, PHONES, startHouse } from '../support/house.ts'
import {
  alertOf,
  arrive,
  codeTexts,
  eventsOf,
  headingOf,
  MFA,
  noticesOf,
} from '../support/second-factors.ts'

const CODE = 'Enter your code'
const BACKUP = 'Use a backup code'
const UNUSED = 'BCDF-GHJK-LMNP-QRST'
const AMR = ['pwd', 'otp', 'mfa', 'bypass']
const HELPER = { actor: 'helpdesk:h1', requestId: null, address: null }
const ADMIN = { ...HELPER, actor: 'admin:a1' }

let house: House
let client: { id: string; secret: string }
let people = 0

beforeAll(async () => {
  house = await startHouse({ env: { TRUSTED_DEVICE_DAYS: '30' } })
  client = await house.addClient('app')
})
afterAll(() => house.stop())
beforeEach(() => house.gateway.reset())

const visit = (more: Parameters<typeof createFlow>[1] = {}) =>
  createFlow(house, { client, ...more })

const issue = (id: string) => inCircumstances(HELPER, () => house.rooms.bypassCodes.issue(id))

async function newcomer() {
  people += 1
  const phone = `+46701${500_000 + people}`
  const { id, username } = await house.addAccount(`person${people}`, phone)
  return { id, username, phone }
}

async function atCode(username: string, flow = visit()): Promise<Flow> {
  await flow.toCode(username)
  return flow
}

const use = (flow: Flow, code: string) => flow.step('backup-code', { code })

/** Someone the help desk gave a code, in a browser before the code page. */
async function withCode() {
  const person = await newcomer()
  const { code } = await issue(person.id)
  return { ...person, code, flow: await atCode(person.username) }
}

describe('a code of the help desk', () => {
  test('lets in without the phone, and the app and the owner are told so', async () => {
    const { id, flow, code } = await withCode()
    expect((await flow.page()).html).toContain(BACKUP)
    const page = await flow.request(`${flow.path}?use=backup-code`)
    expect(headingOf(page)).toBe(BACKUP)
    expect(page.html).toContain('the code that your help desk gave you')
    // It has no backup codes, so that none are left is no news; and no browser is remembered by such a code.
    for (const words of ['make new ones', 'name="remember"'])
      expect(page.html, words).not.toContain(words)
    const claims = await arrive(flow, await use(flow, code.toLowerCase().replaceAll('-', ' ')))
    expect(claims).toMatchObject({ sub: id, acr: MFA, amr: AMR })
    expect(await noticesOf(house, id)).toEqual(['bypass-code.issued', 'bypass-code.used'])
    const told = (await eventsOf(house, id)).filter((type) => type.startsWith('bypass-code.'))
    expect(told).toEqual(['bypass-code.issued', 'bypass-code.used'])
  })

  test('is offered for as long as it is good, and no longer', async () => {
    const { id, phone, flow } = await withCode()
    await inCircumstances(ADMIN, () => house.rooms.bypassCodes.endAll(id))
    expect((await flow.page()).html).not.toContain(BACKUP)
    expect(headingOf(await flow.request(`${flow.path}?use=backup-code`))).toBe(CODE)
    expect((await arrive(flow, await flow.code(house.lastCode(phone)))).acr).toBe(MFA)
  })

  test('makes no browser remembered or known, whatever a form says', async () => {
    const { id, flow, code } = await withCode()
    await arrive(flow, await flow.step('backup-code', { code, remember: 'yes' }))
    expect(await house.rooms.trustedDevices.list(id)).toEqual([])
    const cookies = (await flow.jar.getCookies(house.issuer)).map(({ key }) => key)
    expect(cookies.filter((name) => /proven|trusted/.test(name))).toEqual([])
  })

  test('is used once', async () => {
    const { username, flow, code } = await withCode()
    await arrive(flow, await use(flow, code))
    const again = await atCode(username)
    const page = await use(again, code)
    expect([page.status, headingOf(page)]).toEqual([400, BACKUP])
    expect(alertOf(page)).toContain('was used before')
    expectNoWayIn(page)
  })

  test('that comes twenty times at once, from several browsers, is one sign-in', async () => {
    const { id, username, flow, code } = await withCode()
    const flows = [flow, ...(await burst(4, () => atCode(username)))]
    const answers = await burst(20, (index) => use(flows[index % 5] ?? flow, code))
    expect(answers.every(({ status }) => status < 500)).toBe(true)
    for (const each of flows) await follow(each, (await each.page()).location)
    const inside = await Promise.all(flows.map((each) => isSignedIn(each)))
    expect(inside.filter(Boolean)).toHaveLength(1)
    const events = await eventsOf(house, id)
    expect(events.filter((type) => type === 'bypass-code.used')).toHaveLength(1)
  })

  test('double-clicked leads to the app once', async () => {
    const { flow, code } = await withCode()
    const answers = await burst(2, () => use(flow, code))
    expect(answers.map(({ status }) => status)).toEqual([303, 303])
    const way = answers.find(({ location }) => location?.includes('/auth/')) ?? answers[0]
    if (way) expect((await arrive(flow, way)).amr).toEqual(AMR)
  })

  test('too old, replaced, of somebody else or made up is none, and costs a try each', async () => {
    const [person, other] = [await withCode(), await withCode()]
    const { code: newer } = await issue(person.id)
    const { flow } = person
    for (const [tries, code] of [person.code, other.code, UNUSED].entries()) {
      const page = await use(flow, code)
      expect([page.status, headingOf(page)]).toEqual([400, BACKUP])
      expectNoWayIn(page)
      expect(await triesOf(person.id)).toBe(tries + 1)
    }
    house.moveClock(house.config.bypassCodes.minutes * 60)
    const late = await atCode(person.username)
    expectNoWayIn(await use(late, newer))
    expect(await guessesCounted(house)).toBe(1)
  })

  test('counts as none until a second admin approves it', async () => {
    const bypassCodes = createBypassCodes({
      ...house.rooms,
      db: house.db,
      clock: house.clock,
      minutes: 15,
      consent: 'required',
    })
    const { id, username } = await newcomer()
    const issued = await inCircumstances(HELPER, () => bypassCodes.issue(id))
    const flow = await atCode(username)
    expect((await flow.page()).html).not.toContain(BACKUP)
    expectNoWayIn(await use(flow, issued.code))
    expect(await guessesCounted(house)).toBe(1)
    await inCircumstances(ADMIN, () => bypassCodes.approve(id, issued.id))
    expect((await flow.page()).html).toContain(BACKUP)
    expect((await arrive(flow, await use(flow, issued.code))).amr).toEqual(AMR)
  })

  test('is none to an account that takes no codes just now, and its wrong ones lead there', async () => {
    const { id, username, flow, code } = await withCode()
    for (let guess = 0; guess < 5; guess++) await use(flow, UNUSED)
    const next = await atCode(username)
    for (let guess = 0; guess < 5; guess++) await use(next, UNUSED)
    const page = await use(next, code)
    expect([page.status, headingOf(page)]).toEqual([403, 'Too many wrong codes'])
    expect((await house.rooms.bypassCodes.list(id)).length).toBe(1)
  })

  test('ends with what it was made for: a change of factors or password', async () => {
    const { id, code, flow } = await withCode()
    await house.rooms.backupCodes.issue(id)
    expect(await house.rooms.bypassCodes.list(id)).toEqual([])
    expectNoWayIn(await use(flow, code))
    expect(await eventsOf(house, id)).toContain('bypass-code.ended')
  })

  test('gets in someone whose texts a limit refuses', async () => {
    const tight = await startHouse({ beside: house, env: { SMS_LIMIT_PHONE_HOUR: '1' } })
    try {
      const { username, code } = await withCode()
      const flow = visit({ url: tight.url })
      await flow.begin()
      const stop = await flow.password(username)
      expect([stop.status, headingOf(stop)]).toEqual([429, 'Too many texts'])
      expect(stop.html).toContain('a code from your help desk')
      expect(headingOf(await flow.page())).toBe(BACKUP)
      expect((await arrive(flow, await use(flow, code))).amr).toEqual(AMR)
      expect(codeTexts(house)).toHaveLength(1)
    } finally {
      await tight.stop()
    }
  })
})

test('a change at /account asks whoever came in by it for the password (BKP-11)', async () => {
  const { id, username } = await newcomer()
  const { code } = await issue(id)
  const me = await signInToAccount(house, username, { backupCode: code })
  const form = { number: PHONES[1], country: '' }
  const asked = await me.post('/account/phones/add', form)
  expect(asked.status).toBe(403)
  expect(asked.html).toContain('name="password"')
  expect(
    (await me.post('/account/phones/add', { ...form, password: PASSWORD })).location,
  ).toContain('/prove')
  const history = await me.text('/account/history')
  expect(history).toContain('The help desk made a code for signing in')
  expect(history).toContain('A code of the help desk was used')
})

/** How often the account's newest challenge was guessed at. */
async function triesOf(accountId: string): Promise<number> {
  const { attempts } = await house.db
    .selectFrom('challenge')
    .select('attempts')
    .where('account_id', '=', accountId)
    .orderBy('created_at', 'desc')
    .limit(1)
    .executeTakeFirstOrThrow()
  return attempts
}

/** Goes where a page leads, as a browser would. */
async function follow(flow: Flow, location: string | undefined): Promise<void> {
  let at = location
  for (let hops = 0; at?.startsWith(house.issuer) && hops < 5; hops++)
    at = (await flow.request(at)).location
}
