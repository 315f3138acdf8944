import type { Selectable } from 'kysely'
import { CookieJar } from 'tough-cookie'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Database } from '../../src/db/schema.ts'
import { PASSWORD_ALONE as PASSWORD_SHOWN } from '../../src/oidc/acr.ts'
import { type Answer, createFlow, type Flow } from '../support/flow.ts'
import { isSignedIn, otherThan } from '../support/guesses.ts'
import { PHONES, REDIRECT_URI } from '../support/house.ts'
import { now, settle } from '../support/interactions.ts'
import { appCode } from '../support/second-factors.ts'
import { startWeakHouse, type WeakHouse } from '../support/weak-house.ts'

type Remembered = Selectable<Database['trusted_device']>

let weak: WeakHouse
/** An app that a password alone is enough for, of those who have nothing more. */
let lax: { id: string; secret: string }
/** One that people have to agree to. */
let strange: { id: string; secret: string }
let other: { id: string }
let plain: { id: string }
/** A browser that was remembered, with that one cookie, and what the database has of it. */
let browser: { jar: CookieJar; row: Remembered }

beforeAll(async () => {
  weak = await startWeakHouse({ TRUSTED_DEVICE_DAYS: '30' })
  lax = await weak.house.addClient('lax', { secondFactor: 'optional' })
  other = await weak.house.addAccount('other', PHONES[1])
  plain = await weak.house.addAccount('plain', null)
  strange = await weak.house.addClient('strange', { firstParty: false })
  browser = await remembered()
})
afterAll(() => weak.stop())

/** More statements than any request sends. */
const MOST = 30
interface Wrong {
  at: 'login' | 'code' | 'enrolment' | 'new number' | 'step-up'
  /** whether it is at the app that asks for less */
  lax?: boolean
  /** what became of the remembered browser that it comes from */
  remembered?: () => Partial<Remembered>
  act(flow: Flow): Promise<Answer>
}
type Place = Omit<Wrong, 'act'>
/** The right password of somebody who has a phone, where one without any would be in. */
const PASSWORD_ALONE = {
  at: 'login',
  lax: true,
  act: (flow: Flow) => flow.password('alex'),
} as const
/** Things that must not open anything, whatever breaks while they are judged. */
const WRONG: Record<string, Wrong> = {
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
  'a number to add': {
    at: 'enrolment',
    act: (flow) => flow.step('enrol-phone', { number: NUMBER }),
  },
  'a wrong code for a new number': {
    at: 'new number',
    act: (flow) => flow.code(otherThan(weak.house.lastCode(NUMBER))),
  },
  'the end of adding a number, without its code': {
    at: 'new number',
    act: (flow) => flow.step('enrol-finish', { saved: 'yes' }),
  },
  'a wish to show more than a password': { at: 'step-up', act: (flow) => flow.step('step-up') },
  'an agreement, without a sign-in': { at: 'login', act: (flow) => flow.step('consent') },
  'whether a right password is enough': PASSWORD_ALONE,
  'one from a browser that is remembered no more': {
    ...PASSWORD_ALONE,
    remembered: () => ({ expires_at: new Date(0) }),
  },
  'one from a browser whose cookie was copied': {
    ...PASSWORD_ALONE,
    remembered: () => ({ token_hash: Buffer.alloc(32), rotated_at: minuteAgo() }),
  },
  'one from a browser that somebody else had remembered': {
    ...PASSWORD_ALONE,
    remembered: () => ({ account_id: other.id }),
  },
}

/** Of somebody who has none yet. */
const NUMBER = PHONES[2]

const minuteAgo = () => new Date(Date.now() - 60_000)

const TRUSTED = 'sallyport_trusted'

async function remembered(): Promise<typeof browser> {
  const flow = createFlow(weak.house, { client: lax })
  await flow.toCode('alex')
  await flow.step('code', { code: weak.house.lastCode(), remember: 'yes' })
  const jar = new CookieJar()
  for (const cookie of await flow.jar.getCookies(weak.house.issuer))
    if (cookie.key.startsWith(TRUSTED)) await jar.setCookie(cookie, weak.house.issuer)
  const row = await weak.house.db.selectFrom('trusted_device').selectAll().executeTakeFirstOrThrow()
  return { jar, row }
}

/** A copy of the remembered browser, of which the database has what it had, but for some of it. */
async function comeBack(changed: Partial<Remembered> = {}): Promise<Flow> {
  await weak.house.db.deleteFrom('trusted_device').execute()
  const row = { ...browser.row, ...changed }
  await weak.house.db.insertInto('trusted_device').values(row).execute()
  return createFlow(weak.house, { client: lax, jar: await browser.jar.clone() })
}

const leadsOut = ({ location }: Answer) => location?.startsWith(REDIRECT_URI) ?? false

async function at(
  { at: place, lax: atLax, remembered: changed }: Place,
  params?: Record<string, string>,
): Promise<Flow> {
  // The wrong guesses of before aren't what is looked at, nor the texts that nobody answered.
  for (const table of ['sign_in_attempt', 'send_limit'] as const)
    await weak.house.db.deleteFrom(table).execute()
  await weak.house.db
    .updateTable('second_factor')
    .set({ failures: 0, locked_until: null })
    .execute()
  const flow = changed
    ? await comeBack(changed())
    : createFlow(weak.house, { client: atLax ? lax : weak.app })
  if (place === 'step-up') await signInByPassword(flow)
  if (place === 'login' || place === 'step-up') await flow.begin(params)
  else await flow.toCode(place === 'code' ? 'alex' : 'plain', params)
  if (place === 'new number') await flow.step('enrol-phone', { number: NUMBER })
  return flow
}

/** Into a session that is enough for the app that asks for less. */
async function signInByPassword({ jar }: Flow): Promise<void> {
  const flow = createFlow(weak.house, { client: lax, jar })
  await flow.begin()
  await settle(weak.house, flow, { accountId: other.id, ts: now() - 60, ...PASSWORD_SHOWN })
}

/** Steps that end in a sign-in. */
const RIGHT = {
  'an agreement': {
    async begin() {
      const flow = createFlow(weak.house, { client: strange })
      await flow.toCode('alex')
      const back = await flow.request((await flow.code(weak.house.lastCode())).location ?? '')
      await flow.arrive(back.location ?? '')
      return flow
    },
    step: 'consent',
  },
  'the end of adding a number': {
    async begin() {
      for (const table of ['phone', 'backup_code'] as const)
        await weak.house.db.deleteFrom(table).where('account_id', '=', plain.id).execute()
      const flow = await at({ at: 'new number' })
      await flow.code(weak.house.lastCode(NUMBER))
      return flow
    },
    step: 'enrol-finish',
  },
}

describe('an error in any statement (AVL-01)', () => {
  test.each(Object.entries(WRONG))('that judges %s, opens nothing', async (_, wrong) => {
    let broken = 0
    for (; broken < MOST; broken++) {
      const flow = await at(wrong)
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
      const flow = await at({ at: 'code' }, { scope: 'openid phone' })
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

  test.each(Object.entries(RIGHT))(
    'that takes %s, gives nothing with its answer, and it can be done again',
    async (_, { begin, step }) => {
      let broken = 0
      for (; broken < MOST; broken++) {
        const flow = await begin()
        weak.proxy.loseAt(broken, 'instead')
        const first = await flow.step(step)
        const lost = weak.proxy.hasLost()
        expect([303, 500], `statement ${broken}`).toContain(first.status)
        expect(leadsOut(first), `statement ${broken}`).toBe(false)
        const done = first.status === 500 ? await flow.step(step) : first
        expect((await flow.resume(done)).get('code'), `statement ${broken}`).toBeTruthy()
        if (!lost) break
      }
      expect(broken).toBeGreaterThan(0)
      expect(broken).toBeLessThan(MOST)
    },
  )

  test('leaves the door working: the next sign-in goes well', async () => {
    const flow = await at({ at: 'code' })
    const query = await flow.resume(await flow.code(weak.house.lastCode(PHONES[0])))
    expect((await flow.redeem(query.get('code') ?? '')).status).toBe(200)
    // And a browser that is remembered needs no code.
    const known = await comeBack()
    await known.begin()
    expect((await known.resume(await known.password('alex'))).get('code')).toBeTruthy()
  })
})
