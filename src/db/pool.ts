import type { PostgresCursor, PostgresPool, PostgresPoolClient, PostgresQueryResult } from 'kysely'
import { Pool, type PoolClient, type PoolConfig } from 'pg'
import type { Log } from '../log.ts'
import type { PoolLoad } from '../service-metrics.ts'
import { type Connection, connectionOver, type OnStatementEnd } from './connection.ts'
import { assertInTime } from './deadline.ts'
import { createDirectness, type Directness } from './direct.ts'
import { createNamedStatements, type NamedStatements } from './named.ts'
import { createTogether, isSharing } from './together.ts'

interface More {
  /** brings back a server that isn't there any more; tried once when a connection is refused */
  restore?: (() => Promise<void>) | undefined
  /** whether each connection has a session of its own, so that statements may be prepared on it */
  ownSessions: boolean
  onStatementEnd?: OnStatementEnd | undefined
}

/**
 * A pool that outlives its connections: one that ends, idle or amid a statement, ends neither the process nor
 * any statement but its own, and one that stopped answering isn't used again.
 */
export function createPool(
  config: PoolConfig,
  log: Log,
  more: More,
): PostgresPool & { load(): PoolLoad } {
  const pool = new Pool(config)
  const directness = createDirectness()
  // A lost connection tells by an event that without a listener would end the process: while it is idle by
  // one of the pool, while it is in use by its own.
  pool.on('error', () => {})
  pool.on('connect', (client) => {
    client.on('error', (error) => log.warn({ error }, 'a database connection was lost'))
    // The embedded database takes one statement at a time.
    if (more.ownSessions) void directness.look(client)
  })
  const named = createNamedStatements(() =>
    log.warn('a pooler in front of the database loses prepared statements, so none are used'),
  )
  return {
    ...handingOut(pool, more, named, directness),
    load: () => ({
      used: pool.totalCount - pool.idleCount,
      idle: pool.idleCount,
      waiting: pool.waitingCount,
      most: pool.options.max ?? 0,
    }),
  }
}

/** Hands out connections: some statements share one with others, whatever else is asked has one of its own. */
function handingOut(
  pool: Pool,
  { restore, onStatementEnd, ownSessions }: More,
  named: NamedStatements,
  { isLikely, endOf }: Directness,
): PostgresPool {
  async function taken() {
    try {
      return await pool.connect()
    } catch (error) {
      if (!restore || !isGone(error)) throw error
      await restore()
      return pool.connect()
    }
  }

  const over = (client: PoolClient) =>
    connectionOver(client, ownSessions ? named : undefined, onStatementEnd)
  const together = createTogether(async () => {
    const client = await taken()
    const end = endOf(client)
    if (end === 'server') return over(client)
    client.release(end === 'nothing')
    return undefined
  })

  async function connect(): Promise<PostgresPoolClient> {
    let own: Connection | undefined

    async function ask<R>(sql: string, parameters: readonly unknown[]) {
      if (own) return own.ask<R>(sql, parameters)
      assertInTime()
      if (isLikely() && isSharing(sql)) {
        const answer = await together((connection) => connection.ask<R>(sql, parameters))
        if (answer) return answer
        assertInTime()
      }
      own = over(await taken())
      return own.ask<R>(sql, parameters)
    }

    function query<R>(sql: string, parameters: readonly unknown[]): Promise<PostgresQueryResult<R>>
    function query<R>(cursor: PostgresCursor<R>): PostgresCursor<R>
    function query<R>(
      statement: string | PostgresCursor<R>,
      parameters: readonly unknown[] = [],
    ): Promise<PostgresQueryResult<R>> | PostgresCursor<R> {
      if (typeof statement !== 'string') throw new TypeError('cursors are not used here')
      return ask<R>(statement, parameters)
    }

    return { query, release: (destroy) => own?.release(destroy) }
  }

  return { options: pool.options, connect, end: () => pool.end() }
}

/** Nobody listens there. */
function isGone(error: unknown): boolean {
  return (
    error instanceof Error &&
    'code' in error &&
    (error.code === 'ENOENT' || error.code === 'ECONNREFUSED')
  )
}
