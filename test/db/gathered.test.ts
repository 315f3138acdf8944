import { type RawBuilder, sql } from 'kysely'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { type OpenDatabase, openDatabase } from '../../src/db/client.ts'
import { inTime, TimeIsUp } from '../../src/db/deadline.ts'
import { gathered } from '../../src/db/gathered.ts'
import { createLog } from '../../src/log.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'

let database: TestDatabase
let opened: OpenDatabase
let find: (name: string) => Promise<{ id: string } | undefined>
const statements: string[] = []

beforeEach(async () => {
  database = await createTestDatabase()
  await sql`
    insert into account (id, username, username_key, created_at)
    select 'id' || n, 'name' || n, 'name' || n, now() from generate_series(1, 40) n`.execute(
    database.db,
  )
  opened = await openDatabase(
    {
      url: database.url,
      dataDir: '',
      poolSize: 1,
      onStatement: (text) => void statements.push(text),
    },
    createLog('silent', false),
  )
  const { db } = opened
  find = gathered(db, 'text', (name) =>
    db.selectFrom('account').select('id').where('username_key', '=', name),
  )
  await find('name1')
  statements.length = 0
})
afterEach(async () => {
  vi.restoreAllMocks()
  await opened.close()
  await database.destroy()
})

const ids = async (names: readonly string[]) =>
  (await Promise.all(names.map((name) => find(name)))).map((row) => row?.id)
const names = (count: number) => Array.from({ length: count }, (_, i) => `name${i + 1}`)

describe('look-ups that are asked for at once', () => {
  test('go as one statement, and each gets its own row or none', async () => {
    const asked = ['name3', 'nobody', 'name1', 'name3', '']
    expect(await ids(asked)).toEqual(['id3', undefined, 'id1', 'id3', undefined])
    expect(statements).toHaveLength(1)
  })

  test('go sixteen at a time', async () => {
    const asked = names(40)
    expect(await ids(asked)).toEqual(asked.map((name) => name.replace('name', 'id')))
    expect(statements).toHaveLength(3)
  })

  test('are the plain statement where there is only one', async () => {
    expect([await ids(['name7']), await ids(['nobody'])]).toEqual([['id7'], [undefined]])
    expect(statements).toHaveLength(2)
    for (const statement of statements) expect(statement).toMatch(/^select "id" from "account"/)
  })

  test('fail together with their statement, and the next don’t', async () => {
    const sleeping = gathered(opened.db, 'text', (name: RawBuilder<string>) =>
      opened.db
        .selectFrom('account')
        .select(sql`pg_sleep(60)`.as('slept'))
        .where('username_key', '=', name),
    )
    const lost = Promise.allSettled(names(3).map(sleeping))
    await vi.waitFor(async () => {
      const { rows } = await sql`
        select pg_terminate_backend(pid) from pg_stat_activity
        where query like '%pg_sleep(60)%' and state = 'active' and pid <> pg_backend_pid()`.execute(
        database.db,
      )
      expect(rows).toHaveLength(1)
    })
    expect((await lost).map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected'])
    expect(await ids(names(2))).toEqual(['id1', 'id2'])
  })

  test('are no slower for being asked beside somebody whose time is up (AVL-23)', async () => {
    let later = 0
    const now = performance.now.bind(performance)
    vi.spyOn(performance, 'now').mockImplementation(() => now() + later)
    const outcomes = await opened.db.connection().execute(async (only) => {
      await sql`select`.execute(only)
      const early = inTime(() => find('name1'))
      later = 5000
      const late = inTime(() => find('name2'))
      const both = Promise.allSettled([early, late])
      setTimeout(() => {
        later = 7000
      }, 50)
      await new Promise((passed) => setTimeout(passed, 100))
      return { both }
    })
    expect(await outcomes.both).toEqual([
      { status: 'rejected', reason: expect.any(TimeIsUp) },
      { status: 'fulfilled', value: { id: 'id2' } },
    ])
  })
})
