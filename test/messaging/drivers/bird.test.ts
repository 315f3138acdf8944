import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { Callback, Gateway } from '../../../src/messaging/gateway.ts'
import { createBird } from '../../../src/messaging/gateways/bird.ts'
import {
  signStandardWebhook,
  verifyStandardWebhook,
} from '../../../src/messaging/standard-webhooks.ts'
import {
  call,
  describeDriver,
  REFERENCE,
  type ReportFixture,
  text,
} from '../../support/driver-contract.ts'
import { API_KEY, error, fakeBird } from '../../support/fake-bird.ts'
import { type FakeGateway, startFakeGateway } from '../../support/fake-gateway.ts'

/** That of the vector of Standard Webhooks. */
const SECRET = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'
const OTHER = `whsec_${Buffer.from('another secret of 24 bytes').toString('base64')}`
const NOW = 1_614_265_330
const ID = 'sms_01krdgeqcxet5s7t44vh8rt9mg'
const EVENT = 'msg_p5jXN8AQM9LWM0D4loKWxJek'

const create = (baseUrl: string, webhookSecrets = [SECRET]): Gateway =>
  createBird({ baseUrl, apiKey: API_KEY, webhookSecrets })

/** An event as Bird would send it, signed by one secret or several. */
function signed(
  event: unknown,
  { secrets = [SECRET], id = EVENT, timestamp = NOW } = {},
): Callback {
  const body = typeof event === 'string' ? event : JSON.stringify(event)
  const headers = {
    'webhook-id': id,
    'webhook-timestamp': String(timestamp),
    'webhook-signature': secrets
      .map((secret) => signStandardWebhook(secret, { id, timestamp, body }))
      .join(' '),
  }
  const url = 'https://login.example.com/webhooks/gateways/bird'
  return { method: 'POST', url, headers, body: Buffer.from(body), now: NOW }
}

function smsEvent(state: string, code?: string, metadata: unknown = { reference: REFERENCE }) {
  return {
    type: `sms.${state}`,
    timestamp: '2026-05-21T12:00:00.000Z',
    data: {
      ...{ sms_id: ID, workspace_id: 'ws_1', to: '+46701740605', from: 'Sallyport', tags: null },
      metadata,
      ...(code && {
        error: { code, description: 'in words', occurred_at: '2026-05-21T12:00:00.000Z' },
      }),
    },
  }
}

const vector: Callback = {
  ...signed(''),
  headers: {
    'webhook-id': EVENT,
    'webhook-timestamp': String(NOW),
    'webhook-signature': 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=',
  },
  body: Buffer.from('{"test": 2432232314}'),
}

const SIGNED = {
  signedBy: ['webhook-id', 'webhook-timestamp', 'webhook-signature'],
  timed: true,
  coversUrl: false,
}

function fixture(
  [state, code]: [state: string, code?: string],
  report: ReportFixture['reports'][number],
): ReportFixture {
  const reports = [{ providerId: ID, reference: REFERENCE, key: EVENT, ...report }]
  return { callback: signed(smsEvent(state, code)), reports, ...SIGNED }
}

describeDriver({
  name: 'bird',
  contract: fakeBird(),
  create,
  createWithWrongKey: (baseUrl) =>
    createBird({ baseUrl, apiKey: 'bk_eu1_wrong', webhookSecrets: [] }),
  credentials: [API_KEY, SECRET],
  successes: [
    [
      'an id and a status',
      { status: 202, body: { id: ID, status: 'accepted', last_error: null } },
      { outcome: 'accepted', providerId: ID },
    ],
    [
      'a status it has not yet',
      { status: 202, body: { id: ID, status: 'pondering' } },
      { outcome: 'accepted', providerId: ID },
    ],
    [
      'not what it rejects at once',
      {
        status: 202,
        body: { id: ID, status: 'rejected', last_error: { code: 'recipient_opted_out' } },
      },
      {
        outcome: 'refused',
        failure: 'recipient',
        fault: 'opted-out',
        detail: 'rejected',
        httpStatus: 202,
      },
    ],
    [
      'not what fails at once',
      { status: 202, body: { id: ID, status: 'failed', last_error: { code: 'unknown' } } },
      { outcome: 'refused', failure: 'transient', detail: 'failed', httpStatus: 202 },
    ],
    [
      'not, and perhaps yes, what an earlier request is about',
      { status: 409, body: error('E01004', 'IdempotencyInProgress') },
      { outcome: 'unknown', detail: 'E01004' },
    ],
  ],
  refusals: [
    ['bad request', { status: 400, body: error('E00010', 'BadRequest') }, 'content'],
    ['400 of something else', { status: 400, body: '<html>' }, 'content'],
    ['401', { status: 401, body: error('E00001', 'AuthFailed') }, 'config', { detail: 'E00001' }],
    ['no balance', { status: 402, body: error('E00020', 'InsufficientBalance') }, 'quota'],
    ['403', { status: 403, body: error('E00030', 'Forbidden') }, 'config'],
    ['404', { status: 404, body: error('E00040', 'NotFound') }, 'config'],
    ['reused key', { status: 409, body: error('E01005', 'IdempotencyKeyReused') }, 'content'],
    ['other conflict', { status: 409, body: error('E01006', 'Conflict') }, 'transient'],
    ['recipient', { status: 422, body: error('E02001', 'SMSInvalidRecipient') }, 'recipient'],
    ['field to', { status: 422, body: error('E02000', 'Validation', 'to') }, 'recipient'],
    ['sender', { status: 422, body: error('E02002', 'SMSNoEligibleSender') }, 'sender'],
    ['field from', { status: 422, body: error('E02000', 'Validation', 'from') }, 'sender'],
    ['field text', { status: 422, body: error('E02000', 'Validation', 'text') }, 'content'],
    ['feature', { status: 422, body: error('E02003', 'SMSUnsupportedFeature') }, 'config'],
    [
      'too fast',
      { status: 429, body: error('E00060', 'RateLimited'), headers: { 'retry-after': '2' } },
      'throttle',
      { retryAfterMs: 2000 },
    ],
    ['server error', { status: 500, body: error('E00070', 'Internal') }, 'transient'],
    ['unavailable', { status: 503, body: error('E00080', 'Unavailable') }, 'transient'],
    [
      'a code that is none',
      { status: 401, body: error('804213', 'x') },
      'config',
      { detail: 'http 401' },
    ],
  ],
  reports: {
    good: [
      fixture(['accepted'], { state: 'accepted' }),
      fixture(['sent'], { state: 'sent' }),
      fixture(['delivered'], { state: 'delivered' }),
      fixture(['expired'], { state: 'expired' }),
      // It may still recover, so that nothing is held against the number.
      fixture(['undelivered', 'unreachable'], { state: 'failed', failure: 'transient' }),
      fixture(['undelivered', 'content_rejected'], { state: 'failed', failure: 'content' }),
      fixture(['undelivered', 'landline_unreachable'], {
        state: 'failed',
        failure: 'recipient',
        fault: 'landline',
      }),
      fixture(['failed', 'invalid_destination'], { state: 'failed', failure: 'recipient' }),
      fixture(['failed', 'blocked_by_carrier'], { state: 'failed', failure: 'recipient' }),
      fixture(['failed', 'blocked_by_recipient'], {
        state: 'failed',
        failure: 'recipient',
        fault: 'barred',
      }),
      fixture(['failed', 'landline_unreachable'], {
        state: 'failed',
        failure: 'recipient',
        fault: 'landline',
        code: 'landline_unreachable',
      }),
      fixture(['rejected', 'recipient_opted_out'], {
        state: 'rejected',
        failure: 'recipient',
        fault: 'opted-out',
      }),
      fixture(['rejected', 'sender_unregistered'], { state: 'rejected', failure: 'sender' }),
      fixture(['failed', 'content_rejected'], { state: 'failed', failure: 'content' }),
      fixture(['failed', 'provider_unavailable'], { state: 'failed', failure: 'transient' }),
      fixture(['rejected', 'insufficient_balance'], { state: 'rejected', failure: 'quota' }),
      fixture(['failed', 'unknown'], { state: 'failed', code: 'unknown' }),
      fixture(['pondering'], { state: 'accepted', unheard: 'pondering' }),
      // Bird signs by both secrets for a day after a change.
      {
        callback: signed(smsEvent('sent', undefined, null), { secrets: [OTHER, SECRET] }),
        reports: [{ providerId: ID, state: 'sent' }],
        ...SIGNED,
        signedBy: ['webhook-id', 'webhook-timestamp'],
      },
      { callback: signed(smsEvent('received')), reports: [], ...SIGNED },
      {
        callback: signed({ type: 'verify.attempt.sent', data: {} }),
        reports: [],
        ...SIGNED,
      },
    ],
    createWithKeys: (keys) =>
      create(
        'http://127.0.0.1:2',
        keys === 'other' ? [`whsec_${'A'.repeat(32)}`] : [`whsec_${'B'.repeat(32)}`, SECRET],
      ),
    bad: [
      ['what is rightly signed and no event', vector],
      ['what is not JSON', signed('sms.sent')],
      ['an event of no message', signed({ type: 'sms.sent', data: { to: '+46701740605' } })],
      ['an id that can’t be one', signed({ ...smsEvent('sent'), data: { sms_id: '<b>' } })],
      ['a signature by the public key scheme', asVersion('v1a')],
      ['a signature without a version', asVersion('')],
      ['an id with a full stop in it', signed(smsEvent('sent'), { id: 'msg.1' })],
      ['a time that is not whole seconds', withHeader('webhook-timestamp', `${NOW}.0`)],
    ],
  },
})

function asVersion(version: string): Callback {
  const [, signature] = String(signed(smsEvent('sent')).headers['webhook-signature']).split(',')
  return withHeader('webhook-signature', `${version},${signature}`)
}

function withHeader(name: string, value: string): Callback {
  const callback = signed(smsEvent('sent'))
  return { ...callback, headers: { ...callback.headers, [name]: value } }
}

describe('bird', () => {
  const contract = fakeBird({ remembers: true })
  let fake: FakeGateway
  let driver: Gateway
  beforeAll(async () => {
    fake = await startFakeGateway(contract)
    driver = create(fake.baseUrl)
  })
  beforeEach(() => fake.reset())
  afterAll(() => fake.close())
  const soon = () => AbortSignal.timeout(2000)

  test('the same message sent twice goes out once', async () => {
    const first = await driver.send(text(), soon())
    expect(await driver.send(text(), soon())).toEqual(first)
    expect(fake.messages).toHaveLength(1)
    expect(fake.messages[0]?.reference).toBe(REFERENCE)
    expect(fake.requests[0]?.headers['idempotency-key']).toBe(REFERENCE)
    expect(await driver.send(text(undefined, { text: 'other' }), soon())).toMatchObject({
      outcome: 'refused',
      failure: 'content',
      detail: 'E01005',
    })
  })

  test('a code is not kept there, and only a code is called one', async () => {
    const categories = []
    for (const [reference, codeLength] of [
      ['a1', 6],
      ['a2', null],
    ] as const) {
      fake.reset()
      await driver.send(text(undefined, { reference, codeLength }), soon())
      categories.push(JSON.parse(fake.requests[0]?.body ?? '{}').category)
    }
    expect(categories).toEqual(['authentication', 'transactional'])
  })

  test('neither calls nor texts from nobody', async () => {
    expect(await driver.send(call(), soon())).toMatchObject({
      failure: 'config',
      detail: 'no-calls',
    })
    expect(await driver.send(text(undefined, { sender: null }), soon())).toMatchObject({
      outcome: 'refused',
      failure: 'sender',
      detail: 'no-sender',
    })
    expect(fake.requests).toEqual([])
  })

  test('asks what became of a message', async () => {
    expect(await driver.poll?.(ID, soon())).toBeNull()
    contract.messages.set(ID, { id: ID, status: 'delivered' })
    expect(await driver.poll?.(ID, soon())).toEqual({
      providerId: ID,
      state: 'delivered',
      key: `${ID}:delivered`,
    })
    const last_error = { code: 'landline_unreachable', description: 'in words' }
    contract.messages.set(ID, { id: ID, status: 'failed', last_error })
    expect(await driver.poll?.(ID, soon())).toMatchObject({ state: 'failed', fault: 'landline' })
    fake.answerNext({ status: 200, body: '<html>' })
    expect(await driver.poll?.(ID, soon())).toBeNull()
    expect(fake.faults).toEqual([])
  })

  test('its check tells a wrong address from a key that works', async () => {
    fake.answerNext({ status: 404, body: '<html>' })
    expect(await driver.check(soon())).toEqual({ ok: false, detail: 'unexpected answer: http 404' })
    fake.answerNext({ status: 403, body: error('E00030', 'Forbidden') })
    expect((await driver.check(soon())).detail).toContain('may not read')
  })

  test('another region’s key is the operator’s to mend', async () => {
    // `fetch` itself tries once more after a 421, as RFC 9110 allows.
    const misdirected = { status: 421, body: error('E00050', 'Misdirected') }
    fake.answerNext(misdirected, misdirected)
    expect(await driver.send(text(), soon())).toMatchObject({
      outcome: 'refused',
      failure: 'config',
      detail: 'E00050',
    })
  })

  test('takes no reports without a secret to check them by', () => {
    expect(create(fake.baseUrl, []).reports).toBeUndefined()
  })

  test('signs and checks as Standard Webhooks does', () => {
    const { id, timestamp, body } = { id: EVENT, timestamp: NOW, body: vector.body }
    expect(signStandardWebhook(SECRET, { id, timestamp, body })).toBe(
      vector.headers['webhook-signature'],
    )
    expect(verifyStandardWebhook([SECRET], vector)).toEqual({ id: EVENT })
    expect(verifyStandardWebhook([SECRET.slice(6)], vector)).toEqual({ id: EVENT })
  })

  test('a secret of no bytes signs nothing', () => {
    const forged = signed(smsEvent('delivered'), { secrets: ['whsec_'] })
    const careless = create(fake.baseUrl, ['whsec_', '!!!'])
    expect(careless.reports?.read(forged)).toEqual({ refused: 'signature' })
  })

  test('tells an old report from a forged one', () => {
    const read = (now: number) => driver.reports?.read({ ...signed(smsEvent('sent')), now })
    expect(read(NOW + 300)).toMatchObject({ reports: [{ state: 'sent' }] })
    expect(read(NOW + 301)).toEqual({ refused: 'stale' })
    expect(read(NOW - 301)).toEqual({ refused: 'stale' })
  })
})
