import { afterEach, expect, test } from 'vitest'
import {
  type FakeContract,
  type FakeGateway,
  type FakeMessage,
  startFakeGateway,
} from '../support/fake-gateway.ts'
import { HTTP_SECRETS, httpContract } from '../support/fake-http.ts'
import { ACCESS_KEY, fakeMessagebird } from '../support/fake-messagebird.ts'
import { fakeTwilio, TWILIO_ACCOUNT, TWILIO_TOKEN } from '../support/fake-twilio.ts'
import { createFlow } from '../support/flow.ts'
import { stateOf, until } from '../support/gateways.ts'
import { type House, PHONES, startHouse } from '../support/house.ts'
import {
  MESSAGEBIRD_SIGNING,
  reportFromHttp,
  reportFromMessagebird,
  reportFromTwilio,
} from '../support/reports.ts'
import { phonesOn } from '../support/second-factors.ts'

interface Reporter {
  contract: FakeContract
  env: (baseUrl: string) => Record<string, string>
  report: (house: House, message: FakeMessage) => Promise<Response>
}

const REPORTERS: Record<string, Reporter> = {
  'messagebird, 103': {
    contract: fakeMessagebird(),
    env: (baseUrl) => ({
      SMS_GATEWAYS: 'messagebird,textbee',
      MESSAGEBIRD_ACCESS_KEY: ACCESS_KEY,
      MESSAGEBIRD_SIGNING_KEY: MESSAGEBIRD_SIGNING,
      MESSAGEBIRD_BASE_URL: baseUrl,
    }),
    report: (of, message) =>
      reportFromMessagebird(of, message, { status: 'delivery_failed', statusErrorCode: '103' }),
  },
  'twilio, 30006': {
    contract: fakeTwilio,
    env: (baseUrl) => ({
      SMS_GATEWAYS: 'twilio,textbee',
      TWILIO_ACCOUNT_SID: TWILIO_ACCOUNT,
      TWILIO_AUTH_TOKEN: TWILIO_TOKEN,
      TWILIO_BASE_URL: baseUrl,
    }),
    report: (of, message) =>
      reportFromTwilio(of, message, { MessageStatus: 'undelivered', ErrorCode: '30006' }),
  },
  'http, barred': {
    contract: httpContract,
    env: (baseUrl) => ({
      SMS_GATEWAYS: 'http,textbee',
      HTTP_SMS_URL: baseUrl,
      HTTP_SMS_SECRET: HTTP_SECRETS.join(','),
    }),
    report: (of, message) =>
      reportFromHttp(of, message, { status: 'failed', failure: 'recipient', fault: 'barred' }),
  },
}

/** Behind a proxy that ends TLS, since gateways take no other addresses for their reports. */
const ISSUER = { ISSUER: 'https://login.example.com', TRUST_PROXY: '1' }
const PROXIED = { headers: { 'x-forwarded-proto': 'https' } }

let fake: FakeGateway
let house: House
afterEach(async () => {
  await house.stop()
  await fake.close()
})

test.each([
  { by: 'messagebird, 103', fault: 'opted-out', words: 'STOP was sent from it' },
  { by: 'twilio, 30006', fault: 'landline', words: 'can’t receive texts' },
  { by: 'http, barred', fault: 'barred', words: 'doesn’t take our texts' },
])(
  'a report that says what is wrong with a number ($by) leads past texts (GWY-15)',
  async ({ by, fault, words }) => {
    const { contract, env, report } = REPORTERS[by] ?? {}
    if (!contract || !env || !report) throw new Error(`no reporter ${by}`)
    fake = await startFakeGateway(contract)
    house = await startHouse({
      env: {
        ...ISSUER,
        ...env(fake.baseUrl),
        SMS_DELIVERY_WAIT_SECONDS: '300',
        VOICE_GATEWAYS: 'outbox',
      },
    })
    await house.addClient()
    await house.addAccount('alex')
    const flow = createFlow(house, PROXIED)
    await flow.toCode('alex')
    expect(fake.faults).toEqual([])
    expect(stateOf(await flow.page())).toBe('accepted')
    const [text] = fake.messages
    if (!text) throw new Error('nothing was sent')
    expect(text.to).toBe(PHONES[0])
    expect((await report(house, text)).status).toBe(200)

    const page = await until(() => flow.page(), words)
    expect([page.status, stateOf(page)]).toEqual([200, fault])
    expect(page.html).toContain('data-code="not-delivered"')
    expect(page.html).toContain('Call me instead')
    expect(await house.db.selectFrom('phone').select('fault').execute()).toEqual([{ fault }])
    const texts = () => [fake.sends.length, house.gateway.requests.length]
    // No other gateway would reach it either.
    expect(texts()).toEqual([1, 0])
    expect((await flow.step('call')).status).toBe(303)
    expect((await flow.page()).html).toContain('We are calling')

    const later = createFlow(house, PROXIED)
    await later.begin()
    const stopped = await later.password('alex')
    expect(stopped.status).toBe(403)
    expect(stopped.html).toContain(`data-code="${fault}"`)
    expect(texts()).toEqual([1, 0])
    const [phone = ''] = phonesOn(stopped)
    expect((await later.step('call', { phone })).status).toBe(303)
    expect(texts()).toEqual([1, 0])
    // Whoever owns it may have changed that by tomorrow.
    house.moveClock(24 * 3600 + 1)
    await createFlow(house, PROXIED).toCode('alex')
    expect(texts()).toEqual([2, 0])
  },
)
