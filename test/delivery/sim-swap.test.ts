import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import type { FakeGateway } from '../support/fake-gateway.ts'
import { createFlow } from '../support/flow.ts'
import { startSmstools, stateOf, untilSettled } from '../support/gateways.ts'
import { type House, PHONES, startHouse } from '../support/house.ts'
import { addPhone, phonesOn } from '../support/second-factors.ts'
import { startSimSwap } from '../support/sim-swap.ts'

const [ONE, OTHER] = PHONES

let operator: Awaited<ReturnType<typeof startSimSwap>>
let smstools: FakeGateway
let gatewayEnv: Record<string, string>
let house: House
beforeAll(async () => {
  operator = await startSimSwap()
  ;({ fake: smstools, env: gatewayEnv } = await startSmstools())
})
afterEach(() => house.stop())
afterAll(async () => {
  await operator.close()
  await smstools.close()
})

async function open(more: Record<string, string> = {}) {
  operator.reset()
  smstools.reset()
  const env = {
    SIM_SWAP_URL: operator.url,
    SIM_SWAP_TOKEN: 'swap-token',
    VOICE_GATEWAYS: 'outbox',
    ...more,
  }
  house = await startHouse({ env })
  await house.addClient()
  const { id } = await house.addAccount('alex')
  const flow = createFlow(house)
  return { id, flow }
}

/** With a second gateway, which also calls. */
const openWithTwo = () =>
  open({
    ...gatewayEnv,
    SMS_GATEWAYS: 'textbee,smstools',
    VOICE_GATEWAYS: 'smstools',
    SMS_DELIVERY_WAIT_SECONDS: '60',
    OTP_MAX_SENDS: '10',
  })

const events = async () =>
  (
    await house.db
      .selectFrom('audit_event')
      .select(['type', 'detail'])
      .where('type', '=', 'phone.sim-swapped')
      .execute()
  ).map(({ detail }) => detail)

test('a SIM that was changed lately is told no code, by text or call; another factor does (GWY-19)', async () => {
  const { id, flow } = await open()
  const [backupCode = ''] = await house.rooms.backupCodes.issue(id)
  operator.swapped.add(ONE)
  await flow.toCode('alex')
  expect(operator.asked).toEqual([
    { authorization: 'Bearer swap-token', body: { phoneNumber: ONE, maxAge: 72 } },
  ])
  expect(house.gateway.requests).toEqual([])
  const page = await flow.page()
  expect([page.status, stateOf(page)]).toEqual([200, 'sim-swapped'])
  expect(page.html).toContain('SIM card')
  expect(page.html).not.toContain('Call me instead')
  expect(page.html).toContain('Use a backup code')
  const query = await flow.resume(await flow.step('backup-code', { code: backupCode }))
  expect(query.get('code')).toBeTruthy()
  expect(await events()).toMatchObject([{ policy: 'refuse' }])
  expect(house.logged.join()).not.toContain(ONE.slice(1))
})

test('a phone that is chosen instead is asked about, too, and nothing follows the refusal (GWY-19)', async () => {
  const { id, flow } = await openWithTwo()
  await addPhone(house, id, OTHER)
  operator.swapped.add(OTHER)
  house.gateway.mode = 'accept-never-deliver'
  await flow.toCode('alex')
  expect(house.gateway.requests.map(({ to }) => to)).toEqual([ONE])
  const [other = ''] = phonesOn(await flow.page())
  await flow.step('phone', { phone: other })
  expect(stateOf(await flow.page())).toBe('sim-swapped')
  house.moveClock(61)
  await untilSettled(house, 'textbee')
  const sent = () => [...house.gateway.requests, ...smstools.sends].map(({ to }) => to)
  expect(sent()).toEqual([ONE])
  expect(stateOf(await flow.page())).toBe('sim-swapped')
  // Nor by what is posted all the same.
  for (const step of ['resend', 'call', 'resend']) {
    await flow.step(step)
    expect(stateOf(await flow.page())).toBe('sim-swapped')
  }
  await untilSettled(house, 'textbee')
  expect(sent()).toEqual([ONE])
  expect(await events()).toHaveLength(4)
})

test('one that is changed while a text is late gets no copy of it', async () => {
  const { flow } = await openWithTwo()
  house.gateway.mode = 'accept-never-deliver'
  await flow.toCode('alex')
  operator.swapped.add(ONE)
  house.moveClock(61)
  await expect.poll(async () => stateOf(await flow.page()), { timeout: 15_000 }).toBe('sim-swapped')
  await untilSettled(house, 'textbee')
  expect(smstools.sends).toEqual([])
  expect((await flow.page()).html).not.toContain('by another route')
})

test('by policy it is recorded alone, and the code is sent', async () => {
  const { flow } = await open({ SIM_SWAP_POLICY: 'alert' })
  operator.swapped.add(ONE)
  await flow.toCode('alex')
  expect(house.codeTexts()).toHaveLength(1)
  expect(await events()).toMatchObject([{ policy: 'alert' }])
})

test('an old SIM gets its code', async () => {
  const { flow } = await open()
  await flow.toCode('alex')
  expect(house.codeTexts()).toHaveLength(1)
  expect(await events()).toEqual([])
})

test.each([
  ['fails', { status: 500, body: '{}' }],
  ['knows no such number', { status: 404, body: '{"code":"NOT_FOUND"}' }],
  ['says something else', { status: 200, body: '{"swapped":"yes"}' }],
])('a check that %s stops nobody, and is logged', async (_, says) => {
  const { flow } = await open()
  operator.answer = says
  await flow.toCode('alex')
  expect(house.codeTexts()).toHaveLength(1)
  expect(house.logged.join()).toContain('SIM swap check failed')
})
