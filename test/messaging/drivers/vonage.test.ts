import { createHash, createHmac, createPublicKey, sign } from 'node:crypto'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { Callback, FailureClass } from '../../../src/messaging/gateway.ts'
import { createVonage, type VonageSettings } from '../../../src/messaging/gateways/vonage.ts'
import { codeSpeech } from '../../../src/messaging/speech.ts'
import {
  CODE,
  call,
  describeDriver,
  REFERENCE,
  REPORT_URL,
  TO,
  text,
} from '../../support/driver-contract.ts'
import { type FakeAnswer, type FakeGateway, startFakeGateway } from '../../support/fake-gateway.ts'
import {
  VONAGE_APPLICATION,
  VONAGE_KEY,
  VONAGE_PRIVATE_KEY,
  VONAGE_SECRET,
  vonageContract,
} from '../../support/fake-vonage.ts'

const NOW = 1767225605
const SIGNATURE_SECRET = 'signature-secret'

const VECTOR_BODY =
  '{"message_uuid":"aaaaaaaa-bbbb-4ccc-8ddd-0123456789ab","to":"15550100001","from":"AcmeInc","timestamp":"2026-01-01T00:00:05Z","status":"delivered","channel":"sms","client_ref":"r1"}'
const VECTOR_TOKEN =
  'eyJ0eXAiOiJKV1QiLCJhbGciOiJIUzI1NiJ9.eyJpYXQiOjE3NjcyMjU2MDUsImp0aSI6ImM1YmE4ZjI0LTFhMTQtNGMxMC1iZmRmLTNmYmU4Y2U1MTFiNSIsImlzcyI6IlZvbmFnZSIsInBheWxvYWRfaGFzaCI6ImNmOGFhMzA1ZmVlYzQ4MzBkYjg5MmJhZmIzYjVlZmU5N2U3MjUyNGU1NzhiMWRmYTUwMzI0ZjBlZjliMWQ2ZGMiLCJhcGlfa2V5IjoiYTFiMmMzZDQiLCJhcHBsaWNhdGlvbl9pZCI6ImFhYWFhYWFhLWJiYmItNGNjYy04ZGRkLTAxMjM0NTY3ODlhYiJ9.eVUWqg4lsZk15Y41w72bwn_rIXKKSp-j1JSwxv0AAh8'

const create = (baseUrl: string, more: Partial<VonageSettings> = {}) =>
  createVonage({
    baseUrl,
    apiKey: VONAGE_KEY,
    apiSecret: VONAGE_SECRET,
    applicationId: VONAGE_APPLICATION,
    privateKey: VONAGE_PRIVATE_KEY,
    signatureSecrets: [SIGNATURE_SECRET],
    ...more,
  })

interface Forgery {
  header?: object
  claims?: object
  /** in place of HS256 with the right secret */
  signer?: (signed: string) => string
}

const hs256 = (key: string | Buffer) => (signed: string) =>
  createHmac('sha256', key).update(signed).digest('base64url')

function tokenFor(
  body: string,
  { header, claims, signer = hs256(SIGNATURE_SECRET) }: Forgery = {},
) {
  const signed = [
    header ?? { typ: 'JWT', alg: 'HS256' },
    {
      iat: NOW,
      jti: 'c5ba8f24-1a14-4c10-bfdf-3fbe8ce511b5',
      iss: 'Vonage',
      payload_hash: createHash('sha256').update(body).digest('hex'),
      api_key: VONAGE_KEY,
      ...claims,
    },
  ]
    .map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
    .join('.')
  return `${signed}.${signer(signed)}`
}

function callback(body: string, token = tokenFor(body), type = 'application/json'): Callback {
  return {
    method: 'POST',
    url: REPORT_URL,
    headers: { authorization: `Bearer ${token}`, 'content-type': type },
    body: Buffer.from(body),
    now: NOW,
  }
}

const signed = (body: object, forgery?: Forgery) => {
  const written = JSON.stringify(body)
  return callback(written, tokenFor(written, forgery))
}

const status = (word: string, title?: unknown) => ({
  message_uuid: 'm-1',
  to: TO.slice(1),
  from: 'Sallyport',
  timestamp: '2026-01-01T00:00:05Z',
  status: word,
  channel: 'sms',
  client_ref: REFERENCE,
  ...(title !== undefined && { error: { type: 'https://x', title, detail: CODE, instance: 'x' } }),
})

const event = (word: string) => ({
  uuid: 'c-1',
  conversation_uuid: 'CON-1',
  from: '4512345678',
  to: TO.slice(1),
  status: word,
  direction: 'outbound',
  timestamp: '2026-01-01T00:00:05.000Z',
})

const SIGNED = { signedBy: ['authorization'], timed: true, coversUrl: false }
const answer = (status: number, body: object): FakeAnswer => ({ status, body })

/** As an error has it whose title is the code. */
const codes = (failure: FailureClass, list: readonly string[], more = {}) =>
  list.map((title): [string, FakeAnswer, FailureClass, Record<string, unknown>] => [
    title,
    answer(422, { type: 'https://x', title, detail: 'x', instance: 'x' }),
    failure,
    { detail: title, ...more },
  ])

const publicKey = createPublicKey(VONAGE_PRIVATE_KEY)
  .export({ type: 'spki', format: 'pem' })
  .toString()

describeDriver({
  name: 'vonage',
  contract: vonageContract,
  create,
  createWithWrongKey: (baseUrl) => create(baseUrl, { apiSecret: 'wrong' }),
  credentials: [
    VONAGE_KEY,
    VONAGE_SECRET,
    VONAGE_APPLICATION,
    Buffer.from(`${VONAGE_KEY}:${VONAGE_SECRET}`).toString('base64'),
  ],
  successes: [
    ['an id', answer(202, { message_uuid: 'a-1' }), { outcome: 'accepted', providerId: 'a-1' }],
    [
      'an id that is none',
      answer(202, { message_uuid: '<a>' }),
      { outcome: 'accepted', providerId: null },
    ],
  ],
  refusals: [
    ...codes('throttle', ['1000', '1241']),
    ...codes('content', ['1010', '1020', '1210', '1270']),
    ...codes('transient', ['1030', '1100', '1230', '1331', '1180', '1220']),
    ...codes('recipient', ['1040', '1170', '1190', '1260', '1310', '1430']),
    ...codes('recipient', ['1250', '1300'], { elsewhere: true }),
    ...codes('recipient', ['1050', '1280'], { fault: 'barred' }),
    ...codes('recipient', ['1240'], { fault: 'opted-out' }),
    ...codes('config', ['1060', '1160']),
    ...codes('quota', ['1070']),
    ...codes('sender', ['1120', '1420']),
    ['a code as a number', answer(422, { title: 1070 }), 'quota'],
    [
      'a code in the address',
      answer(422, { type: 'https://x/messages-olympus#1120', title: 'No' }),
      'sender',
    ],
    [
      'words for a recipient',
      answer(422, { type: 'https://x#110', title: 'Invalid recipient' }),
      'recipient',
    ],
    ['words for a sender', answer(422, { title: 'Invalid sender' }), 'sender'],
    [
      'a wrong number',
      answer(422, { title: 'Invalid params', invalid_parameters: [{ name: 'to' }] }),
      'recipient',
    ],
    [
      'a wrong text',
      answer(422, { title: 'Invalid params', invalid_parameters: [{ name: 'text' }] }),
      'content',
    ],
    [
      'a wrong setting',
      answer(422, { title: 'Invalid params', invalid_parameters: [{ name: 'ttl' }] }),
      'content',
    ],
    ['a title from elsewhere', answer(422, { title: 'constructor' }), 'content'],
    ['no money', answer(402, { type: 'https://x#low-balance', title: 'Low balance' }), 'quota'],
    [
      'wrong credentials',
      answer(401, { type: 'https://x#unauthorized', title: 'Unauthorized' }),
      'config',
    ],
    // Its specification's examples, in which these two codes mean something else than elsewhere.
    [
      'a fault of theirs',
      answer(500, { type: 'https://x#1000', title: 'Internal error' }),
      'transient',
    ],
    [
      'too fast',
      {
        status: 429,
        body: { type: 'https://x#1010', title: 'Rate Limit Hit' },
        headers: { 'retry-after': '2' },
      },
      'throttle',
      { retryAfterMs: 2000 },
    ],
    [
      'too fast, with its code',
      { status: 429, body: { title: '1000' }, headers: { 'retry-after': '2' } },
      'throttle',
      { retryAfterMs: 2000, detail: '1000' },
    ],
  ],
  reports: {
    good: [
      {
        callback: callback(VECTOR_BODY, VECTOR_TOKEN),
        reports: [
          {
            providerId: 'aaaaaaaa-bbbb-4ccc-8ddd-0123456789ab',
            reference: 'r1',
            state: 'delivered',
            key: 'c5ba8f24-1a14-4c10-bfdf-3fbe8ce511b5',
          },
        ],
        ...SIGNED,
      },
      {
        callback: signed(status('rejected', '1240')),
        reports: [
          {
            providerId: 'm-1',
            reference: REFERENCE,
            state: 'rejected',
            failure: 'recipient',
            fault: 'opted-out',
            code: '1240',
          },
        ],
        ...SIGNED,
      },
      {
        callback: signed(event('busy')),
        reports: [
          {
            providerId: 'c-1',
            reference: REFERENCE,
            state: 'failed',
            failure: 'transient',
            code: 'busy',
          },
        ],
        ...SIGNED,
      },
    ],
    createWithKeys: (keys) =>
      create('http://127.0.0.1:1', {
        signatureSecrets: keys === 'other' ? ['other'] : ['next-one', SIGNATURE_SECRET],
      }),
    bad: [
      ['no algorithm', signed(status('delivered'), { header: { alg: 'none' }, signer: () => '' })],
      ['no algorithm, rightly signed', signed(status('delivered'), { header: { alg: 'none' } })],
      [
        'the application’s own key',
        signed(status('delivered'), {
          header: { typ: 'JWT', alg: 'RS256' },
          signer: (text) =>
            sign('RSA-SHA256', Buffer.from(text), VONAGE_PRIVATE_KEY).toString('base64url'),
        }),
      ],
      ['its public half as a secret', signed(status('delivered'), { signer: hs256(publicKey) })],
      ['an empty secret', signed(status('delivered'), { signer: hs256('') })],
      ['another algorithm’s name', signed(status('delivered'), { header: { alg: 'HS512' } })],
      ['no hash of the body', signed(status('delivered'), { claims: { payload_hash: undefined } })],
      [
        'the hash of another',
        signed(status('delivered'), { claims: { payload_hash: '0'.repeat(64) } }),
      ],
      ['no id', signed(status('delivered'), { claims: { jti: undefined } })],
      ['no time', signed(status('delivered'), { claims: { iat: undefined } })],
      ['a time of words', signed(status('delivered'), { claims: { iat: 'now' } })],
      [
        'an account’s password',
        { ...callback(VECTOR_BODY), headers: { authorization: 'Basic YTpi' } },
      ],
      ['a body that is no JSON', callback('{"message_uuid":')],
    ],
  },
})

describe('vonage beside that', () => {
  let fake: FakeGateway
  beforeAll(async () => {
    fake = await startFakeGateway(vonageContract)
  })
  beforeEach(() => fake.reset())
  afterAll(() => fake.close())
  const soon = () => AbortSignal.timeout(2000)

  test('tells who sends, for how long, under which reference and where to report', async () => {
    const result = await create(fake.baseUrl).send(text(), soon())
    expect(fake.faults).toEqual([])
    const [sent] = fake.sends
    expect(sent).toMatchObject({ sender: 'Sallyport', reference: REFERENCE, reportUrl: REPORT_URL })
    expect(result).toEqual({ outcome: 'accepted', providerId: sent?.providerId })
    expect(JSON.parse(fake.requests[0]?.body ?? '')).toMatchObject({
      ttl: 300,
      sms: { encoding_type: 'auto' },
    })
  })

  test('writes numbers without their plus, and names no address where there is none', async () => {
    await create(fake.baseUrl).send(text(TO, { sender: '+4512345678', reportUrl: null }), soon())
    expect(fake.faults).toEqual([])
    expect(fake.sends).toMatchObject([{ sender: '4512345678', reportUrl: null }])
  })

  test('a number that is bad says no more than that', async () => {
    fake.answerNext(answer(422, { title: '1170' }))
    const refused = { outcome: 'refused', failure: 'recipient', detail: '1170', httpStatus: 422 }
    expect(await create(fake.baseUrl).send(text(), soon())).toEqual(refused)
  })

  test('does not text without a sender', async () => {
    const result = await create(fake.baseUrl).send(text(TO, { sender: null }), soon())
    expect(result).toEqual({ outcome: 'refused', failure: 'sender', detail: 'no-sender' })
    expect(fake.requests).toEqual([])
  })

  test('says the code twice, not four times, with what it is told escaped', async () => {
    await create(fake.baseUrl).send(call(), soon())
    expect(fake.faults).toEqual([])
    const [sent] = fake.sends
    expect(sent?.text.match(/8 0 4 2 1 3/g)).toHaveLength(2)
    expect(sent?.text).toContain('Tom & <Jerry>')
    expect(sent).toMatchObject({ sender: '4512345678', reportUrl: REPORT_URL })
    expect(JSON.parse(fake.requests[0]?.body ?? '')).toMatchObject({
      ncco: [{ language: 'en-GB' }],
      machine_detection: 'hangup',
    })
  })

  test('calls from one of the application’s numbers where none is chosen', async () => {
    const message = { ...call(), sender: null }
    await create(fake.baseUrl).send(message, soon())
    expect(fake.faults).toEqual([])
    expect(fake.sends).toMatchObject([{ channel: 'voice', sender: null }])
  })

  test('speaks every language that it says it can', async () => {
    const gateway = create(fake.baseUrl)
    for (const language of gateway.can.voiceLanguages) {
      const speech = { ...codeSpeech({ brand: 'Sallyport', code: CODE }), language }
      await gateway.send(call(TO, { speech }), soon())
      const { ncco } = JSON.parse(fake.requests.at(-1)?.body ?? '')
      expect(ncco[0].language.split('-')[0]).toBe(language === 'zh' ? 'cmn' : language)
    }
    expect(fake.faults).toEqual([])
    expect(gateway.can.voiceLanguages).toContain('en')
  })

  test('without an application it only texts', async () => {
    for (const more of [{ applicationId: undefined }, { privateKey: undefined }]) {
      const gateway = create(fake.baseUrl, more)
      expect(gateway.can).toMatchObject({ channels: ['sms'], voiceLanguages: [] })
      expect(await gateway.send(call(), soon())).toMatchObject({
        outcome: 'refused',
        failure: 'config',
        detail: 'no-calls',
      })
      expect(await gateway.check(soon())).toMatchObject({ ok: true })
    }
    expect(fake.requests.map(({ path }) => path)).toEqual(['/v2/applications', '/v2/applications'])
  })

  test('an application that isn’t the key’s is refused, and found by the check', async () => {
    const gateway = create(fake.baseUrl, { applicationId: 'another' })
    expect(await gateway.send(call(), soon())).toMatchObject({
      outcome: 'refused',
      failure: 'config',
    })
    expect(await gateway.check(soon())).toMatchObject({ ok: false })
    expect(fake.messages).toEqual([])
  })

  test('takes no reports without a secret to know them by', () => {
    expect(create(fake.baseUrl, { signatureSecrets: [] }).reports).toBeUndefined()
  })
})

describe('vonage reports', () => {
  const read = async (given: Callback) => {
    const verdict = await create('http://127.0.0.1:1').reports?.read(given)
    return verdict && 'reports' in verdict ? verdict.reports : verdict
  }

  test.each([
    ['submitted', 'sent'],
    ['delivered', 'delivered'],
    ['read', 'delivered'],
    ['rejected', 'rejected'],
    ['undeliverable', 'failed'],
    ['constructor', 'accepted', 'constructor'],
  ])('a text that is %s', async (word, state, unheard = undefined) => {
    const told = { providerId: 'm-1', state, ...(unheard && { unheard }) }
    expect(await read(signed(status(word)))).toMatchObject([told])
  })

  test.each([
    ['started', 'sending'],
    ['ringing', 'sending'],
    ['answered', 'sent'],
    ['human', 'delivered'],
    ['completed', 'unconfirmed'],
    ['machine', 'failed'],
    ['busy', 'failed'],
    ['timeout', 'failed'],
    ['unanswered', 'failed'],
    ['cancelled', 'failed'],
    ['failed', 'failed'],
    ['rejected', 'rejected'],
    ['toString', 'accepted'],
  ])('a call that is %s', async (word, state) => {
    expect(await read(signed(event(word)))).toMatchObject([
      { providerId: 'c-1', state, code: word },
    ])
  })

  test('a call’s event may be a form', async () => {
    const form = new URLSearchParams(event('answered')).toString()
    const given = callback(form, tokenFor(form), 'application/x-www-form-urlencoded; charset=utf-8')
    expect(await read(given)).toMatchObject([
      { providerId: 'c-1', reference: REFERENCE, state: 'sent' },
    ])
  })

  test('a title in words is no code', async () => {
    const [report] = (await read(signed(status('rejected', `Your code ${CODE}`)))) as object[]
    expect(report).toMatchObject({ state: 'rejected' })
    expect(JSON.stringify(report)).not.toContain(CODE)
  })

  test('what is no report changes nothing', async () => {
    const inbound = { message_uuid: 'm-2', message_type: 'text', channel: 'sms', text: 'STOP' }
    expect(await read(signed(inbound))).toEqual([])
    expect(await read(signed({ uuid: 'c-1', dtmf: '1' }))).toEqual([])
    expect(await read(callback('null'))).toEqual([])
  })
})
