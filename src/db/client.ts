import { Kysely, PostgresDialect, sql } from 'kysely'
import { type PoolConfig, types } from 'pg'
import type { Log } from '../log.ts'
import type { PoolLoad } from '../service-metrics.ts'
import type { OnStatementEnd } from './connection.ts'
import { openEmbedded } from './embedded.ts'
import { assertVersion, migrate, pendingMigrations } from './migrate.ts'
import { createPool } from './pool.ts'
import type { Database, Db } from './schema.ts'

export interface OpenDatabase {
  db: Db
  /** Runs the migrations that are due, without the time limits that requests have. */
  migrate(): Promise<string[]>
  /** how its pool stands just now */
  load(): PoolLoad
  /** Names of settings that a connection should begin with and doesn't, as where a pooler leaves them out. */
  missingLimits(): Promise<string[]>
  close(): Promise<void>
}

/** How every connection begins. */
const SESSION: PoolConfig = {
  connectionTimeoutMillis: 3000,
  keepAlive: true,
  application_name: 'sallyport',
  // Every statement that decides something is written for this level, whatever the server's default is.
  options: '-c default_transaction_isolation=read\\ committed',
}

/** Waits that keep one slow thing from holding up every request: a caller hears "not now" within about 3 s. */
const LIMITS: PoolConfig = {
  ...SESSION,
  statement_timeout: 2500,
  lock_timeout: 2000,
  idle_in_transaction_session_timeout: 10_000,
  query_timeout: 4000,
  idleTimeoutMillis: 30_000,
}

export interface DatabaseSettings {
  /** PostgreSQL; without it, the embedded database in `dataDir` */
  url: string | undefined
  dataDir: string
  poolSize: number
  /** called with each statement sent, for counting them */
  onStatement?: (sql: string) => void
  onStatementEnd?: OnStatementEnd
}

export async function openDatabase(settings: DatabaseSettings, log: Log): Promise<OpenDatabase> {
  const embedded = settings.url === undefined ? await openEmbedded(settings.dataDir) : undefined
  const connection = embedded
    ? { host: embedded.host, user: 'postgres', database: 'postgres', ssl: false }
    : { connectionString: withoutSettings(settings.url) }
  // The embedded database has one session for all connections, which would know each other's statements.
  const ownSessions = embedded === undefined
  const pool = createPool({ ...LIMITS, max: settings.poolSize, types, ...connection }, log, {
    restore: embedded?.restore,
    ownSessions,
    onStatementEnd: settings.onStatementEnd,
  })
  const { onStatement } = settings
  const db = new Kysely<Database>({
    dialect: new PostgresDialect({ pool }),
    ...(onStatement && { log: (event) => onStatement(event.query.sql) }),
  })
  return {
    db,
    async migrate() {
      await assertVersion(db)
      if ((await pendingMigrations(db)).length === 0) return []
      return migrate(createPool({ ...SESSION, max: 1, types, ...connection }, log, { ownSessions }))
    },
    load: () => pool.load(),
    // The embedded database has no sessions of its own to limit.
    missingLimits: async () => (embedded ? [] : missingLimits(db)),
    async close() {
      await db.destroy()
      await embedded?.close()
    },
  }
}

async function missingLimits(db: Db): Promise<string[]> {
  const { rows } = await sql<{ name: string }>`
    select name from pg_settings
    where (name in ('statement_timeout', 'lock_timeout', 'idle_in_transaction_session_timeout') and setting = '0')
      or (name = 'default_transaction_isolation' and setting <> 'read committed')
    order by name`.execute(db)
  return rows.map(({ name }) => name)
}

/** Parameters of a URL that would take precedence over our own time-outs. */
const OURS = [
  'statement_timeout',
  'lock_timeout',
  'query_timeout',
  'idle_in_transaction_session_timeout',
]

/** The URL without time-outs of its own, and with our session settings behind its `options`, where they win. */
function withoutSettings(url: string | undefined): string | undefined {
  const parsed = URL.parse(url ?? '')
  if (!parsed) return url
  for (const name of OURS) parsed.searchParams.delete(name)
  const options = parsed.searchParams.get('options')
  if (options) parsed.searchParams.set('options', `${options} ${SESSION.options}`)
  return parsed.href
}
