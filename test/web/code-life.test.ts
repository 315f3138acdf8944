import { CookieJar } from 'tough-cookie'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { type Answer, createFlow, type Flow } from '../support/flow.ts'
import { expectStillOpen, guessesCounted, isSignedIn, otherThan } from '../support/guesses.ts'
import { type House, startHouse } from '../support/house.ts'

let house: House
/** by how much the house's clock is ahead */
let moved = 0

beforeAll(async () => {
  house = await startHouse()
  await house.addClient('app')
  await house.addAccount('alex')
})
afterAll(() => house.stop())

beforeEach(async () => {
  house.gateway.reset()
  await house.db.updateTable('second_factor').set({ failures: 0, locked_until: null }).execute()
})

function move(seconds: number): void {
  house.moveClock(seconds)
  moved += seconds
}

async function atCode() {
  const flow = createFlow(house)
  await flow.toCode('alex')
  return { flow, code: house.lastCode() }
}

async function expectRefused(flow: Flow, answer: Answer, status = 400): Promise<void> {
  expect(answer.status, answer.html).toBe(status)
  expect(answer.location).toBeUndefined()
  expect(await isSignedIn(flow)).toBe(false)
}

async function guessWrong(flow: Flow, code: string, times: number): Promise<Answer | undefined> {
  let last: Answer | undefined
  for (let i = 0; i < times; i++) last = await flow.code(otherThan(code))
  return last
}

/** A page without what is random in it. */
function shape(answer: Answer): string {
  return answer.html
    .replaceAll(/value="[\w-]{20,}"/g, 'value=""')
    .replaceAll(/\/interaction\/[\w-]+/g, '')
}

describe('the life of a code', () => {
  /** Moves the clock until the newest challenge has this many seconds left. */
  async function leave(seconds: number): Promise<void> {
    const { expires_at } = await house.db
      .selectFrom('challenge')
      .select('expires_at')
      .orderBy('created_at', 'desc')
      .limit(1)
      .executeTakeFirstOrThrow()
    move(expires_at.getTime() / 1000 - seconds - (Date.now() / 1000 + moved))
  }

  test('it is good until a second before its end (OTP-10)', { retry: 2 }, async () => {
    const { flow, code } = await atCode()
    await leave(1)
    await expectStillOpen(flow, code)
  })

  test.each([0, -1, -60])(
    'with %d seconds left it is refused, and the answer tells nothing of the guess (OTP-10, input 51)',
    async (seconds) => {
      const { flow, code } = await atCode()
      await leave(seconds)
      const [wrong, right] = [await flow.code(otherThan(code)), await flow.code(code)]
      await expectRefused(flow, right)
      expect(right.html).toContain('That code has expired')
      expect(shape(right)).toBe(shape(wrong))
      expect(await guessesCounted(house)).toBe(0)
      expect((await flow.page()).html).toContain('That code has expired')
    },
  )

  test('sending it again doesn’t make it longer', async () => {
    const { flow, code } = await atCode()
    await leave(5)
    expect((await flow.step('resend')).status).toBe(303)
    await leave(-1)
    await expectRefused(flow, await flow.code(code))
  })

  test('sending an expired one again is refused and sends nothing (input 64)', async () => {
    const { flow } = await atCode()
    await leave(-1)
    await expectRefused(flow, await flow.step('resend'))
    expect(house.gateway.requests).toHaveLength(1)
  })
})

describe('the guesses of a challenge', () => {
  test('after five wrong ones the right code is refused like any (input 53, CHL-08)', async () => {
    const { flow, code } = await atCode()
    const fifth = await guessWrong(flow, code, 5)
    expect(fifth?.html).toContain('Too many wrong codes')
    const right = await flow.code(code)
    await expectRefused(flow, right, 403)
    expect(shape(right)).toBe(shape(await flow.code(otherThan(code))))
    expect(await guessesCounted(house)).toBe(5)
  })

  test('are not made new by sending again (OTP-12)', async () => {
    const { flow, code } = await atCode()
    await guessWrong(flow, code, 4)
    move(house.config.otp.resendSeconds)
    expect((await flow.step('resend')).status).toBe(303)
    expect(house.lastCode()).toBe(code)
    expect((await guessWrong(flow, code, 1))?.status).toBe(403)
    await expectRefused(flow, await flow.code(code), 403)
  })

  test('are not made new by another address, reloading or fewer cookies (inputs 59, 60)', async () => {
    const { flow, code } = await atCode()
    const before = await flow.jar.serialize()
    for (let i = 0; i < 5; i++) {
      const forwarded = { 'x-forwarded-for': `192.0.2.${i}`, 'x-real-ip': `192.0.2.${i}` }
      const answer = await flow.step('code', { code: otherThan(code) }, forwarded)
      expect(answer.status).toBe(i < 4 ? 400 : 403)
      await flow.page()
    }
    const again = createFlow(house, { jar: await CookieJar.deserialize(before) })
    Object.assign(again, { path: flow.path, formToken: flow.formToken })
    await expectRefused(again, await again.code(code), 403)
  })

  test('sending a used-up one again is refused and sends nothing (input 64)', async () => {
    const { flow, code } = await atCode()
    await guessWrong(flow, code, 5)
    move(house.config.otp.resendSeconds)
    await expectRefused(flow, await flow.step('resend'), 403)
    expect(house.gateway.requests).toHaveLength(1)
    expect((await flow.step('restart')).status).toBe(303)
    await flow.password('alex')
    await expectStillOpen(flow, house.lastCode())
  })
})

describe('a used code', () => {
  test('opens nothing a second time: not this sign-in, not the next (OTP-09, input 52)', async () => {
    const { flow, code } = await atCode()
    const before = await flow.jar.serialize()
    await expectStillOpen(flow, code)

    const old = createFlow(house, { jar: await CookieJar.deserialize(before) })
    Object.assign(old, { path: flow.path, formToken: flow.formToken })
    const replayed = await old.code(code)
    expect(replayed.location ?? '').not.toContain('code=')
    if (replayed.location) expect((await old.request(replayed.location)).status).toBe(400)
    expect(await isSignedIn(old)).toBe(false)

    const next = await atCode()
    if (next.code === code) return
    await expectRefused(next.flow, await next.flow.code(code))
    expect(await guessesCounted(house)).toBe(1)
  })

  test('or one whose sign-in was cancelled or begun again is refused (input 71, CHL-14)', async () => {
    for (const step of ['cancel', 'restart']) {
      const { flow, code } = await atCode()
      expect((await flow.step(step)).status).toBe(303)
      await expectRefused(flow, await flow.code(code))
      await flow.page()
      await expectRefused(flow, await flow.code(code))
    }
  })
})
