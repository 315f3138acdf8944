import { setTimeout as sleep } from 'node:timers/promises'
import { type KyselyPlugin, type OperationNode, RawNode, sql } from 'kysely'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { databaseClock } from '../../src/db/clock.ts'
import type { SendResult } from '../../src/messaging/gateway.ts'
import { createTextbee } from '../../src/messaging/gateways/textbee.ts'
import { latestMessage } from '../../src/messaging/messages.ts'
import type { GatewayEntry } from '../../src/messaging/registry.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { startFakeTextbee } from '../support/fake-textbee.ts'
import {
  ACCEPTED,
  CODE,
  carrying,
  createTestMessenger,
  REPORT_URL,
  REQUEST,
  refused,
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

type Step = 'begin' | 'finish'

/** Which of a try's two statements it is. */
function stepOf(node: OperationNode): Step | undefined {
  const text = RawNode.is(node) ? node.sqlFragments.join(' ') : ''
  if (text.includes('insert into message')) return 'begin'
  return text.includes('update message') ? 'finish' : undefined
}

/** Notes the statements of tries, and can make one of them fail. */
function watchStatements(failing?: Step) {
  const statements: Array<Step | undefined> = []
  const plugin: KyselyPlugin = {
    transformQuery({ node }) {
      statements.push(stepOf(node))
      if (failing && stepOf(node) === failing) throw new Error(`database gone near ${TO}`)
      return node
    },
    transformResult: async ({ result }) => result,
  }
  return { statements, plugin }
}

function house(gateways: readonly GatewayEntry[], plugin?: KyselyPlugin) {
  const db = plugin ? database.db.withPlugin(plugin) : database.db
  return createTestMessenger({ db, clock: databaseClock, gateways })
}

function rows() {
  return database.db.selectFrom('message').selectAll().orderBy('created_at').execute()
}

async function latest(challengeId: string) {
  const { message } = await database.db
    .selectNoFrom(
      latestMessage({
        challengeId: sql<string>`${challengeId}::text`,
        phoneId: sql<string>`'phone-1'`,
        channel: sql<string>`'sms'`,
      }).as('message'),
    )
    .executeTakeFirstOrThrow()
  return message
}

describe('a send that succeeds at once', () => {
  it('takes two statements and leaves one row without number or text', async () => {
    const { statements, plugin } = watchStatements()
    const first = scripted('first', ACCEPTED)
    const second = scripted('second', ACCEPTED)
    expect(await house([first, second], plugin).send(REQUEST)).toEqual({ outcome: 'accepted' })
    expect(statements).toEqual(['begin', 'finish'])
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
      // Nothing would tell what becomes of it.
      watch_at: null,
    })
    expect(first.asked).toEqual([
      {
        reference: row?.id,
        channel: 'sms',
        to: TO,
        text: TEXT,
        sender: null,
        validitySeconds: 300,
        reportUrl: null,
        language: 'en',
        codeLength: 6,
      },
    ])
    expect(row?.id).toMatch(/^[A-Za-z0-9]{22}$/)
    expect(JSON.stringify(row)).not.toMatch(`${CODE}|${TO.slice(1)}`)
  })

  it('has its row before the gateway is asked', async () => {
    const states: unknown[] = []
    const gateway = scripted('first', async () => {
      states.push((await latest('challenge-1'))?.state)
      return ACCEPTED
    })
    await house([gateway]).send(REQUEST)
    expect(states).toEqual(['trying'])
    expect((await latest('challenge-1'))?.state).toBe('accepted')
  })

  it('has no gateway where none is for its channel', async () => {
    const texts = scripted('texts', ACCEPTED)
    const { send, lines, canCall } = house([texts])
    const content = { channel: 'voice', speechIn: () => ({ language: 'en', parts: [] }) } as const
    expect(await send({ ...REQUEST, content })).toEqual({ outcome: 'failed' })
    expect(canCall).toBe(false)
    expect(texts.asked).toEqual([])
    expect(lines.join()).toContain('no gateway carries this')
  })

  it('tells where reports go to a gateway that hears it from each message, and is watched', async () => {
    const read = () => ({ reports: [] })
    const each = scripted('each', ACCEPTED, { reports: { addressed: 'message', read } })
    const once = scripted('once', ACCEPTED, { reports: { addressed: 'account', read } })
    for (const gateway of [each, once]) await house([gateway]).send(REQUEST)
    const [reference] = each.asked.map((message) => message.reference)
    expect(each.asked[0]?.reportUrl).toBe(`${REPORT_URL}/each?ref=${reference}`)
    expect(once.asked[0]?.reportUrl).toBeNull()
    for (const row of await rows()) expect(row.watch_at).toBeInstanceOf(Date)
  })

  it('is not watched where it is a notice: nobody waits for it', async () => {
    const reports = { addressed: 'account', read: () => ({ reports: [] }) } as const
    const gateway = scripted('g0', ACCEPTED, { reports })
    await house([gateway]).send({ ...REQUEST, carries: null, codeLength: null })
    expect(await rows()).toMatchObject([{ state: 'accepted', watch_at: null }])
  })
})

describe('time', () => {
  it('a gateway that hangs costs its time-out, then the next has its turn', async () => {
    const fake = await startFakeTextbee()
    fake.mode = 'hang'
    const gateway = createTextbee({ ...fake, webhookSecrets: [] })
    const next = scripted('next', ACCEPTED)
    const { send } = house([{ gateway, timeoutMs: 1000 }, next])
    expect(await send(REQUEST)).toEqual({ outcome: 'accepted' })
    expect(fake.requests).toHaveLength(1)
    const [first, second] = await rows()
    expect(first).toMatchObject({ gateway: 'textbee', state: 'unknown', detail: 'time-out' })
    expect(second).toMatchObject({ gateway: 'next', state: 'accepted' })
    await fake.close()
  })

  it('a driver deaf to its signal holds nobody up', async () => {
    const deaf = scripted('deaf', () => new Promise<SendResult>(() => {}), { timeoutMs: 50 })
    const next = scripted('next', ACCEPTED)
    expect(await house([deaf, next]).send(REQUEST)).toEqual({ outcome: 'accepted' })
    expect(await rows()).toMatchObject([{ detail: 'driver ignored its time-out' }, {}])
  })

  it('nothing is sent once the code has expired (AVL-21)', async () => {
    const first = scripted('first', async () => {
      await sleep(120)
      return refused('sender')
    })
    const second = scripted('second', ACCEPTED)
    const { send } = house([first, second])
    expect(await send({ ...REQUEST, expiresInSeconds: 0.1 })).toEqual({ outcome: 'failed' })
    expect(second.asked).toEqual([])
    expect(await rows()).toHaveLength(1)
    expect(await house([second]).send({ ...REQUEST, expiresInSeconds: 0 })).toEqual({
      outcome: 'failed',
    })
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
    expect(await send({ ...REQUEST, expiresInSeconds: 0.05 })).toEqual({ outcome: 'failed' })
    expect(first.asked).toEqual([])
    expect(await rows()).toMatchObject([{ state: 'refused', detail: 'expired' }])
  })

  it('idle waits for every send in flight', async () => {
    const gate = Promise.withResolvers<SendResult>()
    const { send, idle } = house([scripted('first', () => gate.promise, { timeoutMs: 20_000 })])
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
    expect((await latest('challenge-1'))?.state).toBe('accepted')
    expect(await sending).toEqual({ outcome: 'accepted' })
  })
})

describe('when something breaks', () => {
  it('nothing is sent if the row can’t be written', async () => {
    const first = scripted('first', ACCEPTED)
    const { send, lines } = house([first], watchStatements('begin').plugin)
    expect(await send(REQUEST)).toEqual({ outcome: 'failed' })
    expect(first.asked).toEqual([])
    expect(lines.join()).toContain('message not recorded')
    expect(lines.join()).not.toContain(TO.slice(1))
  })

  it('no second message goes out if the result of the first can’t be', async () => {
    const first = scripted('first', refused('transient'))
    const second = scripted('second', ACCEPTED)
    const { send, lines } = house([first, second], watchStatements('finish').plugin)
    expect(await send(REQUEST)).toEqual({ outcome: 'failed' })
    expect(second.asked).toEqual([])
    expect(lines.join()).toContain('message not recorded')
  })

  it('what a gateway took is taken, though that can’t be recorded (GWY-05)', async () => {
    const first = scripted('first', ACCEPTED)
    const second = scripted('second', ACCEPTED)
    const { send, lines } = house([first, second], watchStatements('finish').plugin)
    expect(await send(REQUEST)).toEqual({ outcome: 'accepted' })
    expect(second.asked).toEqual([])
    expect(lines.join()).toContain('an accepted message was not recorded')
    expect(lines.join()).not.toContain(TO.slice(1))
  })

  it('a driver that throws is one that may have sent', async () => {
    const first = scripted('first', async () => {
      throw new TypeError(`could not send ${TEXT} to ${TO}`)
    })
    const { send, lines } = house([first])
    expect(await send(REQUEST)).toEqual({ outcome: 'unknown' })
    expect(await rows()).toMatchObject([{ state: 'unknown', detail: 'driver threw TypeError' }])
    expect(lines.join()).not.toMatch(`${CODE}|${TO.slice(1)}`)
  })
})

it('no log line, row or metric holds number, text or code, whatever happens', async () => {
  const fake = await startFakeTextbee()
  const { apiKey } = fake
  const gateway = createTextbee({ ...fake, webhookSecrets: [] })
  const { send, lines, metrics } = house([{ gateway, timeoutMs: 300 }])
  for (const mode of ['ok', '4xx', '5xx', 'hang', 'reset', 'bad-json', 'huge-body'] as const) {
    fake.mode = mode
    await send(REQUEST)
    // Each is to be asked, however those before it went.
    await sql`truncate gateway_state`.execute(database.db)
  }
  fake.answerNext({ status: 400, body: { error: TEXT, message: TO } })
  await send(REQUEST)
  await fake.close()
  await send(REQUEST)
  const secrets = new RegExp(`${CODE}|${TO.slice(1)}|sign-in|${apiKey}`)
  expect(lines.filter((line) => line.includes('message '))).toHaveLength(9)
  expect(lines.join()).not.toMatch(secrets)
  expect(JSON.stringify(await rows())).not.toMatch(secrets)
  expect(await metrics.render()).not.toMatch(secrets)
  const allowed = ['gateway', 'reference', 'class', 'detail', 'httpStatus', 'durationMs']
  const pinos = ['level', 'time', 'pid', 'hostname', 'msg']
  for (const line of lines) {
    expect([...allowed, ...pinos]).toEqual(expect.arrayContaining(Object.keys(JSON.parse(line))))
  }
})

describe('the latest message of a challenge', () => {
  it('is the newest one that was not refused, and null where there is none', async () => {
    await house([scripted('g0', ACCEPTED)]).send(REQUEST)
    await house([scripted('g0', refused('transient'))]).send(REQUEST)
    await house([scripted('g0', UNKNOWN)]).send({ ...REQUEST, carries: carrying('challenge-2') })
    // A refusal after it takes nothing away from what is on its way.
    expect((await latest('challenge-1'))?.state).toBe('accepted')
    await house([scripted('g0', UNKNOWN)]).send(REQUEST)
    expect((await latest('challenge-1'))?.state).toBe('unknown')
    expect(await latest('challenge-2')).toEqual({
      state: 'unknown',
      channel: 'sms',
      overdue: false,
      unasked: false,
      gateway: 'g0',
      providerId: null,
    })
    expect(await latest('challenge-3')).toBeNull()
  })

  it('is the try that got furthest, where a stopped clock makes them equal', async () => {
    const clock = () => sql<Date>`timestamptz '2026-01-01 00:00:00+00'`
    const gateways = [scripted('g0', refused('sender')), scripted('g1', ACCEPTED)]
    await createTestMessenger({ db: database.db, clock, gateways }).send(REQUEST)
    expect((await latest('challenge-1'))?.state).toBe('accepted')
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

describe('a code that the gateway made', () => {
  it('is judged by it; by us where it carries ours', async () => {
    const seen: unknown[] = []
    const maker = scripted('maker', ACCEPTED, {
      judge: async (providerId, code) => {
        seen.push([providerId, code])
        if (code === '000000') throw new Error('down')
        return code === CODE ? 'right' : 'wrong'
      },
    })
    const { judge } = house([maker, scripted('carrier', ACCEPTED)])
    expect(await judge('maker', 'p-1', CODE)).toBe('right')
    expect(await judge('maker', 'p-1', '111111')).toBe('wrong')
    expect(await judge('maker', 'p-1', '000000')).toBe('unavailable')
    expect(await judge('maker', null, CODE)).toBe('gone')
    expect(seen).toHaveLength(3)
    expect(await judge('carrier', 'p-1', CODE)).toBeUndefined()
    expect(await judge('gone', 'p-1', CODE)).toBeUndefined()
  })
})
