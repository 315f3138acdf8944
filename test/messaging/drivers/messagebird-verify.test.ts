import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { CodeVerdict, Gateway, OutgoingMessage } from '../../../src/messaging/gateway.ts'
import { createMessagebirdVerify } from '../../../src/messaging/gateways/messagebird-verify.ts'
import { call, describeDriver, REFERENCE, text } from '../../support/driver-contract.ts'
import { type FakeAnswer, type FakeGateway, startFakeGateway } from '../../support/fake-gateway.ts'
import { ACCESS_KEY, errors, fakeMessagebird, TRIAL_ERROR } from '../../support/fake-messagebird.ts'

const ID = '15498233759288aaf929661v21936686'

const create = (baseUrl: string): Gateway =>
  createMessagebirdVerify({ baseUrl, accessKey: ACCESS_KEY })

/** As its documentation shows it. */
const started = {
  id: ID,
  href: `https://rest.messagebird.com/verify/${ID}`,
  recipient: 15550100001,
  reference: 'r1',
  messages: { href: 'https://rest.messagebird.com/messages/c2bbd563759288aaf962910b56023756' },
  status: 'sent',
  createdDatetime: '2026-01-01T00:00:00+00:00',
  validUntilDatetime: '2026-01-01T00:05:00+00:00',
}

describeDriver({
  name: 'messagebird-verify',
  contract: fakeMessagebird(),
  create,
  createWithWrongKey: (baseUrl) => createMessagebirdVerify({ baseUrl, accessKey: 'live_wrong' }),
  credentials: [ACCESS_KEY],
  successes: [
    ['201', { status: 201, body: started }, { outcome: 'accepted', providerId: ID }],
    ['200', { status: 200, body: started }, { outcome: 'accepted', providerId: ID }],
    [
      'not what can’t be judged later',
      { status: 201, body: { ...started, id: 'no id' } },
      { outcome: 'unknown', detail: 'http 201, unrecognised body' },
    ],
    [
      'not what failed',
      { status: 201, body: { ...started, status: 'failed' } },
      { outcome: 'unknown', detail: 'http 201, unrecognised body' },
    ],
  ],
  refusals: [
    ['bad access key', { status: 401, body: errors(2, 'access_key') }, 'config'],
    ['no correct recipient', { status: 422, body: errors(9, 'recipient') }, 'recipient'],
    [
      'a trial account',
      { status: 422, body: errors(9, 'recipient', TRIAL_ERROR) },
      'recipient',
      { elsewhere: true },
    ],
    ['invalid recipient', { status: 422, body: errors(10, 'recipient') }, 'recipient'],
    ['invalid sender', { status: 422, body: errors(10, 'originator') }, 'sender'],
    ['invalid template', { status: 422, body: errors(10, 'template') }, 'content'],
    ['not found', { status: 404, body: errors(20, null) }, 'config'],
    ['no balance', { status: 402, body: errors(25, null) }, 'quota'],
    ['no such API', { status: 404, body: errors(98, null) }, 'config'],
    ['internal error', { status: 500, body: errors(99, null) }, 'transient'],
    ['too fast', { status: 429 }, 'throttle'],
  ],
})

describe('messagebird-verify', () => {
  const contract = fakeMessagebird()
  let fake: FakeGateway
  let driver: Gateway
  beforeAll(async () => {
    fake = await startFakeGateway(contract)
    driver = create(fake.baseUrl)
  })
  beforeEach(() => fake.reset())
  afterAll(() => fake.close())
  const soon = () => AbortSignal.timeout(2000)
  const body = () => JSON.parse(fake.requests[0]?.body ?? '{}')
  const judge = (code: string, id = ID) => driver.judge?.(id, code, soon())

  async function start(message: OutgoingMessage = text()) {
    await driver.send(message, soon())
    const [sent] = fake.messages
    return { id: sent?.providerId ?? '', code: sent?.text ?? '' }
  }

  test('a text’s code has the length and the life that were asked for', async () => {
    const { code } = await start(text(undefined, { codeLength: 8, validitySeconds: 600 }))
    expect(code).toMatch(/^\d{8}$/)
    expect(body()).toEqual({
      recipient: '46701740605',
      originator: 'Sallyport',
      reference: REFERENCE,
      type: 'sms',
      template: 'Your code is: %token',
      tokenLength: 8,
      timeout: 600,
    })
  })

  test('a call says it in the language of the template', async () => {
    await start(call())
    expect(body()).toMatchObject({ type: 'tts', language: 'en-gb', tokenLength: 6, timeout: 300 })
    expect(fake.messages[0]).toMatchObject({ channel: 'voice', sender: '+4512345678' })
  })

  test('MessageBird names the sender where none is given', async () => {
    await start(text(undefined, { sender: null }))
    expect(fake.messages[0]?.sender).toBe('Code')
  })

  test('carries nothing but codes', async () => {
    expect(await driver.send(text(undefined, { codeLength: null }), soon())).toEqual({
      outcome: 'refused',
      failure: 'content',
      detail: 'carries-codes-only',
    })
    expect(fake.requests).toEqual([])
  })

  test('the code that was sent is right, another is wrong', async () => {
    const { id, code } = await start()
    expect(await judge('000000', id)).toBe('wrong')
    expect(await judge(code, id)).toBe('right')
    expect(fake.faults).toEqual([])
  })

  test('after three wrong ones the right one is too late', async () => {
    const { id, code } = await start()
    for (const wrong of ['000000', '000001', '000002']) expect(await judge(wrong, id)).toBe('wrong')
    expect(await judge(code, id)).toBe('too-many-tries')
  })

  test.each(['expired', 'deleted'] as const)('a code that is %s is gone', async (status) => {
    const { id, code } = await start()
    const verification = contract.started.get(id)
    if (verification) verification.status = status
    expect(await judge(code, id)).toBe('gone')
  })

  test('one that it never made is gone too', async () => {
    expect(await judge('123456')).toBe('gone')
  })

  test.each([
    '',
    ' ',
    '12 34',
    '123',
    '12345678901',
    'abcdef',
    '１２３４５６',
    '123456&x=1',
    '../x',
  ])('what is no code, %j, is wrong even of a verification that succeeded', async (code) => {
    const { id, code: right } = await start()
    await judge(right, id)
    fake.reset()
    expect(await judge(code, id)).toBe('wrong')
    expect(fake.requests).toEqual([])
  })

  const answers: ReadonlyArray<[title: string, answer: FakeAnswer, verdict: CodeVerdict]> = [
    ['the word', { status: 200, body: { ...started, status: 'verified' } }, 'right'],
    ['the word with 201', { status: 201, body: { status: 'verified' } }, 'right'],
    ['the word in capitals', { status: 200, body: { status: 'VERIFIED' } }, 'unavailable'],
    ['the word in a list', { status: 200, body: { status: ['verified'] } }, 'unavailable'],
    ['the word below', { status: 200, body: { data: { status: 'verified' } } }, 'unavailable'],
    ['the word with 302', { status: 302, body: { status: 'verified' } }, 'unavailable'],
    ['the word with 400', { status: 400, body: { status: 'verified' } }, 'unavailable'],
    ['the word with 422', { status: 422, body: { status: 'verified' } }, 'wrong'],
    ['the word with 500', { status: 500, body: { status: 'verified' } }, 'unavailable'],
    ['the word alone', { status: 200, body: '"verified"' }, 'unavailable'],
    ['another truth', { status: 200, body: { success: true, valid: true } }, 'unavailable'],
    ['nothing', { status: 200 }, 'unavailable'],
    ['HTML', { status: 200, body: '<html>verified</html>' }, 'unavailable'],
    ['still waiting', { status: 200, body: started }, 'wrong'],
    ['failed', { status: 200, body: { ...started, status: 'failed' } }, 'too-many-tries'],
    ['expired', { status: 200, body: { ...started, status: 'expired' } }, 'gone'],
    ['wrong, 422', { status: 422, body: errors(10, 'token', 'The token is invalid.') }, 'wrong'],
    ['wrong, 400', { status: 400, body: errors(10, 'token') }, 'wrong'],
    ['422 without a body', { status: 422 }, 'wrong'],
    ['another parameter', { status: 400, body: errors(10, 'id') }, 'unavailable'],
    ['not found', { status: 404, body: errors(20, null) }, 'gone'],
    ['no such API', { status: 404, body: errors(98, null) }, 'unavailable'],
    ['bad key', { status: 401, body: errors(2, 'access_key') }, 'unavailable'],
    ['no balance', { status: 402, body: errors(25, null) }, 'unavailable'],
    ['too fast', { status: 429 }, 'unavailable'],
  ]
  test.each(answers)('judges by the exact word: %s', async (_, answer, verdict) => {
    fake.answerNext(answer)
    expect(await judge('123456')).toBe(verdict)
  })

  test('without an answer nothing is judged', async () => {
    const nobody = create('http://127.0.0.1:2')
    expect(await nobody.judge?.(ID, '123456', soon())).toBe('unavailable')
    fake.answerNext({ status: 200, body: { status: 'verified' }, afterMs: 1000 })
    expect(await driver.judge?.(ID, '123456', AbortSignal.timeout(50))).toBe('unavailable')
  })
})
