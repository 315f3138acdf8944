import { type RawBuilder, sql } from 'kysely'
import type { Db } from '../db/schema.ts'
import type { EventType, RecordedEvent } from './event.ts'

/** Which events are asked for; what is left out isn't looked at. */
export interface AuditFilter {
  types?: readonly EventType[] | undefined
  /** as it stands in the events: `self`, `admin:ID` */
  actor?: string | undefined
  accountId?: string | undefined
  clientId?: string | undefined
  /** from then on */
  since?: Date | undefined
  /** before then */
  until?: Date | undefined
}

/** Where an event stands: its time exactly as the database has it, and its id. */
export interface AuditPlace {
  at: string
  id: string
}

export type FoundEvent = RecordedEvent & { place: AuditPlace }

/**
 * One page of the events that a filter lets through, in the order of their times.
 * @param after the last event of the page before
 */
export async function pageOfEvents(
  db: Db,
  filter: AuditFilter,
  order: 'newest-first' | 'oldest-first',
  after: AuditPlace | undefined,
  limit: number,
): Promise<FoundEvent[]> {
  const down = order === 'newest-first'
  const direction = down ? sql`desc` : sql`asc`
  const conditions = conditionsOf(filter)
  if (after) {
    conditions.push(
      sql`(at, id) ${down ? sql`<` : sql`>`} (${after.at}::timestamptz, ${after.id}::bigint)`,
    )
  }
  const where = conditions.length > 0 ? sql`where ${sql.join(conditions, sql` and `)}` : sql``
  // As text: a Date would cut a time to milliseconds, and events between two pages would be lost.
  const { rows } = await sql<RecordedEvent & { at_exactly: string }>`
    select *, at::text as at_exactly from audit_event ${where}
    order by at ${direction}, id ${direction} limit ${limit}`.execute(db)
  return rows.map(({ at_exactly: at, ...event }) => ({ ...event, place: { at, id: event.id } }))
}

function conditionsOf(filter: AuditFilter): RawBuilder<unknown>[] {
  const { types = [], actor, accountId, clientId, since, until } = filter
  const conditions: RawBuilder<unknown>[] = []
  if (types.length > 0) conditions.push(sql`type in (${sql.join(types)})`)
  if (actor !== undefined) conditions.push(sql`actor = ${actor}`)
  // Most events are people's own, so the index of actors leaves those out.
  if (actor !== undefined && actor !== 'self') conditions.push(sql`actor <> 'self'`)
  if (accountId !== undefined) conditions.push(sql`account_id = ${accountId}`)
  if (clientId !== undefined) conditions.push(sql`client_id = ${clientId}`)
  if (since) conditions.push(sql`at >= ${since.toISOString()}::timestamptz`)
  if (until) conditions.push(sql`at < ${until.toISOString()}::timestamptz`)
  return conditions
}
