import { randomBytes } from 'node:crypto'
import { Client, Pool } from 'pg'
import { afterAll, beforeAll, expect, inject, test } from 'vitest'
import { migrate } from '../../src/db/migrate.ts'

const name = `unmigrated_${randomBytes(6).toString('hex')}`
let admin: Client
let client: Client
let url: string

beforeAll(async () => {
  admin = new Client({ connectionString: inject('postgresUrl') })
  await admin.connect()
  await admin.query(`create database ${name}`)
  url = Object.assign(new URL(inject('postgresUrl')), { pathname: `/${name}` }).href
  client = new Client({ connectionString: url })
  await client.connect()
})
afterAll(async () => {
  await client.end()
  await admin.query(`drop database ${name} with (force)`)
  await admin.end()
})

const tables = async () =>
  (
    await client.query(
      "select relname from pg_class where relkind = 'r' and relnamespace = 'public'::regnamespace",
    )
  ).rows

test('a migration that fails leaves the schema as it was, and no lock; the next one goes well (AVL-18)', async () => {
  // In the way of the last ones, when most have run.
  await client.query('create table import_job (id text)')
  const before = await tables()
  await expect(migrate(new Pool({ connectionString: url, max: 1 }))).rejects.toThrow(
    'relation "import_job" already exists',
  )
  expect(await tables()).toEqual(before)
  const { rows } = await client.query("select from pg_locks where locktype = 'advisory'")
  expect(rows).toEqual([])
  await client.query('drop table import_job')
  const ran = await Promise.all(
    [0, 1].map(() => migrate(new Pool({ connectionString: url, max: 1 }))),
  )
  expect(ran.map(({ length }) => length > 0).toSorted()).toEqual([false, true])
})
