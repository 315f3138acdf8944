import { sql } from 'kysely'
import { afterEach, describe, expect, test } from 'vitest'
import { createFlow } from './support/flow.ts'
import { type House, type HouseOptions, PASSWORD, PHONES, startHouse } from './support/house.ts'

let house: House

async function open(options: HouseOptions = {}): Promise<void> {
  house = await startHouse(options)
  await house.addClient()
  await house.addAccount('alex')
}

afterEach(() => house.stop())

/** A code that is surely not the one that was sent. */
const wrong = (phone?: string) =>
  String((Number(house.lastCode(phone)) + 1) % 1_000_000).padStart(6, '0')

async function guessWrong(times: number, username = 'alex'): Promise<void> {
  for (let done = 0; done < times; ) {
    const flow = createFlow(house)
    await flow.toCode(username)
    for (let i = 0; i < 5 && done < times; i++, done++) await flow.code(wrong())
  }
}

describe('wrong codes', () => {
  test('lock the account at ten, over fresh browsers and addresses, and the right code no longer helps (THR-01, THR-06, input 58)', async () => {
    await open({ env: { TRUST_PROXY: '1' } })
    const waiting = createFlow(house)
    await waiting.toCode('alex')
    const right = house.lastCode()
    for (let browser = 0; browser < 5; browser++) {
      const flow = createFlow(house, { headers: { 'x-forwarded-for': `198.51.100.${browser}` } })
      await flow.toCode('alex')
      await flow.code(wrong())
      await flow.code(wrong())
    }
    const refused = await waiting.code(right)
    expect(refused.status).toBe(403)
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(500)
    const next = createFlow(house)
    await next.begin()
    expect((await next.password('alex')).status).toBe(401)
  })

  test('the lock ends, and grows with each further failure (THR-02)', async () => {
    await open()
    await guessWrong(10)
    const flow = createFlow(house)
    house.moveClock(601)
    await flow.toCode('alex')
    await flow.code(wrong())
    house.moveClock(601)
    await flow.begin()
    expect((await flow.password('alex')).status).toBe(401)
    house.moveClock(601)
    const last = createFlow(house)
    await last.toCode('alex')
    expect((await last.resume(await last.code(house.lastCode()))).get('code')).toBeTruthy()
  })

  test('a hundred in a row turn the second factor off for good (THR-02)', async () => {
    await open()
    await house.addAccount('other', PHONES[1])
    await guessWrong(1)
    await house.db.updateTable('second_factor').set({ failures: 99 }).execute()
    await guessWrong(1)
    house.moveClock(365 * 24 * 3600)
    const flow = createFlow(house)
    await flow.begin()
    expect((await flow.password('alex')).status).toBe(401)
  })

  test('are forgotten by a right code, not by a right password (THR-03)', async () => {
    await open()
    const failures = async () =>
      (await house.db.selectFrom('second_factor').select('failures').executeTakeFirstOrThrow())
        .failures
    await guessWrong(9)
    const flow = createFlow(house)
    await flow.toCode('alex')
    expect(await failures()).toBe(9)
    await flow.code(house.lastCode())
    expect(await failures()).toBe(0)
  })

  test('count although the browser’s cookies are put back (CHL-08, input 59)', async () => {
    await open()
    const flow = createFlow(house)
    await flow.toCode('alex')
    const saved = await flow.jar.serialize()
    for (let i = 0; i < 4; i++) await flow.code(wrong())
    const { CookieJar } = await import('tough-cookie')
    const restored = createFlow(house, { jar: await CookieJar.deserialize(saved) })
    Object.assign(restored, { path: flow.path, formToken: flow.formToken })
    await restored.code(wrong())
    expect((await restored.code(house.lastCode())).status).toBe(403)
  })
})

describe('wrong passwords', () => {
  test('lock the name at ten for a while; the right one works after', async () => {
    await open()
    const attempt = async (password: string) => {
      const flow = createFlow(house)
      await flow.begin()
      return (await flow.password('alex', password)).status
    }
    for (let i = 0; i < 10; i++) expect(await attempt('wrong password')).toBe(401)
    expect(await attempt(PASSWORD)).toBe(401)
    house.moveClock(61)
    expect(await attempt(PASSWORD)).toBe(303)
  })

  test('send nothing, however many (THR-18)', async () => {
    await open()
    for (let i = 0; i < 15; i++) {
      const flow = createFlow(house)
      await flow.begin()
      await flow.password(i % 2 ? 'alex' : 'nobody', 'wrong password')
    }
    expect(house.gateway.messages).toEqual([])
  })
})

describe('sends', () => {
  const ask = async (username: string, headers: Record<string, string> = {}) => {
    const flow = createFlow(house, { headers })
    await flow.begin()
    return flow.password(username)
  }

  test('to one number are limited over all accounts that have it (THR-12)', async () => {
    await open({ env: { SMS_LIMIT_PHONE_HOUR: '5' } })
    await house.addAccount('twin')
    const statuses = []
    for (let i = 0; i < 8; i++) statuses.push((await ask(i % 2 ? 'twin' : 'alex')).status)
    expect(statuses).toEqual([303, 303, 303, 303, 303, 429, 429, 429])
    expect(house.codeTexts()).toHaveLength(5)
  })

  test('are never more than the limit within any hour, however they are spread', async () => {
    await open({ env: { SMS_LIMIT_PHONE_HOUR: '5' } })
    const sent: number[] = []
    for (let minute = 0; minute < 200; minute += 6) {
      // In the beginning one, then as many as it gets: what would beat a window that starts anew.
      for (let more = minute < 54 ? 1 : 6; more > 0; more--) {
        if (minute > 0 && minute < 54) continue
        if ((await ask('alex')).status !== 303) break
        sent.push(minute)
      }
      house.moveClock(360)
    }
    for (const minute of sent) {
      expect(
        sent.filter((other) => other >= minute && other < minute + 60).length,
      ).toBeLessThanOrEqual(5)
    }
    expect(sent.length).toBeGreaterThanOrEqual(12)
  })

  test('from one address are limited, whatever the request claims (THR-07, input 60)', async () => {
    await open({ env: { SMS_LIMIT_IP_HOUR: '3' } })
    const claims = [
      'x-forwarded-for',
      'forwarded',
      'x-real-ip',
      'true-client-ip',
      'cf-connecting-ip',
    ]
    const statuses = []
    for (const [index, name] of claims.entries())
      statuses.push((await ask('alex', { [name]: `198.51.100.${index}` })).status)
    expect(statuses).toEqual([303, 303, 303, 429, 429])
  })

  test('behind one proxy only the entry it added counts (THR-07)', async () => {
    await open({ env: { SMS_LIMIT_IP_HOUR: '2', TRUST_PROXY: '1' } })
    const statuses = []
    for (let i = 0; i < 3; i++)
      statuses.push((await ask('alex', { 'x-forwarded-for': `10.0.0.${i}, 203.0.113.9` })).status)
    expect(statuses).toEqual([303, 303, 429])
    expect((await ask('alex', { 'x-forwarded-for': '203.0.113.9, 203.0.113.10' })).status).toBe(303)
  })

  test('a refused one doesn’t eat into the budget of all', async () => {
    await open({ env: { SMS_LIMIT_PHONE_HOUR: '1', SMS_LIMIT_GLOBAL_HOUR: '2' } })
    await house.addAccount('other', PHONES[1])
    for (let i = 0; i < 6; i++) await ask('alex')
    expect((await ask('other')).status).toBe(303)
  })

  test('go nowhere once a country is off the list, also for numbers enrolled before (THR-15)', async () => {
    await open({ env: { SMS_ALLOWED_COUNTRIES: 'DK' } })
    const answer = await ask('alex')
    expect(answer.status).toBe(403)
    expect(house.gateway.messages).toEqual([])
  })

  test('again too soon are refused with the time to wait, and the code stays the same (THR-11, OTP-11)', async () => {
    await open({ env: { OTP_MAX_SENDS: '3' } })
    const flow = createFlow(house)
    await flow.toCode('alex')
    const code = house.lastCode()
    const early = await flow.step('resend')
    expect(early.status).toBe(429)
    expect(Number(early.headers.get('retry-after'))).toBeGreaterThan(20)
    // Each wait is twice as long as the one before.
    house.moveClock(31)
    expect((await flow.step('resend')).status).toBe(303)
    house.moveClock(31)
    expect((await flow.step('resend')).status).toBe(429)
    house.moveClock(30)
    expect((await flow.step('resend')).status).toBe(303)
    house.moveClock(121)
    expect((await flow.step('resend')).status).toBe(429)
    expect(house.gateway.messages.map(({ text }) => text.slice(-6))).toEqual([code, code, code])
  })
})

test('success ends this browser’s other sign-ins, and leaves another browser’s alone (CHL-20, CHL-23)', async () => {
  await open()
  const mine = createFlow(house)
  await mine.toCode('alex')
  const first = house.lastCode()
  const tab = createFlow(house, { jar: mine.jar })
  await tab.toCode('alex')
  const second = house.lastCode()
  const elsewhere = createFlow(house)
  await elsewhere.toCode('alex')
  const third = house.lastCode()
  expect((await elsewhere.code(first)).status).toBe(400)
  expect((await mine.resume(await mine.code(first))).get('code')).toBeTruthy()
  expect((await tab.code(second)).status).toBe(400)
  expect((await elsewhere.resume(await elsewhere.code(third))).get('code')).toBeTruthy()
})

test('without its limiter nothing is sent and nothing is judged (THR-19)', async () => {
  await open()
  const waiting = createFlow(house)
  await waiting.toCode('alex')
  const right = house.lastCode()
  const sent = house.codeTexts().length
  await sql`alter table second_factor rename to cut; alter table sign_in_attempt rename to cut_too`.execute(
    house.db,
  )
  expect((await waiting.code(right)).status).toBeGreaterThanOrEqual(500)
  const flow = createFlow(house)
  await flow.begin()
  expect((await flow.password('alex')).status).toBeGreaterThanOrEqual(500)
  expect(house.codeTexts().length).toBe(sent)
})

test('an account disabled half-way gets nothing (CHL-19)', async () => {
  await open()
  const flow = createFlow(house)
  await flow.toCode('alex')
  await house.db.updateTable('account').set({ disabled_at: new Date() }).execute()
  const answer = await flow.code(house.lastCode())
  const after = answer.location ? await flow.request(answer.location) : answer
  expect(after.location ?? '').not.toContain('code=')
  expect(
    await house.db
      .selectFrom('oidc_record')
      .select('key')
      .where('model', '=', 'AuthorizationCode')
      .execute(),
  ).toEqual([])
})

test('removing the phone ends its open challenges (CHL-18)', async () => {
  await open()
  const flow = createFlow(house)
  await flow.toCode('alex')
  const code = house.lastCode()
  const { id } = await house.db.selectFrom('account').select('id').executeTakeFirstOrThrow()
  const [phone] = await house.rooms.phones.list(id)
  if (phone) await house.rooms.phoneChanges.remove(id, phone.id, { keepLast: false })
  expect((await flow.code(code)).status).toBe(400)
})

test('strangers who lock a name don’t lock out its owner, in a browser they signed in with before (THR-10)', async () => {
  await open()
  const own = createFlow(house)
  await own.complete('alex')
  const stranger = createFlow(house)
  await stranger.begin()
  for (let i = 0; i < 12; i++) await stranger.password('alex', `wrong ${i}`)
  expect((await stranger.password('alex')).status).toBe(401)
  const again = createFlow(house, { jar: own.jar })
  await again.begin({ prompt: 'login' })
  expect((await again.password('alex')).status).toBe(303)
  // The cookie gives ten tries, no more.
  const copied = createFlow(house, { jar: own.jar })
  await copied.begin({ prompt: 'login' })
  for (let i = 0; i < 10; i++) await copied.password('alex', `wrong ${i}`)
  expect((await copied.password('alex')).status).toBe(401)
})

test('a browser is known for the names it was used with only (THR-10)', async () => {
  await open()
  await house.addAccount('bo', PHONES[1])
  const own = createFlow(house)
  await own.complete('alex')
  const stranger = createFlow(house)
  await stranger.begin()
  for (let i = 0; i < 12; i++) await stranger.password('bo', `wrong ${i}`)
  const again = createFlow(house, { jar: own.jar })
  await again.begin({ prompt: 'login' })
  expect((await again.password('bo')).status).toBe(401)
})
