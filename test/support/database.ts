import { randomBytes } from 'node:crypto'
import { Kysely, PostgresDialect } from 'kysely'
import { Client, Pool } from 'pg'
import { inject } from 'vitest'
import type { Database, Db } from '../../src/db/schema.ts'

export interface TestDatabase {
  db: Db
  url: string
  destroy(): Promise<void>
}

/** A database of its own for one test file, copied from the migrated template; of `template1`, it is empty. */
export async function createTestDatabase(template = 'sallyport_template'): Promise<TestDatabase> {
  const admin = inject('postgresUrl')
  const name = `test_${randomBytes(6).toString('hex')}`
  await run(admin, `create database ${name} template ${template}`)
  const url = Object.assign(new URL(admin), { pathname: `/${name}` }).href
  const pool = new Pool({ connectionString: url, max: 5 })
  pool.on('error', () => {})
  const db = new Kysely<Database>({ dialect: new PostgresDialect({ pool }) })
  return {
    db,
    url,
    async destroy() {
      await db.destroy()
      await run(admin, `drop database if exists ${name} with (force)`)
    },
  }
}

/** A second database that is as the first one is at this moment: a backup, brought back. */
export async function snapshotOf({ url }: TestDatabase): Promise<TestDatabase> {
  const admin = inject('postgresUrl')
  const name = new URL(url).pathname.slice(1)
  // Nothing may be connected to what is copied; whoever was comes back by itself.
  await run(admin, `alter database ${name} allow_connections false`)
  try {
    await run(
      admin,
      `select pg_terminate_backend(pid, 5000) from pg_stat_activity where datname = '${name}'`,
    )
    return await createTestDatabase(name)
  } finally {
    await run(admin, `alter database ${name} allow_connections true`)
  }
}

async function run(url: string, statement: string): Promise<void> {
  const client = new Client({ connectionString: url })
  await client.connect()
  try {
    await client.query(statement)
  } finally {
    await client.end()
  }
}
