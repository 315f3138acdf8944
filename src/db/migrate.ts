import { promises as fs } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Dialect, Kysely, PostgresDialect, type PostgresPool, sql } from 'kysely'
import { FileMigrationProvider, Migrator } from 'kysely/migration'
import type { Database, Db } from './schema.ts'

const FOLDER = fileURLToPath(new URL('../../migrations', import.meta.url))

function migrator(db: Db): Migrator {
  return new Migrator({
    db,
    provider: new FileMigrationProvider({ fs, path, migrationFolder: FOLDER }),
  })
}

/** The one Kysely takes by itself, as former versions did, which may start at the same time. */
const LOCK = sql.lit('3853314791062309107')

/**
 * Brings the schema up to date: all of it or nothing, in one transaction, under an advisory lock, so that of
 * instances starting together one migrates. Lock and limits belong to the transaction and not to the session,
 * which behind a pooler is somebody else's a moment later.
 *
 * @param pool is ended
 * @returns names of the migrations that ran
 */
export async function migrate(pool: PostgresPool): Promise<string[]> {
  const db = new Kysely<Database>({ dialect: withoutSessionLock(pool) })
  try {
    return await db.transaction().execute(async (trx) => {
      await sql`select set_config('statement_timeout', '0', true), set_config('lock_timeout', '0', true),
        set_config('idle_in_transaction_session_timeout', '0', true)`.execute(trx)
      await sql`select pg_advisory_xact_lock(${LOCK}::bigint)`.execute(trx)
      const { error, results = [] } = await migrator(trx).migrateToLatest()
      if (error) throw error
      return results.map(({ migrationName }) => migrationName)
    })
  } finally {
    await db.destroy()
  }
}

/** Kysely would lock for the session: one that a pooler hands on stays locked. */
function withoutSessionLock(pool: PostgresPool): Dialect {
  const dialect = new PostgresDialect({ pool })
  const adapter = Object.assign(dialect.createAdapter(), {
    acquireMigrationLock: async () => {},
    releaseMigrationLock: async () => {},
  })
  return Object.assign(dialect, { createAdapter: () => adapter })
}

/** Names of the migrations that have not run yet. */
export async function pendingMigrations(db: Db): Promise<string[]> {
  const known = await migrator(db).getMigrations()
  return known.filter(({ executedAt }) => executedAt === undefined).map(({ name }) => name)
}

const OLDEST_VERSION = 15

/** @throws Error with a sentence for the operator when the server is older than PostgreSQL 15 */
export async function assertVersion(db: Db): Promise<void> {
  const { rows } = await sql<{ version: number }>`
    select current_setting('server_version_num')::int / 10000 as version`.execute(db)
  const version = rows[0]?.version ?? 0
  if (version >= OLDEST_VERSION) return
  throw new Error(
    `DATABASE_URL leads to PostgreSQL ${version}; Sallyport needs ${OLDEST_VERSION} or later.`,
  )
}
