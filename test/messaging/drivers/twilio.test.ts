import { createHash, createHmac } from 'node:crypto'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { Callback } from '../../../src/messaging/gateway.ts'
import { createTwilio, type TwilioSettings } from '../../../src/messaging/gateways/twilio.ts'
import { codeSpeech } from '../../../src/messaging/speech.ts'
import {
  CODE,
  call,
  describeDriver,
  REFERENCE,
  REPORT_URL,
  text,
} from '../../support/driver-contract.ts'
import { type FakeGateway, startFakeGateway } from '../../support/fake-gateway.ts'
import {
  fakeTwilio,
  TWILIO_ACCOUNT,
  TWILIO_API_KEY,
  TWILIO_SERVICE,
  TWILIO_TOKEN,
} from '../../support/fake-twilio.ts'

/** Of the official test of its signature. */
const VECTOR_TOKEN = '12345'

const create = (baseUrl: string, more: Partial<TwilioSettings> = {}) =>
  createTwilio({
    baseUrl,
    accountSid: TWILIO_ACCOUNT,
    authTokens: [TWILIO_TOKEN, VECTOR_TOKEN],
    contentRetention: 'discard',
    ...more,
  })

const signature = (signed: string, token = TWILIO_TOKEN, algorithm = 'sha1') =>
  createHmac(algorithm, token).update(signed).digest('base64')

function callback(body: string, signed: string, more: Partial<Callback> = {}): Callback {
  return {
    method: 'POST',
    url: REPORT_URL,
    headers: {
      'content-type': 'application/x-www-form-urlencoded',
      'x-twilio-signature': signature(signed),
    },
    body: Buffer.from(body),
    now: 1767225600,
    ...more,
  }
}

/** As Twilio would send it: `fields` are signed sorted by name. */
function signedForm(fields: Record<string, string>, url = REPORT_URL): Callback {
  const sorted = Object.keys(fields).sort()
  return callback(
    new URLSearchParams(fields).toString(),
    url + sorted.map((name) => name + fields[name]).join(''),
    { url },
  )
}

const delivered = {
  SmsSid: 'SM1',
  SmsStatus: 'delivered',
  MessageStatus: 'delivered',
  To: '+46701740605',
  MessageSid: 'SM1',
  AccountSid: TWILIO_ACCOUNT,
  From: 'Sallyport',
}

const json = JSON.stringify({ MessageSid: 'SM9', MessageStatus: 'undelivered', ErrorCode: 30006 })
const jsonUrl = `${REPORT_URL}&bodySHA256=${createHash('sha256').update(json).digest('hex')}`
const form = { signedBy: ['x-twilio-signature'], timed: false, coversUrl: true }

const refusal = (status: number, code: number) => ({
  status,
  body: { code, message: `Echo ${CODE}`, more_info: 'https://www.twilio.com', status },
})

describeDriver({
  name: 'twilio',
  contract: fakeTwilio,
  create,
  createWithWrongKey: (baseUrl) => create(baseUrl, { authTokens: ['wrong'] }),
  credentials: [TWILIO_TOKEN],
  successes: [
    [
      'a text that is queued',
      { status: 201, body: { sid: 'SM7', status: 'queued', error_code: null } },
      { outcome: 'accepted', providerId: 'SM7' },
    ],
    [
      'a text that a messaging service schedules',
      { status: 201, body: { sid: 'MM8', status: 'accepted', error_code: null } },
      { outcome: 'accepted', providerId: 'MM8' },
    ],
  ],
  refusals: [
    ['wrong credentials', refusal(401, 20003), 'config', { detail: '20003', httpStatus: 401 }],
    ['no number', refusal(400, 21211), 'recipient', { detail: '21211' }],
    ['no mobile number', refusal(400, 21614), 'recipient', { fault: 'landline' }],
    ['opted out', refusal(400, 21610), 'recipient', { fault: 'opted-out' }],
    ['a country not switched on', refusal(400, 21408), 'recipient', { elsewhere: true }],
    ['a country not switched on for calls', refusal(400, 21215), 'recipient', { elsewhere: true }],
    ['no route', refusal(400, 21612), 'recipient', { elsewhere: true }],
    ['no such sender', refusal(400, 21212), 'sender'],
    ['a sender that is not ours', refusal(400, 21606), 'sender'],
    ['a caller that is not ours', refusal(400, 21210), 'sender'],
    ['a sender that does not go with the country', refusal(400, 21659), 'sender'],
    ['a trial account', refusal(400, 21608), 'config'],
    ['a text that is too long', refusal(400, 21617), 'content'],
    ['a full queue', refusal(429, 21611), 'throttle'],
    [
      'too many at once',
      { ...refusal(429, 20429), headers: { 'retry-after': '3' } },
      'throttle',
      { detail: '20429', retryAfterMs: 3000 },
    ],
    ['a finer reason than was known', refusal(400, 21999), 'content', { detail: '21999' }],
    ['an account that is suspended', refusal(403, 20005), 'config'],
    ['an error inside', refusal(500, 20500), 'transient'],
    ['a 404 without a body', { status: 404 }, 'config', { detail: 'http 404' }],
    ['a 400 of another shape', { status: 400, body: [] }, 'content', { detail: 'http 400' }],
  ],
  reports: {
    good: [
      {
        callback: {
          ...callback(
            'CallSid=CA1234567890ABCDE&Caller=%2B14158675309&Digits=1234&From=%2B14158675309&To=%2B18005551212',
            '',
          ),
          url: 'https://mycompany.com/myapp.php?foo=1&bar=2',
          headers: { 'x-twilio-signature': 'RSOYDt4T1cUTdK1PDd93/VVr8B8=' },
        },
        reports: [],
        ...form,
      },
      {
        callback: signedForm(delivered),
        reports: [
          { providerId: 'SM1', reference: REFERENCE, state: 'delivered', key: 'SM1:delivered' },
        ],
        ...form,
      },
      {
        callback: callback(json, jsonUrl, { url: jsonUrl }),
        reports: [
          {
            providerId: 'SM9',
            reference: REFERENCE,
            state: 'failed',
            failure: 'recipient',
            fault: 'landline',
            code: '30006',
          },
        ],
        ...form,
      },
    ],
    createWithKeys: (keys) =>
      create('http://127.0.0.1:1', {
        authTokens: keys === 'other' ? ['other'] : ['next', TWILIO_TOKEN, VECTOR_TOKEN],
        apiKey: TWILIO_API_KEY,
      }),
    bad: [
      [
        'another algorithm',
        {
          ...signedForm(delivered),
          headers: { 'x-twilio-signature': signature(REPORT_URL, TWILIO_TOKEN, 'sha256') },
        },
      ],
      [
        'an address signed without its form',
        callback('MessageSid=SM1&MessageStatus=sent', REPORT_URL),
      ],
      ['JSON whose address has no hash', callback(json, REPORT_URL)],
      ['JSON with the hash of another', callback('{}', jsonUrl, { url: jsonUrl })],
      ['a signed body that is no JSON', signedJson('{"MessageSid":')],
      ['an id that is none', signedForm({ MessageSid: 'SM 1\n', MessageStatus: 'sent' })],
    ],
  },
})

function signedJson(body: string): Callback {
  const url = `${REPORT_URL}&bodySHA256=${createHash('sha256').update(body).digest('hex')}`
  return callback(body, url, { url })
}

describe('twilio', () => {
  let fake: FakeGateway
  beforeAll(async () => {
    fake = await startFakeGateway(fakeTwilio)
  })
  beforeEach(() => fake.reset())
  afterAll(() => fake.close())
  const soon = () => AbortSignal.timeout(2000)
  const formOf = (index: number) =>
    Object.fromEntries(new URLSearchParams(fake.requests[index]?.body))

  test('a text says how long it is of use, that it is not to be kept, and where reports go', async () => {
    await create(fake.baseUrl).send(text(), soon())
    expect(formOf(0)).toMatchObject({
      From: 'Sallyport',
      ValidityPeriod: '300',
      ContentRetention: 'discard',
      StatusCallback: REPORT_URL,
    })
    expect(fake.messages[0]?.reference).toBe(REFERENCE)
    const frugal = create(fake.baseUrl, { contentRetention: 'retain' })
    await frugal.send(text(undefined, { reportUrl: null }), soon())
    expect(formOf(1).ContentRetention).toBe('retain')
    expect(formOf(1)).not.toHaveProperty('StatusCallback')
    expect(fake.faults).toEqual([])
  })

  test('a messaging service chooses the sender of texts, and calls have their number still', async () => {
    const driver = create(fake.baseUrl, { messagingServiceSid: TWILIO_SERVICE })
    expect(driver.can.senderKinds).toContain('chosen-there')
    await driver.send(text(), soon())
    await driver.send(call(), soon())
    expect(formOf(0)).toMatchObject({ MessagingServiceSid: TWILIO_SERVICE })
    expect(formOf(0)).not.toHaveProperty('From')
    expect(formOf(1)).toMatchObject({ From: '+4512345678' })
    expect(formOf(1)).not.toHaveProperty('MessagingServiceSid')
    expect(fake.faults).toEqual([])
  })

  test('an API key sends in place of the token', async () => {
    const driver = create(fake.baseUrl, { authTokens: ['unused'], apiKey: TWILIO_API_KEY })
    expect(await driver.send(text(), soon())).toMatchObject({ outcome: 'accepted' })
    const authorization = fake.requests[0]?.headers.authorization ?? ''
    expect(atob(authorization.slice('Basic '.length))).toMatch(/^SK/)
  })

  test('a call spells the code in the language of the page, escaped', async () => {
    const driver = create(fake.baseUrl)
    await driver.send(call(), soon())
    expect(fake.messages[0]?.text).toContain('Tom & <Jerry>')
    expect(formOf(0).Twiml).toContain('language="en-GB"')
    const japanese = { ...codeSpeech({ brand: 'Tom', code: CODE }), language: 'ja' }
    await driver.send({ ...call(), channel: 'voice', speech: japanese }, soon())
    expect(formOf(1).Twiml).toContain('language="ja-JP"')
    const unheardOf = { ...japanese, language: 'constructor' }
    await driver.send({ ...call(), channel: 'voice', speech: unheardOf }, soon())
    expect(formOf(2).Twiml).toContain('language="en-GB"')
    expect(fake.faults).toEqual([])
    expect(driver.can.voiceLanguages).toEqual(expect.arrayContaining(['en', 'ja', 'zh']))
  })

  test('its check tells the credit', async () => {
    expect((await create(fake.baseUrl).check(soon())).credit).toBe('12.5 EUR')
  })

  test('asks what became of texts and calls', async () => {
    const driver = create(fake.baseUrl)
    for (const [message, report] of [
      [text(), { state: 'delivered' }],
      [call(), { state: 'failed', code: 'no-answer' }],
    ] as const) {
      const sent = await driver.send(message, soon())
      const providerId = (sent.outcome === 'accepted' && sent.providerId) || ''
      expect(await driver.poll?.(providerId, soon())).toMatchObject({ providerId, ...report })
      fake.answerNext({ status: 200, body: { sid: 'SM2', status: 'delivered' } })
      expect(await driver.poll?.(providerId, soon())).toBeNull()
      fake.answerNext({ status: 500 })
      expect(await driver.poll?.(providerId, soon())).toBeNull()
    }
    expect(fake.faults).toEqual([])
  })

  const read = (request: Callback) => create(fake.baseUrl).reports?.read(request)

  test.each([
    ['accepted', 'accepted'],
    ['scheduled', 'accepted'],
    ['queued', 'accepted'],
    ['sending', 'sending'],
    ['sent', 'sent'],
    ['partially_delivered', 'sent'],
    ['delivered', 'delivered'],
    ['read', 'delivered'],
    ['failed', 'failed'],
    ['undelivered', 'failed'],
    ['canceled', 'failed'],
    ['something-new', 'accepted', { unheard: 'something-new' }],
    ['+46701740605: no', 'accepted', { unheard: 'no-code', key: 'SM1:no-code' }],
  ])('reads the state of a text: %s', (status, state, more: object = {}) => {
    const fields = { MessageSid: 'SM1', MessageStatus: status }
    expect(read(signedForm(fields))).toEqual({
      reports: [{ providerId: 'SM1', reference: REFERENCE, state, key: `SM1:${status}`, ...more }],
    })
  })

  test.each([
    ['queued', 'accepted'],
    ['initiated', 'accepted'],
    ['ringing', 'sending'],
    ['in-progress', 'sent'],
    ['completed', 'delivered'],
    ['busy', 'failed'],
    ['no-answer', 'failed'],
    ['failed', 'failed'],
    ['canceled', 'failed'],
  ])('reads the state of a call, without blame: %s', (status, state) => {
    const verdict = read(signedForm({ CallSid: 'CA1', CallStatus: status }))
    const key = `CA1:${status}`
    const told = { providerId: 'CA1', reference: REFERENCE, state, key }
    const code = state === 'failed' ? { code: status } : {}
    expect(verdict).toEqual({ reports: [{ ...told, ...code }] })
  })

  test.each([
    ['21610', { failure: 'recipient', fault: 'opted-out' }],
    ['30003', { failure: 'recipient' }],
    ['30004', { failure: 'recipient', fault: 'barred' }],
    ['30005', { failure: 'recipient' }],
    ['30006', { failure: 'recipient', fault: 'landline' }],
    ['30007', { failure: 'content' }],
    ['30008', {}],
  ])('reads why a text was not delivered: %s', (ErrorCode, reason) => {
    const fields = { MessageSid: 'SM1', MessageStatus: 'undelivered', ErrorCode }
    const told = {
      providerId: 'SM1',
      reference: REFERENCE,
      state: 'failed',
      key: 'SM1:undelivered',
    }
    expect(read(signedForm(fields))).toEqual({ reports: [{ ...told, ...reason, code: ErrorCode }] })
  })

  test('what people sent is no report, nor is what tells no state', () => {
    const inbound = { MessageSid: 'SM1', SmsStatus: 'received', Body: 'STOP' }
    expect(read(signedForm(inbound))).toEqual({ reports: [] })
    expect(read(signedForm({ ...inbound, MessageStatus: 'received' }))).toEqual({ reports: [] })
    expect(read(signedForm({ EventType: 'other' }))).toEqual({ reports: [] })
  })

  test('fields that come twice are signed sorted, each value once', () => {
    const body = 'MessageStatus=sent&b=2&MessageSid=SM1&b=1&b=2'
    const signed = `${REPORT_URL}MessageSidSM1MessageStatussentb1b2`
    expect(read(callback(body, signed))).toMatchObject({ reports: [{ state: 'sent' }] })
  })

  test.each([
    ['https://login.example.com/x?ref=Ab', 'https://login.example.com:443/x?ref=Ab'],
    ['https://login.example.com:443/x?ref=Ab', 'https://login.example.com/x?ref=Ab'],
    ['https://login.example.com:8443/x?ref=Ab', 'https://login.example.com/x?ref=Ab'],
    ['http://login.example.com/x', 'http://login.example.com:80/x'],
  ])('takes %s for %s, which differs in its port alone', (url, signedUrl) => {
    const body = 'MessageSid=SM1&MessageStatus=sent'
    const signed = `${signedUrl}MessageSidSM1MessageStatussent`
    expect(read(callback(body, signed, { url }))).toMatchObject({ reports: [{ state: 'sent' }] })
  })

  test('a port that is not the usual one is not taken for it', () => {
    const body = 'MessageSid=SM1&MessageStatus=sent'
    const signed = 'https://login.example.com:8443/xMessageSidSM1MessageStatussent'
    const url = 'https://login.example.com/x'
    expect(read(callback(body, signed, { url }))).toEqual({ refused: 'signature' })
  })

  test('a reference is only taken where it may be one of ours', () => {
    const url = 'https://login.example.com/x?ref=a%20b'
    const verdict = read(signedForm({ MessageSid: 'SM1', MessageStatus: 'sent' }, url))
    expect(verdict).toEqual({ reports: [{ providerId: 'SM1', state: 'sent', key: 'SM1:sent' }] })
  })
})
