import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { ACR } from '../../src/oidc/acr.ts'
import type { FakeGateway } from '../support/fake-gateway.ts'
import { claimsOf, createFlow } from '../support/flow.ts'
import { reportFrom, startSmstools, stateOf, until } from '../support/gateways.ts'
import { type House, PHONES, startHouse } from '../support/house.ts'

let smstools: FakeGateway
let env: Record<string, string>
let house: House
beforeAll(async () => {
  ;({ fake: smstools, env } = await startSmstools())
})
beforeEach(() => smstools.reset())
afterEach(() => house.stop())
afterAll(() => smstools.close())

async function open(more: Record<string, string> = {}) {
  house = await startHouse({ env: { ...env, SMS_DELIVERY_WAIT_SECONDS: '1', ...more } })
  const client = await house.addClient()
  await house.addAccount('alex')
  return createFlow(house, { client })
}

const codeIn = (text: string | undefined) => /#(\d+)$/.exec(text ?? '')?.[1] ?? ''

test('a gateway that accepts and never delivers: the same code comes by the next one, and lets in', async () => {
  const flow = await open({ SMS_GATEWAYS: 'textbee,smstools' })
  house.gateway.mode = 'accept-never-deliver'
  await flow.toCode('alex')
  expect(stateOf(await flow.page())).toBe('accepted')
  await until(() => flow.page(), 'by another route')
  await expect.poll(() => smstools.messages).toHaveLength(1)
  expect(house.gateway.requests).toHaveLength(1)
  const [first] = house.gateway.requests
  const [second] = smstools.messages
  expect(second?.to).toBe(PHONES[0])
  expect(codeIn(second?.text)).toBe(codeIn(first?.text))
  await reportFrom(house, second?.providerId ?? '', 'delivered')
  expect(stateOf(await flow.page())).toBe('delivered')
  const query = await flow.resume(await flow.code(codeIn(second?.text)))
  const { body } = await flow.redeem(query.get('code') ?? '')
  expect(claimsOf(body)).toMatchObject({ acr: ACR.secondFactor, amr: ['pwd', 'otp', 'sms', 'mfa'] })
  // One challenge, two sends, and the second one asked for by nobody.
  const challenges = await house.db.selectFrom('challenge').selectAll().execute()
  expect(challenges).toMatchObject([{ sends: 2, reroutes: 1 }])
})

test('a report that it failed is enough: nobody waits for the time to be over', async () => {
  const flow = await open({
    SMS_GATEWAYS: 'smstools,textbee',
    SMS_DELIVERY_WAIT_SECONDS: '300',
  })
  await flow.toCode('alex')
  await reportFrom(house, smstools.messages[0]?.providerId ?? '', 'failed')
  await until(() => flow.page(), 'by another route')
  expect(house.lastCode()).toBe(codeIn(smstools.messages[0]?.text))
})

test('with no other gateway the page says that it did not arrive, and what is left', async () => {
  const flow = await open({ SMS_GATEWAYS: 'smstools', VOICE_GATEWAYS: 'smstools' })
  await flow.toCode('alex')
  await until(() => flow.page(), 'Nobody has confirmed yet')
  const { providerId } = smstools.messages[0] ?? {}
  await reportFrom(house, providerId ?? '', 'failed')
  const page = await until(() => flow.page(), 'didn’t reach')
  expect(page.html).toContain('Send again')
  expect(page.html).toContain('Call me instead')
  expect(smstools.messages).toHaveLength(1)
  // Its code may yet be typed: late, or read on another device.
  const query = await flow.resume(await flow.code(codeIn(smstools.messages[0]?.text)))
  expect(query.get('code')).toBeTruthy()
})

test('what nobody asked for is bounded by the sends of a sign-in and by the limits', async () => {
  const flow = await open({ SMS_GATEWAYS: 'textbee,smstools', OTP_MAX_SENDS: '1' })
  house.gateway.mode = 'accept-never-deliver'
  await flow.toCode('alex')
  await until(() => flow.page(), 'Nobody has confirmed yet')
  expect(smstools.sends).toEqual([])
})

test('a sign-in that ended meanwhile, or a code that expired, is sent nothing more (AVL-21)', async () => {
  const flow = await open({ SMS_GATEWAYS: 'smstools,textbee', SMS_DELIVERY_WAIT_SECONDS: '300' })
  await flow.toCode('alex')
  await flow.step('cancel')
  await reportFrom(house, smstools.messages[0]?.providerId ?? '', 'failed')
  const other = createFlow(house, { client: { id: 'app', secret: '' } })
  await other.toCode('alex')
  const { providerId } = smstools.messages[1] ?? {}
  house.moveClock(301)
  await reportFrom(house, providerId ?? '', 'failed')
  const overdue = () => house.db.selectFrom('message').select('id').where('overdue', '=', true)
  await expect.poll(async () => (await overdue().execute()).length, { timeout: 10_000 }).toBe(2)
  expect(house.gateway.requests).toEqual([])
})

test('sending again goes by another gateway when the first did not deliver', async () => {
  const flow = await open({ SMS_GATEWAYS: 'smstools,textbee', SMS_DELIVERY_WAIT_SECONDS: '300' })
  await flow.toCode('alex')
  house.moveClock(31)
  await flow.step('resend')
  expect(house.lastCode()).toBe(codeIn(smstools.messages[0]?.text))
  expect(smstools.messages).toHaveLength(1)
})

test('a gateway that dies after it took the text: one code is valid, and it can be sent again (input 110)', async () => {
  const flow = await open({ SMS_GATEWAYS: 'textbee' })
  house.gateway.mode = 'reset'
  await flow.toCode('alex')
  expect((await flow.page()).html).toContain('nobody confirmed it')
  expect(house.gateway.requests).toHaveLength(1)
  const code = house.lastCode()
  expect((await flow.step('resend')).status).toBe(429)
  house.gateway.mode = 'ok'
  house.moveClock(31)
  expect((await flow.step('resend')).status).toBe(303)
  expect(house.gateway.requests.map(({ text }) => codeIn(text))).toEqual([code, code])
  const query = await flow.resume(await flow.code(code))
  expect(query.get('code')).toBeTruthy()
})

test('countries have their own order', async () => {
  const flow = await open({ SMS_GATEWAYS: 'textbee', SMS_ROUTES: 'SE=smstools;DK=textbee' })
  await flow.toCode('alex')
  expect(smstools.messages.map(({ to, sender }) => [to, sender])).toEqual([
    [PHONES[0], 'Sallyport'],
  ])
  expect(house.gateway.requests).toEqual([])
})
