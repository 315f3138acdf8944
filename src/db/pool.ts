import type { PostgresCursor, PostgresPool, PostgresPoolClient, PostgresQueryResult } from 'kysely'
import { DatabaseError, Pool, type PoolConfig } from 'pg'
import type { Log } from '../log.ts'
import type { PoolLoad } from '../service-metrics.ts'
import { tracedWithin, type Work } from '../tracing.ts'
import { assertInTime } from './deadline.ts'
import { isPassing } from './faults.ts'
import { createNamedStatements, type NamedClient, type NamedStatements } from './named.ts'

/** Told how long each statement took, and if it failed, whether waiting helps. */
export type OnStatementEnd = (seconds: number, failed?: 'passing' | 'lasting') => void

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
  // A lost connection tells by an event that without a listener would end the process: while it is idle by
  // one of the pool, while it is in use by its own.
  pool.on('error', () => {})
  pool.on('connect', (client) => {
    client.on('error', (error) => log.warn({ error }, 'a database connection was lost'))
  })
  const named = createNamedStatements(() =>
    log.warn('a pooler in front of the database loses prepared statements, so none are used'),
  )
  return {
    ...withoutDeaf(pool, more, more.ownSessions ? named : undefined),
    load: () => ({
      used: pool.totalCount - pool.idleCount,
      idle: pool.idleCount,
      waiting: pool.waitingCount,
      most: pool.options.max ?? 0,
    }),
  }
}

/**
 * After a time-out `pg` would hand the connection out again, and whatever comes next would wait behind the
 * statement that got no answer.
 */
function withoutDeaf(
  pool: Pool,
  { restore, onStatementEnd }: More,
  named?: NamedStatements,
): PostgresPool {
  async function connect() {
    assertInTime()
    try {
      return await pool.connect()
    } catch (error) {
      if (!restore || !isGone(error)) throw error
      await restore()
      return pool.connect()
    }
  }

  return {
    options: pool.options,
    connect: async () => leaveWhenDeaf(await connect(), named, onStatementEnd),
    end: () => pool.end(),
  }
}

/** Nobody listens there. */
function isGone(error: unknown): boolean {
  return (
    error instanceof Error &&
    'code' in error &&
    (error.code === 'ENOENT' || error.code === 'ECONNREFUSED')
  )
}

function leaveWhenDeaf(
  client: PostgresPoolClient & NamedClient,
  named?: NamedStatements,
  onStatementEnd?: OnStatementEnd,
): PostgresPoolClient {
  let fault: unknown
  const send = named?.over(client)

  async function ask<R>(sql: string, parameters: readonly unknown[]) {
    if (fault) throw fault
    if (!ENDING.test(sql)) assertInTime()
    const began = performance.now()
    const took = () => (performance.now() - began) / 1000
    try {
      const result = await tracedWithin(
        () => statementWork(sql),
        () => (send ? send<R>(sql, parameters) : client.query<R>(sql, parameters)),
      )
      onStatementEnd?.(took())
      return result
    } catch (error) {
      onStatementEnd?.(took(), isPassing(error) ? 'passing' : 'lasting')
      if (!(error instanceof DatabaseError)) fault = error
      throw error
    }
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

  return { query, release: (destroy) => client.release(destroy || fault !== undefined) }
}

/** However late, a transaction that was begun is ended, and its connection free for the next. */
const ENDING = /^(commit|rollback)/i

/** Enough to know a statement by; the longest have some 4,000 characters. */
const LONGEST_TEXT = 1000

/** Its text has places for parameters and not their values. */
function statementWork(sql: string): Work {
  const text = sql.replace(/\s+/g, ' ').trim()
  const operation = /^\w+/.exec(text)?.[0].toUpperCase() ?? 'SQL'
  return {
    name: operation,
    kind: 'client',
    attributes: {
      'db.system.name': 'postgresql',
      'db.operation.name': operation,
      'db.query.text': text.slice(0, LONGEST_TEXT),
    },
  }
}
