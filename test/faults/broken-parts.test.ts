import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { PASSWORD_ALONE } from '../../src/oidc/acr.ts'
import {
  type BreakableParts,
  FAULT,
  makePartsBreakable,
  type Part,
} from '../support/broken-parts.ts'
import { type Answer, createFlow, type Flow, type FlowOptions } from '../support/flow.ts'
import { otherThan } from '../support/guesses.ts'
import { type House, PHONES, REDIRECT_URI, startHouse } from '../support/house.ts'
import { now, settle } from '../support/interactions.ts'
import { MFA } from '../support/second-factors.ts'

let parts: BreakableParts
let house: House
let app: { id: string; secret: string }
/** One that a password alone is enough for, of those who have nothing more. */
let lax: { id: string; secret: string }
/** One that people have to agree to. */
let strange: { id: string; secret: string }
let alex: { id: string }
/** Somebody without a second factor. */
let plain: { id: string }

beforeAll(async () => {
  parts = makePartsBreakable()
  house = await startHouse()
  app = await house.addClient('app', { grants: ['authorization_code', 'refresh_token'] })
  lax = await house.addClient('lax', { secondFactor: 'optional' })
  strange = await house.addClient('strange', { firstParty: false })
  alex = await house.addAccount('alex')
  plain = await house.addAccount('plain', null)
})
// Those that nobody answers add up, and none were sent any more.
beforeEach(() => house.db.deleteFrom('send_limit').execute())
afterAll(async () => {
  vi.restoreAllMocks()
  await house.stop()
})

interface Place {
  begin(): Promise<Flow>
  act(flow: Flow): Promise<Answer>
  /** what is answered where nothing is broken */
  else: number
  /** whether what is done there is right and leads on to the app */
  opens?: true
  /** all parts that are met, what is answered where one is broken, and whether it can't be done again then */
  broken: ReadonlyArray<readonly [Part, number, 'over'?]>
}

const newFlow = (client = app, more: FlowOptions = {}) => createFlow(house, { client, ...more })

async function atLogin(client = app): Promise<Flow> {
  const flow = newFlow(client)
  await flow.begin()
  return flow
}

async function atCode(client = app): Promise<Flow> {
  const flow = newFlow(client)
  await flow.toCode('alex')
  return flow
}

async function codePassed(client = app): Promise<Flow> {
  const flow = await atCode(client)
  await flow.code(house.lastCode())
  return flow
}

const NUMBER = PHONES[1]

async function atEnrolment(): Promise<Flow> {
  for (const table of ['phone', 'backup_code'] as const)
    await house.db.deleteFrom(table).where('account_id', '=', plain.id).execute()
  const flow = newFlow()
  await flow.toCode('plain')
  return flow
}

async function atNewNumber(): Promise<Flow> {
  const flow = await atEnrolment()
  await flow.step('enrol-phone', { number: NUMBER })
  return flow
}

/** Signed in with a password alone, at an app that wants more now. */
async function atStepUp(): Promise<Flow> {
  const first = newFlow(lax)
  await first.begin()
  await settle(house, first, { accountId: alex.id, ts: now() - 60, ...PASSWORD_ALONE })
  const flow = newFlow(lax, { jar: first.jar })
  await flow.begin({ acr_values: MFA })
  return flow
}

const JUDGING = [
  ['judging a cookie', 500],
  ['opening a record', 500],
] as const
/** Whoever waits for a text is told on the next page that none was sent. */
const SENDING = [
  ['opening a secret', 303, 'over'],
  ['opening a number', 303, 'over'],
  ['computing a code', 303, 'over'],
  ['sending a message', 303, 'over'],
] as const
const GUESSING = [
  ['judging a cookie', 500],
  ['opening a secret', 500],
  ['computing a code', 500],
] as const
/** The right code is used by then. */
const GUESSED = [
  ['opening a record', 500, 'over'],
  ['signing a cookie', 500, 'over'],
] as const
/** Each was counted as a guess, and one more would be the last. */
const WRONG = [...GUESSING, ['opening a number', 500], ['drawing a page', 500, 'over']] as const

const PLACES: Record<string, Place> = {
  'a wrong password': {
    begin: () => atLogin(lax),
    act: (flow) => flow.password('plain', 'not this one at all'),
    else: 401,
    broken: [...JUDGING, ['verifying a password', 500], ['drawing a page', 500]],
  },
  'a right password where a code is due': {
    begin: () => atLogin(lax),
    act: (flow) => flow.password('alex'),
    else: 303,
    broken: [...JUDGING, ['verifying a password', 500], ['signing a cookie', 500], ...SENDING],
  },
  'a wrong code': {
    begin: atCode,
    act: (flow) => flow.code(otherThan(house.lastCode())),
    else: 400,
    broken: WRONG,
  },
  'a right code': {
    begin: atCode,
    act: (flow) => flow.code(house.lastCode()),
    else: 303,
    opens: true,
    broken: [...GUESSING, ...GUESSED],
  },
  'a number to add': {
    begin: atEnrolment,
    act: (flow) => flow.step('enrol-phone', { number: NUMBER }),
    else: 303,
    broken: [...JUDGING, ...SENDING],
  },
  'a wrong code for a new number': {
    begin: atNewNumber,
    act: (flow) => flow.code(otherThan(house.lastCode(NUMBER))),
    else: 400,
    broken: WRONG,
  },
  'a right code for a new number': {
    begin: atNewNumber,
    act: (flow) => flow.code(house.lastCode(NUMBER)),
    else: 200,
    opens: true,
    broken: [...GUESSING, ['opening a number', 500], ...GUESSED, ['drawing a page', 500, 'over']],
  },
  'a wish to show more than a password': {
    begin: atStepUp,
    act: (flow) => flow.step('step-up'),
    else: 303,
    broken: [...JUDGING, ...SENDING],
  },
  'the way back to the app': {
    begin: codePassed,
    act: (flow) => flow.back(),
    else: 303,
    opens: true,
    broken: [...JUDGING, ['signing a cookie', 500]],
  },
  'an agreement': {
    async begin() {
      const flow = await codePassed(strange)
      await flow.arrive((await flow.back()).location ?? '')
      return flow
    },
    act: (flow) => flow.step('consent'),
    else: 303,
    opens: true,
    broken: JUDGING,
  },
}

/** How many there are of each thing that opens a door. */
async function given(): Promise<unknown> {
  return house.db
    .selectFrom('oidc_record')
    .select(['model', ({ fn }) => fn.countAll().as('count')])
    .where('model', 'in', ['Session', 'AuthorizationCode', 'AccessToken', 'RefreshToken'])
    .groupBy('model')
    .orderBy('model')
    .execute()
}

const leadsOut = ({ location }: Answer) => location?.startsWith(REDIRECT_URI) ?? false

/** Nothing that lets anybody in, and nothing of the inside. */
function expectNothingIn(answer: Answer): void {
  const { html, status } = answer
  expect(leadsOut(answer)).toBe(false)
  expect(answer.headers.getSetCookie().join()).not.toContain('sallyport_session')
  expect(html).not.toContain(FAULT)
  expect(html).not.toMatch(/\n {4}at |\.[jt]s:\d|node_modules/)
  if (status === 500) expect(html).toMatch(/Something went wrong|^Internal Server Error$/)
}

const logged = (from: number) => house.logged.slice(from).join('')

describe('a part of ours that throws (AVL-01)', () => {
  test.each(Object.entries(PLACES))('at %s, opens nothing', async (_, place) => {
    let flow = await place.begin()
    for (const [part, status, over] of place.broken) {
      const before = await given()
      const lines = house.logged.length
      const { answer, met } = await parts.during(part, () => place.act(flow))
      expect(met).toContain(part)
      expect(answer.status, part).toBe(status)
      expectNothingIn(answer)
      expect(logged(lines), part).toContain(FAULT)
      if (over && !place.opens) expect(leadsOut(await flow.back()), part).toBe(false)
      expect(await given(), part).toEqual(before)
      if (over) flow = await place.begin()
    }
    // What failed can be done again.
    const { answer, met } = await parts.during(undefined, () => place.act(flow))
    expect(answer.status).toBe(place.else)
    expect(met).toEqual(place.broken.map(([part]) => part).toSorted())
    if (!place.opens) expect(leadsOut(await flow.back())).toBe(false)
  })

  test('at the token endpoint, gives no tokens, and what failed can be done again', async () => {
    const flow = await codePassed()
    const query = new URL((await flow.back()).location ?? '').searchParams
    const first = await triedWithParts(() => flow.redeem(query.get('code') ?? ''))
    const refresh = { grant_type: 'refresh_token', refresh_token: String(first.refresh_token) }
    await triedWithParts(() => flow.redeem('', refresh))
  })
})

/** Asks for tokens while a part is broken, with each of those that it takes, and with none. */
async function triedWithParts(redeem: () => ReturnType<Flow['redeem']>) {
  const PARTS: readonly Part[] = ['opening a record', 'signing an ID token']
  for (const part of PARTS) {
    const before = await given()
    const lines = house.logged.length
    const { answer } = await parts.during(part, redeem)
    expect(answer.status, part).toBe(500)
    expect(Object.keys(answer.body).toSorted()).toEqual(['error', 'error_description'])
    expect(answer.body.error).toBe('server_error')
    expect(JSON.stringify(answer.body)).not.toMatch(/broke on purpose|\.[jt]s:\d/)
    expect(logged(lines), part).toContain(FAULT)
    expect(await given(), part).toEqual(before)
  }
  const { answer, met } = await parts.during(undefined, redeem)
  expect(answer.status).toBe(200)
  expect(met).toEqual(PARTS)
  return answer.body
}
