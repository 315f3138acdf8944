import { CookieJar } from 'tough-cookie'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { type Answer, createFlow, type Flow } from '../support/flow.ts'
import { expectNoWayIn, expectStillOpen, guessesCounted, isSignedIn } from '../support/guesses.ts'
import { type House, PHONES, startHouse } from '../support/house.ts'

let house: House
let app: { id: string; secret: string }

beforeAll(async () => {
  house = await startHouse()
  app = await house.addClient('app')
  await house.addClient('third', { firstParty: false })
  await house.addAccount('alex')
  await house.addAccount('blake', PHONES[1])
})
afterAll(() => house.stop())

beforeEach(() => house.gateway.reset())

async function atCode(client = app): Promise<Flow> {
  const flow = createFlow(house, { client })
  await flow.toCode('alex')
  return flow
}

/** Another browser, led to the same page. */
function elsewhere({ path, formToken }: Flow): Flow {
  return Object.assign(createFlow(house, { client: app }), { path, formToken })
}

describe('with only the password done', () => {
  /** Every route there is, as someone who wants past the code would try it. */
  const ROUTES: Record<string, (flow: Flow) => Promise<Answer>> = {
    resume: (flow) => flow.back(),
    'resume by POST': (flow) => flow.post(flow.path.replace('/interaction/', '/auth/'), {}),
    consent: (flow) => flow.step('consent'),
    'consent with wishes': (flow) => flow.step('consent', { grantId: 'x', accountId: 'alex' }),
    page: (flow) => flow.page(),
    login: (flow) => flow.request(`${flow.path}/login`),
    silent: (flow) => flow.request(flow.authorizationUrl({ prompt: 'none' })),
    'silent, by its hint': (flow) =>
      flow.request(flow.authorizationUrl({ prompt: 'none', login_hint: 'alex' })),
    userinfo: (flow) => flow.request('/me'),
    'userinfo by the uid': (flow) =>
      flow.request('/me', { headers: { authorization: `Bearer ${uidOf(flow)}` } }),
    token: async (flow) => {
      const { status, body } = await flow.redeem(uidOf(flow))
      return { status, headers: new Headers(), html: JSON.stringify(body), location: undefined }
    },
    'end of session': (flow) => flow.request('/session/end'),
    'no code': (flow) => flow.step('code'),
    home: (flow) => flow.request('/'),
  }
  const uidOf = (flow: Flow) => flow.path.split('/').at(-1) ?? ''

  const names = Object.keys(ROUTES)
  const orders = [names, names.toReversed(), ...names.map((name) => [name, 'resume', name])]

  test('no route in any order gives a code, a token or a session (CHL-01, input 66)', async () => {
    for (const client of [app, { id: 'third', secret: '' }]) {
      for (const order of orders) {
        const flow = await atCode(client)
        for (const name of order) {
          const answer = await ROUTES[name]?.(flow)
          if (answer && name.startsWith('silent')) {
            const query = new URL(answer.location ?? '').searchParams
            expect(Object.fromEntries(query)).toMatchObject({ error: 'login_required' })
          } else if (answer) expectNoWayIn(answer)
        }
        expect(await isSignedIn(flow)).toBe(false)
      }
    }
  })

  test('consent and confirmation lead back to the code page (input 66)', async () => {
    const flow = await atCode({ id: 'third', secret: '' })
    const answer = await flow.step('consent')
    expect(answer.location).toBe(new URL(flow.path, house.issuer).href)
    expect((await flow.page()).html).toContain('one-time-code')
  })

  test('the cookies it set sign nobody in, alone or with all others (CHL-02)', async () => {
    const flow = createFlow(house)
    await flow.begin()
    const answer = await flow.password('alex')
    const alone = new CookieJar()
    for (const cookie of answer.headers.getSetCookie()) await alone.setCookie(cookie, house.issuer)
    expect(await isSignedIn(createFlow(house, { jar: alone }))).toBe(false)
    expect(await isSignedIn(flow)).toBe(false)
    const { cookies } = await flow.jar.serialize()
    expect(cookies.map(({ key }) => key)).not.toContain('sallyport_session')
  })

  test('an empty or foreign form at any step moves nothing (CHL-17)', async () => {
    const flow = await atCode()
    const before = (await flow.page()).html
    for (const step of ['login', 'code', 'resend', 'consent', 'cancel', 'restart']) {
      for (const [type, body] of [
        ['application/x-www-form-urlencoded', ''],
        ['application/x-www-form-urlencoded', 'form_token='],
        ['application/x-www-form-urlencoded', 'a=b&code=&mfa=true'],
        ['application/json', '{}'],
        ['text/plain', 'x'],
        ['', ''],
      ]) {
        const answer = await flow.request(`${flow.path}/${step}`, {
          method: 'POST',
          body: body ?? '',
          headers: { 'content-type': type ?? '', origin: house.issuer },
        })
        expect(answer.status, `${step} ${type}`).toBeGreaterThanOrEqual(400)
        expect(answer.status).toBeLessThan(500)
      }
    }
    const text = (html: string) => html.replaceAll(/\d+/g, '')
    expect(text((await flow.page()).html)).toBe(text(before))
    expect(house.gateway.requests).toHaveLength(1)
    await expectStillOpen(flow, house.lastCode())
  })
})

describe('a sign-in belongs to the browser that began it', () => {
  test('another browser can’t open, guess at, or end it (CHL-10, input 54)', async () => {
    const flow = await atCode()
    const code = house.lastCode()
    const other = elsewhere(flow)
    const stranger = createFlow(house)
    await stranger.begin()
    stranger.path = flow.path
    for (const at of [other, stranger]) {
      for (const answer of [
        await at.page(),
        await at.code(code),
        await at.password('alex'),
        await at.step('resend'),
        await at.step('cancel'),
        await at.step('restart'),
        await at.request(flow.path.replace('/interaction/', '/auth/')),
      ]) {
        expect(answer.status).toBeGreaterThanOrEqual(400)
        expectNoWayIn(answer)
      }
      expect(await isSignedIn(at)).toBe(false)
    }
    expect(await guessesCounted(house)).toBe(0)
    expect(house.gateway.requests).toHaveLength(1)
    await expectStillOpen(flow, code)
  })

  test('whoever holds the interaction’s cookie alone gets no further with the right code (CHL-10)', async () => {
    const flow = await atCode()
    const thief = createFlow(house)
    await thief.begin()
    const { cookies } = await flow.jar.serialize()
    const stolen = cookies.filter(({ key }) => key?.startsWith('sallyport_interaction'))
    expect(stolen).toHaveLength(2)
    for (const cookie of stolen)
      await thief.jar.setCookie(
        `${cookie.key}=${cookie.value}; path=${cookie.path}`,
        new URL(flow.path, house.issuer).href,
      )
    const page = await thief.arrive(new URL(flow.path, house.issuer).href)
    expect(page.status).toBe(200)
    expect(page.html).not.toContain('one-time-code')
    expect((await thief.code(house.lastCode())).status).toBe(400)
    expect(await isSignedIn(thief)).toBe(false)
    await expectStillOpen(flow, house.lastCode())
  })

  test('one that a stranger began and sent on signs nobody in at the stranger’s (CHL-11)', async () => {
    const stranger = createFlow(house)
    await stranger.begin()
    const victim = createFlow(house)
    const opened = await victim.request(stranger.path)
    expect(opened.status).toBe(400)
    Object.assign(victim, { path: stranger.path, formToken: stranger.formToken })
    expect((await victim.password('alex')).status).toBe(400)
    expect(house.gateway.requests).toEqual([])
    expect(await isSignedIn(stranger)).toBe(false)
  })

  test('with another name in a second tab only the newer code counts, for the newer name (CHL-12)', async () => {
    const flow = await atCode()
    const alexCode = house.lastCode()
    expect((await flow.password('blake')).status).toBe(303)
    const blakeCode = house.lastCode(PHONES[1])
    const answer = await flow.code(alexCode)
    if (alexCode !== blakeCode) {
      expect(answer.status).toBe(400)
      expect(await isSignedIn(flow)).toBe(false)
    }
    const query = await flow.resume(await flow.code(blakeCode))
    const { body } = await flow.redeem(query.get('code') ?? '')
    const userinfo = await flow.request('/me', {
      headers: { authorization: `Bearer ${body.access_token}` },
    })
    const blake = await house.rooms.accounts.findByUsername('blake')
    expect(JSON.parse(userinfo.html)).toMatchObject({ sub: blake?.id })
  })
})
