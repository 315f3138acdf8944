import { type RawBuilder, type Selectable, sql } from 'kysely'
import type { Clock } from '../db/clock.ts'
import { late } from '../db/prepared.ts'
import type { AuditEventTable } from '../db/tables/audit.ts'
import { circumstances } from './circumstances.ts'

/** What can happen. The names are part of the export, so they are never changed. */
export const EVENT_TYPES = [
  'account.changed',
  'account.created',
  'account.deleted',
  'account.disabled',
  'account.email-changed',
  'account.enabled',
  'account.exported',
  'account.imported',
  'account.invited',
  'account.role-changed',
  'account.unlocked',
  'alert.budget',
  'alert.conversion',
  'alert.decrypt',
  'alert.ended',
  'alert.gateway',
  'alert.locks',
  'alert.prefix',
  'api.created',
  'api.deleted',
  'authenticator.added',
  'authenticator.removed',
  'backup-code.used',
  'backup-codes.issued',
  'bootstrap.used',
  'bypass-code.approved',
  'bypass-code.ended',
  'bypass-code.issued',
  'bypass-code.used',
  'client.changed',
  'client.created',
  'client.deleted',
  'client.registered',
  'client.secret-rotated',
  'code.issued',
  'code.not-sent',
  'code.refused',
  'code.right',
  'code.sent-again',
  'code.tried',
  'code.wrong',
  'codes.disabled',
  'codes.locked',
  'consent.given',
  'consent.revoked',
  'console.closed',
  'console.opened',
  'console.refused',
  'country.paused',
  'country.resumed',
  'database.restored',
  'device.approved',
  'device.codes-limited',
  'device.denied',
  'factors.reset',
  'keys.reencrypted',
  'keys.rotated',
  'import.cancelled',
  'import.finished',
  'import.started',
  'logout.failed',
  'logout.sent',
  'message.delivered',
  'message.failed',
  'message.sent',
  'message.unconfirmed',
  'message.undelivered',
  'notice.failed',
  'password.changed',
  'password.chosen',
  'password.locked',
  'password.reset',
  'password.reset-asked',
  'password.right',
  'password.seems-known',
  'password.wrong',
  'phone.added',
  'phone.labelled',
  'phone.made-primary',
  'phone.proven',
  'phone.removed',
  'phone.sim-swapped',
  'phone.unreachable',
  'registration-token.created',
  'registration-token.revoked',
  'session.ended',
  'session.renewed',
  'session.started',
  'token.issued',
  'token.refused',
  'token.reused',
  'trusted-browser.added',
  'trusted-browser.copied',
  'trusted-browser.ended',
  'trusted-browser.used',
  'webhook.changed',
  'webhook.created',
  'webhook.disabled',
  'webhook.removed',
  'webhook.secret-rotated',
] as const

export type EventType = (typeof EVENT_TYPES)[number]

/** An event as it is shown and exported. */
export type RecordedEvent = Selectable<AuditEventTable>

/**
 * Ids and plain words only: no name, number, address, code or token ever stands in an event. One text is free,
 * the `reason` that an admin writes (ADM-10).
 */
export interface AuditEvent {
  type: EventType
  /** whom it happened to; an expression where the statement knows it */
  accountId?: string | null | RawBuilder<unknown>
  clientId?: string | null | RawBuilder<unknown>
  detail?: Readonly<Record<string, string | number | boolean | null | RawBuilder<unknown>>>
}

/** Longest text of a detail, in characters: what someone writes mustn't fill the trail. */
const MAX_TEXT = 200

/**
 * A statement that records an event, to stand as a common table expression in the statement that does what it
 * tells of: so neither is ever there without the other (LOG-06).
 *
 * @param source one row for each event: `from …`, `where exists …`; always one when left out
 */
export function auditEntry(
  clock: Clock,
  { type, accountId = null, clientId = null, detail = {} }: AuditEvent,
  source: RawBuilder<unknown> = sql``,
): RawBuilder<{ id: string }> {
  const members = Object.entries(detail).flatMap(([name, value]) => [
    sql`${name}::text`,
    isExpression(value) ? value : sql`${JSON.stringify(shortened(value))}::jsonb`,
  ])
  // An event's own word says more of it than why it all was done: the last of two members of a name is the one.
  const told = sql.join([sql`'reason'`, sql`${REASON}::jsonb`, ...members])
  return sql`
    insert into audit_event (at, type, actor, account_id, client_id, request_id, address, detail)
    select ${clock()}, ${type}::text, ${ACTOR}::text, ${textOf(accountId)}, ${textOf(clientId)}, ${REQUEST}::text,
      ${ADDRESS}::text, jsonb_strip_nulls(jsonb_build_object(${told}))
    ${source}
    returning id`
}

/** An event of which no statement knows more than whoever tells it. */
export type PlainEvent = Pick<AuditEvent, 'type'> & {
  accountId?: string | null
  clientId?: string | null
  detail?: Readonly<Record<string, string | number | boolean | null>>
}

/**
 * A statement that records any number of events, which comes the same for all of them.
 * @param events expression of `eventRows` as JSON
 * @param condition under which they are recorded; it may depend on `e.owner`
 */
export function auditEntries(
  clock: Clock,
  events: RawBuilder<unknown>,
  condition: RawBuilder<unknown>,
): RawBuilder<unknown> {
  return sql`
    insert into audit_event (at, type, actor, account_id, client_id, request_id, address, detail)
    select ${clock()}, e.type, e.actor, e.account_id, e.client_id, e.request_id, e.address,
      jsonb_strip_nulls(jsonb_build_object('reason', e.reason) || e.detail)
    from jsonb_to_recordset(${events}::jsonb) as e (type text, actor text, account_id text, client_id text,
      request_id text, address text, reason jsonb, detail jsonb, owner int)
    where ${condition}`
}

/**
 * Events in the circumstances of the request that tells them, as `auditEntries` takes them: where one statement records
 * those of several, each with the number of its `owner`.
 */
export function eventRows(events: readonly PlainEvent[]) {
  const { actor, requestId, address, reason } = circumstances()
  return events.map(({ type, accountId, clientId, detail = {} }) => ({
    type,
    actor,
    account_id: accountId,
    client_id: clientId,
    request_id: requestId,
    address,
    reason: shortened(reason),
    detail: Object.fromEntries(
      Object.entries(detail).map(([name, value]) => [name, shortened(value)]),
    ),
  }))
}

const ACTOR = late(() => circumstances().actor)
const REQUEST = late(() => circumstances().requestId)
const ADDRESS = late(() => circumstances().address)
const REASON = late(() => JSON.stringify(shortened(circumstances().reason ?? null)))

/** Cut between characters: half of one is no JSON to PostgreSQL. */
function shortened<T>(value: T): T | string {
  return typeof value === 'string' ? [...value].slice(0, MAX_TEXT).join('') : value
}

function textOf(value: string | null | RawBuilder<unknown>): RawBuilder<unknown> {
  return isExpression(value) ? value : sql`${value}::text`
}

function isExpression(value: unknown): value is RawBuilder<unknown> {
  return typeof value === 'object' && value !== null && 'toOperationNode' in value
}
