import { setTimeout as pause } from 'node:timers/promises'
import { sql } from 'kysely'
import { CookieJar } from 'tough-cookie'
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { type Answer, createFlow, type Flow } from '../support/flow.ts'
import { expectNoWayIn, isSignedIn } from '../support/guesses.ts'
import { type House, PASSWORD, REDIRECT_URI, startHouse } from '../support/house.ts'

type Form = Record<string, string>
type Cookies = Awaited<ReturnType<CookieJar['serialize']>>

let house: House
let app: { id: string; secret: string }

beforeAll(async () => {
  house = await startHouse()
  app = await house.addClient('app')
  await house.addAccount('alex')
})
afterAll(() => house.stop())

beforeEach(() => house.gateway.reset())

/** The same browser with the cookies of another moment, or another browser when there are none. */
async function withCookies({ path, formToken }: Flow, cookies?: Cookies): Promise<Flow> {
  const jar = cookies ? await CookieJar.deserialize(cookies) : new CookieJar()
  return Object.assign(createFlow(house, { client: app, jar }), { path, formToken })
}

describe('a finished sign-in', () => {
  /** Signs in and keeps every request that was made on the way, with the cookies it was made with. */
  async function recorded() {
    const flow = createFlow(house, { client: app })
    const kept: {
      cookies: Awaited<ReturnType<CookieJar['serialize']>>
      path: string
      form?: Form
    }[] = []
    const send = async (path: string, form?: Form): Promise<Answer> => {
      kept.push({ cookies: await flow.jar.serialize(), path, ...(form && { form }) })
      return form ? flow.post(path, { form_token: flow.formToken, ...form }) : flow.request(path)
    }
    await flow.begin()
    await send(flow.path)
    await send(`${flow.path}/login`, { username: 'alex', password: PASSWORD })
    await send(flow.path)
    const { location } = await send(`${flow.path}/code`, { code: house.lastCode() })
    const back = await send(new URL(location ?? '').pathname)
    expect(back.location).toContain(`${REDIRECT_URI}?code=`)
    await send(`${flow.path}/cancel`, {})
    await send(`${flow.path}/consent`, {})
    return { flow, kept }
  }
  async function signOut(flow: Flow): Promise<void> {
    const page = await flow.request('/session/end')
    const xsrf = /name="xsrf" value="([^"]+)"/.exec(page.html)?.[1] ?? ''
    expect((await flow.post('/session/end/confirm', { xsrf, logout: 'yes' })).status).toBe(303)
    expect(await isSignedIn(flow)).toBe(false)
  }

  test('can’t be done again from what was kept of it, here or elsewhere (CHL-09)', async () => {
    const { flow, kept } = await recorded()
    const finished = await flow.jar.serialize()
    const replay = async () => {
      for (const { cookies, path, form } of kept) {
        for (const from of [finished, cookies, undefined]) {
          const browser = await withCookies(flow, from)
          let answer = form
            ? await browser.post(path, { form_token: flow.formToken, ...form })
            : await browser.request(path)
          expectNoWayIn(answer)
          while (answer.location) {
            answer = await browser.request(answer.location)
            expectNoWayIn(answer)
          }
          expect(answer.status, path).toBeGreaterThanOrEqual(400)
          if (from === undefined) expect(await isSignedIn(browser)).toBe(false)
        }
      }
    }
    await replay()
    await signOut(flow)
    await replay()
    expect(await isSignedIn(await withCookies(flow, finished))).toBe(false)
    expect(house.gateway.requests).toHaveLength(1)
  })

  test.each([0, 2, 20, 100])(
    'double-clicked within %d ms the second answer leads to the app (CHL-21)',
    async (gapMs) => {
      for (let round = 0; round < 5; round++) {
        const flow = createFlow(house, { client: app })
        await flow.toCode('alex')
        const code = house.lastCode()
        const first = flow.code(code)
        if (gapMs > 0) await pause(gapMs)
        // A browser drops the first answer and follows the second, without waiting.
        const second = await flow.code(code)
        expect(second.status).toBe(303)
        const query = await flow.resume(second)
        expect(query.get('code')).toBeTruthy()
        expect((await flow.redeem(query.get('code') ?? '')).status).toBe(200)
        expect((await first).status).toBeLessThan(500)
      }
    },
  )

  test('double-clicked, the second answer waits until the first has stored what it came to (CHL-21)', async () => {
    const flow = createFlow(house, { client: app })
    await flow.toCode('alex')
    const code = house.lastCode()
    await house.db.deleteFrom('challenge').where('passed_at', 'is not', null).execute()
    const held = Promise.withResolvers<void>()
    const locked = Promise.withResolvers<void>()
    const holding = house.db.transaction().execute(async (trx) => {
      await sql`lock table oidc_record in share mode`.execute(trx)
      locked.resolve()
      await held.promise
    })
    await locked.promise
    const first = flow.code(code)
    await vi.waitUntil(() =>
      house.db
        .selectFrom('challenge')
        .select('id')
        .where('passed_at', 'is not', null)
        .executeTakeFirst(),
    )
    const second = flow.code(code).then((answer) => flow.resume(answer))
    second.catch(() => {})
    await pause(300)
    held.resolve()
    await holding
    expect((await second).get('code')).toBeTruthy()
    expect((await first).status).toBe(303)
  })
})
