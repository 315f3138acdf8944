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
])

/** What `pg` says without a code. */
const PASSING_MESSAGES =
  /^(timeout exceeded when trying to connect|Connection terminated|Query read timeout|Client has encountered a connection error|Cannot use a pool after)/

/** Whether an error means that the database can't serve just now, rather than that we asked something wrong. */
export function isPassing(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  if (error instanceof TimeIsUp) return true
  const code = codeOf(error)
  return PASSING.has(code) || code.startsWith('08') || PASSING_MESSAGES.test(error.message)
}

/** The error to throw on: `Unavailable` where waiting helps, else the error itself. */
export function asUnavailable(error: unknown): unknown {
  return isPassing(error) ? new Unavailable(error) : error
}

/** Whether a statement that waits for nobody met a lock. */
export const isLocked = (error: unknown): boolean => codeOf(error) === '55P03'

const RETRIED = new Set(['40001', '40P01'])
const RETRIES = 4

/** Whether a statement was given up for its values, or for what others did to its rows, and not for the database. */
export const isOfItsRows = (error: unknown): boolean =>
  isLocked(error) || RETRIED.has(codeOf(error)) || !isPassing(error)

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
