import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { ACR } from '../../src/oidc/acr.ts'
import { hotp } from '../../src/second-factor/hotp.ts'
import { type FakeGateway, startFakeGateway } from '../support/fake-gateway.ts'
import { ACCESS_KEY, type FakeMessagebird, fakeMessagebird } from '../support/fake-messagebird.ts'
import { burst, claimsOf, createFlow } from '../support/flow.ts'
import { stateOf } from '../support/gateways.ts'
import { type House, startHouse } from '../support/house.ts'

let contract: FakeMessagebird
let fake: FakeGateway
let house: House
beforeAll(async () => {
  contract = fakeMessagebird()
  fake = await startFakeGateway(contract)
})
beforeEach(() => fake.reset())
afterEach(() => house.stop())
afterAll(() => fake.close())

async function open(more: Record<string, string> = {}) {
  house = await startHouse({
    env: {
      SMS_GATEWAYS: 'messagebird-verify',
      MESSAGEBIRD_ACCESS_KEY: ACCESS_KEY,
      MESSAGEBIRD_BASE_URL: fake.baseUrl,
      ...more,
    },
  })
  const client = await house.addClient()
  await house.addAccount('alex')
  return createFlow(house, { client })
}

/** The code the gateway made for the last verification. */
const lastToken = () => [...contract.started.values()].at(-1)?.token ?? ''
const wrongOf = (token: string) => (token === '111111' ? '222222' : '111111')

test('a code that the gateway makes and judges lets in, once', async () => {
  const flow = await open()
  await flow.toCode('alex')
  expect(fake.faults).toEqual([])
  expect(stateOf(await flow.page())).toBe('accepted')
  const token = lastToken()
  expect((await flow.code(wrongOf(token))).html).toContain('data-code="wrong"')
  const query = await flow.resume(await flow.code(token))
  const { body } = await flow.redeem(query.get('code') ?? '')
  expect(claimsOf(body)).toMatchObject({
    acr: ACR.secondFactor,
    amr: ['pwd', 'otp', 'sms', 'mfa'],
  })
  // The same digits open nothing else.
  const again = createFlow(house, { client: { id: 'app', secret: '' } })
  await again.toCode('alex')
  if (lastToken() !== token) expect((await again.code(token)).status).toBe(400)
})

test('its id stays with us: on no page, in no log, in no answer', async () => {
  const flow = await open()
  await flow.toCode('alex')
  const [id = ''] = [...contract.started.keys()].slice(-1)
  expect(id.length).toBeGreaterThan(10)
  const page = await flow.page()
  expect(page.html).not.toContain(id)
  await flow.code(wrongOf(lastToken()))
  expect(house.logged.join('\n')).not.toContain(id)
  expect(house.logged.join('\n')).not.toContain(lastToken())
})

test('our own limits count: five guesses, whatever the gateway would allow (CHL-05)', async () => {
  const flow = await open()
  await flow.toCode('alex')
  const token = lastToken()
  const answers = await burst(10, () => flow.code(wrongOf(token)))
  expect(answers.filter(({ status }) => status === 400).length).toBeLessThanOrEqual(5)
  const checks = fake.requests.filter(({ query }) => query.has('token'))
  expect(checks.length).toBeLessThanOrEqual(5)
  expect((await flow.code(token)).status).toBe(403)
})

test.each([
  ['doesn’t answer as it should', { status: 200, body: { status: 'VERIFIED' } }],
  ['says yes in other words', { status: 200, body: { status: 'sent', verified: true } }],
  ['fails', { status: 500, body: {} }],
  ['redirects', { status: 302, headers: { location: '/' } }],
])('a gateway that %s lets nobody in, not even with the right code', async (_, answer) => {
  const flow = await open()
  await flow.toCode('alex')
  fake.answerNext(answer)
  const got = await flow.code(lastToken())
  expect(got.status).toBe(400)
  expect(got.html).toMatch(/data-code="(wrong|not-judged|unusable)"/)
})

test('the code that ours would have been is none', async () => {
  const flow = await open()
  await flow.toCode('alex')
  // Every code but the gateway's own: as many as may be guessed, of a million.
  const { counter } = await house.db
    .selectFrom('challenge')
    .select('counter')
    .executeTakeFirstOrThrow()
  expect(Number(counter)).toBeGreaterThan(0)
  const [phone] = await house.db.selectFrom('phone').selectAll().execute()
  const secret = await house.rooms.phones.secret(phone?.id ?? '', phone?.hotp_secret ?? null)
  const ours = hotp(secret, BigInt(counter ?? 0), 6)
  if (ours !== lastToken()) expect((await flow.code(ours)).html).toContain('data-code="wrong"')
})

test('sending again makes a new code, and the old one is none any more', async () => {
  const flow = await open()
  await flow.toCode('alex')
  const first = lastToken()
  house.moveClock(31)
  await flow.step('resend')
  expect(contract.started.size).toBeGreaterThan(1)
  if (first !== lastToken()) expect((await flow.code(first)).status).toBe(400)
  const query = await flow.resume(await flow.code(lastToken()))
  expect(query.get('code')).toBeTruthy()
})
