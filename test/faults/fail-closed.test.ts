import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Answer, Flow } from '../support/flow.ts'
import { isSignedIn, otherThan } from '../support/guesses.ts'
import { PHONES, REDIRECT_URI } from '../support/house.ts'
import { appCode } from '../support/second-factors.ts'
import { startWeakHouse, type WeakHouse } from '../support/weak-house.ts'

let weak: WeakHouse
beforeAll(async () => {
  weak = await startWeakHouse({ TRUSTED_DEVICE_DAYS: '30' })
})
afterAll(() => weak.stop())

/** More statements than any request sends. */
const MOST = 30
/** Things that must not open anything, whatever breaks while they are judged. */
const WRONG: Record<string, { at: 'login' | 'code'; act: (flow: Flow) => Promise<Answer> }> = {
  'a wrong password': { at: 'login', act: (flow) => flow.password('alex', 'not this one at all') },
  'a wrong code': { at: 'code', act: (flow) => flow.code(otherThan(weak.house.lastCode())) },
  'a code of an app there is not': {
    at: 'code',
    act: (flow) => flow.step('code', { code: appCode('JBSWY3DPEHPK3PXP', weak.house.now()) }),
  },
  'a wrong backup code': {
    at: 'code',
    act: (flow) => flow.step('backup-code', { code: 'BCDF-GHJK-LMNP-QRST' }),
  },
  'a wrong code with a browser to remember': {
    at: 'code',
    act: (flow) => flow.step('code', { code: otherThan(weak.house.lastCode()), remember: 'yes' }),
  },
  'a wish for another text': { at: 'code', act: (flow) => flow.step('resend') },
  'the way back, without a code': {
    at: 'code',
    act: (flow) => flow.back(),
  },
}

const leadsOut = ({ location }: Answer) => location?.startsWith(REDIRECT_URI) ?? false

async function at(place: 'login' | 'code'): Promise<Flow> {
  // The wrong guesses of before aren't what is looked at.
  await weak.house.db.deleteFrom('sign_in_attempt').execute()
  await weak.house.db
    .updateTable('second_factor')
    .set({ failures: 0, locked_until: null })
    .execute()
  const flow = weak.newFlow()
  await (place === 'login' ? flow.begin() : flow.toCode('alex'))
  return flow
}

describe('an error in any statement (AVL-01)', () => {
  test.each(Object.entries(WRONG))('that judges %s, opens nothing', async (_, wrong) => {
    let broken = 0
    for (; broken < MOST; broken++) {
      const flow = await at(wrong.at)
      weak.proxy.loseAt(broken, 'instead')
      const answer = await wrong.act(flow)
      if (!weak.proxy.hasLost()) break
      expect(leadsOut(answer), `statement ${broken}`).toBe(false)
      expect([303, 400, 401, 403, 429, 500, 503], `statement ${broken}`).toContain(answer.status)
      // Nor does what it left behind.
      const back = await flow.back()
      expect(leadsOut(back), `statement ${broken}`).toBe(false)
      expect(await isSignedIn(flow), `statement ${broken}`).toBe(false)
    }
    expect(broken).toBeGreaterThan(0)
    expect(broken).toBeLessThan(MOST)
  })

  test('that redeems a code for tokens, gives none; and a used code stays used', async () => {
    let broken = 0
    for (; broken < MOST; broken++) {
      const flow = await at('code')
      const code = (await flow.resume(await flow.code(weak.house.lastCode()))).get('code') ?? ''
      weak.proxy.loseAt(broken, 'instead')
      const first = await flow.redeem(code)
      const lost = weak.proxy.hasLost()
      expect([200, 500], `statement ${broken}`).toContain(first.status)
      if (first.status === 500)
        expect(Object.keys(first.body).sort()).toEqual(['error', 'error_description'])
      if (!lost) break
      const second = await flow.redeem(code)
      // What failed can be done again; what was done can't.
      expect(second.status, `statement ${broken}`).toBe(first.status === 500 ? 200 : 400)
    }
    expect(broken).toBeGreaterThan(0)
    expect(broken).toBeLessThan(MOST)
  })

  test('leaves the door working: the next sign-in goes well', async () => {
    const flow = await at('code')
    const query = await flow.resume(await flow.code(weak.house.lastCode(PHONES[0])))
    expect((await flow.redeem(query.get('code') ?? '')).status).toBe(200)
  })
})
