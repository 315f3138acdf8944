import { setTimeout as pause } from 'node:timers/promises'
import { sql } from 'kysely'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { type OpenDatabase, openDatabase } from '../../src/db/client.ts'
import { type PlaceOf, shared, unwaiting } from '../../src/db/prepared.ts'
import type { Db } from '../../src/db/schema.ts'
import { createLog } from '../../src/log.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { startForgetfulPooler } from '../support/forgetful-pooler.ts'

let database: TestDatabase
let opened: OpenDatabase

async function open(url: string): Promise<void> {
  opened = await openDatabase({ url, dataDir: '', poolSize: 8 }, createLog('silent', false))
  // Whether a pooler is in between, is known from the first connection on.
  await sql`select`.execute(opened.db)
}

beforeEach(async () => {
  database = await createTestDatabase()
  await open(database.url)
})
afterEach(async () => {
  await opened.close()
  await database.destroy()
})

const sharing = shared((place: PlaceOf<{ divisor: number }>, on) =>
  sql<{ pid: number }>`
    select pg_backend_pid() as pid, 1 / ${place('divisor')}::int as quotient`.compile(on),
)
const pidOf = async (on: Db = opened.db, divisor = 1) =>
  (await sharing(on, { divisor })).rows[0]?.pid

const atOnce = (count: number) => Promise.all(Array.from({ length: count }, () => pidOf()))

describe('statements that share', () => {
  test('go out together over one connection, sixteen at most', async () => {
    expect(new Set(await atOnce(16)).size).toBe(1)
    // Over connections that are new, one after the other.
    await atOnce(40)
    expect(new Set(await atOnce(40)).size).toBe(3)
  })

  test('each fail for themselves alone', async () => {
    const outcomes = await Promise.allSettled([pidOf(), pidOf(opened.db, 0), pidOf()])
    expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled'])
  })

  test('stay in the transaction that they are asked in', async () => {
    await opened.db.transaction().execute(async (trx) => {
      const [own, others, own2] = await Promise.all([pidOf(trx), pidOf(), pidOf(trx)])
      expect(own2).toBe(own)
      expect(others).not.toBe(own)
    })
  })

  test('fail together with their connection, and the next are answered by another', async () => {
    const pid = await pidOf()
    const sleeping = shared((_: PlaceOf<object>, on) => sql`select pg_sleep(60)`.compile(on))
    const lost = Promise.allSettled([sleeping(opened.db, {}), pidOf(), pidOf()])
    await vi.waitFor(async () => {
      const { rows } = await sql`
        select pg_terminate_backend(pid) from pg_stat_activity
        where query like '%pg_sleep(60)%' and state = 'active' and pid <> pg_backend_pid()`.execute(
        opened.db,
      )
      expect(rows).toHaveLength(1)
    })
    expect((await lost).map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected'])
    expect(await pidOf()).not.toBe(pid)
  })

  test('do not behind a pooler: an old one mixes up whose answer is whose', async () => {
    await opened.close()
    const pooler = await startForgetfulPooler(database.url)
    await open(pooler.url)
    expect(new Set(await atOnce(8)).size).toBe(8)
    // Nor does what follows a failure come before all of the failure has.
    for (let time = 0; time < 3; time++) {
      await expect(pidOf(opened.db, 0)).rejects.toMatchObject({ code: '22012' })
      expect(await pidOf()).toBeGreaterThan(0)
    }
    expect(pooler.early()).toBe(0)
    await opened.close()
    await pooler.close()
    await open(database.url)
  })
})

test('a statement that meets a lock lets those beside it go on, and waits for it alone', async () => {
  const key = Buffer.alloc(32)
  await sql`insert into sign_in_attempt (key, failures, pending, last_at) values (${key}, 1, 0, now())`.execute(
    opened.db,
  )
  const holding = unwaiting((place: PlaceOf<{ key: Buffer }>, on, waits) =>
    sql<{ failures: number }>`
      select failures from sign_in_attempt where key = ${place('key')}
      for update ${waits ? sql`` : sql`nowait`}`.compile(on),
  )
  let met = false
  const { lettingGo } = await opened.db.transaction().execute(async (trx) => {
    await sql`update sign_in_attempt set failures = 2 where key = ${key}`.execute(trx)
    const waiting = holding(opened.db, { key }).finally(() => (met = true))
    const beside = atOnce(40).then(() => 'answered')
    // Sooner than the lock is given up.
    expect(await Promise.race([beside, pause(1500, 'held up', { ref: false })])).toBe('answered')
    expect(met).toBe(false)
    return { lettingGo: () => waiting }
  })
  expect((await lettingGo()).rows).toEqual([{ failures: 2 }])
})
