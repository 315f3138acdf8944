import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { ACR } from '../../src/oidc/acr.ts'
import { type FakeGateway, startFakeGateway } from '../support/fake-gateway.ts'
import { ACCESS_KEY, fakeMessagebird } from '../support/fake-messagebird.ts'
import { burst, claimsOf, createFlow } from '../support/flow.ts'
import { reportFrom, startSmstools, stateOf, until } from '../support/gateways.ts'
import { type House, PHONES, startHouse } from '../support/house.ts'
import { arrive } from '../support/second-factors.ts'

let smstools: FakeGateway
let env: Record<string, string>
let house: House
beforeAll(async () => {
  ;({ fake: smstools, env } = await startSmstools())
})
beforeEach(() => smstools.reset())
afterEach(() => house.stop())
afterAll(() => smstools.close())

async function open(more: Record<string, string> = {}, username = 'alex') {
  house = await startHouse({ env: { ...env, VOICE_GATEWAYS: 'smstools', ...more } })
  const client = await house.addClient()
  await house.addAccount(username)
  const flow = createFlow(house, { client })
  await flow.toCode(username)
  return flow
}

const TEXTED = ['pwd', 'otp', 'sms', 'mfa']

const challenges = () => house.db.selectFrom('challenge').selectAll().execute()

const faults = async () =>
  (await house.db.selectFrom('phone').select('fault').execute()).map(({ fault }) => fault)

const calls = () => smstools.messages.filter(({ channel }) => channel === 'voice')

test('a call says the same code, digit by digit and twice, and the token tells of it (OTP-26)', async () => {
  const flow = await open()
  const code = house.lastCode()
  expect((await flow.page()).html).toContain('Call me instead')
  expect((await flow.step('call')).status).toBe(429)
  expect(calls()).toEqual([])
  house.moveClock(31)
  expect((await flow.step('call')).status).toBe(303)
  expect(calls()).toHaveLength(1)
  const [call] = calls()
  expect(call?.to).toBe(PHONES[0])
  expect(call?.text.split([...code].join(', '))).toHaveLength(3)
  expect(call?.text).not.toContain(code)
  expect((await flow.page()).html).toContain('We are calling')
  const query = await flow.resume(await flow.code(code))
  const { body } = await flow.redeem(query.get('code') ?? '')
  expect(claimsOf(body)).toMatchObject({
    acr: ACR.secondFactor,
    amr: ['pwd', 'otp', 'tel', 'mfa'],
  })
})

test('calls and texts share one budget and one wait (OTP-26)', async () => {
  const flow = await open({ OTP_MAX_SENDS: '3' })
  house.moveClock(31)
  const answers = await burst(5, (index) => flow.step(index % 2 ? 'call' : 'resend'))
  expect(answers.map(({ status }) => status).toSorted()).toEqual([303, 429, 429, 429, 429])
  house.moveClock(61)
  expect((await flow.step('call')).status).toBe(303)
  house.moveClock(300)
  const page = await flow.page()
  expect(page.html).not.toContain('Call me instead')
  expect(house.codeTexts().length + calls().length).toBe(3)
})

test('nobody is called where no gateway calls, and nothing changes, whatever is posted', async () => {
  const flow = await open({ VOICE_GATEWAYS: '', SMS_DELIVERY_WAIT_SECONDS: '300' })
  expect((await flow.page()).html).not.toContain('Call me')
  house.moveClock(31)
  expect((await flow.step('call')).status).toBe(303)
  expect(calls()).toEqual([])
  expect(stateOf(await flow.page())).toBe('accepted')
  expect(await challenges()).toMatchObject([{ sends: 1, channel: 'sms', send_failed_at: null }])
  expect((await arrive(flow, await flow.code(house.lastCode()))).amr).toEqual(TEXTED)
})

test('a call that is refused says nothing of texts, and the texted code is one', async () => {
  const flow = await open({ SMS_DELIVERY_WAIT_SECONDS: '300' })
  house.moveClock(31)
  smstools.answerNext({ status: 400, body: { error: '131', errorMsg: 'opt-out list' } })
  expect((await flow.step('call')).status).toBe(303)
  expect(smstools.sends.map(({ channel }) => channel)).toEqual(['voice'])
  const page = await flow.page()
  expect(stateOf(page)).toBe('failed')
  expect(page.html).toContain('We couldn’t call')
  expect(await faults()).toEqual([null])
  expect((await arrive(flow, await flow.code(house.lastCode()))).amr).toEqual(TEXTED)
  expect(await faults()).toEqual([null])
  // The next sign-in is texted as ever.
  await createFlow(house).toCode('alex')
  expect(house.codeTexts()).toHaveLength(2)
})

test.each(['failed', 'silent'])(
  'after a call that nobody took (%s) nobody is called by another gateway unasked',
  async (how) => {
    const messagebird = await startFakeGateway(fakeMessagebird())
    try {
      const flow = await open({
        VOICE_GATEWAYS: 'smstools,messagebird',
        MESSAGEBIRD_ACCESS_KEY: ACCESS_KEY,
        MESSAGEBIRD_BASE_URL: messagebird.baseUrl,
        MESSAGEBIRD_NUMBER: '+4512345678',
        SMS_DELIVERY_WAIT_SECONDS: '60',
      })
      house.moveClock(31)
      await flow.step('call')
      if (how === 'failed') await reportFrom(house, calls()[0]?.providerId ?? '', 'failed')
      else house.moveClock(91)
      await until(() => flow.page(), how === 'failed' ? 'wasn’t answered' : 'didn’t hear a code')
      const watched = house.db
        .selectFrom('message')
        .select('watch_at')
        .where('channel', '=', 'voice')
      await expect.poll(() => watched.execute(), { timeout: 15_000 }).toEqual([{ watch_at: null }])
      expect([calls().length, messagebird.sends.length]).toEqual([1, 0])
      expect(await challenges()).toMatchObject([{ sends: 2, reroutes: 0 }])
      // Asked for, it goes by the other one.
      house.moveClock(61)
      expect((await flow.step('call')).status).toBe(303)
      expect([calls().length, messagebird.sends.length]).toEqual([1, 1])
      expect(messagebird.faults).toEqual([])
    } finally {
      await messagebird.close()
    }
  },
)

test('a call speaks the language of the page where the gateway can, else English', async () => {
  const flow = await open()
  house.moveClock(31)
  await flow.request('/language', {
    method: 'POST',
    body: new URLSearchParams({ language: 'de', return_to: flow.path }),
    headers: { origin: house.issuer },
  })
  await flow.step('call', {}, { 'accept-language': 'de' })
  const body = smstools.requests.find(({ path }) => path === '/voice/send')?.body ?? '{}'
  expect(JSON.parse(body).language).toBe('de')
})

test('a number that takes no texts is offered a call at once, and keeps it for the next time (GWY-15)', async () => {
  smstools.answerNext({ status: 400, body: { error: '131', errorMsg: 'opt-out list' } })
  const flow = await open({ SMS_GATEWAYS: 'smstools' })
  const page = await flow.page()
  expect([page.status, stateOf(page)]).toEqual([200, 'opted-out'])
  expect(page.html).toContain('STOP was sent from it')
  expect(page.html).toContain('Call me instead')
  expect((await flow.step('call')).status).toBe(303)
  expect(calls()).toHaveLength(1)
  // The next sign-in doesn't text it in vain.
  const texts = () => smstools.sends.filter(({ channel }) => channel === 'sms').length
  const before = texts()
  const later = createFlow(house, { client: { id: 'app', secret: '' } })
  await later.begin()
  const stopped = await later.password('alex')
  expect(stopped.status).toBe(403)
  expect(stopped.html).toContain('data-code="opted-out"')
  expect(texts()).toBe(before)
  const phone = /name="phone" value="([^"]+)"/.exec(stopped.html)?.[1] ?? ''
  expect((await later.step('call', { phone })).status).toBe(303)
  expect(calls()).toHaveLength(2)
  const digits = /(?:\d, ){5}\d/.exec(calls()[1]?.text ?? '')?.[0].replaceAll(', ', '') ?? ''
  expect((await later.code(digits)).status).toBe(303)
})

test('a call that nobody took is told, and a text may follow', async () => {
  const flow = await open({ SMS_DELIVERY_WAIT_SECONDS: '300' })
  house.moveClock(31)
  await flow.step('call')
  await reportFrom(house, calls()[0]?.providerId ?? '', 'failed')
  await until(() => flow.page(), 'wasn’t answered')
  house.moveClock(61)
  expect((await flow.step('resend')).status).toBe(303)
  const query = await flow.resume(await flow.code(house.lastCode()))
  expect(query.get('code')).toBeTruthy()
})
