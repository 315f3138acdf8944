import { randomBytes } from 'node:crypto'
import { sql } from 'kysely'
import { circumstances } from '../audit/circumstances.ts'
import { auditEntry, type EventType } from '../audit/event.ts'
import { type Clock, later } from '../db/clock.ts'
import type { Db } from '../db/schema.ts'
import type { ImportState } from '../db/tables/transfer.ts'
import { Refusal } from '../errors.ts'
import type { ImportFormat } from './formats.ts'
import { type ImportJob, type ImportOptions, JOB_COLUMNS } from './job.ts'
import type { Failure } from './write-batch.ts'

export type Jobs = ReturnType<typeof createJobs>

export interface NewJob {
  source: 'file' | 'upload'
  format: ImportFormat
  dryRun: boolean
  options: ImportOptions
  fingerprint?: string
  bytesTotal?: number
}

const OPEN_MOST = 10
const KEPT_SECONDS = 30 * 24 * 3600
/** Content that nobody finishes handing over is somebody's data lying about. */
const UPLOAD_SECONDS = 24 * 3600

/** The table `import_job`, and what failed of each. */
export function createJobs({ db, clock }: { db: Db; clock: Clock }) {
  const recorded = (type: EventType, id: string, source = sql``) =>
    auditEntry(clock, { type, detail: { import: id } }, source)

  return {
    /** @throws Refusal when too many are open already */
    async add({
      source,
      format,
      dryRun,
      options,
      fingerprint,
      bytesTotal = 0,
    }: NewJob): Promise<string> {
      const id = randomBytes(16).toString('base64url')
      const state: ImportState = source === 'file' ? 'waiting' : 'uploading'
      const { rows } = await db.transaction().execute(async (trx) => {
        await sql`select pg_advisory_xact_lock(hashtextextended('import_job', 0))`.execute(trx)
        return sql`
          with made as (
            insert into import_job (id, source, fingerprint, format, options, dry_run, state, bytes_total,
              created_by, created_at, updated_at)
            select ${id}, ${source}, ${fingerprint ?? null}, ${format}, ${JSON.stringify(options)}::jsonb, ${dryRun}::bool,
              ${state}, ${bytesTotal}, ${circumstances().actor}, ${clock()}, ${clock()}
            where ${source}::text = 'file' or (
              select count(*) from import_job where source = 'upload' and state in ('uploading', 'waiting', 'running')
            ) < ${OPEN_MOST}
            returning id
          ), noted as (${recorded('import.started', id, sql`from made where not ${dryRun}::bool`)})
          select id from made`.execute(trx)
      })
      if (rows.length > 0) return id
      throw new Refusal(
        'too_many_imports',
        409,
        `There are ${OPEN_MOST} imports that aren't finished. Wait for one, or cancel one.`,
      )
    },

    async find(id: string): Promise<ImportJob | undefined> {
      const { rows } =
        await sql<ImportJob>`select ${JOB_COLUMNS} from import_job where id = ${id}`.execute(db)
      return rows[0]
    },

    /** The newest first. */
    async list(limit: number): Promise<ImportJob[]> {
      const { rows } = await sql<ImportJob>`
        select ${JOB_COLUMNS} from import_job order by created_at desc, id limit ${limit}`.execute(
        db,
      )
      return rows
    },

    /** An import of the same file in the same way that wasn't finished, if there is one. */
    async findUnfinished(fingerprint: string, format: ImportFormat): Promise<string | undefined> {
      const { rows } = await sql<{ id: string }>`
        select id from import_job where fingerprint = ${fingerprint} and format = ${format} and not dry_run
          and state in ('waiting', 'running') order by created_at desc limit 1`.execute(db)
      return rows[0]?.id
    },

    /** @returns whether it was there to be cancelled; rows that are written stay */
    async cancel(id: string): Promise<boolean> {
      const { rows } = await sql`
        with gone as (
          update import_job set state = 'cancelled', runner = null, updated_at = ${clock()}
          where id = ${id} and state in ('uploading', 'waiting', 'running')
          returning id
        ), emptied as (
          delete from import_chunk where job_id in (select id from gone)
        )
        ${recorded('import.cancelled', id, sql`from gone`)}`.execute(db)
      return rows.length > 0
    },

    async failures(id: string, after: number, limit: number): Promise<Failure[]> {
      const { rows } = await sql<Failure>`
        select line::float8 as line, reason from import_failure where job_id = ${id} and line > ${after}
        order by line limit ${limit}`.execute(db)
      return rows
    },

    /** Deletes imports after their keeping, and those whose content was never handed over whole. */
    async sweep(batch: number): Promise<number> {
      const { numAffectedRows } = await sql`
        delete from import_job where id in (
          select id from import_job where updated_at < ${later(clock, -UPLOAD_SECONDS)}
            and (state = 'uploading' or updated_at < ${later(clock, -KEPT_SECONDS)})
          order by updated_at limit ${batch} for update skip locked)`.execute(db)
      return Number(numAffectedRows ?? 0)
    },
  }
}
