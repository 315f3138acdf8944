import { sql } from 'kysely'
import { z } from 'zod'
import type { ImportState } from '../db/tables/transfer.ts'
import type { ImportFormat } from './formats.ts'

/** How an import stands. */
export interface ImportJob {
  id: string
  source: 'file' | 'upload'
  format: ImportFormat
  dryRun: boolean
  update: boolean
  state: ImportState
  bytesTotal: number
  bytesDone: number
  created: number
  updated: number
  failed: number
  /** why the rest couldn't be read */
  error: string | null
  createdBy: string
  createdAt: Date
  updatedAt: Date
}

/** What a runner needs to know beside. */
export interface Claimed extends ImportJob {
  /** word of whoever works on it now */
  runner: string
  linesDone: number
  options: ImportOptions
}

export const optionsShape = z.object({
  update: z.boolean(),
  firebase: z
    .object({
      keyId: z.string(),
      saltSeparator: z.string(),
      rounds: z.number(),
      memCost: z.number(),
    })
    .optional(),
})
export type ImportOptions = z.infer<typeof optionsShape>

/** An `ImportJob` as it is selected. */
export const JOB_COLUMNS = sql`id, source, format, dry_run as "dryRun", (options->>'update')::bool as "update", state,
  bytes_total::float8 as "bytesTotal", bytes_done::float8 as "bytesDone", created, updated, failed, error,
  created_by as "createdBy", created_at as "createdAt", updated_at as "updatedAt"`
