import { type RawBuilder, sql } from 'kysely'
import { type AuditEvent, auditEntry } from '../audit/event.ts'
import type { Clock } from '../db/clock.ts'
import { type Logout, queueLogouts } from './logouts.ts'
import { OUTLIVING_GRANTS, type PendingRecord, type SealedRecords } from './sealed-records.ts'

/** All that one request writes, in one statement: all of it or, but for revocations, nothing. */
export interface Batch {
  upserts: readonly PendingRecord[]
  destroyed: readonly Buffer[]
  /** records that may be used once, and must not have been */
  consumed: readonly Buffer[]
  /** records that what is written was derived from, and that must still be there */
  required: readonly Buffer[]
  /** records that must be as they were read: who decides first about a device decides alone */
  unchanged: ReadonlyArray<{ key: Buffer; sealed: Buffer }>
  revokedGrants: readonly Buffer[]
  /** what is recorded with it */
  events: readonly AuditEvent[]
  /** what apps are to be told */
  logouts: readonly Logout[]
  /** whether the grants are revoked because something that may be used once was used again */
  reused: boolean
}

/** `used`: something that may be used once had been. `changed`: something required was gone. */
export type Written = 'stored' | 'used' | 'changed'

/**
 * The statement that stores a whole request's writes. The rows they depend on are locked and looked at in it,
 * so that of parallel requests one wins and the others store nothing.
 */
export function writeStatement(
  clock: Clock,
  sealed: SealedRecords,
  {
    upserts,
    destroyed,
    consumed,
    required,
    unchanged,
    revokedGrants,
    events,
    logouts,
    reused,
  }: Batch,
): RawBuilder<{ written: Written }> {
  const now = clock()
  const rows = upserts.map(sealed.columnsOf)
  const each = <K extends keyof (typeof rows)[number]>(name: K) => rows.map((row) => row[name])
  const stored = sql`from verdict where written = 'stored'`
  const recorded = [
    ...events.map((event) => auditEntry(clock, event, stored)),
    ...(reused ? [reuseEntry(clock)] : []),
    ...(logouts.length > 0
      ? [queueLogouts(clock, logouts, sql`(select written from verdict) = 'stored'`)]
      : []),
  ].map((entry, index) => sql`, ${sql.id(`recorded_${index}`)} as (${entry})`)
  return sql<{ written: Written }>`
    with held as (
      select key, payload, consumed_at from oidc_record
      where key = any(${[...consumed, ...required]}::bytea[])
        and (expires_at is null or expires_at > ${now})
      order by key for update
    ),
    verdict as (
      select case
        when count(*) filter (where key = any(${consumed}::bytea[]) and consumed_at is null) < ${consumed.length}
          then 'used'
        when count(*) filter (where key = any(${required}::bytea[])) < ${required.length} then 'changed'
        when count(*) filter (where (key, payload) in (select * from unnest(
          ${unchanged.map(({ key }) => key)}::bytea[], ${unchanged.map((one) => one.sealed)}::bytea[]))) < ${unchanged.length}
          then 'changed'
        else 'stored' end as written
      from held
    ),
    used as (
      update oidc_record set consumed_at = ${now}
      where key = any(${consumed}::bytea[]) and (select written from verdict) = 'stored'
    ),
    gone as (
      delete from oidc_record
      where (key = any(${destroyed}::bytea[]) and (select written from verdict) = 'stored')
        or key = any(${revokedGrants}::bytea[])
        or (grant_key = any(${revokedGrants}::bytea[]) and model <> all(${OUTLIVING_GRANTS}::text[]))
      returning key, model, account_id, client_id
    ),
    written as (
      insert into oidc_record (key, model, payload, client_id, account_id, grant_key, uid_key,
        session_uid_key, user_code_key, expires_at)
      select e.key, e.model, e.payload, e.client_id, e.account_id, e.grant_key, e.uid_key,
        e.session_uid_key, e.user_code_key, ${now} + make_interval(secs => e.expires_in)
      from unnest(${each('key')}::bytea[], ${each('model')}::text[], ${each('payload')}::bytea[],
        ${each('client_id')}::text[], ${each('account_id')}::text[], ${each('grant_key')}::bytea[],
        ${each('uid_key')}::bytea[], ${each('session_uid_key')}::bytea[], ${each('user_code_key')}::bytea[],
        ${each('expires_in')}::float8[])
        as e(key, model, payload, client_id, account_id, grant_key, uid_key, session_uid_key, user_code_key,
          expires_in)
      where (select written from verdict) = 'stored'
      on conflict (key) do update set payload = excluded.payload, client_id = excluded.client_id,
        account_id = excluded.account_id, grant_key = excluded.grant_key, uid_key = excluded.uid_key,
        session_uid_key = coalesce(excluded.session_uid_key, oidc_record.session_uid_key),
        expires_at = excluded.expires_at
    )${sql.join(recorded, sql``)}
    select written from verdict`
}

/** One event for each grant that is taken back, and none once it is gone. */
function reuseEntry(clock: Clock): RawBuilder<unknown> {
  const event = { accountId: sql`account_id`, clientId: sql`client_id` }
  return auditEntry(clock, { type: 'token.reused', ...event }, sql`from gone where model = 'Grant'`)
}
