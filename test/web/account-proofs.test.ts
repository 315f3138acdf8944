import { setTimeout as pause } from 'node:timers/promises'
import { sql } from 'kysely'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { follow, signIn, signInToAccount } from '../support/account.ts'
import { burst, createFlow } from '../support/flow.ts'
import { type House, PASSWORD, PHONES, startHouse } from '../support/house.ts'

const [OLD, NEW] = PHONES
const WRONG = 'not the password at all'
const BETTER = 'four words nobody guesses'
const CHANGE = { current: PASSWORD, password: BETTER, again: BETTER }
const TRIES = 10

let house: House
let people = 0
beforeAll(async () => {
  house = await startHouse({
    env: { TRUSTED_DEVICE_DAYS: '30', SECOND_FACTOR: 'optional', SELF_ENROLMENT: 'off' },
  })
})
afterAll(() => house.stop())

async function atHome(phone: string | null = OLD) {
  const { id, username } = await house.addAccount(`person${++people}`, phone)
  return { id, username, me: await signInToAccount(house, username, { phone }) }
}

async function isPassword(username: string, password: string): Promise<boolean> {
  const attempt = await house.rooms.accounts.authenticate(username, password)
  await attempt.conclude(attempt.account !== undefined)
  return attempt.account !== undefined
}

const asksAgain = (location: string | undefined) =>
  new URL(location ?? '', house.issuer).searchParams.get('prompt') === 'login'

/** Until a statement of the server's waits for a row that another transaction holds. */
async function untilOneWaits(): Promise<void> {
  for (let looks = 0; looks < 200; looks++) {
    const { rows } = await sql`
      select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`.execute(
      house.db,
    )
    if (rows.length > 0) return
    await pause(25)
  }
  throw new Error('nothing waited')
}

describe('a first factor', () => {
  test('isn’t added by people themselves where an admin is to give it', async () => {
    const { id, me } = await atHome(null)
    const form = { number: NEW, country: '' }
    for (const answer of [
      await me.get('/account/phones/add'),
      await me.post('/account/phones/add', form),
      await me.get('/account/app/add'),
      await me.post('/account/app/add'),
    ]) {
      expect(answer.status).toBe(403)
      expect(answer.html).toContain('Ask the people who run this service')
    }
    for (const table of ['phone', 'authenticator', 'challenge'] as const) {
      const rows = await house.db.selectFrom(table).where('account_id', '=', id).execute()
      expect(rows, table).toEqual([])
    }
    expect((await me.get('/account/password')).status).toBe(200)
  })

  test('that an admin gave lets its owner add more', async () => {
    const { id, me } = await atHome()
    expect((await me.addPhone(NEW)).location).toContain('done=phone-added')
    expect(await house.rooms.phones.list(id)).toHaveLength(2)
  })
})

test('a proof from before a session isn’t one in it [ADM-03]', async () => {
  const { username } = await house.addAccount(`person${++people}`)
  const flow = createFlow(house)
  const open = async () => {
    const away = await follow(flow, await flow.request('/account'))
    expect(away.html).toContain('name="password"')
  }
  const login = await flow.request('/account')
  await flow.arrive((await flow.request(login.location ?? '')).location ?? '')
  await flow.password(username)
  await follow(flow, await flow.step('code', { code: house.lastCode(OLD), remember: 'yes' }))
  expect((await flow.request('/account/password')).status).toBe(200)

  for (const { key, domain, path } of await flow.jar.getCookies(house.issuer))
    if (key.startsWith('sallyport_session'))
      await flow.jar.store.removeCookie(domain ?? '', path ?? '/', key)
  await open()
  const page = await signIn(house, flow, await flow.request('/account'), username, { phone: null })
  expect(page.html).toContain('Your account')
  for (const path of ['/account/password', '/account/phones/add', '/account/backup-codes/new'])
    expect(asksAgain((await flow.request(path)).location), path).toBe(true)
  const again = await signIn(house, flow, await flow.request('/account/password'), username)
  expect(again.html).toContain('Change your password')
})

describe('a session that ends while a form is on its way', () => {
  const FORMS: Array<[string, Record<string, string>]> = [
    ['/account/password', CHANGE],
    ['/account/backup-codes/new', { seen: '' }],
  ]
  test.each(FORMS)('has %s change nothing [SES-06]', async (path, fields) => {
    const { id, username, me } = await atHome()
    const answer = await house.db.transaction().execute(async (trx) => {
      await house.rooms.sessions.endAll(trx, id)
      const sent = me.post(path, fields)
      await untilOneWaits()
      return { sent }
    })
    const { status, html } = await answer.sent
    expect(status).toBe(403)
    expect(html).toContain('You are not signed in')
    expect(await isPassword(username, PASSWORD)).toBe(true)
    expect(await house.rooms.backupCodes.count(id)).toMatchObject({ total: 0 })
  })
})

test('of several changes of one password at once, one is made and told of', async () => {
  const { username, me } = await atHome()
  const answers = await burst(3, (index) => {
    const password = `purple tractor number ${index}`
    return me.post('/account/password', { current: PASSWORD, password, again: password })
  })
  expect(answers.map(({ status }) => status).toSorted()).toEqual([303, 403, 403])
  const winner = answers.findIndex(({ status }) => status === 303)
  expect(await isPassword(username, `purple tractor number ${winner}`)).toBe(true)
})

describe('the password of now', () => {
  test('is taken from its owner though strangers have locked the name [THR-10]', async () => {
    const { username, me } = await atHome()
    for (let i = 0; i < TRIES; i++) await isPassword(username, WRONG)
    expect(await isPassword(username, PASSWORD)).toBe(false)
    const changed = await me.post('/account/password', CHANGE)
    expect(changed.location).toContain('done=password-changed')
    expect(await isPassword(username, BETTER)).toBe(true)
  })

  test('isn’t called wrong when it wasn’t looked at', async () => {
    const { me } = await atHome()
    for (let i = 0; i < TRIES; i++) {
      const answer = await me.post('/account/password', { ...CHANGE, current: WRONG })
      expect(answer.html).toContain('That is not your password')
    }
    const { status, html } = await me.post('/account/password', CHANGE)
    expect(status).toBe(403)
    expect(html).toContain('Too many wrong passwords were typed')
    expect(html).not.toContain('That is not your password')
  })
})

test('a code is told for what it has added, wherever it was typed', async () => {
  const { id, me } = await atHome()
  await me.post('/account/phones/add', { number: NEW, country: '' })
  const page = await me.get('/account/app/prove')
  expect(page.html).toContain('action="/account/phones/prove"')
  const code = house.lastCode(NEW)
  for (let times = 0; times < 2; times++) {
    const answer = await me.post('/account/app/prove', { code })
    expect(answer.location).toBe(`${house.issuer}/account/phones?done=phone-added`)
  }
  expect(await house.rooms.phones.list(id)).toHaveLength(2)
})

test('waits are ended and recorded once, and only where there were any', async () => {
  const account = await house.addAccount(`person${++people}`)
  const { id, username } = account
  const told = async () => {
    const rows = await house.db
      .selectFrom('audit_event')
      .select('type')
      .where('account_id', '=', id)
      .where('type', '=', 'account.unlocked')
      .execute()
    return rows.length
  }
  await isPassword(username, WRONG)
  expect(await house.rooms.locks.lift(account)).toMatchObject({ passwords: false })
  expect(await told()).toBe(0)
  for (let i = 0; i < TRIES; i++) await isPassword(username, WRONG)
  expect(await isPassword(username, PASSWORD)).toBe(false)
  expect(await house.rooms.locks.lift(account)).toMatchObject({ passwords: true, locked: false })
  expect(await house.rooms.locks.lift(account)).toMatchObject({ passwords: false })
  expect(await told()).toBe(1)
  expect(await isPassword(username, PASSWORD)).toBe(true)
})
