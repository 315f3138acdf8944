import type { PostgresPoolClient } from 'kysely'
import { DatabaseError, type PoolClient } from 'pg'
import { tracedWithin, type Work } from '../tracing.ts'
import { assertInTime } from './deadline.ts'
import { isPassing } from './faults.ts'
import type { NamedClient, NamedStatements } from './named.ts'

export type Connection = ReturnType<typeof connectionOver>

/** Told how long each statement took, and if it failed, whether waiting helps. */
export type OnStatementEnd = (seconds: number, failed?: 'passing' | 'lasting') => void

/** What is used of a client of `pg`. */
type Client = PostgresPoolClient & NamedClient & Pick<PoolClient, 'connection'>

/**
 * A connection as long as it is held. After a time-out `pg` would hand it out again, and whatever comes next would
 * wait behind the statement that got no answer: so one that stopped answering isn't given back.
 */
export function connectionOver(
  client: Client,
  named?: NamedStatements,
  onStatementEnd?: OnStatementEnd,
) {
  let fault: unknown
  const send = named?.over(client)

  async function ask<R>(sql: string, parameters: readonly unknown[]) {
    // Theirs who met it, and who end their transaction; to others it says no more than that the connection is gone.
    if (fault) throw ENDING.test(sql) ? fault : new Error('Connection terminated', { cause: fault })
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
      if (!(error instanceof DatabaseError) || ENDED.test(error.code ?? '')) fault = error
      throw error
    }
  }

  const { stream } = client.connection
  return {
    ask,
    /** Keeps what is asked until `send`. */
    hold: () => stream.cork(),
    send: () => stream.uncork(),
    release: (destroy?: boolean) => client.release(destroy || fault !== undefined),
  }
}

/** PostgreSQL's last words over a connection that it ends: operator intervention, such as a shutdown. */
const ENDED = /^57P/

/** However late, a transaction that was begun is ended, and its connection free for the next. */
const ENDING = /^(commit|rollback)/i

/** Enough to know a statement by; the longest have some 4,000 characters. */
const LONGEST_TEXT = 1000

/** Its text has places for parameters and not their values. */
export function statementWork(sql: string): Work {
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
