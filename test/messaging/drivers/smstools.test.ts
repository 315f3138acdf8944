import { createHmac } from 'node:crypto'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { Callback, OutgoingMessage } from '../../../src/messaging/gateway.ts'
import { createSmstools, type SmstoolsSettings } from '../../../src/messaging/gateways/smstools.ts'
import { codeSpeech } from '../../../src/messaging/speech.ts'
import { CODE, call, describeDriver, REFERENCE, text } from '../../support/driver-contract.ts'
import { type FakeGateway, startFakeGateway } from '../../support/fake-gateway.ts'
import { SMSTOOLS_ID, SMSTOOLS_SECRET, smstoolsContract } from '../../support/fake-smstools.ts'

const NOW = 1767225600
const KEY = 'webhook-secret'
const PATH_SECRET = 'zQ8n4Lr2Vb6Xw0Kd5Tf9Hs3Jm'
const VECTOR =
  '{"webhook_id":1,"webhook_type":"delivery_report","message":{"messageid":"msg-1","receiver":"32470123456","delivery_code":"1","delivery_status":"delivered"}}'

const create = (baseUrl: string, more: Partial<SmstoolsSettings> = {}) =>
  createSmstools({
    baseUrl,
    clientId: SMSTOOLS_ID,
    clientSecret: SMSTOOLS_SECRET,
    webhookSecrets: [KEY],
    voice: 'Female',
    ...more,
  })

function signed(body: string, { time = String(NOW), signature = '' } = {}): Callback {
  const v1 = signature || createHmac('sha256', KEY).update(`${time}.${body}`).digest('hex')
  return {
    method: 'POST',
    url: 'https://login.example.com/webhooks/gateways/smstools',
    headers: { 'x-smstools-timestamp': time, 'x-smstools-signature': `t=${time},v1=${v1}` },
    body: Buffer.from(body),
    now: NOW,
  }
}

const delivery = (message: Record<string, unknown>) => ({
  webhook_id: '1',
  webhook_type: 'delivery_report',
  username: 'x',
  message: { messageid: 'msg-1', receiver: '32470123456', ...message },
})

const event = (message: Record<string, unknown>) => signed(JSON.stringify(delivery(message)))

const SIGNED = { signedBy: ['x-smstools-signature'], timed: true, coversUrl: false }
const VECTOR_SIGNATURE = 'abfce8faac411a23e16de091b397cc6541095a369b5ec85d9eb590fb4f84e138'

describeDriver({
  name: 'smstools',
  contract: smstoolsContract,
  create,
  createWithWrongKey: (baseUrl) => create(baseUrl, { clientSecret: 'wrong' }),
  credentials: [SMSTOOLS_ID, SMSTOOLS_SECRET],
  successes: [
    ['an id', ok({ messageid: 'b7b1f7a3-1' }), { outcome: 'accepted', providerId: 'b7b1f7a3-1' }],
    ['an id that is none', ok({ messageid: 'a b' }), { outcome: 'accepted', providerId: null }],
  ],
  refusals: [
    ...codes('recipient', ['103', '106']),
    ...codes('recipient', ['131'], { fault: 'opted-out' }),
    ...codes('sender', ['109', '110', '111']),
    ...codes('content', ['102', '112', '114', '118', '121', '139']),
    ...codes('config', ['104', '116', '138', '200', '1002', '1403']),
    ...codes('quota', ['108']),
    ...codes('transient', ['105']),
    ['a body it can’t read', { status: 400, body: { error: 'error parsing json' } }, 'content'],
    ['a code as a number', { status: 400, body: { error: 108 } }, 'quota', { detail: '108' }],
    ['a code that comes as 401', { status: 401, body: { error: '108' } }, 'quota'],
    ['an unknown code', { status: 400, body: { error: '140' } }, 'content', { detail: '140' }],
    ['an echoed number', bad('46701740605'), 'content', { detail: 'http 400' }],
    ['no body', { status: 401 }, 'config', { detail: 'http 401' }],
    [
      'too fast',
      { status: 429, headers: { 'retry-after': '3' } },
      'throttle',
      { retryAfterMs: 3000 },
    ],
  ],
  reports: {
    good: [
      {
        ...SIGNED,
        callback: signed(VECTOR, { signature: VECTOR_SIGNATURE }),
        reports: [{ providerId: 'msg-1', state: 'delivered', code: '1', key: 'msg-1:1' }],
      },
      {
        ...SIGNED,
        callback: event({ delivery_code: 2, delivery_code_detail: 10 }),
        reports: [{ state: 'failed', failure: 'recipient', code: '2.10' }],
      },
      {
        ...SIGNED,
        callback: signed(
          JSON.stringify([
            delivery({ delivery_code: '0' }),
            delivery({ messageid: 17, delivery_code: '5', delivery_code_detail: '11' }),
            { webhook_id: 2, webhook_type: 'inbox_message', message: { content: 'STOP' } },
          ]),
        ),
        reports: [
          { providerId: 'msg-1', state: 'sent', key: 'msg-1:0' },
          { providerId: '17', state: 'rejected', code: '5.11', key: '17:5' },
        ],
      },
      {
        ...SIGNED,
        callback: signed('{"webhook_id":1,"webhook_type":"insufficient_funds","message":null}'),
        reports: [],
      },
    ],
    createWithKeys: (keys) =>
      create('http://127.0.0.1:1/v1', {
        webhookSecrets: keys === 'other' ? ['another'] : ['the-next-one', KEY],
        webhookPath: PATH_SECRET,
      }),
    bad: [
      ['a GET, which has no body', { ...signed(''), method: 'GET' }],
      ['another version', altered(/v1=/, 'v0=')],
      ['upper case', altered(/v1=.*/, (v1) => v1.toUpperCase())],
      ['a time of no number', signed(VECTOR, { time: 'x' })],
      ['no JSON', signed('delivered')],
      ['a report without an id', event({ messageid: undefined, delivery_code: '1' })],
      ['a report without a code', event({})],
      ['a report whose id is none', event({ messageid: 'a b', delivery_code: '1' })],
    ],
  },
})

describe('smstools', () => {
  let fake: FakeGateway
  beforeAll(async () => {
    fake = await startFakeGateway(smstoolsContract)
  })
  beforeEach(() => fake.reset())
  afterAll(() => fake.close())

  const send = (message: OutgoingMessage, more: Partial<SmstoolsSettings> = {}) =>
    create(fake.baseUrl, more).send(message, AbortSignal.timeout(2000))
  const asked = () => JSON.parse(fake.requests[0]?.body ?? '')

  test.each(['Sallyport', '+4512345678', '24680'])(
    'sends from %s, with our reference',
    async (sender) => {
      await send(text(undefined, { sender }))
      expect(fake.faults).toEqual([])
      expect(fake.messages).toMatchObject([{ sender, reference: REFERENCE }])
    },
  )

  test('leaves it to the gateway to say that a text has no sender', async () => {
    const result = await send(text(undefined, { sender: null }))
    expect(result).toMatchObject({ outcome: 'refused', failure: 'sender', detail: '109' })
  })

  test('calls without a sender where there is none', async () => {
    expect(await send({ ...call(), sender: null })).toMatchObject({ outcome: 'accepted' })
    expect(fake.faults).toEqual([])
    expect(fake.messages).toMatchObject([{ channel: 'voice', sender: null }])
  })

  test('speaks the language of the speech, by the voice that is set', async () => {
    const speech = { ...codeSpeech({ brand: 'B', code: CODE }), language: 'nl' }
    await send({ ...call(), speech } as OutgoingMessage, { voice: 'Male' })
    expect(fake.faults).toEqual([])
    expect(asked()).toMatchObject({ language: 'nl', gender: 'Male' })
  })

  test.each([
    [{ status: 401, body: { error: '104' } }, 'the client id and secret were refused: 104'],
    [{ status: 400, body: { error: '1002' } }, 'the client id and secret were refused: 1002'],
    [{ status: 401 }, 'the client id and secret were refused'],
    [{ status: 500, body: { error: '104' } }, 'unexpected answer: http 500'],
    [{ status: 302 }, 'unexpected answer: http 302'],
  ])('check tells of %j', async (answer, detail) => {
    fake.answerNext(answer)
    const check = await create(fake.baseUrl).check(AbortSignal.timeout(2000))
    expect(check).toEqual({ ok: false, detail })
  })

  test.each([
    ['0', 'sent'],
    ['1', 'delivered'],
    ['2', 'failed'],
    ['3', 'sending'],
    ['4', 'rejected'],
    ['5', 'rejected'],
    ['9', 'unconfirmed'],
    ['77', 'accepted', { unheard: '77' }],
  ])('delivery code %s is %s', async (code, state, more: object = {}) => {
    const verdict = await create('').reports?.read(event({ delivery_code: code }))
    expect(verdict).toMatchObject({ reports: [{ state, code, ...more }] })
  })
})

describe('an account whose webhooks are not signed', () => {
  const driver = create('', { webhookSecrets: [], webhookPath: PATH_SECRET })
  const read = (url: string, body = VECTOR) =>
    driver.reports?.read({ ...signed(body), headers: {}, url })
  const base = 'https://login.example.com/webhooks/gateways/smstools'

  test('is known by the end of its address', async () => {
    const report = { providerId: 'msg-1', state: 'delivered', key: 'msg-1:1' }
    expect(await read(`${base}/${PATH_SECRET}`)).toMatchObject({ reports: [report] })
    expect(await read(`${base}/${PATH_SECRET}?x=1`)).toMatchObject({ reports: [report] })
    expect(await read(`${base}/${PATH_SECRET}`, 'x')).toEqual({ refused: 'malformed' })
  })

  test.each([
    base,
    `${base}/`,
    `${base}/${PATH_SECRET}/`,
    `${base}/${PATH_SECRET.slice(1)}`,
    `${base}/${PATH_SECRET.toLowerCase()}`,
    `${base}/x?${PATH_SECRET}`,
    `${base}?/${PATH_SECRET}`,
    `${base}#/${PATH_SECRET}`,
    'no address',
  ])('is not known by %s', async (url) => {
    expect(await read(url)).toEqual({ refused: 'signature' })
  })

  test('has to sign where there is a secret too', async () => {
    const verdict = create('', { webhookPath: PATH_SECRET }).reports?.read({
      ...signed(VECTOR),
      headers: {},
      url: `${base}/${PATH_SECRET}`,
    })
    expect(await verdict).toEqual({ refused: 'signature' })
  })

  test('takes no reports with neither', () => {
    expect(create('', { webhookSecrets: [] }).reports).toBeUndefined()
  })
})

function ok(body: unknown) {
  return { status: 200, body }
}

function bad(error: string) {
  return { status: 400, body: { error, errorMsg: 'Some words' } }
}

function codes(
  failure: 'recipient' | 'sender' | 'content' | 'config' | 'quota' | 'transient',
  list: string[],
  more = {},
) {
  return list.map(
    (code): [string, ReturnType<typeof bad>, typeof failure, Record<string, unknown>] => [
      `code ${code}`,
      bad(code),
      failure,
      { detail: code, httpStatus: 400, ...more },
    ],
  )
}

function altered(pattern: RegExp, by: string | ((found: string) => string)): Callback {
  const callback = signed(VECTOR)
  const header = String(callback.headers['x-smstools-signature'])
  const changed = typeof by === 'string' ? header.replace(pattern, by) : header.replace(pattern, by)
  return { ...callback, headers: { 'x-smstools-signature': changed } }
}
