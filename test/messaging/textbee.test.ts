import { createServer } from 'node:http'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import type { OutgoingMessage } from '../../src/messaging/gateway.ts'
import { createTextbee } from '../../src/messaging/gateways/textbee.ts'
import { brand } from '../../src/phone-number.ts'
import {
  type FakeMode,
  type FakeTextbee,
  listen,
  startFakeTextbee,
} from '../support/fake-textbee.ts'

const CODE = '804213'
const TO = '+46701740605'
const TEXT = `Sallyport: ${CODE} is your sign-in code.`
const MESSAGE: OutgoingMessage = {
  reference: 'abcdefghijklmnopqrstuv',
  channel: 'sms',
  to: brand(TO),
  text: TEXT,
  sender: null,
  validitySeconds: 300,
  reportUrl: null,
  language: 'en',
  codeLength: 6,
}

let fake: FakeTextbee

beforeAll(async () => {
  fake = await startFakeTextbee()
})
afterEach(() => fake.reset())
afterAll(() => fake.close())

function driver(settings: { baseUrl?: string; apiKey?: string; deviceId?: string } = {}) {
  const { baseUrl, apiKey, deviceId } = fake
  return createTextbee({ baseUrl, apiKey, deviceId, webhookSecrets: [], ...settings })
}

function send(gateway = driver(), timeoutMs = 2000) {
  return gateway.send(MESSAGE, AbortSignal.timeout(timeoutMs))
}

describe('a send that textbee takes', () => {
  it('has the batch id where the server runs with a queue', async () => {
    expect(await send()).toEqual({ outcome: 'accepted', providerId: '665f0c0e1f4b2a0012ab0003' })
    expect(fake.messages).toMatchObject([{ to: TO, text: TEXT }])
    expect(fake.faults).toEqual([])
  })

  it('has no id where it runs without', async () => {
    fake.mode = 'ok-no-queue'
    expect(await send()).toEqual({ outcome: 'accepted', providerId: null })
  })

  it('works with a base URL that ends in a slash, and names the SIM if told', async () => {
    const { apiKey, deviceId } = fake
    const gateway = createTextbee({
      baseUrl: `${fake.baseUrl}/`,
      apiKey,
      deviceId,
      simSubscriptionId: 2,
      webhookSecrets: [],
    })
    expect(await send(gateway)).toMatchObject({ outcome: 'accepted' })
    expect(fake.faults).toEqual([])
  })

  it('drops an id that is none', async () => {
    for (const smsBatchId of [1.5, { $oid: 'x' }, 'x'.repeat(129), `id ${CODE}`]) {
      fake.answerNext({ status: 201, body: { data: { success: true, smsBatchId } } })
      expect(await send()).toEqual({ outcome: 'accepted', providerId: null })
    }
  })
})

describe('every documented refusal', () => {
  const limit = { message: 'limit', hasReachedLimit: true, dailyLimit: 50, dailyRemaining: 0 }
  const bad = (error: string) => ({ success: false, error })
  it.each([
    [401, { error: 'Unauthorized' }, 'config'],
    [400, { error: 'Invalid device id' }, 'config'],
    [400, bad('Device does not exist or is not enabled'), 'config'],
    [400, bad('Message cannot be blank'), 'content'],
    [400, bad('Invalid recipients'), 'recipient'],
    [400, bad('scheduledAt must be a future date'), 'content'],
    [400, bad('Invalid scheduledAt format. Use ISO 8601'), 'content'],
    [400, bad('SMS scheduling requires queue to be enabled'), 'content'],
    [400, { ...bad('Failed to create SMS batch'), additionalInfo: {} }, 'transient'],
    [400, { ...bad('Failed to send SMS'), additionalInfo: {} }, 'transient'],
    [400, { message: 'Please verify your email to continue' }, 'config'],
    [429, limit, 'quota'],
    [429, { statusCode: 429, message: 'ThrottlerException: Too Many Requests' }, 'throttle'],
    [429, { ...limit, hasReachedLimit: false }, 'throttle'],
    [500, { message: 'Sorry, we cannot process your request at the moment' }, 'config'],
    [500, bad('Failed to add SMS to queue'), 'transient'],
    [201, { data: { successCount: 0, failureCount: 1, responses: [] } }, 'transient'],
    // Not documented, but to be expected.
    [400, { error: { nested: true } }, 'content'],
    [404, '<html>no such page</html>', 'config'],
    [429, '', 'throttle'],
    [502, '<html>bad gateway</html>', 'transient'],
    [503, '', 'transient'],
  ])('%i %j is %s', async (status, body, failure) => {
    fake.answerNext({ status, body })
    expect(await send()).toMatchObject({ outcome: 'refused', failure, httpStatus: status })
  })

  it('is recognised from a real exchange: wrong key, another’s device, no device at all', async () => {
    for (const settings of [
      { apiKey: 'wrong' },
      { deviceId: '665f0c0e1f4b2a0012abffff' },
      { deviceId: 'phone/../x' },
    ]) {
      expect(await send(driver(settings))).toMatchObject({ outcome: 'refused', failure: 'config' })
    }
    expect(fake.faults).toEqual(['key', 'device', 'device id'])
  })
})

describe('an answer that can’t be trusted', () => {
  it.each<[FakeMode, string]>([
    ['bad-json', 'http 201, not-json body'],
    ['empty', 'http 201, empty body'],
    ['huge-body', 'http 201, too-large body'],
    ['slow-drip', 'http 201, time-out body'],
    ['hang', 'time-out'],
    ['reset', 'ECONNRESET'],
  ])('%s: the message may have been sent', async (mode, detail) => {
    fake.mode = mode
    expect(await send(driver(), 400)).toEqual({ outcome: 'unknown', detail })
    expect(fake.requests).toHaveLength(1)
  })

  it.each([
    [{}],
    [[]],
    [null],
    ['true'],
    [{ data: null }],
    [{ data: { success: false } }],
    [{ data: { successCount: 0, failureCount: 0 } }],
    [{ data: { successCount: '1', failureCount: '0' } }],
  ])('201 %j is neither a yes nor a no', async (body) => {
    fake.answerNext({ status: 201, body: JSON.stringify(body) })
    expect(await send()).toMatchObject({ outcome: 'unknown' })
  })

  it('a gateway time-out of a proxy is no "no"', async () => {
    fake.answerNext({ status: 504, body: '<html>' })
    expect(await send()).toEqual({ outcome: 'unknown', detail: 'http 504' })
  })
})

describe('redirects', () => {
  it('to a metadata address are refused', async () => {
    fake.mode = '3xx-to-metadata-ip'
    expect(await send()).toEqual({
      outcome: 'refused',
      failure: 'config',
      detail: 'http 302',
      httpStatus: 302,
    })
  })

  it.each([301, 302, 303, 307, 308])('%i is not followed', async (status) => {
    let visits = 0
    const trap = createServer((_, response) => {
      visits += 1
      response.writeHead(201).end('{"data":{"success":true}}')
    })
    const port = await listen(trap)
    fake.answerNext({ status, headers: { location: `http://127.0.0.1:${port}/` } })
    expect(await send()).toMatchObject({ outcome: 'refused', failure: 'config' })
    expect(visits).toBe(0)
    await new Promise((resolve) => trap.close(resolve))
  })
})

describe('before anything is sent', () => {
  it('a refused connection is transient', async () => {
    const gone = await startFakeTextbee()
    await gone.close()
    expect(await send(driver({ baseUrl: gone.baseUrl }))).toEqual({
      outcome: 'refused',
      failure: 'transient',
      detail: 'ECONNREFUSED',
    })
  })

  it('a name that does not resolve is transient', async () => {
    const result = await send(driver({ baseUrl: 'http://gateway.invalid/api/v1' }), 5000)
    expect(result).toMatchObject({ outcome: 'refused', failure: 'transient' })
  })

  it('a time-out that has passed already sends nothing', async () => {
    expect(await driver().send(MESSAGE, AbortSignal.abort())).toMatchObject({
      outcome: 'refused',
      failure: 'transient',
    })
    expect(fake.requests).toEqual([])
  })

  it.each([
    ['key', { apiKey: 'line\nbreak' }],
    ['address', { baseUrl: 'not an address' }],
  ])('an unusable %s is the operator’s', async (_, settings) => {
    expect(await send(driver(settings))).toEqual({
      outcome: 'refused',
      failure: 'config',
      detail: 'unusable address or header',
    })
  })
})

describe('check', () => {
  const check = (gateway = driver()) => gateway.check(AbortSignal.timeout(1000))

  it('finds the device without sending', async () => {
    expect(await check()).toEqual({ ok: true, detail: 'the key works and the device is listed' })
    expect(fake.requests).toEqual([])
    expect(fake.faults).toEqual([])
  })

  it.each([
    ['the API key was refused', { status: 401, body: { error: 'Unauthorized' } }],
    ['the key works, but the device is not among its devices', { status: 200, body: { data: [] } }],
    [
      'the device is switched off in textbee',
      { status: 200, body: { data: [{ _id: '665f0c0e1f4b2a0012ab0001', enabled: false }] } },
    ],
    ['not a list of devices: unrecognised body', { status: 200, body: { data: 'x' } }],
    ['not a list of devices: not-json body', { status: 200, body: '<html>' }],
    ['unexpected answer: http 302', { status: 302, headers: { location: 'http://127.0.0.1/' } }],
  ])('%s', async (detail, answer) => {
    fake.answerNext(answer)
    expect(await check()).toEqual({ ok: false, detail })
  })

  it('says so when nobody answers', async () => {
    const gone = await startFakeTextbee()
    await gone.close()
    expect(await check(driver({ baseUrl: gone.baseUrl }))).toEqual({
      ok: false,
      detail: 'no answer: ECONNREFUSED',
    })
  })
})

it('no result tells key, address, number, code or the answer’s own words', async () => {
  const echo = `${CODE} ${TO} ${fake.apiKey} ${fake.baseUrl}`
  const modes: FakeMode[] = ['ok', 'ok-no-queue', '4xx', '5xx', 'hang', 'reset', 'bad-json']
  const results: unknown[] = []
  for (const mode of modes) {
    fake.mode = mode
    results.push(await send(driver(), 200))
  }
  for (const status of [201, 302, 400, 401, 429, 500]) {
    fake.answerNext({ status, body: { error: echo, message: echo, data: { message: echo } } })
    results.push(await send())
  }
  fake.answerNext({ status: 400, body: { error: `Message cannot be blank: ${echo}` } })
  results.push(await send())
  for (const baseUrl of ['http://127.0.0.1:1/secret-path', 'http://user:hunter2@127.0.0.1/']) {
    results.push(await send(driver({ baseUrl })))
    results.push(await driver({ baseUrl }).check(AbortSignal.timeout(500)))
  }
  results.push(await send(driver({ apiKey: `${fake.apiKey}\n` })))
  const told = JSON.stringify(results)
  for (const secret of [CODE, TO.slice(1), fake.apiKey, '127.0.0.1', 'secret-path', 'hunter2']) {
    expect(told).not.toContain(secret)
  }
})
