import { sql } from 'kysely'
import { Pool } from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { migrate } from '../../src/db/migrate.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'

let database: TestDatabase
beforeAll(async () => {
  database = await createTestDatabase('template1')
})
afterAll(() => database.destroy())

const run = () => migrate(new Pool({ connectionString: database.url, max: 1 }))

async function tables(): Promise<unknown[]> {
  const { rows } = await sql`
    select relname from pg_class
    where relkind = 'r' and relnamespace = 'public'::regnamespace`.execute(database.db)
  return rows
}

test('a migration that fails leaves the schema as it was, and no lock; the next one goes well (AVL-18)', async () => {
  // In the way of the last ones, when most have run.
  await sql`create table import_job (id text)`.execute(database.db)
  const before = await tables()
  await expect(run()).rejects.toThrow('relation "import_job" already exists')
  expect(await tables()).toEqual(before)
  // Those of other databases on the server are other tests'.
  const { rows } = await sql`
    select from pg_locks join pg_database on pg_database.oid = database
    where locktype = 'advisory' and datname = current_database()`.execute(database.db)
  expect(rows).toEqual([])
  await sql`drop table import_job`.execute(database.db)
  const ran = await Promise.all([run(), run()])
  expect(ran.map(({ length }) => length > 0).toSorted()).toEqual([false, true])
})
