import { randomBytes } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import { sql } from 'kysely'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { createFingerprints } from '../../src/crypto/fingerprints.ts'
import { createVault } from '../../src/crypto/vault.ts'
import { type OpenDatabase, openDatabase } from '../../src/db/client.ts'
import { databaseClock } from '../../src/db/clock.ts'
import { type PlaceOf, shared, unwaiting } from '../../src/db/prepared.ts'
import type { Db } from '../../src/db/schema.ts'
import { createLog } from '../../src/log.ts'
import { type Batch, NOTHING } from '../../src/oidc/batch.ts'
import type { Written } from '../../src/oidc/record-writes.ts'
import { createRecords } from '../../src/oidc/records.ts'
import { recordKey, type StoredPayload } from '../../src/oidc/sealed-records.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { startForgetfulPooler } from '../support/forgetful-pooler.ts'
import { startTcpProxy } from '../support/tcp-proxy.ts'

let database: TestDatabase
let opened: OpenDatabase

async function open(url: string): Promise<void> {
  opened = await openDatabase({ url, dataDir: '', poolSize: 8 }, createLog('silent', false))
  // Whether a pooler is in between, is known from the first connection on.
  await sql`select`.execute(opened.db)
}

beforeAll(async () => {
  database = await createTestDatabase()
})
beforeEach(() => open(database.url))
afterEach(() => opened.close())
afterAll(() => database.destroy())

const sharing = shared((place: PlaceOf<{ divisor: number }>, on) =>
  sql<{ pid: number }>`
    select pg_backend_pid() as pid, 1 / ${place('divisor')}::int as quotient`.compile(on),
)
const pidOf = async (on: Db = opened.db, divisor = 1) =>
  (await sharing(on, { divisor })).rows[0]?.pid

const atOnce = (count: number) => Promise.all(Array.from({ length: count }, () => pidOf()))

/** Whether those that are asked at once with what is asked first are answered sooner than a lock is given up. */
async function goOnBeside(ask: () => void): Promise<boolean> {
  // Only what is known to lead to the server is shared.
  await atOnce(40)
  ask()
  return Promise.race([atOnce(40).then(() => true), pause(1500, false, { ref: false })])
}

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

  test('do over the others where of one it can’t be found out, and that one isn’t kept', async () => {
    await opened.close()
    const proxy = await startTcpProxy(Number(new URL(database.url).port))
    await open(proxy.url(database.url))
    await opened.db.transaction().execute(async () => {
      proxy.refuseLook()
      const { rows } = await sql<{ pid: number }>`select pg_backend_pid() as pid`.execute(opened.db)
      expect(await pidOf()).not.toBe(rows[0]?.pid)
    })
    expect(new Set(await atOnce(16)).size).toBe(1)
    await opened.close()
    await proxy.stop()
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
  let waiting: ReturnType<typeof holding> | undefined
  await opened.db.transaction().execute(async (trx) => {
    await sql`update sign_in_attempt set failures = 2 where key = ${key}`.execute(trx)
    const ask = () => {
      waiting = holding(opened.db, { key }).finally(() => (met = true))
    }
    expect(await goOnBeside(ask)).toBe(true)
    expect(met).toBe(false)
  })
  expect((await waiting)?.rows).toEqual([{ failures: 2 }])
})

test('what takes back or removes more than it holds waits for a lock alone, too', async () => {
  const { write } = createRecords({
    db: opened.db,
    vault: createVault([randomBytes(32)]),
    clock: databaseClock,
    fingerprint: createFingerprints(randomBytes(32)),
  })
  const record = (model: string, payload: StoredPayload) => {
    const key = recordKey(model, model)
    return { key, model, payload, expiresIn: 60, givenIn: undefined, userCodeKey: undefined }
  }
  const token = record('AccessToken', { grantId: 'of the token' })
  const session = record('Session', {})
  await write({ ...NOTHING, upserts: [token, session] })
  const without: Array<Partial<Batch>> = [
    { revokedGrants: [recordKey('Grant', 'of the token')] },
    { destroyed: [session.key] },
  ]
  const waiting: Array<Promise<Written>> = []
  await opened.db.transaction().execute(async (trx) => {
    await sql`select from oidc_record for update`.execute(trx)
    for (const batch of without)
      expect(await goOnBeside(() => waiting.push(write({ ...NOTHING, ...batch })))).toBe(true)
  })
  expect(await Promise.all(waiting)).toEqual(['stored', 'stored'])
  expect((await sql`select from oidc_record`.execute(opened.db)).rows).toEqual([])
})
