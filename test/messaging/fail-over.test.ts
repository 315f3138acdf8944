import { setTimeout as sleep } from 'node:timers/promises'
import { sql } from 'kysely'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { databaseClock } from '../../src/db/clock.ts'
import type { FailureClass, SendResult } from '../../src/messaging/gateway.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import {
  ACCEPTED,
  createTestMessenger,
  REQUEST,
  refused,
  type Scripted,
  scripted,
  TEXT,
  TO,
  UNKNOWN,
} from '../support/scripted-gateways.ts'

let database: TestDatabase

beforeAll(async () => {
  database = await createTestDatabase()
})
beforeEach(async () => {
  await sql`truncate message, gateway_state`.execute(database.db)
})
afterAll(() => database.destroy())

const house = (gateways: readonly Scripted[]) =>
  createTestMessenger({ db: database.db, clock: databaseClock, gateways })

const rows = () =>
  database.db.selectFrom('message').selectAll().orderBy('created_at').orderBy('gateway').execute()

const times = (gateways: readonly Scripted[]) => gateways.map(({ asked }) => asked.length)

/** Long enough for a second try at the same gateway. */
const PATIENT = { timeoutMs: 20_000 }
const IDEMPOTENT = { ...PATIENT, can: { idempotent: true } }

describe('whatever a gateway answers', () => {
  interface Case {
    answer: string
    result: SendResult
    /** how often that gateway is asked */
    asked: 1 | 2
    /** whether the next one is asked */
    next: boolean
    /** when it is the last */
    outcome: object
    idempotent?: true
  }
  const FAILED = { outcome: 'failed' }
  const MAYBE = { outcome: 'unknown' }
  const cases: Case[] = [
    { answer: 'ok', result: ACCEPTED, asked: 1, next: false, outcome: { outcome: 'accepted' } },
    { answer: 'recipient', result: refused('recipient'), asked: 1, next: false, outcome: FAILED },
    ...(['opted-out', 'landline', 'barred'] as const).map(
      (fault): Case => ({
        answer: `recipient, ${fault}`,
        result: refused('recipient', { fault }),
        asked: 1,
        next: false,
        outcome: { outcome: 'failed', fault },
      }),
    ),
    {
      answer: 'recipient, of this gateway’s own',
      result: refused('recipient', { elsewhere: true }),
      asked: 1,
      next: true,
      outcome: FAILED,
    },
    ...(['sender', 'content', 'config', 'quota'] as const).map(
      (failure): Case => ({
        answer: failure,
        result: refused(failure),
        asked: 1,
        next: true,
        outcome: FAILED,
      }),
    ),
    {
      answer: 'throttle',
      result: refused('throttle', { retryAfterMs: 5 }),
      asked: 2,
      next: true,
      outcome: FAILED,
    },
    { answer: 'transient', result: refused('transient'), asked: 2, next: true, outcome: FAILED },
    { answer: 'unknown', result: UNKNOWN, asked: 1, next: true, outcome: MAYBE },
    {
      answer: 'unknown, known by its reference',
      result: UNKNOWN,
      asked: 2,
      next: true,
      outcome: MAYBE,
      idempotent: true,
    },
  ]
  const matrix = cases.flatMap((one) => [0, 1, 2].map((position) => ({ ...one, position })))

  it.each(matrix)(
    '$answer at position $position: asked $asked times, goes on: $next',
    async ({ result, asked, next, outcome, idempotent, position }) => {
      const chain = [0, 1, 2].map((index) => {
        const answer = index === position ? result : index < position ? refused('sender') : ACCEPTED
        return scripted(`g${index}`, answer, idempotent ? IDEMPOTENT : PATIENT)
      })
      const reached = next ? Math.min(position + 2, 3) : position + 1
      const expected = [0, 1, 2].map((i) => (i === position ? asked : i < reached ? 1 : 0))
      expect(await house(chain).send(REQUEST)).toEqual(
        next && position < 2 ? { outcome: 'accepted' } : outcome,
      )
      expect(times(chain)).toEqual(expected)
      expect((await rows()).map(({ gateway }) => gateway)).toEqual(
        ['g0', 'g1', 'g2'].slice(0, reached),
      )
      // The same text with the same code, whichever copy is read; one reference to a gateway.
      const legs = chain.flatMap((one) => one.asked)
      const said = legs.map((leg) => `${leg.to} ${leg.channel === 'sms' ? leg.text : ''}`)
      expect(new Set(said)).toEqual(new Set([`${TO} ${TEXT}`]))
      const references = chain.map((one) => new Set(one.asked.map(({ reference }) => reference)))
      expect(references.map(({ size }) => size)).toEqual(expected.map((n) => Math.min(n, 1)))
      expect(new Set(legs.map(({ reference }) => reference)).size).toBe(reached)
    },
  )

  it('keeps what was wrong with a number beside the try', async () => {
    await house([scripted('g0', refused('recipient', { fault: 'landline' }))]).send(REQUEST)
    expect(await rows()).toMatchObject([
      { state: 'refused', failure: 'recipient', fault: 'landline', detail: 'was-recipient' },
    ])
  })

  it('what may have been sent stays so, though the next gateways say no', async () => {
    const third = scripted('g2', refused('content'))
    const chain = [scripted('g0', UNKNOWN), scripted('g1', refused('sender')), third]
    expect(await house(chain).send(REQUEST)).toEqual({ outcome: 'unknown' })
    expect(third.asked).toHaveLength(1)
    const bad = scripted('g1', refused('recipient', { fault: 'barred' }))
    expect(await house([scripted('g0', UNKNOWN), bad, third]).send(REQUEST)).toEqual({
      outcome: 'unknown',
    })
    expect(third.asked).toHaveLength(1)
  })

  it('alarms at error level where the operator must act, and only there', async () => {
    const all: FailureClass[] = [
      'recipient',
      'sender',
      'content',
      'config',
      'quota',
      'throttle',
      'transient',
    ]
    for (const failure of all) {
      await sql`truncate gateway_state`.execute(database.db)
      const { send, lines } = house([scripted('g0', refused(failure))])
      await send(REQUEST)
      const { level, ...line } = JSON.parse(lines[0] ?? '')
      expect(line).toMatchObject({ gateway: 'g0', class: failure, detail: `was-${failure}` })
      const alarming = ['config', 'quota'].includes(failure)
      expect(level).toBe(alarming ? 50 : 40)
      expect(lines).toHaveLength(alarming ? 2 : 1)
    }
  })
})

describe('a second try at the same gateway', () => {
  it('may go well, and then it is the only message', async () => {
    for (const first of [refused('transient'), refused('throttle', { retryAfterMs: 1 })]) {
      const gateway = scripted('g0', [first, ACCEPTED], PATIENT)
      const next = scripted('g1', ACCEPTED)
      expect(await house([gateway, next]).send(REQUEST)).toEqual({ outcome: 'accepted' })
      expect(times([gateway, next])).toEqual([2, 0])
    }
    expect(await rows()).toMatchObject([{ state: 'accepted' }, { state: 'accepted' }])
  })

  it('is not made when the gateway asks for more time than there is', async () => {
    const gateway = scripted('g0', refused('throttle', { retryAfterMs: 60_000 }), PATIENT)
    const next = scripted('g1', ACCEPTED)
    expect(await house([gateway, next]).send(REQUEST)).toEqual({ outcome: 'accepted' })
    expect(times([gateway, next])).toEqual([1, 1])
  })

  it('nor when it would only end in a time-out, or after the code has expired', async () => {
    const hasty = scripted('g0', refused('transient'), { timeoutMs: 700 })
    await house([hasty]).send(REQUEST)
    const slow = () => sleep(1500, refused('transient'))
    const late = scripted('g1', slow, PATIENT)
    await house([late]).send({ ...REQUEST, expiresInSeconds: 2 })
    expect(times([hasty, late])).toEqual([1, 1])
  })

  it('that says no does not undo a first one that may have been sent', async () => {
    const gateway = scripted('g0', [UNKNOWN, refused('transient')], IDEMPOTENT)
    expect(await house([gateway]).send(REQUEST)).toEqual({ outcome: 'unknown' })
    expect(gateway.asked).toHaveLength(2)
    expect(await rows()).toMatchObject([{ state: 'unknown' }])
  })
})

describe('a chain', () => {
  it('passes over gateways that have no sender for the country', async () => {
    const names = scripted('names', ACCEPTED, { can: { senderKinds: ['name'] } })
    const numbers = scripted('numbers', ACCEPTED, {
      can: { senderKinds: ['name', 'number'] },
      number: '+12025550123',
    })
    const abroad = { ...REQUEST, country: 'US' }
    expect(await house([names, numbers]).send(abroad)).toEqual({ outcome: 'accepted' })
    expect(times([names, numbers])).toEqual([0, 1])
    expect(numbers.asked[0]?.sender).toBe('+12025550123')
    expect(await rows()).toMatchObject([{ gateway: 'numbers', state: 'accepted' }])
    expect(await house([names]).send(abroad)).toEqual({ outcome: 'failed' })
    expect(await house([names]).send(REQUEST)).toEqual({ outcome: 'accepted' })
    expect(names.asked.map(({ sender }) => sender)).toEqual(['Sallyport'])
  })

  it('is as the country’s route says', async () => {
    const [home, abroad] = [scripted('home', ACCEPTED), scripted('abroad', ACCEPTED)]
    const { send } = createTestMessenger({
      db: database.db,
      clock: databaseClock,
      gateways: [home, abroad],
      routes: { DK: ['abroad'] },
    })
    for (const country of ['SE', 'DK', null]) await send({ ...REQUEST, country })
    expect(times([home, abroad])).toEqual([2, 1])
  })

  it('calls by its own order, in a language that each gateway speaks', async () => {
    const texts = scripted('texts', ACCEPTED)
    const danish = scripted('danish', refused('sender'), { can: { voiceLanguages: ['da', 'en'] } })
    const english = scripted('english', ACCEPTED)
    const { send, canCall } = createTestMessenger({
      db: database.db,
      clock: databaseClock,
      gateways: [texts, english, danish],
      calls: ['danish', 'english'],
    })
    const speechIn = (tags: readonly string[]) => ({
      language: tags.includes('da') ? 'da' : 'en',
      parts: [],
    })
    expect(canCall).toBe(true)
    await send({ ...REQUEST, content: { channel: 'voice', speechIn }, language: 'da' })
    expect(times([texts, danish, english])).toEqual([0, 1, 1])
    const [one, other] = [...danish.asked, ...english.asked]
    expect(one).toMatchObject({ channel: 'voice', speech: { language: 'da' }, language: 'da' })
    expect(other).toMatchObject({ channel: 'voice', speech: { language: 'en' }, language: 'da' })
  })

  it('sends nothing for what expired while gateways were slow (AVL-21)', async () => {
    const slow = scripted('slow', (signal) => sleep(20_000, UNKNOWN, { signal }), PATIENT)
    const next = scripted('next', ACCEPTED)
    expect(await house([slow, next]).send({ ...REQUEST, expiresInSeconds: 1.5 })).toEqual({
      outcome: 'unknown',
    })
    expect(times([slow, next])).toEqual([1, 0])
  })

  it('hands over how long the message is of use, within what each gateway takes', async () => {
    const plain = scripted('plain', refused('sender'))
    const strict = scripted('strict', refused('sender'), {
      can: { validity: { minSeconds: 60, maxSeconds: 300 } },
    })
    const { send } = house([plain, strict])
    for (const expiresInSeconds of [30, 290, 1000]) await send({ ...REQUEST, expiresInSeconds })
    const told = ({ asked }: Scripted) => asked.map(({ validitySeconds }) => validitySeconds)
    // What is left of it when it is handed over, in whole seconds.
    const [short = 0, middle = 0, long = 0] = told(plain)
    expect([short, middle, long].every(Number.isInteger)).toBe(true)
    expect([short <= 30, middle <= 290, long <= 1000]).toEqual([true, true, true])
    expect([short > 0, middle > 200, long > 900]).toEqual([true, true, true])
    expect(told(strict)).toEqual([60, expect.any(Number), 300])
    expect(told(strict)[1]).toBeGreaterThan(200)
    expect(told(strict)[1]).toBeLessThanOrEqual(middle)
  })

  it('leaves gateways that make codes out of what is no code', async () => {
    const maker = scripted('maker', ACCEPTED, { judge: async () => 'right' })
    const carrier = scripted('carrier', ACCEPTED)
    const notice = { ...REQUEST, challengeId: null, codeLength: null }
    expect(await house([maker, carrier]).send(notice)).toEqual({ outcome: 'accepted' })
    expect(await house([maker]).send(notice)).toEqual({ outcome: 'failed' })
    expect(times([maker, carrier])).toEqual([0, 1])
    await house([maker]).send(REQUEST)
    expect(times([maker])).toEqual([1])
  })

  it('tries gateways that it went by before last, or not at all', async () => {
    const chain = ['g0', 'g1', 'g2'].map((name) => scripted(name, refused('sender')))
    const { send, hasOther } = house(chain)
    const order = async () => (await rows()).map(({ gateway }) => gateway)
    await send({ ...REQUEST, tried: ['g0', 'g1'] })
    expect(await order()).toEqual(['g2', 'g0', 'g1'])
    await sql`truncate message`.execute(database.db)
    await send({ ...REQUEST, tried: ['g0'], onlyOthers: true })
    expect(await order()).toEqual(['g1', 'g2'])
    const all = { ...REQUEST, tried: ['g0', 'g1', 'g2'], onlyOthers: true }
    expect(await send(all)).toEqual({ outcome: 'failed' })
    expect(await order()).toEqual(['g1', 'g2'])
    expect(hasOther('sms', 'SE', ['g0', 'g1'])).toBe(true)
    expect(hasOther('sms', 'SE', ['g0', 'g1', 'g2'])).toBe(false)
    expect(hasOther('voice', 'SE', [])).toBe(false)
  })
})
