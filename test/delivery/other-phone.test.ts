import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import type { FakeGateway } from '../support/fake-gateway.ts'
import { createFlow } from '../support/flow.ts'
import { reportFrom, startSmstools, stateOf, until } from '../support/gateways.ts'
import { type House, PHONES, startHouse } from '../support/house.ts'
import { addPhone, phonesOn } from '../support/second-factors.ts'

const [ONE, OTHER] = PHONES

let smstools: FakeGateway
let env: Record<string, string>
let house: House
beforeAll(async () => {
  ;({ fake: smstools, env } = await startSmstools())
})
beforeEach(() => smstools.reset())
afterEach(() => house.stop())
afterAll(() => smstools.close())

/** Someone with two phones, and a second one to choose. */
async function open(more: Record<string, string>) {
  house = await startHouse({ env: { ...env, OTP_MAX_SENDS: '10', ...more } })
  await house.addClient()
  const { id } = await house.addAccount('alex')
  const other = await addPhone(house, id, OTHER)
  return { flow: createFlow(house), other }
}

const faults = async () => {
  const rows = await house.db
    .selectFrom('phone')
    .select(['fault', 'is_primary'])
    .orderBy('is_primary', 'desc')
    .execute()
  return rows.map(({ fault }) => fault)
}

test('a refusal that comes after another phone was chosen is that of the first phone (GWY-15)', async () => {
  const { flow, other } = await open({ SMS_GATEWAYS: 'smstools', SMSTOOLS_TIMEOUT_MS: '10000' })
  const optedOut = { error: '131', errorMsg: 'opt-out list' }
  smstools.answerNext({ status: 400, body: optedOut, afterMs: 5000 })
  await flow.toCode('alex')
  const page = await flow.page()
  expect(stateOf(page)).toBe('sending')
  expect(phonesOn(page)).toEqual([other])
  await flow.step('phone', { phone: other })
  expect(await faults()).toEqual([null, null])
  await expect.poll(faults, { timeout: 15_000 }).toEqual(['opted-out', null])
  const after = await flow.page()
  expect([after.status, stateOf(after)]).toEqual([200, 'accepted'])
  expect(smstools.messages.map(({ to }) => to)).toEqual([OTHER])
  const [code = ''] = smstools.messages.flatMap(({ text }) => /#(\d+)$/.exec(text)?.[1] ?? [])
  expect((await flow.resume(await flow.code(code))).get('code')).toBeTruthy()
})

test('a gateway that the first phone’s text went by is none that the other’s did', async () => {
  const { flow, other } = await open({
    SMS_GATEWAYS: 'smstools,textbee',
    SMS_DELIVERY_WAIT_SECONDS: '300',
  })
  const fail = async (index: number) =>
    reportFrom(house, smstools.messages[index]?.providerId ?? '', 'failed')
  await flow.toCode('alex')
  await fail(0)
  await until(() => flow.page(), 'by another route')
  await flow.step('phone', { phone: other })
  const fresh = await flow.page()
  expect(stateOf(fresh)).toBe('accepted')
  expect(fresh.html).not.toContain('by another route')
  await fail(1)
  await until(() => flow.page(), 'by another route')
  expect(smstools.sends.map(({ to }) => to)).toEqual([ONE, OTHER])
  expect(house.gateway.requests.map(({ to }) => to)).toEqual([ONE, OTHER])
  const code = house.lastCode(OTHER)
  expect(smstools.messages[1]?.text).toContain(`#${code}`)
  expect((await flow.resume(await flow.code(code))).get('code')).toBeTruthy()
})
