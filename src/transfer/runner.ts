import { setImmediate } from 'node:timers/promises'
import { usernameKey } from '../accounts/account.ts'
import { inCircumstances } from '../audit/circumstances.ts'
import { retrying } from '../db/faults.ts'
import type { Db } from '../db/schema.ts'
import { Refusal } from '../errors.ts'
import type { Claims } from './claims.ts'
import { readerOf } from './formats.ts'
import type { Claimed } from './job.ts'
import { type RowRules, readRow } from './rows.ts'
import type { Source } from './source.ts'
import type { Position } from './text.ts'
import {
  type BatchWriterDeps,
  createBatchWriter,
  createSeenNames,
  type Failure,
  type NumberedRow,
} from './write-batch.ts'

/** Rows of one transaction. */
export const BATCH_ROWS = 500
/** A server has others to answer between as many rows. */
const ROWS_AT_A_TIME = 25

export interface Progress {
  bytesDone: number
  bytesTotal: number
  created: number
  updated: number
  failed: number
}

export interface Watching {
  onProgress?: ((progress: Progress) => void) | undefined
  /** stops it behind the batch that is being written; it can be taken up again */
  signal?: AbortSignal | undefined
}

interface Dependencies extends BatchWriterDeps {
  db: Db
  claims: Claims
  rules: Omit<RowRules, 'firebase'>
}

/**
 * Works through an import from where it stands: batch by batch, each in one transaction with the place it leads
 * to. So whatever ends it, it goes on behind the last row that is written, and no row is written twice.
 */
export function createRunner(deps: Dependencies) {
  const { db, claims } = deps
  const writer = createBatchWriter(deps)

  async function workThrough(
    job: Claimed,
    source: Source,
    { onProgress, signal }: Watching,
  ): Promise<string | null> {
    const rules: RowRules = { ...deps.rules, firebase: job.options.firebase }
    const { id: importId, dryRun, update } = job
    const seen = createSeenNames()
    let position: Position = { bytes: job.bytesDone, lines: job.linesDone }
    let rows: NumberedRow[] = []
    let names = new Set<string>()
    let failures: Failure[] = []
    let { created, updated, failed } = job

    async function flush(): Promise<void> {
      const done = await retrying(() =>
        db.transaction().execute(async (trx) => {
          await claims.hold(trx, job)
          const written = await writer.write(trx, rows, { importId, dryRun, update }, seen)
          const all = { ...written, failures: [...failures, ...written.failures] }
          await claims.moveOn(trx, { ...job, failed }, position, all)
          return all
        }),
      )
      created += done.created
      updated += done.updated
      failed += done.failures.length
      rows = []
      names = new Set()
      failures = []
      onProgress?.({
        bytesDone: position.bytes,
        bytesTotal: source.size,
        created,
        updated,
        failed,
      })
      signal?.throwIfAborted()
    }

    let error: string | null = null
    try {
      let count = 0
      for await (const item of readerOf(job.format)(source, position)) {
        if (++count % ROWS_AT_A_TIME === 0) await setImmediate()
        const row = item.fault === undefined ? readRow(item.input, rules) : { fault: item.fault }
        const key = 'fault' in row ? undefined : usernameKey(row.username)
        // What is written of a name is looked at by its next row.
        const full = rows.length + failures.length >= BATCH_ROWS
        if (full || (key !== undefined && names.has(key))) await flush()
        if ('fault' in row) failures.push({ line: item.line, reason: row.fault })
        else {
          rows.push({ line: item.line, row })
          names.add(usernameKey(row.username))
        }
        position = item.end
      }
    } catch (cause) {
      if (!(cause instanceof Refusal) || cause.code === 'import_taken_over') throw cause
      error = cause.message
    }
    await flush()
    return error
  }

  return {
    /** @throws Refusal when somebody else took it up meanwhile, or it was cancelled; the signal's reason when it was stopped */
    async run(job: Claimed, source: Source, watching: Watching = {}): Promise<void> {
      const actor = { actor: job.createdBy, requestId: null, address: null }
      await inCircumstances(actor, async () => {
        await claims.finish(job, await workThrough(job, source, watching))
      })
    },
  }
}
