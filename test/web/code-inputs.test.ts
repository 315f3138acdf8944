import { sql } from 'kysely'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { Account } from '../../src/accounts/accounts.ts'
import { type Answer, createFlow, type Flow } from '../support/flow.ts'
import {
  expectStillOpen,
  guessesCounted,
  isSignedIn,
  openPhone,
  otherThan,
} from '../support/guesses.ts'
import { type House, PHONES, startHouse } from '../support/house.ts'

let house: House
let alex: Account

beforeAll(async () => {
  house = await startHouse()
  await house.addClient('app')
  alex = await house.addAccount('alex')
  await house.addAccount('blake', PHONES[1])
})
afterAll(() => house.stop())

beforeEach(async () => {
  house.gateway.reset()
  await house.db.updateTable('second_factor').set({ failures: 0, locked_until: null }).execute()
})

/** A flow that stands at the code page, and the code it waits for. */
async function atCode(username = 'alex', phone: string = PHONES[0]) {
  const flow = createFlow(house)
  await flow.toCode(username)
  return { flow, code: house.lastCode(phone) }
}

async function expectRefused(flow: Flow, answer: Answer, status = 400): Promise<void> {
  expect(answer.status, answer.html).toBe(status)
  expect(answer.location).toBeUndefined()
  expect(await isSignedIn(flow)).toBe(false)
}

/** Posts a code form whose fields are written by hand. */
function postFields(flow: Flow, fields: string): Promise<Answer> {
  return flow.post(
    `${flow.path}/code`,
    new URLSearchParams(`form_token=${flow.formToken}${fields && `&${fields}`}`),
  )
}

describe('what can’t be a code is refused, counts as no guess and spoils nothing', () => {
  test.each(['', 'code=', 'code=null', 'code[]=RIGHT', 'code[0][a]=RIGHT', 'code[code]=RIGHT'])(
    '%s (inputs 43, 46, OTP-18)',
    async (fields) => {
      const { flow, code } = await atCode()
      await expectRefused(flow, await postFields(flow, fields.replace('RIGHT', code)))
      expect(await guessesCounted(house)).toBe(0)
      await expectStillOpen(flow, code)
    },
  )

  test.each(['code=WRONG&code=RIGHT', 'code=RIGHT&code=WRONG', 'code=RIGHT&code=RIGHT'])(
    '%s (input 45)',
    async (fields) => {
      const { flow, code } = await atCode()
      const typed = fields.replaceAll('RIGHT', code).replace('WRONG', otherThan(code))
      await expectRefused(flow, await postFields(flow, typed))
      expect(await guessesCounted(house)).toBe(0)
      await expectStillOpen(flow, code)
    },
  )

  test('anything but exactly six ASCII digits (OTP-17, input 48)', async () => {
    const { flow, code } = await atCode()
    const shift = (zero: number) =>
      code.replaceAll(/\d/g, (digit) => String.fromCodePoint(zero + Number(digit)))
    for (const typed of [
      ...['1', '12345', '1234567', '0x1e240', '1e5', '1e0005', '+12345', '-12345', '12345.', 'NaN'],
      ...[
        code.slice(1),
        `${code}0`,
        `${code}\0`,
        `\0${code}`,
        `${code}\n`,
        `${code}\t`,
        `+${code}`,
      ],
      ...[
        `${code};`,
        `${code}'--`,
        `${code}.0`,
        `-${code}`,
        `${code}-`,
        `1-2-3456`,
        `${code}\u00a0`,
      ],
      ...[shift(0xff10), shift(0x0660), shift(0x06f0), shift(0x1d7ce), '➀➁➂➃➄➅'],
      '1'.repeat(10_000),
    ]) {
      const answer = await flow.code(typed)
      expect(answer.status, typed).toBe(400)
      expect(answer.html).toContain('The code has 6 digits.')
    }
    expect(await isSignedIn(flow)).toBe(false)
    expect(await guessesCounted(house)).toBe(0)
    await expectStillOpen(flow, code)
  })
})

describe('a guess', () => {
  test('of 000000 at a fresh challenge is refused and counted (input 44)', async () => {
    const { flow, code } = await atCode()
    const guess = code === '000000' ? '000001' : '000000'
    await expectRefused(flow, await flow.code(guess))
    expect(await guessesCounted(house)).toBe(1)
    await expectStillOpen(flow, code)
  })

  test.each([
    (code: string) => ` ${code.slice(0, 3)} ${code.slice(3)} `,
    (code: string) => `${code.slice(0, 3)}-${code.slice(3)}`,
    (code: string) => [...code].join(' '),
  ])('may have spaces, and one dash within (input 47) %#', async (spell) => {
    const { flow, code } = await atCode()
    await expectStillOpen(flow, spell(code))
  })

  test('keeps its leading zeros: without them it is refused (input 49, OTP-02)', async () => {
    await atCode()
    const { id, counter, codeAt } = await openPhone(house, alex.id)
    let at = counter + 1n
    while (!codeAt(at).startsWith('0')) at++
    await sql`update phone set hotp_counter = ${String(at - 1n)} where id = ${id}`.execute(house.db)
    const { flow, code } = await atCode()
    expect(code).toBe(codeAt(at))
    await expectRefused(flow, await flow.code(String(Number(code))))
    await expectRefused(flow, await flow.code(` ${code.slice(1)}`))
    await expectStillOpen(flow, code)
  })

  test('with the code of the counter before or after is refused and counted (OTP-08, input 50)', async () => {
    await atCode()
    const { flow, code } = await atCode()
    const { counter, codeAt } = await openPhone(house, alex.id)
    expect(codeAt(counter)).toBe(code)
    const others = [-2n, -1n, 1n, 2n].map((step) => codeAt(counter + step))
    for (const [index, other] of others.filter((other) => other !== code).entries()) {
      await expectRefused(flow, await flow.code(other))
      expect(await guessesCounted(house)).toBe(index + 1)
    }
    await expectStillOpen(flow, code)
  })

  test('with the code of another’s challenge is refused, whoever started it (OTP-13, input 55)', async () => {
    const [mine, also, theirs] = [await atCode(), await atCode(), await atCode('blake', PHONES[1])]
    const { counter } = await openPhone(house, alex.id)
    expect(counter).toBeGreaterThan(1n)
    for (const { code } of [mine, theirs])
      await expectRefused(also.flow, await also.flow.code(code))
    for (const { code } of [mine, also])
      await expectRefused(theirs.flow, await theirs.flow.code(code))
    for (const { flow, code } of [also, theirs]) await expectStillOpen(flow, code)
  })

  test('brings nothing along but itself: other fields are ignored (input 67)', async () => {
    const { flow, code } = await atCode()
    const wishes = {
      mfa: 'true',
      bypass_otp: '1',
      verified: '1',
      passed_at: 'now',
      amr: 'sms',
      acr: 'https://refeds.org/profile/mfa',
      accountId: alex.id,
      counter: '0',
      uid: '1',
    }
    const answer = await flow.step('code', { ...wishes, code: otherThan(code) })
    expect(answer.html).toContain('one-time-code')
    await expectRefused(flow, answer)
    await expectRefused(flow, await flow.step('code', wishes))
    const theirs = createFlow(house)
    await theirs.toCode('blake')
    const query = await theirs.resume(
      await theirs.step('code', { ...wishes, code: house.lastCode(PHONES[1]) }),
    )
    const { accountId } = await house.db
      .selectFrom('challenge')
      .select('account_id as accountId')
      .where('passed_at', 'is not', null)
      .orderBy('passed_at', 'desc')
      .limit(1)
      .executeTakeFirstOrThrow()
    expect(query.get('code')).toBeTruthy()
    expect(accountId).not.toBe(alex.id)
  })

  test('before there is any challenge is refused (input 65, OTP-18)', async () => {
    await house.addAccount('bare', null)
    const flow = createFlow(house)
    await flow.begin()
    for (const code of ['', '123456', '000000']) await expectRefused(flow, await flow.code(code))
    // Nothing to ask for: a number is to be added first.
    expect((await flow.password('bare')).status).toBe(303)
    for (const code of ['', '123456', '000000']) await expectRefused(flow, await flow.code(code))
    expect((await flow.step('resend')).location).toBe(house.issuer + flow.path)
    expect(house.gateway.requests).toEqual([])
  })
})

describe('a text', () => {
  test('goes to the stored number only, whatever a form names (input 69)', async () => {
    const flow = createFlow(house)
    await flow.begin()
    const elsewhere = { phone: PHONES[3], to: PHONES[3], number: PHONES[3], phone_id: '1' }
    await flow.step('login', {
      username: 'alex',
      password: 'correct horse battery',
      ...elsewhere,
    })
    house.moveClock(house.config.otp.resendSeconds + 1)
    expect((await flow.step('resend', elsewhere)).status).toBe(303)
    expect(house.gateway.requests.map(({ to }) => to)).toEqual([PHONES[0], PHONES[0]])
  })

  test('is not sent again by looking, in whatever language or way (inputs 63, 72)', async () => {
    const { flow, code } = await atCode()
    for (const headers of [
      { 'accept-language': 'sv' },
      { purpose: 'prefetch', 'sec-purpose': 'prefetch;prerender' },
    ]) {
      for (const method of ['GET', 'HEAD', 'OPTIONS']) {
        for (const page of ['', '?ui_locales=sv', '/resend', '/code', '/login'])
          await flow.request(`${flow.path}${page}`, { method, headers })
      }
    }
    expect(house.gateway.requests).toHaveLength(1)
    expect(await guessesCounted(house)).toBe(0)
    await expectStillOpen(flow, code)
  })
})
