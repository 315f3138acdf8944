import type { ColumnType, Generated } from 'kysely'
import type { BigInt8 } from './int8.ts'

export type ImportState = 'uploading' | 'waiting' | 'running' | 'done' | 'failed' | 'cancelled'

export interface ImportJobTable {
  id: string
  /** a file that the command line reads, or content in `import_chunk` */
  source: 'file' | 'upload'
  /** hash that a file is known by when its import is resumed */
  fingerprint: string | null
  format: string
  options: ColumnType<Record<string, unknown>, string, never>
  dry_run: boolean
  state: ImportState
  chunks: Generated<number>
  bytes_total: BigInt8
  /** where the next row begins: what stands before it is written, or told of in `import_failure` */
  bytes_done: BigInt8
  lines_done: BigInt8
  created: Generated<number>
  updated: Generated<number>
  failed: Generated<number>
  /** why the rest couldn't be read */
  error: string | null
  /** whoever works on it: a word that only they know */
  runner: string | null
  lease_until: Date | null
  /** since it last came further */
  tries: Generated<number>
  /** actor, as in the audit trail */
  created_by: string
  created_at: Date
  updated_at: Date
}

export interface ImportFailureTable {
  job_id: string
  line: BigInt8
  /** a sentence that quotes nothing of the row */
  reason: string
}

export interface ImportChunkTable {
  job_id: string
  seq: number
  /** sealed */
  content: Buffer
}
