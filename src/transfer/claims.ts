import { randomBytes } from 'node:crypto'
import { sql } from 'kysely'
import { z } from 'zod'
import { auditEntry } from '../audit/event.ts'
import { type Clock, later } from '../db/clock.ts'
import type { Db } from '../db/schema.ts'
import { Refusal } from '../errors.ts'
import { IMPORT_FORMATS } from './formats.ts'
import { type Claimed, type ImportJob, JOB_COLUMNS, optionsShape } from './job.ts'
import type { Failure } from './write-batch.ts'

export type Claims = ReturnType<typeof createClaims>

/** As many failures of one import are kept. */
export const FAILURES_KEPT = 10_000
const LEASE_SECONDS = 60
/** Takings up without coming further, after which an import is given up. */
const TRIES_MOST = 5

const formatShape = z.enum(IMPORT_FORMATS)

/** Who works on an import, and how far they have come: a job is one process's at a time. */
export function createClaims({ db, clock }: { db: Db; clock: Clock }) {
  /** Takes a job up, from whoever worked on it before. */
  async function takeUp(which: ReturnType<typeof sql>): Promise<Claimed | undefined> {
    const runner = randomBytes(12).toString('base64url')
    // What a dry run has met is known to whoever made it alone, so it begins anew.
    const kept = (column: string) => sql`case when dry_run then 0 else ${sql.ref(column)} end`
    const { rows } = await sql<ImportJob & { linesDone: number; options: unknown }>`
      update import_job set runner = ${runner}, lease_until = ${later(clock, LEASE_SECONDS)}, state = 'running',
        tries = tries + 1, updated_at = ${clock()}, bytes_done = ${kept('bytes_done')},
        lines_done = ${kept('lines_done')}, created = ${kept('created')}, updated = ${kept('updated')},
        failed = ${kept('failed')}
      where id = (${which})
      returning ${JOB_COLUMNS}, lines_done::float8 as "linesDone", options`.execute(db)
    const [job] = rows
    if (!job) return undefined
    if (job.dryRun) await db.deleteFrom('import_failure').where('job_id', '=', job.id).execute()
    const { options, format } = job
    return {
      ...job,
      runner,
      format: formatShape.parse(format),
      options: optionsShape.parse(options),
    }
  }

  return {
    /** Takes a job up whoever works on it: they notice at their next batch. */
    take: (id: string) =>
      takeUp(sql`select id from import_job where id = ${id} and state in ('waiting', 'running')`),

    /** Takes up the oldest job that nobody works on. */
    takeDue: () =>
      takeUp(sql`
        select id from import_job where source = 'upload' and state in ('waiting', 'running')
          and (lease_until is null or lease_until <= ${clock()}) and tries < ${TRIES_MOST}
        order by created_at limit 1 for update skip locked`),

    /** Gives up on jobs that nobody came further with. */
    async giveUp(): Promise<void> {
      await sql`
        with given_up as (
          update import_job set state = 'failed', error = 'It could not be finished. The log says why.',
            updated_at = ${clock()}
          where source = 'upload' and state in ('waiting', 'running') and lease_until <= ${clock()} and tries >= ${TRIES_MOST}
          returning id
        )
        delete from import_chunk where job_id in (select id from given_up)`.execute(db)
    },

    /**
     * Holds a job to the end of the transaction in which its next rows are written.
     * @throws Refusal when somebody else has taken it up, or it was cancelled
     */
    async hold(on: Db, { id, runner }: Claimed): Promise<void> {
      const { rows } = await sql`
        select from import_job where id = ${id} and runner = ${runner} and state = 'running' for update`.execute(
        on,
      )
      if (rows.length === 0) throw takenOver()
    },

    /** Leaves a job to whoever takes it up next. */
    async leave({ id, runner }: Claimed): Promise<void> {
      await sql`
        update import_job set lease_until = null, runner = null where id = ${id} and runner = ${runner}`.execute(
        db,
      )
    },

    /** Moves a job on, in the transaction of the rows it tells of. */
    async moveOn(
      on: Db,
      { id, failed }: Claimed,
      to: { bytes: number; lines: number },
      done: { created: number; updated: number; failures: readonly Failure[] },
    ): Promise<void> {
      await sql`
        update import_job set bytes_done = ${to.bytes}, lines_done = ${to.lines}, created = created + ${done.created},
          updated = updated + ${done.updated}, failed = failed + ${done.failures.length}, tries = 0,
          lease_until = ${later(clock, LEASE_SECONDS)}, updated_at = ${clock()}
        where id = ${id}`.execute(on)
      const kept = done.failures.slice(0, Math.max(0, FAILURES_KEPT - failed))
      if (kept.length === 0) return
      await sql`
        insert into import_failure (job_id, line, reason)
        select ${id}, line, reason
        from unnest(${kept.map(({ line }) => line)}::bigint[], ${kept.map(({ reason }) => reason)}::text[]) as f(line, reason)
        on conflict do nothing`.execute(on)
    },

    /**
     * @param error why the rest couldn't be read; null when all was
     * @throws Refusal when somebody else has taken it up, or it was cancelled
     */
    async finish({ id, runner, dryRun }: Claimed, error: string | null): Promise<void> {
      const { rows } = await sql`
        with done as (
          update import_job set state = ${error === null ? 'done' : 'failed'}, error = ${error}, runner = null,
            bytes_done = case when ${error === null} then bytes_total else bytes_done end, updated_at = ${clock()}
          where id = ${id} and runner = ${runner} and state = 'running'
          returning id, created, updated, failed
        ), emptied as (
          delete from import_chunk where job_id in (select id from done)
        ), noted as (${auditEntry(
          clock,
          {
            type: 'import.finished',
            detail: {
              import: id,
              created: sql`created`,
              updated: sql`updated`,
              failed: sql`failed`,
              complete: error === null,
            },
          },
          sql`from done where not ${dryRun}::bool`,
        )})
        select id from done`.execute(db)
      if (rows.length === 0) throw takenOver()
    },
  }
}

function takenOver(): Refusal {
  return new Refusal(
    'import_taken_over',
    409,
    'This import was cancelled, or another process goes on with it.',
  )
}
