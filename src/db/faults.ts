import { DatabaseError } from 'pg'
import { Unavailable } from '../errors.ts'
import { TimeIsUp } from './deadline.ts'

/** PostgreSQL error codes that say "not now": the same statement may succeed later. */
const PASSING = new Set([
  '53300', // too many connections
  '53400',
  '53100', // disk full
  '55P03', // lock not available
  '57014', // statement timeout
  '25P03', // ended while idle in a transaction
  '57P01', // terminated by an administrator
  '57P02',
  '57P03', // starting up
  '25006', // read-only
  '40001', // serialization failure, retries used up
  '40P01', // deadlock, retries used up
  '26000', // a pooler lost a prepared statement; the next are sent without
  '42P05',
  'ECONNREFUSED',
  'ECONNRESET',
  'EPIPE',
  'ENOENT', // the embedded database's socket is gone
  'ENOTFOUND',
  'EAI_AGAIN',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'EHOSTDOWN',
  'ENETUNREACH',
  'ENETDOWN',
  'ENETRESET',
  'ECONNABORTED',
  'ENOTCONN',
])

/** Connections as PostgreSQL, TLS and streams call their faults. */
const PASSING_CLASSES = /^(08|ERR_SSL_|ERR_STREAM_)/

/** What `pg` says without a code. */
const PASSING_MESSAGES =
  /^(timeout exceeded when trying to connect|Connection terminated|Query read timeout|Client has encountered a connection error|Cannot use a pool after)/

/** Whether an error means that the database can't serve just now, rather than that we asked something wrong. */
export function isPassing(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  if (error instanceof TimeIsUp) return true
  const code = codeOf(error)
  return PASSING.has(code) || PASSING_CLASSES.test(code) || PASSING_MESSAGES.test(error.message)
}

/** The error to throw on: `Unavailable` where waiting helps, else the error itself. */
export function asUnavailable(error: unknown): unknown {
  return isPassing(error) ? new Unavailable(error) : error
}

/** Whether a statement that waits for nobody met a lock. */
export const isLocked = (error: unknown): boolean => codeOf(error) === '55P03'

const RETRIED = new Set(['40001', '40P01'])
const RETRIES = 4

/** Data that can't be, constraints, and what our functions raise. */
const OF_VALUES = /^(22|23|P0)/

/**
 * Whether the server says that it gave a statement up for its values, or for what others did to its rows: so nothing of it
 * is stored. Of any other fault nobody knows that.
 */
export const isOfItsRows = (error: unknown): boolean =>
  error instanceof DatabaseError &&
  (isLocked(error) || RETRIED.has(codeOf(error)) || OF_VALUES.test(codeOf(error)))

/** Runs a statement again, a bounded number of times, when it lost a deadlock or serialization conflict. */
export async function retrying<T>(work: () => Promise<T>): Promise<T> {
  for (let attempt = 0; ; attempt++) {
    try {
      return await work()
    } catch (error) {
      if (!RETRIED.has(codeOf(error)) || attempt === RETRIES) throw error
    }
  }
}

const codeOf = (error: unknown): string =>
  error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : ''
