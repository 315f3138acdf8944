import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { Callback } from '../../../src/messaging/gateway.ts'
import { createTelnyx, type TelnyxSettings } from '../../../src/messaging/gateways/telnyx.ts'
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
  createFakeTelnyx,
  signedByTelnyx,
  TELNYX_ACCOUNT,
  TELNYX_APPLICATION,
  TELNYX_KEY,
  TELNYX_OTHER_PUBLIC_KEY,
  TELNYX_PROFILE,
  TELNYX_PUBLIC_KEY,
} from '../../support/fake-telnyx.ts'

const create = (baseUrl: string, more: Partial<TelnyxSettings> = {}) =>
  createTelnyx({
    baseUrl,
    apiKey: TELNYX_KEY,
    messagingProfileId: TELNYX_PROFILE,
    accountSid: TELNYX_ACCOUNT,
    texmlApplicationId: TELNYX_APPLICATION,
    publicKeys: [TELNYX_PUBLIC_KEY],
    ...more,
  })

const refusal = (status: number, code: string, pointer?: string) => ({
  status,
  body: {
    errors: [
      { code, title: 'No', detail: `Echo ${CODE}`, ...(pointer && { source: { pointer } }) },
    ],
  },
})

/** Its header and body as the contract tells them, made with another tool. */
const VECTOR: Callback = {
  method: 'POST',
  url: REPORT_URL,
  headers: {
    'content-type': 'application/json',
    'telnyx-timestamp': '1767225600',
    'telnyx-signature-ed25519':
      'rARRptWJiLu998yNcMAdYh3/nsmwAZpLe/qFm7Xn+JNfX0+lL5UVYuNgwfpqmXunsHan6RAeXwvAa04jggZyDw==',
  },
  body: Buffer.from(
    '{"data":{"event_type":"message.finalized","id":"e1","payload":{"id":"m1","to":[{"phone_number":"+15550100001","status":"delivered"}]},"record_type":"event"}}',
  ),
  now: 1767225600,
}

const event = (event_type: string, payload: object) =>
  signedByTelnyx(
    REPORT_URL,
    JSON.stringify({ data: { event_type, id: 'e2', record_type: 'event', payload }, meta: {} }),
  )
const message = (status: string, ...codes: string[]) =>
  event('message.finalized', {
    id: 'm2',
    to: [{ phone_number: '+46701740605', status }],
    errors: codes.map((code) => ({ code, title: 'No' })),
    text: `${CODE} is your code`,
  })
const called = (status: string, url = REPORT_URL) =>
  signedByTelnyx(url, `AccountSid=${TELNYX_ACCOUNT}&CallSid=v3%3Aabc&CallStatus=${status}`)

const signed = {
  signedBy: ['telnyx-signature-ed25519', 'telnyx-timestamp'],
  timed: true,
  coversUrl: false,
}

const withHeaders = (headers: Record<string, string>): Callback => ({
  ...VECTOR,
  headers: { ...VECTOR.headers, ...headers },
})

describeDriver({
  name: 'telnyx',
  contract: createFakeTelnyx(),
  create,
  createWithWrongKey: (baseUrl) => create(baseUrl, { apiKey: 'KEYwrong' }),
  credentials: [TELNYX_KEY],
  successes: [
    [
      'a text that is queued',
      { status: 200, body: { data: { id: 'm1', to: [{ status: 'queued' }] } } },
      { outcome: 'accepted', providerId: 'm1' },
    ],
    [
      'a text that it says it took before: unknown',
      refusal(409, '10012'),
      { outcome: 'unknown', detail: '10012' },
    ],
  ],
  refusals: [
    ['an inactive number', refusal(400, '10001', '/to'), 'recipient', { detail: '10001' }],
    ['an invalid number', refusal(422, '10002', '/to'), 'recipient'],
    ['a number not in E.164', refusal(400, '10016', '/to'), 'recipient'],
    ['an inactive sender', refusal(400, '10001', '/from'), 'sender'],
    ['an invalid sender', refusal(400, '10002', '/from'), 'sender'],
    ['a number of which it does not say whose', refusal(400, '10016'), 'sender'],
    ['something missing', refusal(422, '10004', '/text'), 'content', { httpStatus: 422 }],
    ['a bad request', refusal(400, '10015'), 'content'],
    ['a thing that is not there', refusal(404, '10005'), 'config'],
    ['a wrong key', refusal(401, '10009'), 'config', { detail: '10009' }],
    ['a key that may not', refusal(403, '10010'), 'config'],
    [
      'too many at once',
      { ...refusal(429, '10011'), headers: { 'retry-after': '2' } },
      'throttle',
      { retryAfterMs: 2000 },
    ],
    ['an unexpected error', refusal(500, '10007'), 'transient'],
    ['a time-out inside', refusal(503, '10008'), 'transient'],
    ['a landline', refusal(400, '40001'), 'recipient', { fault: 'landline' }],
    ['an invalid destination', refusal(400, '40012'), 'recipient'],
    ['an invalid to address', refusal(400, '40310', '/to'), 'recipient'],
    ['a rejection', refusal(400, '40004'), 'transient'],
    ['what can’t be delivered', refusal(400, '40008'), 'transient'],
    ['a passing block for spam', refusal(400, '40002'), 'content'],
    ['a lasting block for spam', refusal(400, '40003'), 'content'],
    ['what expired', refusal(400, '40005'), 'transient'],
    ['what expired in the queue', refusal(400, '40014'), 'transient'],
    ['a server that is away', refusal(400, '40006'), 'transient'],
    ['a limit further on', refusal(400, '40011'), 'transient'],
    ['a bad body', refusal(400, '40009'), 'content'],
    ['an invalid source number', refusal(400, '40013'), 'sender'],
    ['its own spam filter', refusal(400, '40015'), 'content'],
    ['a STOP', refusal(400, '40300'), 'recipient', { fault: 'opted-out' }],
    ['a reason of this message that was not known', refusal(400, '40999'), 'content'],
    ['a reason of the account that was not known', refusal(403, '40999'), 'config'],
    ['no money', refusal(402, '20100'), 'quota', { detail: '20100' }],
    [
      'a 422 of another shape',
      { status: 422, body: { errors: [] } },
      'content',
      { detail: 'http 422' },
    ],
    ['a 500 without a body', { status: 500 }, 'transient', { detail: 'http 500' }],
  ],
  reports: {
    good: [
      {
        callback: VECTOR,
        reports: [{ providerId: 'm1', reference: REFERENCE, state: 'delivered', key: 'e1' }],
        ...signed,
      },
      {
        callback: message('delivery_failed', '40001'),
        reports: [
          {
            providerId: 'm2',
            state: 'failed',
            failure: 'recipient',
            fault: 'landline',
            code: '40001',
            key: 'e2',
          },
        ],
        ...signed,
      },
      {
        callback: called('completed'),
        reports: [{ reference: REFERENCE, state: 'delivered', key: 'v3:abc:completed' }],
        ...signed,
      },
      {
        callback: event('message.received', { id: 'm3', text: 'STOP' }),
        reports: [],
        ...signed,
      },
    ],
    createWithKeys: (keys) =>
      create('http://127.0.0.1:1', {
        publicKeys:
          keys === 'other'
            ? [TELNYX_OTHER_PUBLIC_KEY]
            : [TELNYX_OTHER_PUBLIC_KEY, TELNYX_PUBLIC_KEY],
      }),
    bad: [
      ['a time in milliseconds', withHeaders({ 'telnyx-timestamp': '1767225600000' })],
      ['a time with more behind it', withHeaders({ 'telnyx-timestamp': '1767225600|' })],
      [
        'a signature of nothing',
        withHeaders({ 'telnyx-signature-ed25519': `${'A'.repeat(86)}==` }),
      ],
      [
        'a signature with more behind it',
        withHeaders({
          'telnyx-signature-ed25519': `${VECTOR.headers['telnyx-signature-ed25519']}AAAA`,
        }),
      ],
      ['a signed body that is no JSON', signedByTelnyx(REPORT_URL, '{"data":')],
      ['a signed event without its parts', signedByTelnyx(REPORT_URL, '{"data":{}}')],
      ['a signed event of no message', event('message.sent', {})],
      ['a signed event of a message that went nowhere', event('message.sent', { id: 'm', to: [] })],
    ],
  },
})

describe('telnyx', () => {
  let fake: FakeGateway
  beforeAll(async () => {
    fake = await startFakeGateway(createFakeTelnyx())
  })
  beforeEach(() => fake.reset())
  afterAll(() => fake.close())
  const soon = () => AbortSignal.timeout(2000)
  const bodyOf = (index: number) => JSON.parse(fake.requests[index]?.body ?? 'null')

  test('tells where reports of texts and of calls are to go', async () => {
    const driver = create(fake.baseUrl)
    await driver.send(text(), soon())
    await driver.send(call(), soon())
    expect(fake.messages.map(({ reportUrl, reference }) => [reportUrl, reference])).toEqual([
      [REPORT_URL, REFERENCE],
      [REPORT_URL, REFERENCE],
    ])
    await driver.send(text(undefined, { reportUrl: null }), soon())
    expect(bodyOf(2)).not.toHaveProperty('webhook_url')
    expect(fake.faults).toEqual([])
  })

  test('a call spells the code in the language of the page, and has no id', async () => {
    const driver = create(fake.baseUrl)
    expect(await driver.send(call(), soon())).toEqual({ outcome: 'accepted', providerId: null })
    expect(fake.messages[0]?.text).toContain('Tom & <Jerry>')
    const speech = { ...codeSpeech({ brand: 'Tom', code: CODE }), language: 'tr' }
    await driver.send({ ...call(), channel: 'voice', speech }, soon())
    expect(bodyOf(1).Texml).toContain('language="tr-TR"')
    expect(driver.can.voiceLanguages).toContain('tr')
    expect(fake.faults).toEqual([])
  })

  test('does not call without an application or a number', async () => {
    const driver = create(fake.baseUrl, { texmlApplicationId: undefined })
    expect(driver.can).toMatchObject({ channels: ['sms'], voiceLanguages: [] })
    const refused = { outcome: 'refused', failure: 'config', detail: 'no-calls' }
    expect(await driver.send(call(), soon())).toMatchObject(refused)
    const nobody = { ...call(), sender: null }
    expect(await create(fake.baseUrl).send(nobody, soon())).toMatchObject(refused)
    expect(fake.requests).toEqual([])
  })

  test('sends from names, or from a pool, only by a messaging profile', async () => {
    const driver = create(fake.baseUrl, { messagingProfileId: undefined })
    expect(driver.can.senderKinds).toEqual(['number'])
    await driver.send(text(undefined, { sender: '+4512345678' }), soon())
    const pooled = create(fake.baseUrl)
    expect(pooled.can.senderKinds).toEqual(['name', 'number', 'chosen-there'])
    await pooled.send(text(undefined, { sender: null }), soon())
    expect(fake.messages.map(({ sender }) => sender)).toEqual(['+4512345678', null])
    expect(bodyOf(1)).not.toHaveProperty('from')
    expect(fake.faults).toEqual([])
  })

  test('its check tells the credit', async () => {
    expect((await create(fake.baseUrl).check(soon())).credit).toBe('300.00 USD')
  })

  test('asks what became of a text', async () => {
    const driver = create(fake.baseUrl)
    const sent = await driver.send(text(), soon())
    const providerId = (sent.outcome === 'accepted' && sent.providerId) || ''
    const told = { providerId, state: 'delivered', key: `${providerId}:delivered` }
    expect(await driver.poll?.(providerId, soon())).toEqual(told)
    for (const answer of [
      { status: 404, body: {} },
      { status: 200, body: { data: { id: 'another', to: [{ status: 'delivered' }] } } },
      { status: 200, body: { data: { id: providerId, to: [] } } },
      { status: 200, body: '<html>' },
    ]) {
      fake.answerNext(answer)
      expect(await driver.poll?.(providerId, soon())).toBeNull()
    }
    expect(fake.faults).toEqual([])
  })

  const read = (request: Callback) => create(fake.baseUrl).reports?.read(request)

  test('takes no reports where it has no key for them', () => {
    expect(create(fake.baseUrl, { publicKeys: [] }).reports).toBeUndefined()
  })

  test.each([
    ['queued', 'accepted'],
    ['sending', 'sending'],
    ['sent', 'sent'],
    ['delivered', 'delivered'],
    ['expired', 'expired'],
    ['sending_failed', 'failed'],
    ['delivery_failed', 'failed'],
    ['delivery_unconfirmed', 'unconfirmed'],
    ['something-new', 'accepted', { unheard: 'something-new' }],
  ])('reads the state of a text: %s', (status, state, more: object = {}) => {
    const told = { providerId: 'm2', reference: REFERENCE, state, key: 'e2', ...more }
    expect(read(message(status))).toEqual({ reports: [told] })
  })

  test.each([
    ['40300', { failure: 'recipient', fault: 'opted-out', code: '40300' }],
    ['40012', { failure: 'recipient', code: '40012' }],
    ['40015', { failure: 'content', code: '40015' }],
    ['99999', { code: '99999' }],
  ])('reads why a text was not delivered: %s', (code, reason) => {
    const told = { providerId: 'm2', reference: REFERENCE, key: 'e2' }
    const failed = { ...told, ...reason, state: 'failed' }
    expect(read(message('delivery_failed', code))).toEqual({ reports: [failed] })
    expect(read(message('delivered', code))).toEqual({ reports: [{ ...told, state: 'delivered' }] })
  })

  test.each([
    ['queued', 'accepted', {}],
    ['initiated', 'accepted', {}],
    ['ringing', 'sending', {}],
    ['answered', 'sent', {}],
    ['in-progress', 'sent', {}],
    ['completed', 'delivered', {}],
    ['busy', 'failed', { code: 'busy' }],
    ['no-answer', 'failed', { code: 'no-answer' }],
    ['failed', 'failed', { code: 'failed' }],
    ['canceled', 'failed', { code: 'canceled' }],
    ['machine-start', 'accepted', { unheard: 'machine-start' }],
  ])('reads the state of a call, without blame: %s', (status, state, more) => {
    const told = { reference: REFERENCE, state, key: `v3:abc:${status}`, ...more }
    expect(read(called(status))).toEqual({ reports: [told] })
  })

  test('a report of a call is the same one at another message’s address', () => {
    const elsewhere = read(called('busy', REPORT_URL.replace(REFERENCE, 'Another1')))
    expect(elsewhere).toMatchObject({ reports: [{ reference: 'Another1', key: 'v3:abc:busy' }] })
    const nameless = read(signedByTelnyx(REPORT_URL, 'CallStatus=busy'))
    expect(nameless).toMatchObject({ reports: [{ key: `${REFERENCE}:busy` }] })
  })

  test('a report of a call that does not say which is none', () => {
    const base = 'https://login.example.com/webhooks/gateways/telnyx'
    expect(read(called('completed', base))).toEqual({ reports: [] })
    expect(read(called('completed', `${base}?ref=a%0Ab`))).toEqual({ reports: [] })
    expect(read(signedByTelnyx(REPORT_URL, 'CallSid=x'))).toEqual({ reports: [] })
  })
})
