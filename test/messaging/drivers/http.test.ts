import { createHmac } from 'node:crypto'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { Callback, FailureClass } from '../../../src/messaging/gateway.ts'
import { createHttp } from '../../../src/messaging/gateways/http.ts'
import { call, describeDriver, REFERENCE, TO, text } from '../../support/driver-contract.ts'
import { type FakeAnswer, type FakeGateway, startFakeGateway } from '../../support/fake-gateway.ts'
import { HTTP_SECRETS, httpContract } from '../../support/fake-http.ts'

const NOW = 1614265330
const [FIRST = '', SECOND = ''] = HTTP_SECRETS
const OTHER = 'whsec_b3RoZXItc2VjcmV0LW9mLXRoaXJ0eS10d28tYnl0ZXM='

const create = (url: string, secrets = HTTP_SECRETS) => createHttp({ url, secrets })

function callback(
  body: string,
  { id = 'msg_p5jXN8AQM9LWM0D4loKWxJek', secret = FIRST, headers = {} } = {},
): Callback {
  const key = Buffer.from(secret.slice('whsec_'.length), 'base64')
  const signature = createHmac('sha256', key).update(`${id}.${NOW}.${body}`).digest('base64')
  return {
    method: 'POST',
    url: 'https://login.example.com/webhooks/gateways/http',
    headers: {
      'webhook-id': id,
      'webhook-timestamp': String(NOW),
      'webhook-signature': `v1,${signature}`,
      ...headers,
    },
    body: Buffer.from(body),
    now: NOW,
  }
}

const report = (body: object, more = {}) => callback(JSON.stringify(body), more)

const answer = (status: number, body?: unknown): FakeAnswer => ({ status, body })
const accepted = (providerId: string | null) => ({ outcome: 'accepted' as const, providerId })

const FAILURES: readonly FailureClass[] = [
  'recipient',
  'sender',
  'content',
  'config',
  'quota',
  'throttle',
  'transient',
]

const SIGNED = {
  signedBy: ['webhook-id', 'webhook-timestamp', 'webhook-signature'],
  timed: true,
  coversUrl: false,
}

/** As Standard Webhooks itself gives it. */
const VECTOR = callback('{"test": 2432232314}', {
  headers: { 'webhook-signature': 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=' },
})

describeDriver({
  name: 'http',
  contract: httpContract,
  create,
  createWithWrongKey: (url) => create(url, [OTHER]),
  credentials: HTTP_SECRETS.map((secret) => secret.slice('whsec_'.length)),
  successes: [
    ['no id', answer(200, {}), accepted(null)],
    ['an id', answer(201, { id: 'x-1', more: true }), accepted('x-1')],
    ['a number as id', answer(202, { id: 17 }), accepted('17')],
    ['an id that is none', answer(200, { id: 'a b' }), accepted(null)],
    ['no content, said so', answer(204), accepted(null)],
    [
      'an error that is none',
      answer(200, { error: 'recipient' }),
      { outcome: 'unknown', detail: 'http 200, unrecognised body' },
    ],
  ],
  refusals: [
    ...FAILURES.flatMap(
      (error): Array<[string, FakeAnswer, FailureClass]> => [
        [`${error}, as 4xx`, answer(422, { error }), error],
        [`${error}, as 5xx`, answer(500, { error }), error],
      ],
    ),
    ...(['opted-out', 'landline', 'barred'] as const).map(
      (fault): [string, FakeAnswer, FailureClass, object & Record<string, unknown>] => [
        fault,
        answer(422, { error: 'recipient', fault }),
        'recipient',
        { fault },
      ],
    ),
    ['a fault of its own', answer(422, { error: 'recipient', fault: 'asleep' }), 'recipient'],
    ['an error of its own', answer(400, { error: 'nope' }), 'content', { detail: 'http 400' }],
    ['no body', answer(403), 'config'],
    ['no money', answer(402), 'quota'],
    ['a fault of its server', answer(503), 'transient'],
    ['too slow', answer(408), 'transient'],
    [
      'too fast',
      { status: 429, headers: { 'retry-after': '4' } },
      'throttle',
      { retryAfterMs: 4000 },
    ],
    [
      'too fast, by word',
      { status: 503, body: { error: 'throttle' }, headers: { 'retry-after': '4' } },
      'throttle',
      { retryAfterMs: 4000 },
    ],
  ],
  reports: {
    good: [
      { callback: VECTOR, reports: [], ...SIGNED },
      {
        callback: report({ reference: REFERENCE, status: 'delivered' }),
        reports: [
          { reference: REFERENCE, state: 'delivered', key: 'msg_p5jXN8AQM9LWM0D4loKWxJek' },
        ],
        ...SIGNED,
      },
      {
        callback: report({ id: 'x-1', status: 'failed', failure: 'recipient', fault: 'landline' }),
        reports: [{ providerId: 'x-1', state: 'failed', failure: 'recipient', fault: 'landline' }],
        ...SIGNED,
      },
    ],
    createWithKeys: (keys) =>
      create('http://127.0.0.1:1', keys === 'other' ? [OTHER] : [OTHER, FIRST]),
    bad: [
      ['a body that is no JSON', callback('{"status":')],
      ['a report of no message', report({ status: 'delivered' })],
      ['ids that are none', report({ status: 'delivered', id: 'a b', reference: {} })],
      [
        'another scheme',
        report({ id: 'x', status: 'sent' }, { headers: { 'webhook-signature': 'v1a,AAAA' } }),
      ],
    ],
  },
})

describe('http beside that', () => {
  let fake: FakeGateway
  beforeAll(async () => {
    fake = await startFakeGateway(httpContract)
  })
  beforeEach(() => fake.reset())
  afterAll(() => fake.close())
  const soon = () => AbortSignal.timeout(2000)
  const read = async (given: Callback) => create('http://127.0.0.1:1').reports?.read(given)

  test('tells all there is to know of a message, and nothing else', async () => {
    const result = await create(fake.baseUrl).send(text(), soon())
    expect(result).toEqual({ outcome: 'accepted', providerId: `receiver:${REFERENCE}` })
    const body: unknown = JSON.parse(fake.requests[0]?.body ?? '')
    expect(body).toEqual({
      to: TO,
      text: expect.any(String),
      reference: REFERENCE,
      sender: 'Sallyport',
      channel: 'sms',
      validity_seconds: 300,
    })
  })

  test('the same message is known by its webhook-id, however often it is sent', async () => {
    const gateway = create(fake.baseUrl)
    for (const _ of [1, 2]) await gateway.send(text(TO, { sender: null }), soon())
    expect(fake.faults).toEqual([])
    expect(fake.requests.map(({ headers }) => headers['webhook-id'])).toEqual([
      REFERENCE,
      REFERENCE,
    ])
    expect(gateway.can.idempotent).toBe(true)
  })

  test('does not call', async () => {
    const gateway = create(fake.baseUrl)
    expect(gateway.can.channels).toEqual(['sms'])
    expect(await gateway.send(call(), soon())).toMatchObject({
      outcome: 'refused',
      failure: 'config',
      detail: 'no-calls',
    })
    expect(fake.requests).toEqual([])
  })

  test('a receiver that knows no check is no receiver that works', async () => {
    fake.answerNext(answer(404))
    expect(await create(fake.baseUrl).check(soon())).toEqual({
      ok: false,
      detail: 'unexpected answer: http 404',
    })
  })

  test('a report may be signed with the other secret too', async () => {
    const given = report({ id: 'x-1', status: 'sent' }, { secret: SECOND })
    expect(await read(given)).toMatchObject({ reports: [{ providerId: 'x-1', state: 'sent' }] })
  })

  test.each([
    ['accepted'],
    ['sending'],
    ['sent'],
    ['unconfirmed'],
    ['expired'],
    ['failed'],
    ['rejected'],
    ['delivered'],
  ])('a message that is %s', async (status) => {
    const given = report({ id: 'x-1', reference: REFERENCE, status })
    expect(await read(given)).toMatchObject({
      reports: [{ providerId: 'x-1', reference: REFERENCE, state: status }],
    })
  })

  test('words that are none of ours say nothing', async () => {
    const given = report({ id: 'x-1', status: 'lost', failure: 'sunspots', fault: 'asleep' })
    const key = 'msg_p5jXN8AQM9LWM0D4loKWxJek'
    expect(await read(given)).toEqual({
      reports: [{ providerId: 'x-1', state: 'accepted', unheard: 'lost', key }],
    })
  })

  test('a fault is one of the recipient alone', async () => {
    const given = report({ id: 'x-1', status: 'failed', failure: 'quota', fault: 'barred' })
    const verdict = await read(given)
    expect(verdict).toMatchObject({ reports: [{ failure: 'quota' }] })
    expect(JSON.stringify(verdict)).not.toContain('barred')
  })
})
