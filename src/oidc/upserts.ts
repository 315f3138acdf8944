import { type RawBuilder, sql } from 'kysely'
import { eventRows } from '../audit/event.ts'
import type { Clock } from '../db/clock.ts'
import type { PlaceOf } from '../db/prepared.ts'
import type { Batch } from './batch.ts'
import type { SealedRecords } from './sealed-records.ts'

type Row = ReturnType<SealedRecords['columnsOf']>

/** What a request writes, sealed and in its circumstances, as they were when it was done. */
export interface Sealed {
  batch: Batch
  rows: readonly Row[]
  events: ReturnType<typeof eventRows>
}

export const sealBatch = (sealed: SealedRecords, batch: Batch): Sealed => ({
  batch,
  rows: batch.upserts.map(sealed.columnsOf),
  events: eventRows(batch.events),
})

/** Of each column, what all records have in it. */
export interface Columns extends Record<keyof Row, readonly unknown[]> {
  /** the number of the request that stores each; nothing where there is only one */
  owner: readonly number[]
}

/** @param owner the number of each row's request */
export function columnsOf(rows: readonly Row[], owner: readonly number[] = []) {
  const each = (name: keyof Row) => rows.map((row) => row[name])
  return {
    key: each('key'),
    model: each('model'),
    payload: each('payload'),
    client_id: each('client_id'),
    account_id: each('account_id'),
    grant_key: each('grant_key'),
    uid_key: each('uid_key'),
    session_uid_key: each('session_uid_key'),
    user_code_key: each('user_code_key'),
    expires_in: each('expires_in'),
    owner,
  }
}

/**
 * A statement that stores records, new ones and ones that are there.
 * @param condition under which each is stored; it may depend on `e.owner`
 */
export function upsert(
  clock: Clock,
  place: PlaceOf<Columns>,
  condition: RawBuilder<unknown>,
): RawBuilder<unknown> {
  return sql`
    insert into oidc_record (key, model, payload, client_id, account_id, grant_key, uid_key,
      session_uid_key, user_code_key, expires_at)
    select e.key, e.model, e.payload, e.client_id, e.account_id, e.grant_key, e.uid_key,
      e.session_uid_key, e.user_code_key, ${clock()} + make_interval(secs => e.expires_in)
    from unnest(${place('key')}::bytea[], ${place('model')}::text[], ${place('payload')}::bytea[],
      ${place('client_id')}::text[], ${place('account_id')}::text[], ${place('grant_key')}::bytea[],
      ${place('uid_key')}::bytea[], ${place('session_uid_key')}::bytea[],
      ${place('user_code_key')}::bytea[], ${place('expires_in')}::float8[], ${place('owner')}::int[])
      as e (key, model, payload, client_id, account_id, grant_key, uid_key, session_uid_key,
        user_code_key, expires_in, owner)
    where ${condition}
    on conflict (key) do update set payload = excluded.payload, client_id = excluded.client_id,
      account_id = excluded.account_id, grant_key = excluded.grant_key, uid_key = excluded.uid_key,
      session_uid_key = coalesce(excluded.session_uid_key, oidc_record.session_uid_key),
      expires_at = excluded.expires_at`
}
