import type { Insertable } from 'kysely'
import { Client } from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { databaseClock } from '../../src/db/clock.ts'
import type { MessageTable } from '../../src/db/tables/messaging.ts'
import type { Prices } from '../../src/statistics/costs.ts'
import { deliveryFigures } from '../../src/statistics/delivery-figures.ts'
import { eventFigures } from '../../src/statistics/event-figures.ts'
import {
  createMessageList,
  type MessageFilters,
  type MessagePosition,
  messageListStatement,
} from '../../src/statistics/message-list.ts'
import { createOverviewStatements } from '../../src/statistics/overview-statements.ts'
import { createProgress } from '../../src/statistics/progress.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { unindexedReads } from '../support/plans.ts'

const PRICES: Prices = {
  currency: 'EUR',
  sms: new Map([
    ['DK', 0.01],
    ['SE', 0.05],
    ['twilio/SE', 0.08],
  ]),
  voice: undefined,
}

let database: TestDatabase
let client: Client
beforeAll(async () => {
  database = await createTestDatabase()
  client = new Client({ connectionString: database.url })
  await client.connect()
  const { db } = database
  for (const id of ['anna', 'bert']) {
    await db.insertInto('account').values({ id, username: id, username_key: id }).execute()
    const number = Buffer.from(id)
    await db
      .insertInto('phone')
      .values({
        id: `phone-of-${id}`,
        account_id: id,
        number,
        number_fingerprint: number,
        is_primary: true,
      })
      .execute()
  }
  await db.insertInto('message').values(MESSAGES).execute()
})
afterAll(async () => {
  await client.end()
  await database.destroy()
})

const at = (minute: number) => new Date(Date.UTC(2030, 0, 2, 12, minute))

function message(
  id: string,
  minute: number,
  more: Partial<Insertable<MessageTable>> = {},
): Insertable<MessageTable> {
  return {
    id,
    challenge_id: `challenge-of-${id}`,
    phone_id: 'phone-of-anna',
    channel: 'sms',
    gateway: 'twilio',
    country: 'SE',
    parts: 1,
    state: 'delivered',
    created_at: at(minute),
    updated_at: at(minute),
    ...more,
  }
}

const MESSAGES = [
  message('a', 1),
  // Three of one moment.
  message('b', 2, { gateway: 'vonage', code: '27', detail: 'overwritten' }),
  message('d', 2, { country: 'DK', parts: 3 }),
  message('c', 2, { country: 'DK', unasked: true }),
  message('e', 3, { state: 'refused', failure: 'quota', detail: 'no credit' }),
  message('f', 4, { channel: 'voice', phone_id: 'phone-of-bert' }),
  message('g', 5, { challenge_id: null, phone_id: null, country: null }),
  message('h', 6, { gateway: 'outbox' }),
]

const ids = async (filters: MessageFilters) =>
  (await createMessageList({ db: database.db, prices: PRICES }).list(filters, 100)).map(
    ({ id }) => id,
  )

test('messages are listed newest first, with what they cost and nothing of what they said', async () => {
  const { list } = createMessageList({ db: database.db, prices: PRICES })
  const messages = await list({}, 100)
  expect(messages.map(({ id, costClass, cost }) => [id, costClass, cost])).toEqual([
    ['h', 'free', 0],
    ['g', 'unknown', null],
    ['f', 'unknown', null],
    ['e', 'free', 0],
    ['d', 'medium', 0.03],
    ['c', 'low', 0.01],
    ['b', 'medium', 0.05],
    ['a', 'high', 0.08],
  ])
  expect(messages.find(({ id }) => id === 'b')).toEqual({
    id: 'b',
    place: { createdAt: '2030-01-02 12:02:00+00', id: 'b' },
    at: at(2).toISOString(),
    channel: 'sms',
    gateway: 'vonage',
    country: 'SE',
    state: 'delivered',
    failure: null,
    detail: '27',
    parts: 1,
    costClass: 'medium',
    cost: 0.05,
    accountId: 'anna',
    challengeId: 'challenge-of-b',
    phoneId: 'phone-of-anna',
    unasked: false,
  })
})

test.each<[MessageFilters, string]>([
  [{ state: 'refused' }, 'e'],
  [{ gateway: 'vonage' }, 'b'],
  [{ country: 'DK' }, 'dc'],
  [{ channel: 'voice' }, 'f'],
  [{ accountId: 'bert' }, 'f'],
  [{ accountId: 'nobody' }, ''],
  [{ since: at(2), until: at(4) }, 'edcb'],
  [{ country: 'SE', gateway: 'twilio', channel: 'sms', until: at(3) }, 'a'],
  [{ gateway: "' or true --" }, ''],
])('filtered by %j', async (filters, expected) => {
  expect((await ids(filters)).join('')).toBe(expected)
})

test('pages follow one another without gap or repetition, also amid messages of one moment', async () => {
  const { list } = createMessageList({ db: database.db, prices: PRICES })
  for (const size of [1, 2, 3]) {
    const seen: string[] = []
    let after: MessagePosition | undefined
    do {
      const page = await list({}, size, after)
      seen.push(...page.map(({ id }) => id))
      after = page.at(-1)?.place
    } while (after)
    expect(seen.join('')).toBe('hgfedcba')
  }
})

test('whatever is asked for, rows are found by an index', async () => {
  const after = { createdAt: at(2).toISOString(), id: 'c' }
  const progress = createProgress(databaseClock)
  const overview = createOverviewStatements(databaseClock)
  const stretch = { from: at(0).toISOString(), until: at(5).toISOString(), last: true }
  const slot = at(0).getTime() / 300_000
  const statements = [
    ...[
      { state: 'failed' } as const,
      { gateway: 'vonage' },
      { country: 'DK' },
      { accountId: 'anna' },
      { since: at(1) },
    ].map((filters) => messageListStatement(filters, 50)),
    messageListStatement({}, 50, after),
    overview.ways('month'),
    overview.events('week'),
    deliveryFigures(slot),
    eventFigures(slot),
    progress.touched(stretch),
    progress.sweep('delivery_stat', 500),
  ]
  for (const statement of statements) {
    const { sql, parameters } = statement.compile(database.db)
    const found = await unindexedReads(client, sql, parameters)
    // One row tells how far the figures are; and what an index found is deleted by its place.
    expect(found.filter((read) => !/roll_up$|^Tid Scan/.test(read))).toEqual([])
  }
})
