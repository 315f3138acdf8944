import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { Callback } from '../../../src/messaging/gateway.ts'
import {
  createTelnyxVerify,
  type TelnyxVerifySettings,
} from '../../../src/messaging/gateways/telnyx-verify.ts'
import { CODE, call, describeDriver, text } from '../../support/driver-contract.ts'
import { type FakeAnswer, type FakeGateway, startFakeGateway } from '../../support/fake-gateway.ts'
import {
  createFakeTelnyx,
  signedByTelnyx,
  TELNYX_CODE,
  TELNYX_KEY,
  TELNYX_OTHER_PUBLIC_KEY,
  TELNYX_PUBLIC_KEY,
  TELNYX_VERIFY_PROFILE,
} from '../../support/fake-telnyx.ts'

const create = (baseUrl: string, more: Partial<TelnyxVerifySettings> = {}) =>
  createTelnyxVerify({
    baseUrl,
    apiKey: TELNYX_KEY,
    verifyProfileId: TELNYX_VERIFY_PROFILE,
    publicKeys: [TELNYX_PUBLIC_KEY],
    ...more,
  })

const refusal = (status: number, code: string, pointer?: string) => ({
  status,
  body: { errors: [{ code, title: `Echo ${CODE}`, source: { pointer } }] },
})

const event = (event_type: string, payload: object): Callback =>
  signedByTelnyx(
    'https://login.example.com/webhooks/gateways/telnyx-verify',
    JSON.stringify({ data: { event_type, id: `of-${event_type}`, record_type: 'event', payload } }),
  )

/** As its documentation shows it: the code is in it. */
const payload = {
  created_at: '2025-10-08T17:16:08.436941',
  custom_code: CODE,
  delivery_status: 'delivered',
  failed_attempts: 0,
  id: '010d9dee-d86d-47d0-8d6c-20c0f95a79ec',
  phone_number: '+46701740605',
  profile_id: TELNYX_VERIFY_PROFILE,
  record_type: 'verification',
  status: 'accepted',
  type: 'sms',
}

const signed = {
  signedBy: ['telnyx-signature-ed25519', 'telnyx-timestamp'],
  timed: true,
  coversUrl: false,
}

describeDriver({
  name: 'telnyx-verify',
  contract: createFakeTelnyx(),
  create,
  createWithWrongKey: (baseUrl) => create(baseUrl, { apiKey: 'KEYwrong' }),
  credentials: [TELNYX_KEY],
  successes: [
    [
      'a verification that began',
      { status: 200, body: { data: { id: 'v1', status: 'pending' } } },
      { outcome: 'accepted', providerId: 'v1' },
    ],
    [
      'one without an id, which no code could be judged by: unknown',
      { status: 200, body: { data: { status: 'pending' } } },
      { outcome: 'unknown', detail: 'http 200, unrecognised body' },
    ],
    [
      'one that ended as it began: unknown',
      { status: 200, body: { data: { id: 'v1', status: 'error' } } },
      { outcome: 'unknown', detail: 'http 200, unrecognised body' },
    ],
  ],
  refusals: [
    ['an invalid number', refusal(400, '10002', '/phone_number'), 'recipient', { detail: '10002' }],
    ['a number not in E.164', refusal(400, '10016', '/phone_number'), 'recipient'],
    ['a bad request', refusal(400, '10015', '/verify_profile_id'), 'content'],
    ['a thing that is not there', refusal(404, '10005'), 'config'],
    ['a wrong key', refusal(401, '10009'), 'config'],
    ['a key that may not', refusal(403, '10010'), 'config'],
    ['no money', refusal(402, '20100'), 'quota'],
    ['too many at once', refusal(429, '10011'), 'throttle'],
    ['an unexpected error', refusal(500, '10007'), 'transient'],
  ],
  reports: {
    good: [
      {
        callback: event('verify.sent', payload),
        reports: [{ providerId: payload.id, state: 'sent', key: 'of-verify.sent' }],
        ...signed,
      },
      {
        callback: event('verify.delivered', payload),
        reports: [{ providerId: payload.id, state: 'delivered', key: 'of-verify.delivered' }],
        ...signed,
      },
      {
        callback: event('verify.failed', payload),
        reports: [{ providerId: payload.id, state: 'failed', key: 'of-verify.failed' }],
        ...signed,
      },
      { callback: event('verify.something-new', payload), reports: [], ...signed },
    ],
    createWithKeys: (keys) =>
      create('http://127.0.0.1:1', {
        publicKeys:
          keys === 'other'
            ? [TELNYX_OTHER_PUBLIC_KEY]
            : [TELNYX_OTHER_PUBLIC_KEY, TELNYX_PUBLIC_KEY],
      }),
    bad: [
      ['a signed event of nothing', event('verify.sent', {})],
      ['a signed form', signedByTelnyx('https://login.example.com/x', 'CallStatus=completed')],
    ],
  },
})

describe('telnyx-verify', () => {
  let fake: FakeGateway
  beforeAll(async () => {
    fake = await startFakeGateway(createFakeTelnyx())
  })
  beforeEach(() => fake.reset())
  afterAll(() => fake.close())
  const soon = () => AbortSignal.timeout(2000)

  async function begin(message = text()) {
    const driver = create(fake.baseUrl)
    const sent = await driver.send(message, soon())
    const id = (sent.outcome === 'accepted' && sent.providerId) || ''
    expect(id).not.toBe('')
    return (code: string, signal = soon()) => driver.judge?.(id, code, signal)
  }

  test('takes the right code once, and no other', async () => {
    for (const message of [text(), call()]) {
      const judge = await begin(message)
      expect(await judge('000000')).toBe('wrong')
      expect(await judge('../../x')).toBe('wrong')
      expect(await judge(TELNYX_CODE)).toBe('right')
      expect(await judge(TELNYX_CODE)).toBe('gone')
    }
    expect(fake.messages.map(({ channel, text: code }) => [channel, code])).toEqual([
      ['sms', TELNYX_CODE],
      ['voice', TELNYX_CODE],
    ])
    expect(fake.faults).toEqual([])
  })

  test('tells it how long the code is of use', async () => {
    await begin(text(undefined, { validitySeconds: 240 }))
    expect(JSON.parse(fake.requests[0]?.body ?? '')).toMatchObject({ timeout_secs: 240 })
  })

  test('carries nothing that is not a code', async () => {
    const notice = text(undefined, { codeLength: null })
    expect(await create(fake.baseUrl).send(notice, soon())).toMatchObject({
      outcome: 'refused',
      failure: 'content',
    })
    expect(fake.requests).toEqual([])
  })

  const data = (response_code: unknown) => ({ data: { phone_number: '+1', response_code } })
  const misleading: Array<[title: string, answer: FakeAnswer]> = [
    ['a word in capitals', { status: 200, body: data('Accepted') }],
    ['a word with more in it', { status: 200, body: data('accepted ') }],
    ['a list of words', { status: 200, body: data(['accepted']) }],
    ['yes', { status: 200, body: data(true) }],
    ['its word elsewhere', { status: 200, body: { response_code: 'accepted' } }],
    ['its state in place of its word', { status: 200, body: { data: { status: 'accepted' } } }],
    ['another success', { status: 201, body: data('accepted') }],
    ['nothing', { status: 200 }],
    ['a page', { status: 200, body: '<html>accepted</html>' }],
    ['a redirect', { status: 302, body: data('accepted'), headers: { location: '/' } }],
    ['an error', { status: 500, body: data('accepted') }],
    ['a wrong key', { status: 401, body: data('accepted') }],
    ['too many at once', { status: 429, body: data('accepted') }],
  ]
  test.each(misleading)('takes no code for right by %s', async (_, answer) => {
    const judge = await begin()
    fake.answerNext(answer)
    expect(await judge(TELNYX_CODE)).toBe('unavailable')
  })

  test.each([
    ['pending', 'wrong'],
    ['invalid', 'wrong'],
    ['expired', 'gone'],
    ['accepted', 'gone'],
    ['error', 'unavailable'],
    ['something-new', 'unavailable'],
  ])('a code that it rejects while the verification is %s is %s', async (status, verdict) => {
    const judge = await begin()
    for (const no of [{ status: 200, body: data('rejected') }, refusal(400, '10015')]) {
      fake.answerNext(no, { status: 200, body: { data: { id: 'v', status } } })
      expect(await judge(TELNYX_CODE)).toBe(verdict)
    }
  })

  test('a verification that it no longer knows is gone', async () => {
    const judge = await begin()
    fake.answerNext({ status: 404, body: {} })
    expect(await judge(TELNYX_CODE)).toBe('gone')
    fake.answerNext({ status: 200, body: data('rejected') }, { status: 404 })
    expect(await judge(TELNYX_CODE)).toBe('gone')
    fake.answerNext({ status: 200, body: data('rejected') }, { status: 500 })
    expect(await judge(TELNYX_CODE)).toBe('unavailable')
  })

  test('no answer is no yes', async () => {
    const judge = await begin()
    expect(await judge(TELNYX_CODE, AbortSignal.abort())).toBe('unavailable')
    expect(await create('http://127.0.0.1:1').judge?.('v', TELNYX_CODE, soon())).toBe('unavailable')
  })

  test('its check tells an unknown profile', async () => {
    fake.answerNext({ status: 404 })
    const { ok, detail } = await create(fake.baseUrl).check(soon())
    expect([ok, detail]).toEqual([false, 'the Verify profile is unknown there'])
  })

  test('its reports give away no code', () => {
    const verdict = create(fake.baseUrl).reports?.read(event('verify.sent', payload))
    expect(JSON.stringify(verdict)).not.toContain(CODE)
    expect(create(fake.baseUrl, { publicKeys: [] }).reports).toBeUndefined()
  })
})
