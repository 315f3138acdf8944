import { isPassing } from '../db/faults.ts'
import { Unavailable } from '../errors.ts'

/** What an error means to the operator: sentences without a stack. */
export function explain(error: unknown): string {
  if (error instanceof Unavailable) return outOfReach(error.cause)
  if (isPassing(error)) return outOfReach(error)
  if (error instanceof Error) return error.message || error.name
  return 'The command failed.'
}

function outOfReach(cause: unknown): string {
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : ''
  // Only a Unix socket can be missing: that of the embedded database.
  if (code === 'ENOENT') {
    return 'The process that held the embedded database has just ended. Run the command again.'
  }
  const message = cause instanceof Error ? cause.message : ''
  return `The database is out of reach (${code || message || 'no reason given'}). Check that it runs and can be reached from here, and DATABASE_URL.`
}
