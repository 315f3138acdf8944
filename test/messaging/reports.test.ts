import fc from 'fast-check'
import { sql } from 'kysely'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { databaseClock } from '../../src/db/clock.ts'
import type {
  CallbackVerdict,
  DeliveryReport,
  DeliveryState,
  SendResult,
} from '../../src/messaging/gateway.ts'
import { createMessages } from '../../src/messaging/messages.ts'
import type { Reports } from '../../src/messaging/reports.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { dump } from '../support/dump.ts'
import {
  ACCEPTED,
  createTestMessenger,
  realLog,
  refused,
  scripted,
  UNKNOWN,
} from '../support/scripted-gateways.ts'

let database: TestDatabase
let made = 0

beforeAll(async () => {
  database = await createTestDatabase()
})
beforeEach(async () => {
  await sql`truncate message, gateway_state, gateway_report`.execute(database.db)
})
afterAll(() => database.destroy())

const lines: string[] = []
beforeEach(() => {
  lines.length = 0
})

/** One instance, with two gateways that report what they are told. */
function instance(verdict: CallbackVerdict = { reports: [] }) {
  const traits = { reports: { addressed: 'account', read: () => verdict } } as const
  const gateways = [scripted('g0', ACCEPTED, traits), scripted('g1', ACCEPTED, traits)]
  const silent = scripted('silent', ACCEPTED)
  return createTestMessenger({
    db: database.db,
    clock: databaseClock,
    gateways: [...gateways, silent],
    log: realLog(lines),
  })
}

/** The circuit was closed when it began. */
const ALONE = { probe: false }

const messages = () => createMessages({ db: database.db, clock: databaseClock })

/** Begins a try, of a challenge unless it is said otherwise. */
async function begin(gateway = 'g0', challengeId: string | null = 'c') {
  const id = `m${++made}`
  const carries = { challengeId, phoneId: 'p', send: 1, unasked: false }
  const row = { ...carries, id, channel: 'sms', gateway, country: 'SE', parts: 1 } as const
  await messages().begin(row, 5)
  return row
}

async function sent({
  gateway = 'g0',
  providerId = `p${made + 1}`,
  result = undefined as SendResult | undefined,
} = {}) {
  const row = await begin(gateway)
  await messages().finish(row, result ?? { outcome: 'accepted', providerId }, ALONE, 20)
  return { id: row.id, providerId }
}

async function stored(id: string) {
  return database.db
    .selectFrom('message')
    .selectAll()
    .where('id', '=', id)
    .executeTakeFirstOrThrow()
}
const stateOf = async (id: string) => (await stored(id)).state

let keys = 0
const report = (more: Partial<DeliveryReport>): DeliveryReport => ({
  state: 'delivered',
  key: `key-${++keys}`,
  ...more,
})

/** What the trail tells of a message after it was sent. */
async function events(id: string): Promise<string[]> {
  const { rows } = await sql<{ type: string }>`
    select type from audit_event where type like 'message.%delivered' and detail ->> 'message' = ${id}
    order by id`.execute(database.db)
  return rows.map(({ type }) => type)
}

const STATES: DeliveryState[] = [
  'accepted',
  'sending',
  'sent',
  'unconfirmed',
  'expired',
  'failed',
  'rejected',
  'delivered',
]
/** From the first to the last; of those that stand together, whichever came first stays. */
const ORDER = [
  ['trying'],
  ['refused', 'unknown'],
  ['accepted'],
  ['sending'],
  ['sent'],
  ['unconfirmed'],
  ['expired', 'failed', 'rejected'],
  ['delivered'],
]
const rank = (state: string) => ORDER.findIndex((together) => together.includes(state))
const furthest = (states: readonly string[]) =>
  states.reduce((known, next) => (rank(next) > rank(known) ? next : known))

describe('a message', () => {
  test('only ever moves forwards, in whatever order its reports and our own answer come', async () => {
    const { record } = instance().reports
    const results = fc.constantFrom(ACCEPTED, UNKNOWN, refused('transient'))
    const told = fc.array(fc.constantFrom(...STATES), { maxLength: 6 })
    const property = fc.asyncProperty(results, told, told, async (result, before, after) => {
      // A gateway that keeps failing would be left alone.
      await database.db.deleteFrom('gateway_state').execute()
      const row = await begin()
      for (const state of before) await record('g0', report({ reference: row.id, state }))
      await messages().finish(row, result, ALONE, 20)
      for (const state of after) await record('g0', report({ reference: row.id, state }))
      const all = ['trying', ...before, result.outcome, ...after]
      expect(await stateOf(row.id)).toBe(furthest(all))
    })
    await fc.assert(property, { numRuns: 25, endOnFailure: true })
  })

  test('tells of its delivery or of its end in the audit trail, once, and of nothing between', async () => {
    const { record } = instance().reports
    const { id } = await sent()
    for (const state of ['sending', 'sent', 'failed', 'expired', 'delivered', 'failed'] as const)
      await record('g0', report({ reference: id, state }))
    expect(await events(id)).toEqual(['message.undelivered', 'message.delivered'])
    expect(await stateOf(id)).toBe('delivered')
  })

  test('that was delivered is no longer looked at, and one that was not is, at once', async () => {
    const { record } = instance().reports
    const [good, bad] = [await sent(), await sent()]
    await record('g0', report({ reference: good.id }))
    await record(
      'g0',
      report({ reference: bad.id, state: 'failed', code: 'X-1', fault: 'landline' }),
    )
    expect(await stored(good.id)).toMatchObject({ watch_at: null })
    const { watch_at, ...kept } = await stored(bad.id)
    expect(kept).toMatchObject({ code: 'X-1', fault: 'landline', state: 'failed' })
    expect(Number(watch_at)).toBeLessThanOrEqual(Date.now())
  })

  describe('whose report is quicker than the gateway’s answer', () => {
    test('is watched all the same', async () => {
      const { record } = instance().reports
      const row = await begin()
      await record('g0', report({ reference: row.id, state: 'sent' }))
      await messages().finish(row, ACCEPTED, ALONE, 20)
      const { state, watch_at, provider_id } = await stored(row.id)
      expect({ state, provider_id }).toEqual({ state: 'sent', provider_id: 'p-1' })
      expect(watch_at).toBeInstanceOf(Date)
    })

    test('keeps what was wrong, and is still sent by another way', async () => {
      const { record } = instance().reports
      const row = await begin()
      const wrong = { failure: 'recipient', fault: 'landline' } as const
      await record('g0', report({ reference: row.id, state: 'failed', ...wrong }))
      await messages().finish(row, ACCEPTED, ALONE, 20)
      const { watch_at, ...kept } = await stored(row.id)
      expect(kept).toMatchObject({ state: 'failed', ...wrong })
      expect(watch_at).toBeInstanceOf(Date)
    })

    test('is not looked at any more where that says it was delivered', async () => {
      const { record } = instance().reports
      const row = await begin()
      await record('g0', report({ reference: row.id }))
      await messages().finish(row, ACCEPTED, ALONE, 20)
      expect(await stored(row.id)).toMatchObject({ state: 'delivered', watch_at: null })
    })
  })
})

describe('a report', () => {
  test('is of the message it names, by our reference, the gateway’s id, or both', async () => {
    const { record } = instance().reports
    const all = [await sent(), await sent(), await sent(), await sent()]
    const [byReference, byId, byBoth, other] = all
    await record('g0', report({ reference: byReference?.id ?? '' }))
    await record('g0', report({ providerId: byId?.providerId ?? '' }))
    await record(
      'g0',
      report({ reference: byBoth?.id ?? '', providerId: byBoth?.providerId ?? '' }),
    )
    const states = await Promise.all(all.map(({ id }) => stateOf(id)))
    expect(states).toEqual(['delivered', 'delivered', 'delivered', 'accepted'])
    expect(other).toBeDefined()
  })

  test('is of none where it names none that there is, or two that aren’t one (GWY-13)', async () => {
    const { record } = instance().reports
    const [one, other] = [await sent(), await sent()]
    const before = await dump(database.db)
    for (const [gateway, names] of [
      ['g0', { reference: 'm-none' }],
      ['g0', { providerId: 'p-none' }],
      ['g0', {}],
      ['g0', { reference: '', providerId: '' }],
      ['g0', { reference: one.id, providerId: other.providerId }],
      ['g0', { reference: 'm-none', providerId: one.providerId }],
      // Another gateway's message.
      ['g1', { reference: one.id }],
      ['g1', { providerId: one.providerId }],
      ['g1', { reference: one.id, providerId: one.providerId }],
      ['none', { reference: one.id }],
    ] as const)
      expect(await record(gateway, report(names))).toBe(false)
    expect(await dump(database.db)).toBe(before)
  })

  test('names by our reference one whose id at the gateway isn’t known', async () => {
    const { record } = instance().reports
    const { id } = await sent({ result: UNKNOWN })
    expect(await record('g0', report({ reference: id, providerId: 'p-late' }))).toBe(true)
    expect(await stateOf(id)).toBe('delivered')
  })

  test('that comes again moves nothing, whatever it says then (GWY-11)', async () => {
    const { record } = instance().reports
    const { id } = await sent()
    expect(await record('g0', report({ reference: id, state: 'sent', key: 'one' }))).toBe(true)
    expect(await record('g0', report({ reference: id, state: 'delivered', key: 'one' }))).toBe(
      false,
    )
    expect(await stateOf(id)).toBe('sent')
    // Keys are each gateway's own.
    const other = await sent({ gateway: 'g1' })
    expect(await record('g1', report({ reference: other.id, key: 'one' }))).toBe(true)
  })

  test('changes its message and nothing else (GWY-12, input 103)', async () => {
    const others = async () => {
      const tables = (await database.db.introspection.getTables()).map(({ name }) => name)
      const own = ['message', 'gateway_report', 'audit_event']
      return Promise.all(
        tables
          .filter((name) => !own.includes(name))
          .map(
            async (name) => (await sql`select * from ${sql.table(name)}`.execute(database.db)).rows,
          ),
      )
    }
    await sql`insert into account (id, username, username_key) values ('a', 'a', 'a')`.execute(
      database.db,
    )
    const { record } = instance().reports
    const [named, beside] = [await sent(), await sent()]
    const before = [await others(), await stored(beside.id)]
    await record(
      'g0',
      report({ reference: named.id, state: 'rejected', failure: 'recipient', fault: 'opted-out' }),
    )
    expect([await others(), await stored(beside.id)]).toEqual(before)
    const { challenge_id, gateway, channel, country, parts } = await stored(named.id)
    expect({ challenge_id, gateway, channel, country, parts }).toEqual({
      challenge_id: 'c',
      gateway: 'g0',
      channel: 'sms',
      country: 'SE',
      parts: 1,
    })
  })

  test('counts once, though instances get it at once', async () => {
    const houses = [instance(), instance()]
    const { id } = await sent()
    const same = report({ reference: id })
    const moved = await Promise.all(
      Array.from({ length: 20 }, (_, i) => houses[i % 2]?.reports.record('g0', same)),
    )
    expect(moved.filter(Boolean)).toHaveLength(1)
    expect(await events(id)).toEqual(['message.delivered'])
  })

  test('is the last word where it says most, though others come at once', async () => {
    const houses = [instance(), instance()]
    const { id } = await sent()
    await Promise.all(
      [...STATES, ...STATES].map((state, i) =>
        houses[i % 2]?.reports.record('g0', report({ reference: id, state })),
      ),
    )
    expect(await stateOf(id)).toBe('delivered')
    expect((await events(id)).filter((type) => type === 'message.delivered')).toHaveLength(1)
  })

  test('is logged with the gateway’s code, and counted', async () => {
    const { reports, metrics } = instance()
    const { id } = await sent()
    await reports.record('g0', report({ reference: id, state: 'failed', code: 'X-40' }))
    expect(lines.join()).toContain('X-40')
    const counted = 'sallyport_delivery_reports_total{gateway="g0",country="SE",state="failed"} 1'
    expect(await metrics.render()).toContain(counted)
  })

  test('is forgotten when it can’t come any more', async () => {
    const { reports } = instance()
    for (let i = 0; i < 3; i++) await reports.record('g0', report({ reference: (await sent()).id }))
    expect(await reports.sweep(10)).toBe(0)
    await sql`update gateway_report set expires_at = now() - interval '1 second'`.execute(
      database.db,
    )
    expect(await reports.sweep(2)).toBe(2)
    expect(await reports.sweep(2)).toBe(1)
  })
})

describe('a request to a callback address', () => {
  const callback = {
    method: 'POST',
    url: 'https://login.example.com/webhooks/gateways/g0',
    headers: {},
    body: Buffer.from('{}'),
    now: 0,
  } as const

  /** As it goes where the request is the gateway's own. */
  async function taken(reports: Reports): Promise<void> {
    const verdict = await reports.read('g0', callback)
    if (typeof verdict !== 'object' || !('reports' in verdict)) throw new Error('not its own')
    await reports.take('g0', verdict.reports)
  }

  test('may bring many reports', async () => {
    const [one, other] = [await sent(), await sent()]
    const named = [one, other].map(({ id }) => report({ reference: id }))
    const { reports } = instance({ reports: [report({ reference: 'none' }), ...named] })
    await taken(reports)
    expect([await stateOf(one.id), await stateOf(other.id)]).toEqual(['delivered', 'delivered'])
    // An inbound text, or an event of another kind.
    await taken(instance().reports)
  })

  test.each(['signature', 'stale', 'malformed'] as const)(
    'that is refused (%s) changes nothing (input 102)',
    async (why) => {
      const { id } = await sent()
      const before = await dump(database.db)
      expect(await instance({ refused: why }).reports.read('g0', callback)).toEqual({
        refused: why,
      })
      expect(await dump(database.db)).toBe(before)
      expect(await stateOf(id)).toBe('accepted')
      expect(lines.join()).toContain(`"reason":"${why}"`)
    },
  )

  test('is nobody’s where there is no such gateway, or it reports nothing', async () => {
    const { reports } = instance()
    for (const name of ['none', 'silent', 'toString', '__proto__', ''])
      expect(await reports.read(name, callback)).toBe('unknown-gateway')
  })

  test('wakes whoever sends by another way, where something was not delivered', async () => {
    const { id } = await sent()
    const states: DeliveryState[] = ['sent', 'failed']
    const { reports } = instance({
      reports: states.map((state) => report({ reference: id, state })),
    })
    let woken = 0
    reports.onUndelivered(() => woken++)
    await taken(reports)
    expect(woken).toBe(1)
  })
})
