import { setImmediate } from 'node:timers/promises'
import { usernameKey } from '../accounts/account.ts'
import { Refusal } from '../errors.ts'
import { type RowRules, readRow } from './rows.ts'
import type { Item, Position } from './text.ts'
import type { Failure, NumberedRow } from './write-batch.ts'

/** Rows that are written together. */
export interface Batch {
  /** no two of the same name */
  rows: NumberedRow[]
  /** those that can't be read */
  failures: Failure[]
  /** where reading goes on behind them */
  end: Position
  /** why what follows can't be read; null when it can, or nothing follows */
  error: string | null
}

const BATCH_ROWS = 500
/** A server has others to answer between as many rows. */
const ROWS_AT_A_TIME = 25

/**
 * Puts items together to batches. One ends early before a name that it has already: what is written of a name is
 * looked at by its next row.
 */
export async function* readBatches(
  items: AsyncIterable<Item>,
  rules: RowRules,
  from: Position,
): AsyncGenerator<Batch> {
  const names = new Set<string>()
  let batch = empty(from)
  let count = 0

  function next(): Batch {
    const done = batch
    batch = empty(done.end)
    names.clear()
    return done
  }

  try {
    for await (const item of items) {
      if (++count % ROWS_AT_A_TIME === 0) await setImmediate()
      const row = item.fault === undefined ? readRow(item.input, rules) : { fault: item.fault }
      const name = 'fault' in row ? undefined : usernameKey(row.username)
      const isFull = batch.rows.length + batch.failures.length >= BATCH_ROWS
      if (isFull || (name !== undefined && names.has(name))) yield next()
      if ('fault' in row) batch.failures.push({ line: item.line, reason: row.fault })
      else batch.rows.push({ line: item.line, row })
      if (name !== undefined) names.add(name)
      batch.end = item.end
    }
  } catch (cause) {
    if (!(cause instanceof Refusal)) throw cause
    batch.error = cause.message
  }
  yield next()
}

function empty(end: Position): Batch {
  return { rows: [], failures: [], end, error: null }
}
