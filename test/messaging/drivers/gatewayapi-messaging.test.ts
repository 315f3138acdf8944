import { createHmac } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import type { Callback } from '../../../src/messaging/gateway.ts'
import { call, describeDriver, REFERENCE, text } from '../../support/driver-contract.ts'
import { GATEWAYAPI_TOKEN, gatewayApiMessaging } from '../../support/fake-gatewayapi.ts'
import { accepted, bare, maker, withFake, withKeys } from '../../support/gatewayapi-drivers.ts'

const messaging = maker('messaging', 'my-key')

describe('the messaging API', () => {
  const NOW = Date.parse('2025-04-01T11:50:30Z') / 1000
  const VECTOR =
    '{"event_id":"09c829a2-a77b-422d-8562-2f88e784dfb5","timestamp":"2025-04-01T11:50:12.003029+00:00","event_type":"message.status.sms","event":{"msg_id":"01JNN696A9E0WS89FPYGT15NBX","recipient":4512345678,"reference":"r1","status":"DELIVERED","status_at":"2025-04-01T11:50:11+00:00","error":null}}'
  const VECTOR_SIGNATURE = '30e68a6f7e3c280924b582a8d63accd658efdc26918f260a9e323949d09fc403'

  const sha256 = (body: string) => createHmac('sha256', 'my-key').update(body).digest('hex')
  const signed = (body: string, signature = `v1=${sha256(body)}`): Callback => ({
    method: 'POST',
    url: 'https://login.example.com/webhooks/gateways/gatewayapi',
    headers: { signature },
    body: Buffer.from(body),
    now: NOW,
  })
  const event = (more: object, envelope: object = {}) => {
    const whole = JSON.parse(VECTOR)
    return signed(JSON.stringify({ ...whole, ...envelope, event: { ...whole.event, ...more } }))
  }

  const SIGNED = { signedBy: ['signature'], timed: true, coversUrl: false }

  describeDriver({
    name: 'gatewayapi',
    contract: gatewayApiMessaging,
    create: messaging,
    createWithWrongKey: (baseUrl) => messaging(baseUrl, { token: 'wrong' }),
    credentials: [GATEWAYAPI_TOKEN],
    successes: [
      ['an id', { status: 200, body: { msg_id: '01JNN696A9' } }, accepted('01JNN696A9')],
      ['an id that is none', { status: 200, body: { msg_id: 'a b' } }, accepted(null)],
    ],
    refusals: [
      ['a recipient', invalid('recipient'), 'recipient', { detail: 'invalid-recipient' }],
      ['a sender', invalid('sender'), 'sender', { detail: 'invalid-sender' }],
      ['a message', invalid('message'), 'content', { detail: 'invalid-request' }],
      ['two fields', invalid('recipient', 'expiration'), 'content'],
      ['a recipient and a sender', invalid('recipient', 'sender'), 'content'],
      ['one field twice', invalid('recipient', 'recipient'), 'recipient'],
      ['no list of fields', { status: 422, body: { detail: 'Some words' } }, 'content'],
      bare(401, 'config'),
      bare(403, 'config'),
      bare(402, 'quota'),
      bare(429, 'throttle'),
      bare(500, 'transient'),
    ],
    reports: {
      good: [
        {
          ...SIGNED,
          callback: signed(VECTOR, `v1=${VECTOR_SIGNATURE}`),
          reports: [
            {
              providerId: '01JNN696A9E0WS89FPYGT15NBX',
              reference: 'r1',
              state: 'delivered',
              key: '09c829a2-a77b-422d-8562-2f88e784dfb5',
            },
          ],
        },
        {
          ...SIGNED,
          callback: event({ status: 'REJECTED', error: { hex_code: '0x1904', details: 'words' } }),
          reports: [{ state: 'rejected', failure: 'content', code: '0x1904' }],
        },
        {
          ...SIGNED,
          callback: event(
            { status: 'READ', reference: null },
            { event_type: 'message.status.rcs' },
          ),
          reports: [{ state: 'delivered' }],
        },
        {
          ...SIGNED,
          callback: event({ status: 'EXPIRED' }, { event_type: 'messaging.status.sms' }),
          reports: [{ state: 'expired' }],
        },
        { ...SIGNED, callback: event({}, { event_type: 'message.received.sms' }), reports: [] },
      ],
      createWithKeys: withKeys(messaging, 'my-key'),
      bad: [
        ['a signature without its version', signed(VECTOR, VECTOR_SIGNATURE)],
        ['another version', signed(VECTOR, `v0=${VECTOR_SIGNATURE}`)],
        ['upper case', signed(VECTOR, `v1=${VECTOR_SIGNATURE.toUpperCase()}`)],
        [
          'the signature of the other API',
          { ...signed(VECTOR), headers: { 'x-gwapi-signature': 'x' } },
        ],
        ['a time that is none', event({}, { timestamp: 'today' })],
        ['no time', event({}, { timestamp: undefined })],
        ['no event id', event({}, { event_id: undefined })],
        ['no id', event({ msg_id: undefined })],
        ['no status', event({ status: undefined })],
        ['no JSON', signed('DELIVERED')],
      ],
    },
  })

  const { send, asked, fakeOf } = withFake(gatewayApiMessaging, messaging)

  test('says validity and reference, and nothing that the newer API doesn’t know', async () => {
    await send(text(undefined, { sender: '+4512345678' }))
    expect(asked()).toEqual({
      sender: '4512345678',
      recipient: 46701740605,
      message: expect.any(String),
      reference: REFERENCE,
      expiration: 'PT300S',
    })
  })

  test('leaves it to the gateway to say that a text has no sender', async () => {
    const result = await send(text(undefined, { sender: null }))
    expect(result).toMatchObject({ outcome: 'refused', failure: 'sender' })
  })

  test('places no calls, and can’t be asked about a message', async () => {
    expect(await send(call())).toMatchObject({ outcome: 'refused', failure: 'config' })
    expect(fakeOf().requests).toEqual([])
    expect(messaging('').poll).toBeUndefined()
  })

  test('check says what else was answered', async () => {
    fakeOf().answerNext({ status: 200, body: {} })
    const check = await messaging(fakeOf().baseUrl).check(AbortSignal.timeout(2000))
    expect(check).toEqual({ ok: false, detail: 'unexpected answer: http 200' })
  })

  test('takes no reports without a secret', () => {
    expect(messaging('', { webhookSecrets: [] }).reports).toBeUndefined()
  })
})

function invalid(...fields: string[]) {
  const detail = fields.map((field) => ({ loc: ['body', field], msg: 'Some words', type: 'x' }))
  return { status: 422, body: { detail } }
}
