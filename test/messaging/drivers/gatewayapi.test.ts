import { createHmac } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import type { Callback } from '../../../src/messaging/gateway.ts'
import { oauth1Header } from '../../../src/messaging/oauth1.ts'
import { call, describeDriver, REFERENCE, text } from '../../support/driver-contract.ts'
import {
  GATEWAYAPI_CONSUMER,
  GATEWAYAPI_TOKEN,
  gatewayApiRest,
} from '../../support/fake-gatewayapi.ts'
import {
  accepted,
  bare,
  type Failure,
  maker,
  type Row,
  withFake,
  withKeys,
} from '../../support/gatewayapi-drivers.ts'

const rest = maker('rest', 'secret')
const byOauth = (baseUrl: string) =>
  rest(baseUrl, { token: undefined, consumer: GATEWAYAPI_CONSUMER })

describe('the rest API', () => {
  const VECTOR =
    'eyJ0eXAiOiJKV1QiLCJhbGciOiJIUzI1NiJ9.eyJpZCI6MjM4MTcwMywibXNpc2RuIjo0NTQyNjA5MDQ1LCJ0aW1lIjoxNTIyNzY0MDYyLCJzdGF0dXMiOiJERUxJVkVSRUQiLCJlcnJvciI6bnVsbCwiY29kZSI6bnVsbCwidXNlcnJlZiI6bnVsbCwiY2FsbGJhY2tfdXJsIjoiaHR0cDovL2JiYWY3MTQyLm5ncm9rLmlvIiwiYXBpIjo0fQ.KdfDH65bnQtgxEkFnpAQodOciAJedZFB13r9wEo8t3Y'
  const UNSIGNED = '{"id":2381703,"status":"UNDELIVERABLE"}'

  const reported = (token: string): Callback => ({
    method: 'POST',
    url: 'https://login.example.com/webhooks/gateways/gatewayapi',
    headers: { 'x-gwapi-signature': token },
    body: Buffer.from(UNSIGNED),
    now: 1_600_000_000,
  })

  const token = (claims: unknown, how: Parameters<typeof rawToken>[1] = {}) =>
    rawToken(JSON.stringify(claims), how)

  function rawToken(
    claims: string,
    { alg = 'HS256', hash = 'sha256', key = 'secret' } = {},
  ): string {
    const part = (text: string) => Buffer.from(text).toString('base64url')
    const signed = `${part(JSON.stringify({ typ: 'JWT', alg }))}.${part(claims)}`
    return `${signed}.${createHmac(hash, key).update(signed).digest('base64url')}`
  }

  const claims = (more: Record<string, unknown> = {}) => ({
    ...{ id: 1000001, msisdn: 4587654321, time: 1450000000, status: 'DELIVERED', error: null },
    ...{ code: null, userref: REFERENCE, country_code: 'DK', country_prefix: 45 },
    ...more,
  })

  const SIGNED = {
    signedBy: ['x-gwapi-signature'],
    timed: false,
    coversUrl: false,
    coversBody: false as const,
  }

  const refusals = [
    ...rows(401, 'config', ['0x0210', '0x0211', '0x0212', '0x0223', '0x0224', '0x0225', '0x0226']),
    ...rows(401, 'config', ['0x0229']),
    ...rows(403, 'config', ['0x0213', '0x021D', '0x022A']),
    ...rows(403, 'recipient', ['0x0214', '0x0215'], { fault: 'barred' }),
    ...rows(403, 'quota', ['0x0216']),
    ...rows(403, 'recipient', ['0x0217', '0x021F', '0x021f'], { elsewhere: true }),
    ...rows(400, 'content', ['0x0220', '0x0221', '0x0222']),
    ...rows(422, 'content', ['0x0310', '0x0311', '0x0312']),
    ...rows(422, 'config', ['0x0218']),
    ...rows(500, 'transient', ['0x021E', '0x0201']),
    ...rows(422, 'content', ['0x0399']),
    bare(400, 'content'),
    bare(401, 'config'),
    bare(403, 'config'),
    bare(404, 'config'),
    bare(422, 'content'),
    bare(500, 'transient'),
    bare(502, 'transient'),
  ]

  const fixture = {
    name: 'gatewayapi',
    contract: gatewayApiRest,
    createWithWrongKey: (baseUrl: string) => rest(baseUrl, { token: 'wrong' }),
    credentials: [GATEWAYAPI_TOKEN, GATEWAYAPI_CONSUMER.key, GATEWAYAPI_CONSUMER.secret],
    refusals,
  }

  describeDriver({
    ...fixture,
    create: rest,
    successes: [
      ['an id', { status: 200, body: { ids: [421332671] } }, accepted('421332671')],
      ['an id that is none', { status: 200, body: { ids: ['a b'] } }, accepted(null)],
    ],
    reports: {
      good: [
        {
          ...SIGNED,
          callback: reported(VECTOR),
          reports: [
            { providerId: '2381703', state: 'delivered', key: '2381703:DELIVERED:1522764062' },
          ],
        },
        {
          ...SIGNED,
          callback: reported(token(claims({ status: 'UNDELIVERABLE', code: '0x1010' }))),
          reports: [
            {
              providerId: '1000001',
              reference: REFERENCE,
              state: 'failed',
              failure: 'recipient',
              code: '0x1010',
            },
          ],
        },
        {
          ...SIGNED,
          callback: reported(token({ id: 7, msisdn: 4587654321, message: 'STOP', senttime: 1 })),
          reports: [],
        },
      ],
      createWithKeys: withKeys(rest, 'secret'),
      bad: [
        ['no algorithm', reported(token(claims(), { alg: 'none' }))],
        [
          'a token without a signature',
          reported(token(claims(), { alg: 'none' }).replace(/[^.]+$/, '')),
        ],
        ['another algorithm', reported(token(claims(), { alg: 'HS512', hash: 'sha512' }))],
        ['another algorithm by name alone', reported(token(claims(), { alg: 'RS256' }))],
        ['an empty key', reported(token(claims(), { key: '' }))],
        ['a padded signature', reported(`${VECTOR}=`)],
        ['claims without an id', reported(token(claims({ id: undefined })))],
        ['claims with an id that is none', reported(token(claims({ id: 'a b' })))],
        ['claims that are no object', reported(token('DELIVERED'))],
      ],
    },
  })

  describe('by OAuth', () => {
    describeDriver({
      ...fixture,
      create: byOauth,
      createWithWrongKey: (baseUrl) =>
        rest(baseUrl, { token: undefined, consumer: { ...GATEWAYAPI_CONSUMER, secret: 'wrong' } }),
    })

    test('signs as the known example does', () => {
      const header = oauth1Header({
        method: 'POST',
        url: 'https://gatewayapi.com/rest/mtsms',
        consumer: { key: 'Create-an-API-Key', secret: 'GoGenerateAnApiKeyAndSecret' },
        nonce: '128817750813820944501450124113',
        timestamp: 1450124113,
      })
      expect(header).toBe(
        'OAuth oauth_consumer_key="Create-an-API-Key", oauth_nonce="128817750813820944501450124113", ' +
          'oauth_signature_method="HMAC-SHA1", oauth_timestamp="1450124113", oauth_version="1.0", ' +
          'oauth_signature="zbWP0Ou1S3zubK7Y5OXBx%2FX%2BdKY%3D"',
      )
    })

    test('encodes what RFC 3986 reserves', () => {
      const consumer = { key: "a!'()*b ü", secret: 's' }
      const header = oauth1Header({ method: 'GET', url: 'no address', consumer })
      expect(header).toContain('oauth_consumer_key="a%21%27%28%29%2Ab%20%C3%BC"')
    })

    test('never uses a nonce twice', () => {
      const once = () =>
        oauth1Header({
          method: 'GET',
          url: 'https://x.example/',
          consumer: GATEWAYAPI_CONSUMER,
          timestamp: 1,
        })
      expect(once()).not.toBe(once())
    })
  })

  const { send, asked, fakeOf } = withFake(gatewayApiRest, rest)

  test('says class, validity, reference and encoding, and asks for no reports by address', async () => {
    await send(text())
    expect(asked()).toEqual({
      message: expect.any(String),
      recipients: [{ msisdn: 46701740605 }],
      sender: 'Sallyport',
      class: 'secret',
      encoding: 'UTF8',
      validity_period: 300,
      userref: REFERENCE,
    })
    expect(fakeOf().messages).toMatchObject([{ reportUrl: null, reference: REFERENCE }])
  })

  test.each([
    ['+4512345678', '4512345678'],
    ['24680', '24680'],
    [null, null],
  ])('sends from %s as %s', async (sender, written) => {
    await send(text(undefined, { sender }))
    expect(fakeOf().faults).toEqual([])
    expect(fakeOf().messages).toMatchObject([{ sender: written }])
  })

  test('chooses UCS-2 for what GSM-7 would lose', async () => {
    await send(text(undefined, { text: 'Zażółć' } as object))
    expect(asked()).toMatchObject({ encoding: 'UCS2' })
  })

  test('places no calls', async () => {
    expect(await send(call())).toMatchObject({ outcome: 'refused', failure: 'config' })
    expect(fakeOf().requests).toEqual([])
  })

  test('check tells the credit', async () => {
    expect(await rest(fakeOf().baseUrl).check(AbortSignal.timeout(2000))).toMatchObject({
      ok: true,
      credit: '1234.56 DKK',
    })
  })

  test.each([
    [{ status: 403, body: { code: '0x0213' } }, 'the token or key was refused: 0x0213'],
    [{ status: 404, body: '<html>' }, 'unexpected answer: http 404'],
    [{ status: 200, body: { hello: 1 } }, 'the answer is not that of an account'],
    [
      { status: 200, body: { credit: 1, currency: 'crowns' } },
      'the answer is not that of an account',
    ],
  ])('check tells of %j', async (answer, detail) => {
    fakeOf().answerNext(answer)
    const check = await rest(fakeOf().baseUrl).check(AbortSignal.timeout(2000))
    expect(check).toEqual({ ok: false, detail })
  })

  const stored = (more: object) => ({
    ...{ id: 5, message: '#804213', userref: REFERENCE },
    recipients: [{ msisdn: 46701740605, dsnerror: null, dsnerrorcode: null, ...more }],
  })

  test.each([
    ['a list', [stored({ dsnstatus: 'DELIVERED' })], { state: 'delivered' }],
    ['one alone', stored({ dsnstatus: 'ENROUTE' }), { state: 'sending' }],
    [
      'a fault',
      [stored({ dsnstatus: 'REJECTED', dsnerror: 'words', dsnerrorcode: '0x1904' })],
      { state: 'rejected', failure: 'content', code: '0x1904' },
    ],
    [
      'a number for a code',
      [stored({ dsnstatus: 'EXPIRED', dsnerrorcode: 4115 })],
      { state: 'expired' },
    ],
  ])('poll reads %s', async (_, body, report) => {
    fakeOf().answerNext({ status: 200, body })
    const polled = await rest(fakeOf().baseUrl).poll?.('5', AbortSignal.timeout(2000))
    expect(polled).toEqual({ providerId: '5', key: `5:polled:${report.state}`, ...report })
    expect(fakeOf().requests).toMatchObject([{ method: 'GET', path: '/rest/mtsms/5' }])
    expect(fakeOf().faults).toEqual([])
  })

  test.each([
    [{ status: 404, body: {} }],
    [{ status: 500 }],
    [{ status: 200, body: [] }],
    [{ status: 200, body: [stored({})] }],
    [{ status: 200, body: '<html>' }],
  ])('poll makes nothing of %j', async (answer) => {
    fakeOf().answerNext(answer)
    expect(await rest(fakeOf().baseUrl).poll?.('5', AbortSignal.timeout(2000))).toBeNull()
  })

  test.each([
    ['UNKNOWN', 'accepted'],
    ['SCHEDULED', 'accepted'],
    ['BUFFERED', 'sending'],
    ['ENROUTE', 'sending'],
    ['ACCEPTED', 'sent'],
    ['DELIVERED', 'delivered'],
    ['EXPIRED', 'expired'],
    ['UNDELIVERABLE', 'failed'],
    ['DELETED', 'failed'],
    ['SKIPPED', 'failed'],
    ['REJECTED', 'rejected'],
    ['SOMETHING_NEW', 'accepted', { unheard: 'SOMETHING_NEW' }],
  ])('%s is %s', async (status, state, more: object = {}) => {
    const verdict = await rest('').reports?.read(reported(token(claims({ status }))))
    expect(verdict).toMatchObject({ reports: [{ state, ...more }] })
  })

  test.each([
    ['0x1010', { failure: 'recipient' }],
    ['0x1060', { failure: 'recipient' }],
    ['0x103C', { failure: 'recipient', fault: 'barred' }],
    ['0x1033', { failure: 'sender' }],
    ['0x1904', { failure: 'content' }],
    ['0x1013', {}],
  ])('the code %s says why', async (code, reason) => {
    const callback = reported(token(claims({ status: 'UNDELIVERABLE', code, userref: null })))
    const key = '1000001:UNDELIVERABLE:1450000000'
    expect(await rest('').reports?.read(callback)).toEqual({
      reports: [{ providerId: '1000001', state: 'failed', code, key, ...reason }],
    })
  })

  test('tells a token that it can’t read from one that nobody signed', async () => {
    const read = (callback: Callback) => rest('').reports?.read(callback)
    expect(await read(reported(rawToken('no JSON')))).toEqual({ refused: 'malformed' })
    const forged = reported(rawToken('no JSON', { key: 'another' }))
    expect(await read(forged)).toEqual({ refused: 'signature' })
  })

  test('takes no reports without a secret', () => {
    expect(rest('', { webhookSecrets: [] }).reports).toBeUndefined()
  })
})

function rows(status: number, failure: Failure, codes: string[], more = {}): Row[] {
  return codes.map((code) => [
    `${status} ${code}`,
    {
      status,
      body: { code, incident_uuid: 'd8127429', message: 'Some words: %1', variables: ['1.2.3.4'] },
    },
    failure,
    { detail: code, httpStatus: status, ...more },
  ])
}
