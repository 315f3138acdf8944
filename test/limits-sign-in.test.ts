import { sql } from 'kysely'
import { afterEach, expect, test } from 'vitest'
import { burst, createFlow } from './support/flow.ts'
import { type House, PHONES, startHouse } from './support/house.ts'
import { addApp, noticesOf } from './support/second-factors.ts'

let house: House
afterEach(() => house.stop())

async function open(env: Record<string, string> = {}): Promise<void> {
  house = await startHouse({ env })
  await house.addClient()
  await house.addAccount('alex')
}

/** A sign-in up to the answer to the right password. */
async function ask(username = 'alex') {
  const flow = createFlow(house)
  await flow.begin()
  return flow.password(username)
}

async function events(type: string) {
  const { rows } = await sql<{ detail: unknown; account_id: string | null }>`
    select detail, account_id from audit_event where type = ${type} order by id`.execute(house.db)
  return rows
}

/** The `alert` of each such line in the log. */
function alerts(): unknown[] {
  return house.logged
    .map((line) => JSON.parse(line))
    .filter((line) => 'alert' in line)
    .map(({ level, alert }) => [level, alert])
}

test('texts to one number block stop at their limit, with one alert (THR-14)', async () => {
  await open({ SMS_LIMIT_PREFIX_HOUR: '3' })
  for (let i = 0; i < 6; i++) await house.addAccount(`person${i}`, `+4670123910${i}`)
  const statuses = []
  for (let i = 0; i < 6; i++) statuses.push((await ask(`person${i}`)).status)
  expect(statuses).toEqual([303, 303, 303, 429, 429, 429])
  await house.addAccount('elsewhere', '+46701240000')
  expect((await ask('elsewhere')).status).toBe(303)
  expect((await events('alert.prefix')).map(({ detail }) => detail)).toEqual([{ country: 'SE' }])
  expect(alerts()).toEqual([['warn', 'prefix-SE']])
})

test('texts to one number are limited by the day, over accounts (THR-12)', async () => {
  await open({ SMS_LIMIT_PHONE_DAY: '3' })
  await house.addAccount('same', PHONES[0])
  const statuses = []
  for (const username of ['alex', 'same', 'alex', 'same']) {
    statuses.push((await ask(username)).status)
    house.moveClock(2 * 3600)
  }
  expect(statuses).toEqual([303, 303, 303, 429])
  house.moveClock(20 * 3600)
  expect((await ask()).status).toBe(303)
})

test('the budget of a day is one over all instances, and tells how far it is used (THR-16)', async () => {
  await open({ SMS_LIMIT_GLOBAL_DAY: '6' })
  const second = await startHouse({ beside: house })
  const answers = await burst(16, async (index) => {
    const flow = createFlow(house, { url: index % 2 ? second.url : house.url })
    await flow.begin()
    return flow.password('alex')
  })
  await second.stop()
  expect(house.codeTexts()).toHaveLength(6)
  expect(answers.filter(({ status }) => status === 303)).toHaveLength(6)
  expect(answers.filter(({ status }) => status === 503)).toHaveLength(10)
  expect((await events('alert.budget')).map(({ detail }) => detail)).toEqual([
    { window: 'day', percent: 50 },
    { window: 'day', percent: 80 },
    { window: 'day', percent: 100 },
  ])
  expect(await events('code.not-sent')).toHaveLength(10)
})

/** Someone new types in a number, to the answer to that. */
async function enrol(username: string, number: string) {
  await house.addAccount(username, null)
  const flow = createFlow(house)
  await flow.toCode(username)
  return { flow, answer: await flow.step('enrol-phone', { number, country: '' }) }
}

test('a country whose texts to newcomers come to nothing is paused for them until someone lifts it (THR-17)', async () => {
  await open({ SMS_LIMIT_PREFIX_UNANSWERED: '2' })
  const statuses = []
  for (let i = 0; i < 18; i++)
    statuses.push((await enrol(`new${i}`, `+4670${i + 10}0000${i % 10}`)).answer.status)
  expect(statuses).toEqual([...new Array(16).fill(303), 503, 503])
  const { answer } = await enrol('later', '+46739999999')
  expect(answer.status).toBe(503)
  expect(answer.html).toContain('Texts to the country of your number are stopped for a while')
  const wait = Number(answer.headers.get('retry-after'))
  expect(wait).toBeGreaterThan(3500)
  expect(wait).toBeLessThanOrEqual(65 * 60)
  expect((await enrol('elsewhere', '+4520123456')).answer.status).toBe(303)
  // Whoever has a number already gets on, in any browser.
  expect((await ask('alex')).status).toBe(303)
  expect(alerts()).toEqual([['warn', 'paused-SE']])
  expect((await events('country.paused')).map(({ detail }) => detail)).toEqual([
    { country: 'SE', seconds: expect.any(Number) },
  ])
  expect(await house.rooms.sendStates.lift('SE')).toBe(true)
  expect((await enrol('after', '+46739999998')).answer.status).toBe(303)
})

test('a block whose texts to newcomers come to nothing gets no more of them, until one is answered (THR-14)', async () => {
  await open({ SMS_LIMIT_PREFIX_UNANSWERED: '2' })
  const first = await enrol('new0', '+46701239100')
  const statuses = []
  for (let i = 1; i < 4; i++)
    statuses.push((await enrol(`new${i}`, `+4670123910${i}`)).answer.status)
  expect(statuses).toEqual([303, 429, 429])
  expect(alerts()).toEqual([['warn', 'prefix-SE']])
  await first.flow.code(house.lastCode('+46701239100'))
  statuses.length = 0
  for (let i = 4; i < 7; i++)
    statuses.push((await enrol(`new${i}`, `+4670123910${i}`)).answer.status)
  expect(statuses).toEqual([303, 303, 429])
  // A number of that block that an admin gave is no newcomer's.
  await house.addAccount('given', '+46701239109')
  expect((await ask('given')).status).toBe(303)
})

test('a right code is counted with the send it came of, and once', async () => {
  await open()
  const flow = createFlow(house)
  await flow.toCode('alex')
  house.moveClock(31)
  await flow.step('resend')
  const code = house.lastCode()
  const answers = await burst(5, () => flow.code(code))
  expect(answers.filter(({ status }) => status === 303).length).toBeGreaterThan(0)
  const { rows } = await sql`
    select country, sum(sends)::int as sends, sum(passes)::int as passes from send_traffic group by country`.execute(
    house.db,
  )
  expect(rows).toEqual([{ country: 'SE', sends: 2, passes: 1 }])
})

test('an account whose codes nobody types must wait for more, and a right one ends that (THR-23)', async () => {
  await open({ SMS_LIMIT_UNANSWERED: '3' })
  for (let i = 0; i < 3; i++) expect((await ask()).status).toBe(303)
  const early = await ask()
  expect(early.status).toBe(429)
  const wait = Number(early.headers.get('retry-after'))
  expect(wait).toBeGreaterThan(0)
  expect(wait).toBeLessThanOrEqual(60)
  expect(house.codeTexts()).toHaveLength(3)
  house.moveClock(61)
  await createFlow(house).complete('alex')
  for (let i = 0; i < 3; i++) expect((await ask()).status).toBe(303)
})

test('five right passwords without a code are noted, once (THR-23)', async () => {
  await open()
  const seen = []
  for (let i = 0; i < 7; i++) {
    await ask()
    seen.push((await events('password.seems-known')).length)
  }
  expect(seen).toEqual([0, 0, 0, 0, 1, 1, 1])
  await createFlow(house).complete('alex')
  for (let i = 0; i < 5; i++) await ask()
  expect(await events('password.seems-known')).toHaveLength(2)
})

test('and so are they where an authenticator app is asked (THR-23)', async () => {
  await open()
  const account = await house.rooms.accounts.findByUsername('alex')
  if (!account) throw new Error('there is no alex')
  await addApp(house, account)
  for (let i = 0; i < 7; i++) await ask()
  expect(house.codeTexts()).toEqual([])
  expect(await events('password.seems-known')).toHaveLength(1)
  expect(await noticesOf(house, account.id)).toEqual(['someone-has-password'])
})

test('without a table of limits nothing is sent (THR-19)', async () => {
  await open()
  await sql`alter table send_traffic rename to cut`.execute(house.db)
  expect((await ask()).status).toBeGreaterThanOrEqual(500)
  expect(house.gateway.messages).toEqual([])
})
