import { sql } from 'kysely'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { topUp } from '../examples/demo/history.ts'
import type { Clock } from '../src/db/clock.ts'
import { createStatistics } from '../src/statistics/statistics.ts'
import { createTestDatabase, type TestDatabase } from './support/database.ts'

const PRICES = { currency: 'EUR', sms: new Map([['*', 0.05]]), voice: undefined }
const people = Array.from({ length: 50 }, (_, index) => `person-${index}`)

let database: TestDatabase
beforeAll(async () => {
  database = await createTestDatabase()
})
afterAll(() => database.destroy())

/** So many hours before yesterday's noon: at night, hours pass without a code. */
const ago =
  (hours: number): Clock =>
  () =>
    sql<Date>`(date_trunc('day', now(), 'UTC') - make_interval(hours => ${12 + hours}))`

async function figures() {
  const { rows } = await sql`
    select to_jsonb(d) as row from delivery_stat d union all select to_jsonb(e) from event_stat e
    order by 1`.execute(database.db)
  return rows
}

async function codesIssued(): Promise<number> {
  const { rows } = await sql<{ codes: number }>`
    select count(*)::int as codes from audit_event where type = 'code.issued'`.execute(database.db)
  return rows[0]?.codes ?? 0
}

test('the demo’s traffic goes on where it ended, and counts as the provider would count it', async () => {
  const { db } = database
  await topUp(db, ago(3), people)
  const codes = await codesIssued()
  const before = await createStatistics({ db, clock: ago(3), prices: PRICES }).overview('month')
  expect(before.totals.asked).toBeGreaterThan(4000)
  expect(before.totals.conversion).toBeGreaterThan(0.88)
  expect(before.totals.conversion).toBeLessThan(0.96)
  expect(before.byCountry.find(({ country }) => country === 'TJ')).toMatchObject({ passed: 0 })
  expect(before.cost?.total).toBeGreaterThan(0)

  await topUp(db, ago(0), people)
  expect(await codesIssued()).toBeGreaterThan(codes)
  expect(await topUp(db, ago(0), people)).toBe(0)
  const { rows } = await sql`
    select detail ->> 'challenge' from audit_event where type = 'code.issued' group by 1 having count(*) > 1`.execute(
    db,
  )
  expect(rows).toEqual([])
  const { rows: watched } = await sql`select from message where watch_at is not null`.execute(db)
  expect(watched).toEqual([])

  // The last hours as the provider itself works them out.
  const statistics = createStatistics({ db, clock: ago(0), prices: PRICES })
  const made = await figures()
  await sql`update roll_up set seen_until = ${ago(4)()}`.execute(db)
  await statistics.rollUp()
  expect(await figures()).toEqual(made)
})
