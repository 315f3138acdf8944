import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type {
  Callback,
  Channel,
  DeliveryReport,
  FailureClass,
  Gateway,
  OutgoingMessage,
  SendResult,
} from '../../src/messaging/gateway.ts'
import { codeSpeech } from '../../src/messaging/speech.ts'
import { brand } from '../../src/phone-number.ts'
import {
  type FakeAnswer,
  type FakeContract,
  type FakeGateway,
  type FakeMode,
  startFakeGateway,
} from './fake-gateway.ts'

export const CODE = '804213'
export const TO = '+46701740605'
export const REFERENCE = 'Ab3dE6gH9jK2mN5pQ8sT1v'
export const REPORT_URL = 'https://login.example.com/webhooks/gateways/x?ref=Ab3dE6gH9jK2mN5pQ8sT1v'

/** A gateway's report as it comes in, and what it is to be read as. */
export interface ReportFixture {
  /** a rightly signed request */
  callback: Callback
  reports: ReadonlyArray<Partial<DeliveryReport>>
  /** headers without any one of which it must be refused */
  signedBy: readonly string[]
  /** whether the signature covers a time, so that an old one is refused */
  timed: boolean
  /** whether it covers the address it was sent to */
  coversUrl: boolean
  /** false where the signature holds the report itself, so that the body counts for nothing */
  coversBody?: false
}

export interface DriverFixture {
  name: string
  contract: FakeContract
  /** with the credentials that the fake takes, and all that it can do set up */
  create(baseUrl: string): Gateway
  /** with credentials that it refuses */
  createWithWrongKey(baseUrl: string): Gateway
  /** credentials, which no result may tell */
  credentials: readonly string[]
  /** what it answers for a message it takes, where there are several ways */
  successes?: ReadonlyArray<[title: string, answer: FakeAnswer, result: SendResult]>
  /** every row of its error table */
  refusals: ReadonlyArray<
    [title: string, answer: FakeAnswer, failure: FailureClass, more?: Record<string, unknown>]
  >
  /** how it writes text that GSM-7 can't, seen in what the fake received */
  reports?: {
    good: readonly ReportFixture[]
    /** the same driver with another key, and with a key that is to follow the one in use */
    createWithKeys(keys: 'other' | 'rotating'): Gateway
    /** requests that are to be refused beside the usual forgeries: other algorithms and the like */
    bad?: ReadonlyArray<[title: string, callback: Callback]>
  }
}

export function text(to = TO, more: Partial<OutgoingMessage> = {}): OutgoingMessage {
  return {
    ...common(to),
    channel: 'sms',
    text: `Sallyport: ${CODE} is your code.\n\n@login.example.com #${CODE}`,
    ...more,
  } as OutgoingMessage
}

export function call(to = TO, more: Partial<OutgoingMessage> = {}): OutgoingMessage {
  const speech = codeSpeech({ brand: 'Tom & <Jerry>', code: CODE })
  return {
    ...common(to),
    channel: 'voice',
    speech,
    ...more,
    sender: '+4512345678',
  } as OutgoingMessage
}

function common(to: string) {
  return {
    reference: REFERENCE,
    to: brand(to),
    sender: 'Sallyport',
    validitySeconds: 300,
    reportUrl: REPORT_URL,
    language: 'en',
    codeLength: 6,
  }
}

const AFTER_SENDING: ReadonlyArray<[FakeMode, SendResult['outcome']]> = [
  ['hang', 'unknown'],
  ['slow-drip', 'unknown'],
  ['reset', 'unknown'],
  ['bad-json', 'unknown'],
  ['empty', 'unknown'],
  ['html', 'unknown'],
  ['huge-body', 'unknown'],
  ['5xx', 'refused'],
  ['redirect', 'refused'],
]

/** What every driver must do, whatever its gateway. */
export function describeDriver(fixture: DriverFixture): void {
  describe(`driver ${fixture.name}`, () => {
    let fake: FakeGateway
    let driver: Gateway
    beforeAll(async () => {
      fake = await startFakeGateway(fixture.contract)
      driver = fixture.create(fake.baseUrl)
    })
    beforeEach(() => fake.reset())
    afterAll(() => fake.close())

    const send = (message = text(), gateway = driver, ms = 2000) =>
      gateway.send(message, AbortSignal.timeout(ms))
    const outgoing: Record<Channel, () => OutgoingMessage> = { sms: text, voice: call }

    test('sends by each of its channels, as its documentation says', async () => {
      expect(driver.name).toBe(fixture.name)
      for (const channel of driver.can.channels) {
        fake.reset()
        const result = await send(outgoing[channel]())
        expect(fake.faults).toEqual([])
        expect(result).toMatchObject({ outcome: 'accepted' })
        expect(fake.messages).toHaveLength(1)
        expect(fake.messages[0]).toMatchObject({ channel, to: TO })
        if (!driver.judge) {
          const spelt = CODE.split('').join('[^0-9]+')
          const pattern = channel === 'sms' ? `#${CODE}$` : `${spelt}[^]*${spelt}`
          expect(fake.messages[0]?.text).toMatch(new RegExp(pattern))
        }
        if (result.outcome === 'accepted' && result.providerId !== null)
          expect(result.providerId).toMatch(/^[\w.:-]{1,128}$/)
      }
    })

    test('carries any text the catalogues hold', async () => {
      if (driver.judge) return
      for (const letters of [
        'Zażółć gęślą jaźń',
        '認証コード',
        'رمز التحقق',
        '€[]{}|~^\\',
        '😀',
        '"&<>\'%+=',
      ]) {
        fake.reset()
        await send(text(TO, { text: `${letters} ${CODE}` } as Partial<OutgoingMessage>))
        expect(fake.faults).toEqual([])
        expect(fake.messages.map((message) => message.text)).toEqual([`${letters} ${CODE}`])
      }
    })

    test.each(fixture.successes ?? [])('takes for accepted: %s', async (_, answer, result) => {
      fake.answerNext(answer)
      expect(await send()).toEqual(result)
    })

    test.each(fixture.refusals)('tells the class of: %s', async (_, answer, failure, more = {}) => {
      fake.answerNext(answer)
      expect(await send()).toMatchObject({ outcome: 'refused', failure, ...more })
    })

    test.each(AFTER_SENDING)('a server that answers by %s leaves it %s', async (mode, outcome) => {
      for (const channel of driver.can.channels) {
        fake.mode = mode
        const began = performance.now()
        const result = await send(outgoing[channel](), driver, 400)
        expect(result.outcome).toBe(outcome)
        if (result.outcome === 'refused')
          expect(result.failure).toBe(mode === '5xx' ? 'transient' : 'config')
        expect(performance.now() - began).toBeLessThan(5000)
      }
    })

    test('a server that is not there is no reason to fear that it was sent', async () => {
      // Not port 1, which `fetch` itself refuses.
      const nobody = fixture.create('http://127.0.0.1:2')
      expect(await send(text(), nobody)).toMatchObject({ outcome: 'refused', failure: 'transient' })
    })

    test('is refused with a wrong key, and its check says so', async () => {
      const wrong = fixture.createWithWrongKey(fake.baseUrl)
      expect(await send(text(), wrong)).toMatchObject({ outcome: 'refused', failure: 'config' })
      expect((await wrong.check(AbortSignal.timeout(2000))).ok).toBe(false)
      fake.reset()
      expect(await driver.check(AbortSignal.timeout(2000))).toMatchObject({ ok: true })
      expect(fake.faults).toEqual([])
      expect(fake.sends).toEqual([])
    })

    test('a signal that was aborted before sends nothing', async () => {
      const result = await driver.send(text(), AbortSignal.abort())
      expect(result).toMatchObject({ outcome: 'refused', failure: 'transient' })
      expect(fake.requests).toEqual([])
    })

    test('no result tells credentials, address, number, code or the answer’s own words', async () => {
      const told: unknown[] = []
      const echo = `${CODE} ${TO} ${fake.baseUrl} ${fixture.credentials.join(' ')}`
      const body = {
        ...{ error: echo, message: echo, detail: echo, title: echo, code: echo, errorMsg: echo },
        errors: [{ code: echo, description: echo, title: echo, detail: echo, parameter: echo }],
      }
      for (const status of [200, 201, 202, 302, 400, 401, 402, 403, 404, 409, 422, 429, 500]) {
        fake.answerNext({ status, body })
        told.push(await send())
        fake.answerNext({ status, body })
        told.push(await driver.check(AbortSignal.timeout(2000)))
      }
      for (const mode of ['hang', 'reset', 'bad-json', 'html'] as const) {
        fake.mode = mode
        told.push(await send(text(), driver, 200))
      }
      told.push(await send(text(), fixture.create('http://user:hunter2@127.0.0.1:1/secret-path')))
      const all = JSON.stringify(told)
      for (const secret of [CODE, TO.slice(1), '127.0.0.1', 'hunter2', 'secret-path'])
        expect(all).not.toContain(secret)
      for (const secret of fixture.credentials) expect(all).not.toContain(secret)
      const addresses = fake.requests.map(({ path, query }) => `${path}?${query}`).join()
      for (const secret of fixture.credentials) expect(addresses).not.toContain(secret)
    })

    if (fixture.reports) describeReports(fixture.name, () => driver, fixture.reports)
  })
}

function describeReports(
  name: string,
  driverOf: () => Gateway,
  { good, bad = [], createWithKeys }: NonNullable<DriverFixture['reports']>,
): void {
  async function read(callback: Callback, driver = driverOf()) {
    if (!driver.reports) throw new Error(`${name} takes no reports`)
    return driver.reports.read(callback)
  }
  const refused = { refused: expect.stringMatching(/^(signature|stale|malformed)$/) }
  // Only what was rightly signed is looked into, so only that can be told to be malformed.
  const forged = { refused: 'signature' }

  describe.each(good.map((fixture, index) => [index + 1, fixture] as const))(
    'report %i',
    (_, { callback, reports, signedBy, timed, coversUrl, coversBody }) => {
      test('is read when it is rightly signed, by any of the keys in use', async () => {
        const verdict = { reports: reports.map((report) => expect.objectContaining(report)) }
        expect(await read(callback)).toEqual(verdict)
        expect(await read(callback, createWithKeys('rotating'))).toEqual(verdict)
      })

      test('has one key, however often it comes', async () => {
        const keys = async () => {
          const verdict = await read(callback)
          return 'reports' in verdict ? verdict.reports.map(({ key }) => key) : []
        }
        expect(await keys()).toEqual(await keys())
        expect(new Set(await keys()).size).toBe(reports.length)
      })

      test('is refused when it was signed with another key', async () => {
        expect(await read(callback, createWithKeys('other'))).toEqual(forged)
        const body = Buffer.from('{')
        const unread = await read({ ...callback, body }, createWithKeys('other'))
        expect(unread).toEqual(forged)
      })

      test('is refused when anything in it was changed', async () => {
        for (const header of signedBy) {
          const { [header]: value = '', ...rest } = callback.headers
          const signature = String(value)
          // Not the last one: of base64 it may hold bits that count for nothing.
          const middle = Math.floor(signature.length / 2)
          const other = signature[middle] === 'A' ? 'B' : 'A'
          const broken = signature.slice(0, middle) + other + signature.slice(middle + 1)
          for (const headers of [
            rest,
            { ...rest, [header]: '' },
            { ...rest, [header]: 'x' },
            { ...rest, [header]: broken },
            { ...rest, [header]: [signature, signature] },
          ])
            expect(await read({ ...callback, headers })).toEqual(forged)
        }
        for (let index = 0; index < callback.body.length; index += 7) {
          const body = Buffer.from(callback.body)
          body[index] = (body[index] ?? 0) ^ 1
          const verdict = await read({ ...callback, body })
          if (coversBody === false) expect(verdict).toEqual(await read(callback))
          else expect(verdict).toEqual(forged)
        }
        if (coversUrl) {
          expect(await read({ ...callback, url: `${callback.url}&more=1` })).toEqual(forged)
          const elsewhere = callback.url.replace('//', '//evil.')
          expect(await read({ ...callback, url: elsewhere })).toEqual(forged)
        }
      })

      test('is refused when it is old or from the future, where its signature tells', async () => {
        if (!timed) return
        for (const shift of [-1000, 1000]) {
          expect(await read({ ...callback, now: callback.now + shift })).toEqual({
            refused: 'stale',
          })
        }
      })
    },
  )

  test.each(bad)('refuses %s', async (_, callback) => {
    expect(await read(callback)).toEqual(refused)
  })
}
