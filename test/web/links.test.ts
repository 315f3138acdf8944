import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Answer, burst, createFlow, type Flow } from '../support/flow.ts'
import { type House, PASSWORD, PHONES, startHouse } from '../support/house.ts'
import { choosePassword, fillIn, formTokenOf, newBrowser } from '../support/links.ts'

const NEW_PASSWORD = 'seven purple tractors'

let house: House

beforeAll(async () => {
  house = await startHouse()
  await house.addClient('app')
})
afterAll(() => house.stop())

/** A link by which an account's password is reset, as a mail brings it. */
async function newLink(accountId: string): Promise<string> {
  const token = await house.rooms.links.make(house.db, accountId, 'password-reset')
  return `${house.issuer}/link/${token}`
}

async function signIn(name: string, password: string): Promise<Answer> {
  const flow = createFlow(house)
  await flow.begin()
  return flow.password(name, password)
}

async function isSignedIn(flow: Flow): Promise<boolean> {
  const answer = await flow.request(flow.authorizationUrl({ prompt: 'none' }))
  return new URL(answer.location ?? '').searchParams.has('code')
}

/** What was recorded and queued of a new password. */
async function toldOf(accountId: string) {
  const events = await house.db
    .selectFrom('audit_event')
    .select('type')
    .where('account_id', '=', accountId)
    .where('type', 'in', ['password.chosen', 'password.changed', 'password.reset'])
    .execute()
  const notices = await house.db
    .selectFrom('notice')
    .select('kind')
    .where('account_id', '=', accountId)
    .where('kind', 'like', 'password.%')
    .execute()
  return { events: events.map(({ type }) => type), notices: notices.map(({ kind }) => kind) }
}

function expectGone(answer: Answer): void {
  expect(answer.status).toBe(410)
  expect(answer.html).toContain('This link can’t be used')
  expect(answer.html).not.toContain('new-password')
}

describe('a new password by a link', () => {
  test('ends every session, signs nobody in and leaves the second factor as it is (ADM-09, SES-07)', async () => {
    const { id } = await house.addAccount('anna')
    const before = createFlow(house)
    await before.complete('anna')
    expect(await isSignedIn(before)).toBe(true)

    const browser = newBrowser(house)
    const link = await newLink(id)
    const form_token = formTokenOf(await browser.request(link))
    const answer = await choosePassword(browser, link, NEW_PASSWORD)
    expect(answer.status).toBe(303)
    expect(answer.headers.getSetCookie().filter((cookie) => /session/i.test(cookie))).toEqual([])
    const told = await browser.request(answer.location ?? '')
    expect(told.html).toContain('Go back to your app')
    expect(await isSignedIn(before)).toBe(false)
    expect(await isSignedIn(browser)).toBe(false)

    expect((await signIn('anna', PASSWORD)).status).toBe(401)
    const after = createFlow(house, { jar: browser.jar })
    await after.begin()
    expect((await after.password('anna', NEW_PASSWORD)).status).toBe(303)
    expect((await after.page()).html).toContain('one-time-code')
    expect(await isSignedIn(after)).toBe(false)
    expect((await after.resume(await after.code(house.lastCode()))).get('code')).toBeTruthy()

    const [password, again] = Array(2).fill('another good password')
    expectGone(await browser.request(link))
    expectGone(await browser.post(link, { form_token, password, again }))
    expect((await signIn('anna', NEW_PASSWORD)).status).toBe(303)
  })

  test('can’t be had by a step that nobody finished (ADM-09)', async () => {
    const [anna, bert] = [await house.addAccount('anna2'), await house.addAccount('bert2')]
    const [forAnna, forBert] = [await newLink(anna.id), await newLink(bert.id)]
    const browser = newBrowser(house)
    const token = formTokenOf(await browser.request(forAnna))
    const fields = { password: NEW_PASSWORD, again: NEW_PASSWORD }
    // The form of one link opens no other, nor any path without a link.
    expect((await browser.post(forBert, { ...fields, form_token: token })).status).toBe(403)
    for (const path of ['/link/', '/link', '/password/changed', '/password/welcome'])
      expect((await browser.post(path, { ...fields, form_token: token })).status).toBe(404)
    expect((await browser.post(forAnna, fields)).status).toBe(403)
    const unknown = `${house.issuer}/link/${'a'.repeat(43)}`
    expectGone(await browser.request(unknown))
    expect((await browser.post(unknown, { ...fields, form_token: token })).status).toBe(403)
    for (const name of ['anna2', 'bert2'])
      expect((await signIn(name, NEW_PASSWORD)).status).toBe(401)
  })

  test('ends the codes that are asked for meanwhile (CHL-19)', async () => {
    const { id } = await house.addAccount('midway', PHONES[1])
    const flow = createFlow(house)
    await flow.toCode('midway')
    const code = house.lastCode(PHONES[1])
    await choosePassword(newBrowser(house), await newLink(id), NEW_PASSWORD)
    expect((await flow.code(code)).status).toBeGreaterThanOrEqual(400)
    expect(await isSignedIn(flow)).toBe(false)
  })

  test('gives back the tries that the forgotten one has cost', async () => {
    const { id } = await house.addAccount('tried')
    for (let i = 0; i < 11; i++) await signIn('tried', 'not the password at all')
    expect((await signIn('tried', PASSWORD)).status).toBe(401)
    await choosePassword(newBrowser(house), await newLink(id), NEW_PASSWORD)
    expect((await signIn('tried', NEW_PASSWORD)).status).toBe(303)
  })

  test('gives them back in browsers that know the name, too (THR-10)', async () => {
    const { id } = await house.addAccount('tried-at-home', PHONES[2])
    const home = createFlow(house)
    await home.complete('tried-at-home', PHONES[2])
    const tryAtHome = async (password: string) => {
      await home.begin({ prompt: 'login' })
      return (await home.password('tried-at-home', password)).status
    }
    for (let i = 0; i < 10; i++) await tryAtHome('not the password at all')
    expect(await tryAtHome(PASSWORD)).toBe(401)
    await choosePassword(newBrowser(house), await newLink(id), NEW_PASSWORD)
    expect(await tryAtHome(NEW_PASSWORD)).toBe(303)
  })

  test('is the same password however a keyboard writes it', async () => {
    const { id } = await house.addAccount('keyboard')
    await choosePassword(
      newBrowser(house),
      await newLink(id),
      'se\u0301ance\u00A0of \u{1F98A} foxes',
    )
    expect((await signIn('keyboard', 's\u00E9ance of \u{1F98A} foxes')).status).toBe(303)
    expect((await signIn('keyboard', 'seance of \u{1F98A} foxes')).status).toBe(401)
  })
})

describe('a link', () => {
  test('can be opened any number of times before it is used (WEB-04)', async () => {
    const { id } = await house.addAccount('scanned')
    const link = await newLink(id)
    for (let i = 0; i < 3; i++) {
      const page = await newBrowser(house).request(link)
      expect(page.status).toBe(200)
      expect(page.html).toContain('scanned')
      expect(page.headers.get('referrer-policy')).toBe('same-origin')
      expect(page.headers.get('cache-control')).toBe('no-store')
    }
    expect((await newBrowser(house).request(link, { method: 'HEAD' })).status).toBe(200)
    expect((await signIn('scanned', PASSWORD)).status).toBe(303)
    expect((await choosePassword(newBrowser(house), link, NEW_PASSWORD)).status).toBe(303)
  })

  test('is used once, of however many tries at once', async () => {
    const { id } = await house.addAccount('raced')
    const link = await newLink(id)
    const browser = newBrowser(house)
    const form_token = formTokenOf(await browser.request(link))
    const answers = await burst(6, (index) => {
      const password = `purple tractor number ${index}`
      return browser.post(link, { form_token, password, again: password })
    })
    expect(answers.map(({ status }) => status).toSorted()).toEqual([303, 410, 410, 410, 410, 410])
    const winner = answers.findIndex(({ status }) => status === 303)
    expect((await signIn('raced', `purple tractor number ${winner}`)).status).toBe(303)
  })

  test('that is expired, replaced, used, or of a disabled account is as if there were none', async () => {
    const never = await newBrowser(house).request(`${house.issuer}/link/${'b'.repeat(43)}`)
    expectGone(never)
    const gone: string[] = []
    const account = async (name: string) => (await house.addAccount(name)).id

    const late = await newLink(await account('late'))
    house.moveClock(1801)
    gone.push(late)

    const replaced = await account('replaced')
    gone.push(await newLink(replaced))
    house.moveClock(121)
    const newer = await newLink(replaced)

    const changed = await account('changed')
    gone.push(await newLink(changed))
    await house.rooms.accounts.setPassword(changed, NEW_PASSWORD, { how: 'changed' })

    const banned = await account('banned')
    gone.push(await newLink(banned))
    await house.rooms.accounts.disable(banned)

    const back = await account('back')
    gone.push(await newLink(back))
    await house.rooms.accounts.disable(back)
    await house.rooms.accounts.enable(back)

    for (const link of gone) {
      const answer = await newBrowser(house).request(link)
      expectGone(answer)
      expect(answer.html).toBe(never.html)
    }
    expect((await choosePassword(newBrowser(house), newer, NEW_PASSWORD)).status).toBe(303)
  })

  test('is kept as a hash', async () => {
    const { id } = await house.addAccount('hashed')
    const token = (await newLink(id)).split('/').at(-1) ?? ''
    const rows = await house.db.selectFrom('one_time_link').selectAll().execute()
    const kept = Buffer.concat(rows.map((row) => row.token_hash)).toString('latin1')
    expect(JSON.stringify(rows)).not.toContain(token)
    expect(kept).not.toContain(Buffer.from(token, 'base64url').toString('latin1'))
  })
})

describe('the page', () => {
  test('asks again for what may not be a password, and says why', async () => {
    const { id } = await house.addAccount('choosy')
    const link = await newLink(id)
    const browser = newBrowser(house)
    const cases: Array<[string, string, string]> = [
      ['short', 'short', 'at least 8 characters'],
      ['x7'.repeat(129), 'x7'.repeat(129), 'at most 256 characters'],
      ['password1', 'password1', 'lists of stolen ones'],
      ['choosy2024', 'choosy2024', 'made of your name'],
      ['abcdefgh', 'abcdefgh', 'easy to guess'],
      [NEW_PASSWORD, `${NEW_PASSWORD} `, 'The two passwords differ'],
      ['', '', 'Type the new password twice'],
      ['y'.repeat(5000), 'y'.repeat(5000), 'at most 256 characters'],
    ]
    for (const [password, again, words] of cases) {
      const answer = await fillIn(browser, link, { password, again })
      expect(answer.status, words).toBe(400)
      expect(answer.html).toContain(words)
      expect(answer.html).not.toContain(`value="${password}"`)
      expect(answer.html).toContain('role="alert"')
    }
    const large = await choosePassword(browser, link, 'z'.repeat(2 ** 20))
    expect(large.status).toBe(413)
    expect((await signIn('choosy', PASSWORD)).status).toBe(303)
    expect((await choosePassword(browser, link, '\0 any \u0007 characters \0')).status).toBe(303)
    expect((await signIn('choosy', '\0 any \u0007 characters \0')).status).toBe(303)
  })

  test.each(['%00', '%E0%A4%A', '..%2f..%2fetc', 'x'.repeat(5000), '%3Cscript%3E'])(
    'for a link like %.20s tells that there is none',
    async (token) => {
      const { status, html } = await newBrowser(house).request(`/link/${token}`)
      expect([400, 404, 410]).toContain(status)
      expect(html).not.toContain('<script>')
    },
  )
})

describe('an invitation', () => {
  test('leads from a password to the account, and is good for a week', async () => {
    const { id } = await house.rooms.accounts.create({ username: 'guest' })
    expect((await signIn('guest', '')).status).toBe(400)
    expect((await signIn('guest', PASSWORD)).status).toBe(401)
    const { link } = await house.rooms.linkMails.invite(id)
    house.moveClock(6.9 * 24 * 3600)
    const browser = newBrowser(house)
    const page = await browser.request(link)
    expect(page.html).toContain('Choose your password')
    const answer = await choosePassword(browser, link, NEW_PASSWORD)
    const welcome = await browser.request(answer.location ?? '')
    expect(welcome.html).toMatch(/<form method="get" action="\/account">/)
    expect(welcome.html).not.toContain('the rest')
    expect(await toldOf(id)).toEqual({ events: ['password.chosen'], notices: [] })
    expect(await isSignedIn(browser)).toBe(false)
    // The second door stands before them as before everyone.
    const flow = createFlow(house, { jar: browser.jar })
    await flow.begin()
    await flow.password('guest', NEW_PASSWORD)
    expect(await isSignedIn(flow)).toBe(false)
  })

  test('of someone who had a password tells them that it was reset', async () => {
    const { id } = await house.addAccount('guest3', PHONES[3])
    await choosePassword(
      newBrowser(house),
      (await house.rooms.linkMails.invite(id)).link,
      NEW_PASSWORD,
    )
    const { events, notices } = await toldOf(id)
    expect(events).toEqual(['password.reset'])
    expect(new Set(notices)).toEqual(new Set(['password.reset']))
  })

  test('that is made anew ends the one before', async () => {
    const { id } = await house.rooms.accounts.create({ username: 'guest2' })
    const { link: first } = await house.rooms.linkMails.invite(id)
    const { link: second } = await house.rooms.linkMails.invite(id)
    expectGone(await newBrowser(house).request(first))
    expect((await newBrowser(house).request(second)).status).toBe(200)
  })
})
