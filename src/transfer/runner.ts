import type { SignerKeys } from '../accounts/signer-keys.ts'
import { inCircumstances } from '../audit/circumstances.ts'
import { retrying } from '../db/faults.ts'
import type { Db } from '../db/schema.ts'
import { type Batch, readBatches } from './batches.ts'
import type { Claims } from './claims.ts'
import { readerOf } from './formats.ts'
import type { Claimed } from './job.ts'
import type { RowRules } from './rows.ts'
import type { Source } from './source.ts'
import {
  type BatchWriterDeps,
  createBatchWriter,
  createSeenNames,
  type SeenNames,
} from './write-batch.ts'

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
  rules: Omit<RowRules, 'firebase' | 'signerKeys'>
  signerKeys: Pick<SignerKeys, 'ids'>
}

/**
 * Works through an import from where it stands: batch by batch, each in one transaction with the place it leads
 * to. So whatever ends it, it goes on behind the last row that is written, and no row is written twice.
 */
export function createRunner(deps: Dependencies) {
  const { db, claims } = deps
  const writer = createBatchWriter(deps)

  /** Writes a batch, and with it the place behind it. */
  async function write(job: Claimed, { rows, failures, end }: Batch, seen: SeenNames) {
    const rules = { importId: job.id, dryRun: job.dryRun, update: job.update }
    // What a dry run notes of its rows isn't undone with a transaction, so it is none that is tried again.
    const judged = job.dryRun ? await writer.write(db, rows, rules, seen) : undefined
    return retrying(() =>
      db.transaction().execute(async (trx) => {
        await claims.hold(trx, job)
        const written = judged ?? (await writer.write(trx, rows, rules, seen))
        const all = { ...written, failures: [...failures, ...written.failures] }
        await claims.moveOn(trx, job, end, all)
        return all
      }),
    )
  }

  /** @returns why the rest couldn't be read; null when all was */
  async function workThrough(
    claimed: Claimed,
    source: Source,
    { onProgress, signal }: Watching,
  ): Promise<string | null> {
    const { firebase } = claimed.options
    const signerKeys = await deps.signerKeys.ids()
    const rules: RowRules = { ...deps.rules, firebase, signerKeys }
    const seen = createSeenNames()
    const from = { bytes: claimed.bytesDone, lines: claimed.linesDone }
    let job = claimed
    let error: string | null = null

    async function writeNext(batch: Batch): Promise<void> {
      const { created, updated, failures } = await write(job, batch, seen)
      job = {
        ...job,
        bytesDone: batch.end.bytes,
        created: job.created + created,
        updated: job.updated + updated,
        failed: job.failed + failures.length,
      }
      onProgress?.({ ...job, bytesTotal: source.size })
    }

    // One batch is read while the one before it is written.
    let writing = Promise.resolve()
    for await (const batch of readBatches(readerOf(job.format)(source, from), rules, from)) {
      await writing
      signal?.throwIfAborted()
      error = batch.error
      writing = writeNext(batch)
      // It is waited for below, or before the next one.
      writing.catch(() => {})
    }
    await writing
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
