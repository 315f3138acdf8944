import { createHash } from 'node:crypto'
import { SignJWT } from 'jose'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { Callback, Gateway, OutgoingMessage } from '../../../src/messaging/gateway.ts'
import { createMessagebird } from '../../../src/messaging/gateways/messagebird.ts'
import {
  call,
  describeDriver,
  REFERENCE,
  type ReportFixture,
  text,
} from '../../support/driver-contract.ts'
import { type FakeGateway, startFakeGateway } from '../../support/fake-gateway.ts'
import { ACCESS_KEY, errors, fakeMessagebird, TRIAL_ERROR } from '../../support/fake-messagebird.ts'

/** That of MessageBird's own reference file, as is the vector. */
const SIGNING_KEY = '36efdd1aace2e26cd490f0d951138253bef2f7c6d34d18981da781555cc4cebb'
const VECTOR = [
  'eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9',
  'eyJpc3MiOiJNZXNzYWdlQmlyZCIsIm5iZiI6MTYyNTQ3OTIwMCwiZXhwIjoxNjI1NDc5MjYwLCJqdGkiOiI5M2U1NTAwNi1hMGU4LTQ1MjYtYTE5MC1mYTVmZjAwZWExMTYiLCJ1cmxfaGFzaCI6IjQxZjA1ZjBkZGQwYTIyYWIyMDlhYzQ2ZjQ3YzQ1NzJkOWNlZmEyNTdlZDc0YjI0MDA0YmFlNzUzZWNlNmMyNjAiLCJwYXlsb2FkX2hhc2giOiJkZmZkNjAyMWJiMmJkNWIwYWY2NzYyOTA4MDllYzNhNTMxOTFkZDgxYzdmNzBhNGIyODY4OGEzNjIxODI5ODZmIn0',
  '_H--TOuYFLpeEH39-rg5E3IHVkjHozBcaKVWPRC5m9I',
].join('.')
const NOW = 1_625_479_200
const ID = 'f28bbe526fc14974b3e7e663a6139b53'
const ADDRESS = `https://login.example.com/webhooks/gateways/messagebird?ref=${REFERENCE}`

const vector: Callback = {
  method: 'POST',
  url: 'https://example.com/path?bar=1&foo=2',
  headers: { 'messagebird-signature-jwt': VECTOR },
  body: Buffer.from('Hello, World!'),
  now: NOW,
}

const create = (baseUrl: string, signingKeys = [SIGNING_KEY]): Gateway =>
  createMessagebird({ baseUrl, accessKey: ACCESS_KEY, signingKeys })

const sha256 = (data: string) => createHash('sha256').update(data).digest('hex')

interface Signing {
  algorithm?: string
  claims?: Record<string, unknown>
  body?: string
}

/** A report as MessageBird would send it; a claim of undefined is left out. */
async function signed(
  query: Record<string, string>,
  { algorithm = 'HS256', claims, body = '' }: Signing = {},
): Promise<Callback> {
  const url = `${ADDRESS}&${new URLSearchParams(query)}`
  const payload = {
    iss: 'MessageBird',
    nbf: NOW,
    exp: NOW + 60,
    jti: '93e55006-a0e8-4526-a190-fa5ff00ea116',
    url_hash: sha256(url),
    ...(body !== '' && { payload_hash: sha256(body) }),
    ...claims,
  }
  const token = await new SignJWT(payload)
    .setProtectedHeader({ alg: algorithm, typ: 'JWT' })
    .sign(Buffer.from(SIGNING_KEY))
  const headers = { 'messagebird-signature-jwt': token }
  return { method: 'GET', url, headers, body: Buffer.from(body), now: NOW }
}

/** Without a signature that anyone checked. */
function unsigned(header: object, signature: string): Callback {
  const [, claims] = VECTOR.split('.')
  const encoded = Buffer.from(JSON.stringify(header)).toString('base64url')
  return {
    ...vector,
    headers: { 'messagebird-signature-jwt': `${encoded}.${claims}.${signature}` },
  }
}

async function fixture(
  query: Record<string, string>,
  report: ReportFixture['reports'][number],
  signing?: Signing,
): Promise<ReportFixture> {
  const callback = await signed({ id: ID, reference: REFERENCE, ...query }, signing)
  const reports = [{ providerId: ID, reference: REFERENCE, ...report }]
  return { callback, reports, ...SIGNED }
}

const SIGNED = { signedBy: ['messagebird-signature-jwt'], timed: true, coversUrl: true }
const sent = { status: 'sent' }

describeDriver({
  name: 'messagebird',
  contract: fakeMessagebird(),
  create,
  createWithWrongKey: (baseUrl) =>
    createMessagebird({ baseUrl, accessKey: 'live_wrong', signingKeys: [] }),
  credentials: [ACCESS_KEY, SIGNING_KEY],
  successes: [
    [
      'an id among much else',
      { status: 201, body: { id: ID, body: 'the text', recipients: { totalCount: 1 } } },
      { outcome: 'accepted', providerId: ID },
    ],
    [
      'an id that can’t be kept',
      { status: 201, body: { id: 'not an id' } },
      { outcome: 'accepted', providerId: null },
    ],
  ],
  refusals: [
    ['bad access key', { status: 401, body: errors(2, 'access_key') }, 'config'],
    ['401 without a body', { status: 401 }, 'config'],
    ['no correct recipient', { status: 422, body: errors(9, 'recipient') }, 'recipient'],
    [
      'a trial account',
      { status: 422, body: errors(9, 'recipient', TRIAL_ERROR) },
      'recipient',
      { elsewhere: true },
    ],
    ['invalid recipient', { status: 422, body: errors(10, 'recipient') }, 'recipient'],
    ['invalid recipients', { status: 422, body: errors(10, 'recipients') }, 'recipient'],
    ['invalid sender', { status: 422, body: errors(10, 'originator') }, 'sender'],
    ['invalid body', { status: 422, body: errors(10, 'body') }, 'content'],
    ['invalid, it doesn’t say what', { status: 422, body: errors(10, null) }, 'content'],
    ['report address', { status: 422, body: errors(10, 'reportUrl') }, 'config'],
    ['not found', { status: 404, body: errors(20, null) }, 'config'],
    ['bad request', { status: 422, body: errors(21, null) }, 'content'],
    ['no balance, 402', { status: 402, body: errors(25, null) }, 'quota', { detail: 'error 25' }],
    ['no balance, 422', { status: 422, body: errors(25, null) }, 'quota'],
    ['402 without a body', { status: 402 }, 'quota'],
    ['no such API', { status: 404, body: errors(98, null) }, 'config'],
    ['internal error', { status: 500, body: errors(99, null) }, 'transient'],
    [
      'too fast',
      { status: 429, body: errors(9, 'recipient'), headers: { 'retry-after': '3' } },
      'throttle',
      { retryAfterMs: 3000 },
    ],
    ['unheard-of', { status: 422, body: errors(1234, null) }, 'content', { detail: 'http 422' }],
  ],
  reports: {
    good: [
      { callback: vector, reports: [], ...SIGNED },
      await fixture({ status: 'scheduled' }, { state: 'accepted' }),
      await fixture({ status: 'buffered' }, { state: 'sending' }),
      await fixture(sent, { state: 'sent', key: `${ID}:sent` }),
      await fixture({ status: 'delivered' }, { state: 'delivered' }, { algorithm: 'HS384' }),
      await fixture({ status: 'expired' }, { state: 'expired' }, { algorithm: 'HS512' }),
      await fixture(
        { status: 'delivery_failed', statusErrorCode: '34' },
        { state: 'failed', code: '34' },
      ),
      await fixture(
        { status: 'delivery_failed', statusErrorCode: '1' },
        { state: 'failed', failure: 'recipient', code: '1' },
      ),
      await fixture(
        { status: 'delivery_failed', statusErrorCode: '13' },
        { state: 'failed', failure: 'recipient', fault: 'barred' },
      ),
      await fixture(
        { status: 'delivery_failed', statusErrorCode: '103' },
        { state: 'failed', failure: 'recipient', fault: 'opted-out', code: '103' },
      ),
      await fixture({ status: 'answered' }, { state: 'delivered' }),
      await fixture({ status: 'busy' }, { state: 'failed' }),
      await fixture({ status: 'pondering' }, { state: 'accepted', unheard: 'pondering' }),
      // Its own reference is left out or spoilt: ours is in the address.
      await fixture({ ...sent, reference: '' }, { state: 'sent' }),
      await fixture({ ...sent, reference: '<b>' }, { state: 'sent' }),
    ],
    createWithKeys: (keys) =>
      create('http://127.0.0.1:1', keys === 'other' ? ['another'] : ['the-next', SIGNING_KEY]),
    bad: [
      ['no algorithm', unsigned({ alg: 'none' }, '')],
      ['an asymmetric algorithm', unsigned({ alg: 'RS256' }, VECTOR.split('.')[2] ?? '')],
      ['another issuer', await signed(sent, { claims: { iss: 'Messagebird' } })],
      ['no issuer', await signed(sent, { claims: { iss: undefined } })],
      ['no jti', await signed(sent, { claims: { jti: undefined } })],
      ['an empty jti', await signed(sent, { claims: { jti: '' } })],
      ['no end', await signed(sent, { claims: { exp: undefined } })],
      ['no beginning', await signed(sent, { claims: { nbf: undefined } })],
      ['another address', await signed(sent, { claims: { url_hash: sha256(ADDRESS) } })],
      ['no address', await signed(sent, { claims: { url_hash: undefined } })],
      [
        'a body that isn’t hashed',
        await signed(sent, { body: 'x', claims: { payload_hash: undefined } }),
      ],
      ['a hash of no body', await signed(sent, { claims: { payload_hash: sha256('') } })],
      ['another query order', { ...vector, url: 'https://example.com/path?foo=2&bar=1' }],
    ],
  },
})

describe('messagebird', () => {
  const contract = fakeMessagebird()
  let fake: FakeGateway
  let driver: Gateway
  beforeAll(async () => {
    fake = await startFakeGateway(contract)
    driver = create(fake.baseUrl)
  })
  beforeEach(() => fake.reset())
  afterAll(() => fake.close())
  const send = (message: OutgoingMessage) => driver.send(message, AbortSignal.timeout(2000))
  const body = () => JSON.parse(fake.requests[0]?.body ?? '{}')

  test('tells a text’s life, reference and where its reports are to go', async () => {
    await send(text())
    expect(body()).toMatchObject({ validity: 300, reference: REFERENCE, datacoding: 'auto' })
    expect(fake.messages[0]?.reportUrl).toContain(`?ref=${REFERENCE}`)
    fake.reset()
    await send(text(undefined, { reportUrl: null }))
    expect(fake.faults).toEqual([])
    expect(fake.messages[0]?.reportUrl).toBeNull()
  })

  test.each(['Sallyport', '+4512345678', '71234'])('sends from %s', async (sender) => {
    await send(text(undefined, { sender }))
    expect(fake.faults).toEqual([])
    expect(fake.messages[0]?.sender).toBe(sender)
  })

  test('neither texts from nobody nor calls from a name', async () => {
    const refusal = { outcome: 'refused', failure: 'sender', detail: 'no-sender' }
    expect(await send(text(undefined, { sender: null }))).toEqual(refusal)
    expect(await send({ ...call(), sender: 'Sallyport' })).toEqual(refusal)
    expect(await send({ ...call(), sender: null })).toEqual(refusal)
    expect(fake.requests).toEqual([])
  })

  test('calls in the voice of each language, and hangs up on a machine', async () => {
    for (const language of driver.can.voiceLanguages) {
      fake.reset()
      const message = call()
      if (message.channel === 'voice')
        await send({ ...message, speech: { ...message.speech, language } })
      expect(fake.faults).toEqual([])
      expect(body().language.slice(0, 2)).toBe(language)
      expect(body().ifMachine).toBe('hangup')
    }
  })

  test('nothing that it says is taken for a tag', async () => {
    await send(call())
    expect(fake.messages[0]?.text).toContain('This is Tom Jerry .')
  })

  test.each([
    ['messages', { status: 'delivered' }, { state: 'delivered', key: `${ID}:delivered` }],
    [
      'messages',
      { status: 'delivery_failed', statusErrorCode: 103 },
      { state: 'failed', failure: 'recipient', fault: 'opted-out', code: '103' },
    ],
    ['messages', { status: 'buffered', statusErrorCode: null }, { state: 'sending' }],
    ['voicemessages', { status: 'answered' }, { state: 'delivered' }],
  ] as const)('asks what became of one of its %s: %j', async (kind, item, report) => {
    contract.statuses[kind].set(ID, item)
    expect(await driver.poll?.(ID, AbortSignal.timeout(2000))).toMatchObject({
      providerId: ID,
      ...report,
    })
    expect(fake.faults).toEqual([])
    contract.statuses[kind].delete(ID)
  })

  test('what can’t be asked is no report', async () => {
    const poll = () => driver.poll?.(ID, AbortSignal.timeout(2000))
    expect(await poll()).toBeNull()
    fake.answerNext({ status: 200, body: { recipients: { items: [] } } })
    expect(await poll()).toBeNull()
    fake.answerNext({ status: 500, body: { recipients: { items: [sent] } } })
    expect(await poll()).toBeNull()
    expect(await create('http://127.0.0.1:1').poll?.(ID, AbortSignal.timeout(2000))).toBeNull()
  })

  test('tells the credit', async () => {
    expect(await driver.check(AbortSignal.timeout(2000))).toEqual({
      ok: true,
      detail: 'the access key works',
      credit: '12.5 euros',
    })
  })

  test('takes no reports without a key to check them by', () => {
    expect(create(fake.baseUrl, []).reports).toBeUndefined()
  })

  test('a report is fresh for its minute and five seconds, and tells when it isn’t', async () => {
    const late = (now: number) => driver.reports?.read({ ...vector, now })
    expect(await late(NOW + 64)).toEqual({ reports: [] })
    expect(await late(NOW + 66)).toEqual({ refused: 'stale' })
    expect(await late(NOW - 4)).toEqual({ reports: [] })
    expect(await late(NOW - 6)).toEqual({ refused: 'stale' })
  })
})
