import { sql } from 'kysely'
import { type Clock, later } from '../db/clock.ts'
import type { Db } from '../db/schema.ts'
import { type AuditEvent, auditEntry, type EventType } from './event.ts'

export type Audit = ReturnType<typeof createAudit>

/** An event as it is shown and exported. */
export interface RecordedEvent {
  id: string
  at: Date
  type: string
  actor: string
  account_id: string | null
  client_id: string | null
  request_id: string | null
  address: string | null
  detail: Record<string, unknown>
}

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

    /** All events since a time, oldest first, read page by page. */
    async *export(since: Date | undefined): AsyncGenerator<RecordedEvent> {
      for (let after = '0'; ; ) {
        let select = db
          .selectFrom('audit_event')
          .selectAll()
          .where('id', '>', after)
          .orderBy('id')
          .limit(PAGE)
        if (since) select = select.where('at', '>=', since)
        const rows = await select.execute()
        yield* rows
        const last = rows.at(-1)
        if (!last || rows.length < PAGE) return
        after = last.id
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
