import { createHmac } from 'node:crypto'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { Callback } from '../../../src/messaging/gateway.ts'
import { createTextbee, type TextbeeSettings } from '../../../src/messaging/gateways/textbee.ts'
import { call, describeDriver } from '../../support/driver-contract.ts'
import { type FakeGateway, startFakeGateway } from '../../support/fake-gateway.ts'
import {
  TEXTBEE_DEVICE,
  TEXTBEE_KEY,
  textbeeContract,
} from '../../support/fake-textbee-contract.ts'

const KEY = 'twenty-or-more-characters'
const BATCH = '665f0c0e1f4b2a0012ab0003'
const VECTOR =
  '{"smsId":"665f0c0e1f4b2a0012ab34cd","message":"x","deviceId":"665f0c0e1f4b2a0012ab0001","webhookSubscriptionId":"665f0c0e1f4b2a0012ab0002","webhookEvent":"MESSAGE_DELIVERED","idempotencyKey":"6f1c1c1e-2f43-4d9a-9a51-5b7a3f1f2d10","smsBatchId":"665f0c0e1f4b2a0012ab0003","status":"delivered","recipient":"+15550100001","sentAt":"2026-01-01T00:00:00.000Z","deliveredAt":"2026-01-01T00:00:05.000Z"}'
const VECTOR_SIGNATURE = '60948486ef69c820c1804509d4a3829789ae6ab0fb1ba0d47b291de28c01c2f9'
const SECRET_TEXT = 'Sallyport: 804213 is your code.'

const create = (baseUrl: string, more: Partial<TextbeeSettings> = {}) =>
  createTextbee({
    baseUrl,
    apiKey: TEXTBEE_KEY,
    deviceId: TEXTBEE_DEVICE,
    webhookSecrets: [KEY],
    ...more,
  })

const hex = (body: string) => createHmac('sha256', KEY).update(body).digest('hex')

function signed(body: string, signature = hex(body)): Callback {
  return {
    method: 'POST',
    url: 'https://login.example.com/webhooks/gateways/textbee',
    headers: { 'x-signature': signature },
    body: Buffer.from(body),
    now: 1_800_000_000,
  }
}

const event = (more: object) =>
  signed(JSON.stringify({ ...JSON.parse(VECTOR), message: SECRET_TEXT, ...more }))

const SIGNED = { signedBy: ['x-signature'], timed: false, coversUrl: false }
const limit = { message: 'limit', hasReachedLimit: true, dailyLimit: 50, dailyRemaining: 0 }
const bad = (error: string) => ({ status: 400, body: { success: false, error } })

describeDriver({
  name: 'textbee',
  contract: textbeeContract,
  create,
  createWithWrongKey: (baseUrl) => create(baseUrl, { apiKey: 'wrong' }),
  credentials: [TEXTBEE_KEY],
  successes: [
    [
      'a batch',
      { status: 201, body: { data: { success: true, smsBatchId: BATCH } } },
      { outcome: 'accepted', providerId: BATCH },
    ],
    [
      'a push without a queue',
      { status: 201, body: { data: { successCount: 1, failureCount: 0, responses: [] } } },
      { outcome: 'accepted', providerId: null },
    ],
  ],
  refusals: [
    ['a wrong key or device', { status: 401, body: { error: 'Unauthorized' } }, 'config'],
    ['a device id that is none', { status: 400, body: { error: 'Invalid device id' } }, 'config'],
    ['no device', bad('Device does not exist or is not enabled'), 'config'],
    ['no text', bad('Message cannot be blank'), 'content'],
    ['a bad number', bad('Invalid recipients'), 'recipient'],
    ['a date in the past', bad('scheduledAt must be a future date'), 'content'],
    ['a bad date', bad('Invalid scheduledAt format. Use ISO 8601'), 'content'],
    ['a date without a queue', bad('SMS scheduling requires queue to be enabled'), 'content'],
    ['no batch', bad('Failed to create SMS batch'), 'transient'],
    ['no push', bad('Failed to send SMS'), 'transient'],
    [
      'an address to confirm',
      { status: 400, body: { message: 'Please verify your email to continue' } },
      'config',
    ],
    ['a plan’s limit', { status: 429, body: limit }, 'quota'],
    [
      'too many requests',
      {
        status: 429,
        body: { statusCode: 429, message: 'ThrottlerException: Too Many Requests' },
        headers: { 'retry-after': '7' },
      },
      'throttle',
      { retryAfterMs: 7000 },
    ],
    [
      'a banned account',
      { status: 500, body: { message: 'Sorry, we cannot process your request at the moment' } },
      'config',
    ],
    [
      'a broken queue',
      { status: 500, body: { success: false, error: 'Failed to add SMS to queue' } },
      'transient',
    ],
    [
      'a failed push',
      { status: 201, body: { data: { successCount: 0, failureCount: 1 } } },
      'transient',
    ],
  ],
  reports: {
    good: [
      {
        ...SIGNED,
        callback: signed(VECTOR, VECTOR_SIGNATURE),
        reports: [
          { providerId: BATCH, state: 'delivered', key: '6f1c1c1e-2f43-4d9a-9a51-5b7a3f1f2d10' },
        ],
      },
      {
        ...SIGNED,
        callback: event({
          webhookEvent: 'MESSAGE_FAILED',
          status: 'failed',
          errorCode: 'RADIO_OFF',
        }),
        reports: [{ state: 'failed', failure: 'transient', code: 'RADIO_OFF' }],
      },
      {
        ...SIGNED,
        callback: event({ webhookEvent: 'MESSAGE_RECEIVED', status: 'received' }),
        reports: [],
      },
      { ...SIGNED, callback: event({ smsBatchId: undefined }), reports: [] },
    ],
    createWithKeys: (keys) =>
      create('http://127.0.0.1:9/api/v1', {
        webhookSecrets: keys === 'other' ? ['another-of-twenty-letters'] : ['the-next-one', KEY],
      }),
    bad: [
      ['a prefix', signed(VECTOR, `sha256=${VECTOR_SIGNATURE}`)],
      ['upper case', signed(VECTOR, VECTOR_SIGNATURE.toUpperCase())],
      ['no JSON', signed('delivered')],
      ['no event', event({ webhookEvent: undefined })],
      ['no idempotency key', event({ idempotencyKey: undefined })],
      ['no status', event({ status: undefined })],
    ],
  },
})

describe('textbee', () => {
  let fake: FakeGateway
  beforeAll(async () => {
    fake = await startFakeGateway(textbeeContract)
  })
  beforeEach(() => fake.reset())
  afterAll(() => fake.close())

  const read = (more: object) => create('').reports?.read(event(more))

  test.each([
    ['MESSAGE_SENT', 'sent', 'sent'],
    ['MESSAGE_DELIVERED', 'delivered', 'delivered'],
    ['MESSAGE_FAILED', 'failed', 'failed'],
    ['MESSAGE_FAILED', 'delivery_failed', 'unconfirmed'],
    ['UNKNOWN_STATE', 'unknown', 'unconfirmed'],
    ['SMS_STATUS_UPDATED', 'pending', 'accepted'],
    ['SMS_STATUS_UPDATED', 'dispatched', 'sending'],
    ['SMS_STATUS_UPDATED', 'retrying', 'accepted', { unheard: 'retrying' }],
    ['SMS_STATUS_UPDATED', 'something new', 'accepted', { unheard: 'no-code' }],
  ])('%s with the status %s is %s', async (webhookEvent, status, state, more: object = {}) => {
    expect(await read({ webhookEvent, status })).toMatchObject({ reports: [{ state, ...more }] })
  })

  test.each([
    ['GENERIC_FAILURE', 'transient'],
    ['SENDING_EXCEPTION', 'transient'],
    ['PERMISSION_DENIED', 'config'],
    ['FCM_TOKEN_NOT_REGISTERED', 'config'],
  ])('%s is never the recipient’s fault', async (code, failure) => {
    const verdict = await read({ status: 'failed', errorCode: code, errorMessage: 'words' })
    expect(verdict).toMatchObject({ reports: [{ state: 'failed', failure, code }] })
  })

  test('a report tells nothing of the text, the number or an error’s words', async () => {
    const told = [
      await read({}),
      await read({ status: 'failed', errorCode: SECRET_TEXT, errorMessage: SECRET_TEXT }),
      await read({ status: SECRET_TEXT }),
      await read({ idempotencyKey: SECRET_TEXT }),
      await read({ smsBatchId: SECRET_TEXT }),
    ]
    expect(JSON.stringify(told)).not.toMatch(/804213|15550100001|Sallyport/)
  })

  test('places no calls', async () => {
    const result = await create(fake.baseUrl).send(call(), AbortSignal.timeout(2000))
    expect(result).toMatchObject({ outcome: 'refused', failure: 'config' })
    expect(fake.requests).toEqual([])
  })

  const batch = (message: object) => ({
    data: {
      batch: { _id: BATCH, status: 'completed' },
      messages: [{ message: SECRET_TEXT, ...message }],
    },
  })
  const poll = () => create(fake.baseUrl).poll?.(BATCH, AbortSignal.timeout(2000))

  test('poll reads the one message of the batch', async () => {
    fake.answerNext({ status: 200, body: batch({ status: 'sent', errorCode: null }) })
    expect(await poll()).toEqual({ providerId: BATCH, state: 'sent', key: `${BATCH}:polled:sent` })
    const path = `/gateway/devices/${TEXTBEE_DEVICE}/sms-batch/${BATCH}`
    expect(fake.requests).toMatchObject([{ method: 'GET', path }])
    expect(fake.faults).toEqual([])
    fake.answerNext({ status: 200, body: batch({ status: 'failed', errorCode: 'NO_SERVICE' }) })
    expect(await poll()).toMatchObject({
      state: 'failed',
      failure: 'transient',
      code: 'NO_SERVICE',
    })
  })

  test.each([
    [{ status: 404, body: { success: false } }],
    [{ status: 500 }],
    [{ status: 200, body: { data: { batch: {}, messages: [] } } }],
    [{ status: 200, body: '<html>' }],
  ])('poll makes nothing of %j', async (answer) => {
    fake.answerNext(answer)
    expect(await poll()).toBeNull()
  })

  test('takes no reports without a secret', () => {
    expect(create('', { webhookSecrets: [] }).reports).toBeUndefined()
  })
})
