import { Writable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { type KyselyPlugin, sql } from 'kysely'
import { pino } from 'pino'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { databaseClock } from '../../src/db/clock.ts'
import { describeError } from '../../src/log.ts'
import type {
  FailureClass,
  Gateway,
  OutgoingMessage,
  SendResult,
} from '../../src/messaging/gateway.ts'
import { createTextbee } from '../../src/messaging/gateways/textbee.ts'
import { latestMessageState } from '../../src/messaging/messages.ts'
import { createMessenger, type SendRequest } from '../../src/messaging/messenger.ts'
import { brand } from '../../src/phone-number.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { startFakeTextbee } from '../support/fake-textbee.ts'

const CODE = '804213'
const TO = '+46701740605'
const REQUEST: SendRequest = {
  challengeId: 'challenge-1',
  channel: 'sms',
  to: brand(TO),
  country: 'SE',
  text: `Sallyport: ${CODE} is your sign-in code.`,
  expiresInSeconds: 300,
}

let database: TestDatabase

beforeAll(async () => {
  database = await createTestDatabase()
})
beforeEach(() => database.db.deleteFrom('message').execute())
afterAll(() => database.destroy())

/** A gateway that answers what it is told, and remembers what it was asked. */
function scripted(
  name: string,
  answer: SendResult | ((signal: AbortSignal) => Promise<SendResult>),
) {
  const asked: OutgoingMessage[] = []
  const gateway: Gateway = {
    name,
    channels: ['sms'],
    async send(message, signal) {
      asked.push(message)
      return typeof answer === 'function' ? answer(signal) : answer
    },
    check: async () => ({ ok: true, detail: '' }),
  }
  return { gateway, timeoutMs: 1000, asked }
}

const ACCEPTED: SendResult = { outcome: 'accepted', providerId: 'p-1' }
const UNKNOWN: SendResult = { outcome: 'unknown', detail: 'time-out' }
const refused = (failure: FailureClass): SendResult => ({
  outcome: 'refused',
  failure,
  detail: `was-${failure}`,
  httpStatus: 400,
})

/** Counts statements by kind, and can make one kind fail. */
function watchStatements(failing?: 'InsertQueryNode' | 'RawNode') {
  const statements: string[] = []
  const plugin: KyselyPlugin = {
    transformQuery({ node }) {
      statements.push(node.kind)
      if (node.kind === failing) throw new Error(`database gone near ${TO}`)
      return node
    },
    transformResult: async ({ result }) => result,
  }
  return { statements, plugin }
}

type Entry = ReturnType<typeof scripted>

function house(gateways: readonly Omit<Entry, 'asked'>[], plugin?: KyselyPlugin) {
  const lines: string[] = []
  const sink = new Writable({
    write(chunk, _encoding, done) {
      lines.push(String(chunk))
      done()
    },
  })
  const log = pino({ serializers: { error: describeError } }, sink)
  const db = plugin ? database.db.withPlugin(plugin) : database.db
  return { lines, ...createMessenger({ db, clock: databaseClock, gateways, log }) }
}

function rows() {
  return database.db.selectFrom('message').selectAll().orderBy('created_at').execute()
}

async function latest(challengeId: string) {
  const { state } = await database.db
    .selectNoFrom(latestMessageState(sql<string>`${challengeId}::text`).as('state'))
    .executeTakeFirstOrThrow()
  return state
}

describe('a send that succeeds at once', () => {
  it('takes two statements and leaves one row without number or text', async () => {
    const { statements, plugin } = watchStatements()
    const first = scripted('first', ACCEPTED)
    const second = scripted('second', ACCEPTED)
    expect(await house([first, second], plugin).send(REQUEST)).toBe('accepted')
    expect(statements).toEqual(['InsertQueryNode', 'RawNode'])
    expect(second.asked).toEqual([])
    const [row, ...more] = await rows()
    expect(more).toEqual([])
    expect(row).toMatchObject({
      challenge_id: 'challenge-1',
      channel: 'sms',
      gateway: 'first',
      country: 'SE',
      parts: 1,
      state: 'accepted',
      provider_id: 'p-1',
      failure: null,
      detail: null,
    })
    expect(first.asked).toEqual([
      { reference: row?.id, channel: 'sms', to: TO, text: REQUEST.text },
    ])
    expect(row?.id).toMatch(/^[A-Za-z0-9]{22}$/)
    expect(JSON.stringify(row)).not.toMatch(`${CODE}|${TO.slice(1)}`)
  })

  it('has its row before the gateway is asked', async () => {
    const states: unknown[] = []
    const gateway = scripted('first', async () => {
      states.push(await latest('challenge-1'))
      return ACCEPTED
    })
    await house([gateway]).send(REQUEST)
    expect(states).toEqual(['sending'])
    expect(await latest('challenge-1')).toBe('accepted')
  })

  it('skips gateways that lack the channel', async () => {
    const texts = scripted('texts', ACCEPTED)
    const { send, lines } = house([texts])
    expect(await send({ ...REQUEST, channel: 'voice' })).toBe('failed')
    expect(texts.asked).toEqual([])
    expect(lines.join()).toContain('no gateway for this channel')
  })
})

describe('fail-over', () => {
  const onward: FailureClass[] = ['sender', 'content', 'config', 'quota', 'throttle', 'transient']
  const answers = [...onward.map(refused), UNKNOWN]
  const matrix = answers.flatMap((answer) => [0, 1, 2].map((position) => ({ answer, position })))

  it.each(matrix)(
    '$answer at position $position goes on to the next',
    async ({ answer, position }) => {
      const chain = [0, 1, 2].map((index) =>
        scripted(
          `g${index}`,
          index === position ? answer : index < position ? refused('transient') : ACCEPTED,
        ),
      )
      const last = answer.outcome === 'unknown' ? 'unknown' : 'failed'
      expect(await house(chain).send(REQUEST)).toBe(position === 2 ? last : 'accepted')
      const tries = Math.min(position + 2, 3)
      expect(chain.map(({ asked }) => asked.length)).toEqual(
        [0, 1, 2].map((i) => (i < tries ? 1 : 0)),
      )
      expect((await rows()).map(({ gateway }) => gateway)).toEqual(
        ['g0', 'g1', 'g2'].slice(0, tries),
      )
      const legs = chain.flatMap(({ asked }) => asked)
      expect(new Set(legs.map(({ text, to }) => `${to} ${text}`))).toHaveLength(1)
      expect(new Set(legs.map(({ reference }) => reference))).toHaveLength(tries)
    },
  )

  it.each([0, 1, 2])('a bad number at position %i ends it', async (position) => {
    const chain = [0, 1, 2].map((index) =>
      scripted(
        `g${index}`,
        index === position
          ? refused('recipient')
          : index < position
            ? refused('transient')
            : ACCEPTED,
      ),
    )
    expect(await house(chain).send(REQUEST)).toBe('failed')
    expect(chain.map(({ asked }) => asked.length)).toEqual(
      [0, 1, 2].map((i) => (i <= position ? 1 : 0)),
    )
    expect(await rows()).toHaveLength(position + 1)
    expect((await rows()).at(-1)).toMatchObject({
      state: 'refused',
      failure: 'recipient',
      detail: 'was-recipient',
    })
  })

  it('what may have been sent stays so, though the next gateway says no', async () => {
    const chain = [scripted('g0', UNKNOWN), scripted('g1', refused('transient'))]
    expect(await house(chain).send(REQUEST)).toBe('unknown')
  })

  it('alarms at error level where the operator must act, and only there', async () => {
    for (const failure of [...onward, 'recipient' as const]) {
      const { send, lines } = house([scripted('g0', refused(failure))])
      await send(REQUEST)
      const { level, ...line } = JSON.parse(lines.join())
      expect(line).toMatchObject({ gateway: 'g0', class: failure, detail: `was-${failure}` })
      expect(level).toBe(['config', 'quota'].includes(failure) ? 50 : 40)
    }
  })
})

describe('time', () => {
  it('a gateway that hangs costs its time-out, then the next has its turn', async () => {
    const fake = await startFakeTextbee()
    fake.mode = 'hang'
    const { baseUrl, apiKey, deviceId } = fake
    const textbee = { gateway: createTextbee({ baseUrl, apiKey, deviceId }), timeoutMs: 150 }
    const next = scripted('next', ACCEPTED)
    expect(await house([textbee, next]).send(REQUEST)).toBe('accepted')
    expect(fake.requests).toHaveLength(1)
    const [first, second] = await rows()
    expect(first).toMatchObject({ gateway: 'textbee', state: 'unknown', detail: 'time-out' })
    expect(second).toMatchObject({ gateway: 'next', state: 'accepted' })
    await fake.close()
  })

  it('a driver deaf to its signal holds nobody up', async () => {
    const deaf = { ...scripted('deaf', () => new Promise<SendResult>(() => {})), timeoutMs: 50 }
    const began = performance.now()
    expect(await house([deaf]).send(REQUEST)).toBe('unknown')
    expect(performance.now() - began).toBeLessThan(2000)
  })

  it('nothing is sent once the code has expired', async () => {
    const first = scripted('first', async () => {
      await sleep(120)
      return refused('transient')
    })
    const second = scripted('second', ACCEPTED)
    expect(await house([first, second]).send({ ...REQUEST, expiresInSeconds: 0.1 })).toBe('failed')
    expect(second.asked).toEqual([])
    expect(await rows()).toHaveLength(1)
    expect(await house([second]).send({ ...REQUEST, expiresInSeconds: 0 })).toBe('failed')
    expect(second.asked).toEqual([])
  })

  it('nor when it expired while its row was written', async () => {
    const plugin: KyselyPlugin = {
      transformQuery: ({ node }) => node,
      async transformResult({ result }) {
        await sleep(80)
        return result
      },
    }
    const first = scripted('first', ACCEPTED)
    const { send } = house([first], plugin)
    expect(await send({ ...REQUEST, expiresInSeconds: 0.05 })).toBe('failed')
    expect(first.asked).toEqual([])
    expect(await rows()).toMatchObject([{ state: 'refused', detail: 'expired' }])
  })

  it('idle waits for every send in flight', async () => {
    const gate = Promise.withResolvers<SendResult>()
    const { send, idle } = house([scripted('first', () => gate.promise)])
    await idle()
    const sending = send(REQUEST)
    let stopped = false
    const stopping = idle().then(() => {
      stopped = true
    })
    await sleep(50)
    expect(stopped).toBe(false)
    gate.resolve(ACCEPTED)
    await stopping
    expect(await latest('challenge-1')).toBe('accepted')
    expect(await sending).toBe('accepted')
  })
})

describe('when something breaks', () => {
  it('nothing is sent if the row can’t be written', async () => {
    const first = scripted('first', ACCEPTED)
    const { send, lines } = house([first], watchStatements('InsertQueryNode').plugin)
    expect(await send(REQUEST)).toBe('failed')
    expect(first.asked).toEqual([])
    expect(lines.join()).toContain('message not recorded')
    expect(lines.join()).not.toContain(TO.slice(1))
  })

  it('no second message goes out if the result of the first can’t be', async () => {
    const first = scripted('first', refused('transient'))
    const second = scripted('second', ACCEPTED)
    const { send, lines } = house([first, second], watchStatements('RawNode').plugin)
    expect(await send(REQUEST)).toBe('failed')
    expect(second.asked).toEqual([])
    expect(lines.join()).toContain('message not recorded')
  })

  it('a driver that throws is one that may have sent', async () => {
    const first = scripted('first', async () => {
      throw new TypeError(`could not send ${REQUEST.text} to ${TO}`)
    })
    const { send, lines } = house([first])
    expect(await send(REQUEST)).toBe('unknown')
    expect(await rows()).toMatchObject([{ state: 'unknown', detail: 'driver threw TypeError' }])
    expect(lines.join()).not.toMatch(`${CODE}|${TO.slice(1)}`)
  })
})

it('no log line holds number, text or code, whatever happens', async () => {
  const fake = await startFakeTextbee()
  const { baseUrl, apiKey, deviceId } = fake
  const textbee = { gateway: createTextbee({ baseUrl, apiKey, deviceId }), timeoutMs: 100 }
  const { send, lines } = house([textbee])
  for (const mode of ['ok', '4xx', '5xx', 'hang', 'reset', 'bad-json', 'huge-body'] as const) {
    fake.mode = mode
    await send(REQUEST)
  }
  fake.answerNext({ status: 400, body: { error: REQUEST.text, message: TO } })
  await send(REQUEST)
  await fake.close()
  await send(REQUEST)
  expect(lines).toHaveLength(9)
  expect(lines.join()).not.toMatch(new RegExp(`${CODE}|${TO.slice(1)}|sign-in|${apiKey}`))
  expect(JSON.stringify(await rows())).not.toMatch(`${CODE}|${TO.slice(1)}|${apiKey}`)
  const allowed = ['gateway', 'reference', 'class', 'detail', 'httpStatus', 'durationMs']
  const pinos = ['level', 'time', 'pid', 'hostname', 'msg']
  for (const line of lines) {
    expect([...allowed, ...pinos]).toEqual(expect.arrayContaining(Object.keys(JSON.parse(line))))
  }
})

describe('the latest state of a challenge', () => {
  it('is that of its newest message, and null where there is none', async () => {
    await house([scripted('g0', ACCEPTED)]).send(REQUEST)
    await house([scripted('g0', refused('transient'))]).send(REQUEST)
    await house([scripted('g0', UNKNOWN)]).send({ ...REQUEST, challengeId: 'challenge-2' })
    expect(await latest('challenge-1')).toBe('refused')
    expect(await latest('challenge-2')).toBe('unknown')
    expect(await latest('challenge-3')).toBeNull()
  })

  it('is that of the try that got furthest, where a stopped clock makes them equal', async () => {
    const clock = () => sql<Date>`timestamptz '2026-01-01 00:00:00+00'`
    const gateways = [scripted('g0', refused('transient')), scripted('g1', ACCEPTED)]
    const log = pino({ level: 'silent' })
    await createMessenger({ db: database.db, clock, gateways, log }).send(REQUEST)
    expect(await latest('challenge-1')).toBe('accepted')
  })
})

describe('sweep', () => {
  it('deletes what is older than 30 days, a batch at a time, past rows another holds', async () => {
    const { send, sweep } = house([scripted('g0', ACCEPTED)])
    for (let index = 0; index < 5; index++) await send(REQUEST)
    const [fresh, held, ...old] = (await rows()).map(({ id }) => id)
    await age([held ?? '', ...old], '30 days 1 minute')
    await age([fresh ?? ''], '29 days 23 hours')
    await database.db.transaction().execute(async (other) => {
      await other
        .selectFrom('message')
        .selectAll()
        .where('id', '=', held ?? '')
        .forUpdate()
        .execute()
      expect(await sweep(2)).toBe(2)
      expect(await sweep(2)).toBe(1)
      expect(await sweep(2)).toBe(0)
    })
    expect(await sweep(2)).toBe(1)
    expect((await rows()).map(({ id }) => id)).toEqual([fresh])
  })

  async function age(ids: string[], interval: string) {
    await database.db
      .updateTable('message')
      .set({ created_at: sql<Date>`now() - ${interval}::interval` })
      .where('id', 'in', ids)
      .execute()
  }
})
