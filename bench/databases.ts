import { Kysely, PostgresDialect, sql } from 'kysely'
import { Pool } from 'pg'
import type { Database, Db } from '../src/db/schema.ts'
import { startPostgres } from '../test/support/postgres.ts'

/** A real PostgreSQL server, and as many migrated databases on it as are asked for. */
export async function startDatabases() {
  const server = await startPostgres()
  const admin = connect(server.url)
  let count = 0

  async function copyOf(template: string) {
    const name = `bench_${++count}`
    await sql`create database ${sql.ref(name)} template ${sql.ref(template)}`.execute(admin)
    const { href: url } = Object.assign(new URL(server.url), { pathname: `/${name}` })
    const db = connect(url)
    return { db, url, destroy: () => db.destroy() }
  }

  return {
    fresh: () => copyOf('sallyport_template'),
    /** Without a schema. */
    empty: () => copyOf('template1'),
    async stop() {
      await admin.destroy()
      await server.stop()
    },
  }
}

/** One connection each: what is asked for one after the other needs no more, and a template is copied by one at a time. */
function connect(url: string): Db {
  const pool = new Pool({ connectionString: url, max: 1, options: '-c jit=off' })
  // Where one run fails, the server stops amid the others.
  pool.on('error', () => {})
  pool.on('connect', (client) => client.on('error', () => {}))
  return new Kysely<Database>({ dialect: new PostgresDialect({ pool }) })
}
