import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { type Answer, createFlow, type Flow } from '../support/flow.ts'
import { type House, PASSWORD, startHouse } from '../support/house.ts'
import { exchange, head } from '../support/raw.ts'

let house: House

beforeAll(async () => {
  house = await startHouse()
  await house.addClient('app')
  await house.addAccount('alex')
})
afterAll(() => house.stop())

beforeEach(async () => {
  house.gateway.reset()
  house.statements.length = 0
  // Each case starts with all its tries.
  await house.db.deleteFrom('sign_in_attempt').execute()
})

/** A flow that stands at the login page. */
async function atLogin(): Promise<Flow> {
  const flow = createFlow(house)
  await flow.begin()
  return flow
}

/** Nothing came of it: no text, no challenge, no session. */
async function expectNothing(flow: Flow): Promise<void> {
  expect(house.gateway.requests).toEqual([])
  expect(await house.db.selectFrom('challenge').select('id').execute()).toEqual([])
  const silent = await flow.request(flow.authorizationUrl({ prompt: 'none' }))
  expect(new URL(silent.location ?? '').searchParams.get('error')).toBe('login_required')
}

async function expectRefused(flow: Flow, answer: Answer, status: number): Promise<void> {
  expect(answer.status, answer.html).toBe(status)
  expect(answer.location).toBeUndefined()
  await expectNothing(flow)
}

/** What was hashed can be seen by what was asked of the database just before it. */
function accountsLookedUp(): number {
  return house.statements.filter((statement) => statement.includes('left join account on')).length
}

/** The body of a login form, written by hand. */
function form(flow: Flow, fields: string): string {
  return `form_token=${encodeURIComponent(flow.formToken)}&${fields}`
}

const TYPED = `username=alex&password=${encodeURIComponent(PASSWORD)}`
const FORM = { 'content-type': 'application/x-www-form-urlencoded' }

describe('a login form with bent fields', () => {
  test.each([
    'username=&password=',
    'username=alex&password=',
    `username=&password=${PASSWORD}`,
    'username=alex',
    `password=${PASSWORD}`,
    '',
    `username[]=alex&password=${PASSWORD}`,
    `username=alex&password[]=${PASSWORD}`,
    `username[name]=alex&password=${PASSWORD}`,
    `username=alex&password[$ne]=x`,
    `username=alex&username=alex&password=${PASSWORD}`,
    `username=alex&password=${PASSWORD}&password=${PASSWORD}`,
    `__proto__[username]=alex&__proto__[password]=${PASSWORD}`,
    `constructor[prototype][username]=alex&password=${PASSWORD}`,
    `username.toString=alex&password=${PASSWORD}`,
  ])('is asked for again, and nothing is looked up: %s (input 31, WEB-15)', async (fields) => {
    const flow = await atLogin()
    const answer = await flow.request(`${flow.path}/login`, {
      method: 'POST',
      body: form(flow, fields),
      headers: { ...FORM, origin: house.issuer },
    })
    await expectRefused(flow, answer, 400)
    expect(answer.html).toContain('Type your username and your password.')
    expect(accountsLookedUp()).toBe(0)
  })

  test('can’t put anything on the server’s own objects (WEB-15)', async () => {
    const flow = await atLogin()
    await flow.request(`${flow.path}/login`, {
      method: 'POST',
      body: form(flow, 'username=alex&password=x&__proto__[x]=1&constructor[prototype][y]=1'),
      headers: { ...FORM, origin: house.issuer },
    })
    expect(Reflect.get({}, 'x')).toBeUndefined()
    expect(Reflect.get({}, 'y')).toBeUndefined()
    await expectNothing(flow)
  })

  test('with a password of 1 MB is refused by its size, fast, whoever it is for (input 32, ENU-11)', async () => {
    const answers: Answer[] = []
    for (const name of ['alex', 'nobody']) {
      const flow = await atLogin()
      const began = performance.now()
      const answer = await flow.password(name, 'x'.repeat(2 ** 20))
      expect(performance.now() - began).toBeLessThan(2000)
      await expectRefused(flow, answer, 413)
      answers.push(answer)
    }
    expect(answers[0]?.html).toBe(answers[1]?.html)
    expect(accountsLookedUp()).toBe(0)
  })

  test('with a password longer than any may be is refused before it is hashed (ENU-11)', async () => {
    for (const name of ['alex', 'nobody']) {
      const flow = await atLogin()
      await expectRefused(flow, await flow.password(name, 'x'.repeat(8000)), 400)
    }
    expect(accountsLookedUp()).toBe(0)
  })

  test.each([300, 15_000, 100_000])(
    'with a name of %d characters is refused before it is looked up (input 35)',
    async (length) => {
      const flow = await atLogin()
      const answer = await flow.password('a'.repeat(length))
      await expectRefused(flow, answer, length > 16_384 ? 413 : 400)
      expect(accountsLookedUp()).toBe(0)
    },
  )

  test.each([
    ['application/json', JSON.stringify({ username: 'alex', password: { $ne: null } })],
    ['application/json', JSON.stringify({ username: 'alex', password: PASSWORD })],
    ['application/vnd.api+json', JSON.stringify({ username: 'alex', password: PASSWORD })],
    ['text/plain', TYPED],
    ['', TYPED],
  ])('is not read when it is no form: %s %s (input 37)', async (type, body) => {
    const flow = await atLogin()
    const answer = await flow.request(`${flow.path}/login`, {
      method: 'POST',
      body,
      headers: { 'content-type': type, origin: house.issuer },
    })
    await expectRefused(flow, answer, 415)
  })
})

describe('the right password', () => {
  test('without the form’s token, or with another one’s, is refused (input 38, WEB-02)', async () => {
    const [flow, other] = [await atLogin(), await atLogin()]
    const fields = { username: 'alex', password: PASSWORD }
    for (const token of ['', 'x', other.formToken, flow.formToken.slice(0, -1)]) {
      const answer = await flow.post(`${flow.path}/login`, { ...fields, form_token: token })
      await expectRefused(flow, answer, 403)
    }
    await expectRefused(flow, await flow.post(`${flow.path}/login`, fields), 403)
    const twice = new URLSearchParams(fields)
    for (let i = 0; i < 2; i++) twice.append('form_token', flow.formToken)
    await expectRefused(flow, await flow.post(`${flow.path}/login`, twice), 403)
  })

  test('with the token but without the browser’s cookie is refused (WEB-02)', async () => {
    const flow = await atLogin()
    const cookies = await flow.jar.getCookieString(new URL(flow.path, house.issuer).href)
    const without = cookies.replaceAll(/sallyport_browser(\.sig)?=[^;]*(; )?/g, '')
    expect(without).toContain('sallyport_interaction=')
    const typed = { username: 'alex', password: PASSWORD }
    await expectRefused(flow, await flow.step('login', typed, { cookie: without }), 403)
  })

  test.each<Record<string, string>>([
    { origin: 'https://evil.example' },
    { origin: 'null' },
    { origin: 'http://localhost:1' },
    { origin: 'http://localhost.evil.example' },
    { 'sec-fetch-site': 'cross-site' },
    { 'sec-fetch-site': 'same-site' },
    { 'sec-fetch-site': 'none', origin: 'null' },
  ])('sent by another site is refused: %o (input 39, WEB-01, WEB-02)', async (headers) => {
    const flow = await atLogin()
    await expectRefused(
      flow,
      await flow.step('login', { username: 'alex', password: PASSWORD }, headers),
      403,
    )
  })

  test('posted after the interaction has expired leads to a page that says so (input 40)', async () => {
    const flow = await atLogin()
    house.moveClock(960)
    const answer = await flow.password('alex')
    await expectRefused(flow, answer, 400)
    expect(answer.html).toContain('expired')
    expect((await flow.page()).status).toBe(400)
  })

  test('posted with the cookies of another’s interaction is refused (input 41)', async () => {
    const [flow, other] = [await atLogin(), await atLogin()]
    const cookie = await other.jar.getCookieString(new URL(other.path, house.issuer).href)
    const typed = { username: 'alex', password: PASSWORD }
    for (const token of [flow.formToken, other.formToken]) {
      const body = { ...typed, form_token: token }
      const answer = await flow.post(`${flow.path}/login`, body, { cookie })
      await expectRefused(flow, answer, 400)
    }
  })

  test('under another’s host name changes no link, cookie, redirect or text (input 42)', async () => {
    const flow = await atLogin()
    const cookie = await flow.jar.getCookieString(new URL(flow.path, house.issuer).href)
    const body = form(flow, TYPED)
    const evil = {
      Host: 'evil.example',
      'X-Forwarded-Host': 'evil.example',
      Forwarded: 'host=evil.example;proto=https',
      'X-Original-URL': '//evil.example',
      Cookie: cookie,
    }
    const post = head('POST', `${flow.path}/login`, {
      ...evil,
      Origin: house.issuer,
      'Content-Type': FORM['content-type'],
      'Content-Length': String(body.length),
    })
    const answers = [
      await exchange(house.config.port, `${post}${body}`),
      await exchange(house.config.port, head('GET', flow.path, evil)),
      await exchange(house.config.port, head('GET', flow.authorizationUrl(), evil)),
      await exchange(house.config.port, head('GET', '/.well-known/openid-configuration', evil)),
      await exchange(house.config.port, head('GET', 'http://evil.example/auth?client_id=x', evil)),
    ]
    expect(answers[0]).toMatch(/^HTTP\/1.1 303 /)
    expect(answers[1]).toContain('one-time-code')
    for (const answer of answers) expect(answer).not.toContain('evil')
    expect(house.codeTexts()).toHaveLength(1)
    expect(house.gateway.messages[0]?.text).not.toContain('evil')
    await house.db.deleteFrom('challenge').execute()
  })
})
