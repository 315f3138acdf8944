import { promises as fs } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { sql } from 'kysely'
import { FileMigrationProvider, Migrator } from 'kysely/migration'
import type { Db } from './schema.ts'

const FOLDER = fileURLToPath(new URL('../../migrations', import.meta.url))

function migrator(db: Db): Migrator {
  return new Migrator({
    db,
    provider: new FileMigrationProvider({ fs, path, migrationFolder: FOLDER }),
  })
}

/**
 * Brings the schema up to date, under an advisory lock, so that of instances starting together one migrates.
 * @returns names of the migrations that ran
 */
export async function migrate(db: Db): Promise<string[]> {
  const { error, results = [] } = await migrator(db).migrateToLatest()
  if (error) throw error
  return results.map(({ migrationName }) => migrationName)
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
