import { type Selectable, sql } from 'kysely'
import { type Clock, later } from '../db/clock.ts'
import type { Db } from '../db/schema.ts'
import type { AuditEventTable } from '../db/tables/audit.ts'
import { type AuditEvent, auditEntry, type EventType } from './event.ts'

export type Audit = ReturnType<typeof createAudit>

/** An event as it is shown and exported. */
export type RecordedEvent = Selectable<AuditEventTable>

const PAGE = 1000
const DAY_SECONDS = 24 * 3600

/**
 * The audit trail.
 * @param retentionDays how long events are kept; at least 30, which the table itself insists on
 */
export function createAudit({
  db,
  clock,
  retentionDays,
}: {
  db: Db
  clock: Clock
  retentionDays: number
}) {
  return {
    /** @param on the transaction of what the event tells of */
    async record(event: AuditEvent, on: Db = db): Promise<void> {
      await auditEntry(clock, event).execute(on)
    },

    /** An account's newest events of some types, newest first. */
    async history(
      accountId: string,
      types: readonly EventType[],
      limit: number,
    ): Promise<RecordedEvent[]> {
      return db
        .selectFrom('audit_event')
        .selectAll()
        .where('account_id', '=', accountId)
        .where('type', 'in', [...types])
        .orderBy('id', 'desc')
        .limit(limit)
        .execute()
    },

    /** An account's events, oldest first, read page by page. */
    async *about(accountId: string): AsyncGenerator<RecordedEvent> {
      for (let after = '0'; ; ) {
        const rows = await db
          .selectFrom('audit_event')
          .selectAll()
          .where('account_id', '=', accountId)
          .where('id', '>', after)
          .orderBy('id')
          .limit(PAGE)
          .execute()
        yield* rows
        const last = rows.at(-1)
        if (!last || rows.length < PAGE) return
        after = last.id
      }
    },

    /** All events since a time, oldest first, read page by page. */
    async *export(since: Date | undefined): AsyncGenerator<RecordedEvent> {
      // As text: a Date would cut a time to milliseconds, and events between two pages would be lost.
      let after = { at: since?.toISOString() ?? '-infinity', id: '0' }
      for (;;) {
        const { rows } = await sql<RecordedEvent & { at_exactly: string }>`
          select *, at::text as at_exactly from audit_event
          where (at, id) > (${after.at}::timestamptz, ${after.id}::bigint)
          order by at, id limit ${PAGE}`.execute(db)
        for (const { at_exactly: _, ...event } of rows) yield event
        const last = rows.at(-1)
        if (!last || rows.length < PAGE) return
        after = { at: last.at_exactly, id: last.id }
      }
    },

    /** Deletes events past their keeping, `batch` at most. */
    async sweep(batch: number): Promise<number> {
      const { numAffectedRows } = await sql`
        delete from audit_event where id in (
          select id from audit_event where at < ${later(clock, -retentionDays * DAY_SECONDS)}
          order by at limit ${batch} for update skip locked)`.execute(db)
      return Number(numAffectedRows ?? 0)
    },
  }
}
