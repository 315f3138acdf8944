import { sql } from 'kysely'
import { type Clock, later } from '../db/clock.ts'
import type { Db } from '../db/schema.ts'
import { type AuditEvent, auditEntry, type EventType, type RecordedEvent } from './event.ts'
import { type AuditFilter, type AuditPlace, type FoundEvent, pageOfEvents } from './search.ts'

export type Audit = ReturnType<typeof createAudit>

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

    /**
     * A page of the events that a filter lets through, newest first.
     * @param after the last event of the page before
     */
    search: (filter: AuditFilter, after: AuditPlace | undefined, limit: number) =>
      pageOfEvents(db, filter, 'newest-first', after, limit),

    /** All events that a filter lets through, oldest first, read page by page. */
    async *export(filter: AuditFilter): AsyncGenerator<RecordedEvent> {
      let last: FoundEvent | undefined
      do {
        const found = await pageOfEvents(db, filter, 'oldest-first', last?.place, PAGE)
        for (const { place: _, ...event } of found) yield event
        last = found.length < PAGE ? undefined : found.at(-1)
      } while (last)
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
