import { sql } from 'kysely'
import type { AdapterPayload } from 'oidc-provider'
import { type Account, accountAsJson } from '../accounts/accounts.ts'
import { hashToken } from '../crypto/keys.ts'
import type { Vault } from '../crypto/vault.ts'
import type { Clock } from '../db/clock.ts'
import { retrying } from '../db/faults.ts'
import type { Db } from '../db/schema.ts'
import { CLIENT_COLUMNS, type ClientRow } from './clients.ts'

export type Records = ReturnType<typeof createRecords>

/** A record as the provider stores it, under the hash of its model and id. */
export interface PendingRecord {
  key: Buffer
  model: string
  payload: AdapterPayload
  /** seconds from now; undefined never expires */
  expiresIn: number | undefined
}

/** All that one request writes, in one statement: all of it or, but for revocations, nothing. */
export interface Batch {
  upserts: readonly PendingRecord[]
  destroyed: readonly Buffer[]
  /** records that may be used once, and must not have been */
  consumed: readonly Buffer[]
  /** records that what is written was derived from, and that must still be there */
  required: readonly Buffer[]
  revokedGrants: readonly Buffer[]
}

/** `used`: something that may be used once had been. `changed`: something required was gone. */
export type Written = 'stored' | 'used' | 'changed'

/** A record with what a request that asks for it is about to ask for next. */
export interface FoundRecord {
  payload: AdapterPayload
  client: ClientRow | undefined
  account: Account | undefined
  grant: { key: Buffer; payload: AdapterPayload } | undefined
  session: AdapterPayload | undefined
}

/**
 * Records that name a grant but aren't given by it. When someone else signs in in a browser, the first
 * person's grants are revoked while the interaction that brings the second one in is still open (SES-10).
 */
const OUTLIVING_GRANTS = ['Interaction']
export const endsWithGrant = (model: string) => !OUTLIVING_GRANTS.includes(model)

/** Keys by which a record is found; hashes, so that the table gives nobody a token to present (CRY-09). */
export const recordKey = (model: string, id: string) => hashToken(id, model)
const uidKey = (uid: string) => hashToken(uid, 'uid')

/** The table `oidc_record`: everything the provider remembers, sealed. */
export function createRecords({ db, vault, clock }: { db: Db; vault: Vault; clock: Clock }) {
  const place = (key: Buffer) => ({ column: 'oidc_record.payload', row: key.toString('hex') })

  function open(key: Buffer, sealed: Buffer, consumedAt: Date | null): AdapterPayload {
    const payload: AdapterPayload = JSON.parse(vault.open(sealed, place(key)).toString())
    return consumedAt ? { ...payload, consumed: Math.floor(consumedAt.getTime() / 1000) } : payload
  }

  function columnsOf({ key, model, payload, expiresIn }: PendingRecord) {
    const sessionUid = payload.sessionUid ?? payload.session?.uid
    return {
      key,
      model,
      payload: vault.seal(JSON.stringify(payload), place(key)),
      client_id: payload.clientId ?? asText(payload.params?.client_id),
      account_id:
        payload.accountId ?? payload.result?.login?.accountId ?? payload.session?.accountId ?? null,
      grant_key: payload.grantId ? recordKey('Grant', payload.grantId) : null,
      uid_key: model === 'Session' && payload.uid ? uidKey(payload.uid) : null,
      session_uid_key: sessionUid ? uidKey(sessionUid) : null,
      expires_in: expiresIn ?? null,
    }
  }

  /** Finds a live record together with its client, account, grant and session: one round trip instead of five. */
  async function findBy(
    column: 'key' | 'uid_key',
    value: Buffer,
  ): Promise<FoundRecord | undefined> {
    const now = clock()
    const row = await db
      .selectFrom('oidc_record as r')
      .leftJoin('client as c', 'c.id', 'r.client_id')
      .leftJoin('oidc_record as g', (join) =>
        join.onRef('g.key', '=', 'r.grant_key').on('g.expires_at', '>', now),
      )
      .leftJoin('oidc_record as s', (join) =>
        join.onRef('s.uid_key', '=', 'r.session_uid_key').on('s.expires_at', '>', now),
      )
      .select(['r.key', 'r.payload', 'r.consumed_at'])
      .select(CLIENT_COLUMNS)
      .select(({ ref }) => accountAsJson(ref('r.account_id')).as('account'))
      .select([
        'g.key as grant_key',
        'g.payload as grant_payload',
        's.key as session_key',
        's.payload as session_payload',
      ])
      .where(`r.${column}`, '=', value)
      .where((where) =>
        where.or([where('r.expires_at', 'is', null), where('r.expires_at', '>', now)]),
      )
      .limit(1)
      .executeTakeFirst()
    if (!row) return undefined
    return {
      payload: open(row.key, row.payload, row.consumed_at),
      client: clientOf(row),
      account: row.account ?? undefined,
      grant:
        row.grant_key && row.grant_payload
          ? { key: row.grant_key, payload: open(row.grant_key, row.grant_payload, null) }
          : undefined,
      session:
        row.session_key && row.session_payload
          ? open(row.session_key, row.session_payload, null)
          : undefined,
    }
  }

  return {
    find: (key: Buffer) => findBy('key', key),
    findByUid: (uid: string) => findBy('uid_key', uidKey(uid)),

    /**
     * Stores a whole request's writes at once. The rows they depend on are locked and looked at in the same
     * statement, so that of parallel requests one wins and the others store nothing.
     */
    async write({
      upserts,
      destroyed,
      consumed,
      required,
      revokedGrants,
    }: Batch): Promise<Written> {
      const now = clock()
      const rows = upserts.map(columnsOf)
      const each = <K extends keyof (typeof rows)[number]>(name: K) => rows.map((row) => row[name])
      const statement = sql<{ written: Written }>`
        with held as (
          select key, consumed_at from oidc_record
          where key = any(${[...consumed, ...required]}::bytea[])
            and (expires_at is null or expires_at > ${now})
          order by key for update
        ),
        verdict as (
          select case
            when count(*) filter (where key = any(${consumed}::bytea[]) and consumed_at is null) < ${consumed.length}
              then 'used'
            when count(*) filter (where key = any(${required}::bytea[])) < ${required.length} then 'changed'
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
        ),
        written as (
          insert into oidc_record (key, model, payload, client_id, account_id, grant_key, uid_key,
            session_uid_key, expires_at)
          select e.key, e.model, e.payload, e.client_id, e.account_id, e.grant_key, e.uid_key,
            e.session_uid_key, ${now} + make_interval(secs => e.expires_in)
          from unnest(${each('key')}::bytea[], ${each('model')}::text[], ${each('payload')}::bytea[],
            ${each('client_id')}::text[], ${each('account_id')}::text[], ${each('grant_key')}::bytea[],
            ${each('uid_key')}::bytea[], ${each('session_uid_key')}::bytea[], ${each('expires_in')}::float8[])
            as e(key, model, payload, client_id, account_id, grant_key, uid_key, session_uid_key, expires_in)
          where (select written from verdict) = 'stored'
          on conflict (key) do update set payload = excluded.payload, client_id = excluded.client_id,
            account_id = excluded.account_id, grant_key = excluded.grant_key, uid_key = excluded.uid_key,
            session_uid_key = excluded.session_uid_key, expires_at = excluded.expires_at
        )
        select written from verdict`
      const { rows: verdicts } = await retrying(() => statement.execute(db))
      return verdicts[0]?.written ?? 'changed'
    },

    /** Deletes expired records, `batch` at most. */
    async sweep(batch: number): Promise<number> {
      const { numAffectedRows } = await sql`
        delete from oidc_record where key in (
          select key from oidc_record where expires_at < ${clock()}
          order by expires_at limit ${batch} for update skip locked)`.execute(db)
      return Number(numAffectedRows ?? 0)
    },
  }
}

function asText(value: unknown): string | null {
  return typeof value === 'string' ? value : null
}

type JoinedClient = { [K in keyof ClientRow]: ClientRow[K] | null }

/** The client's half of a left join, if there was one. */
function clientOf(row: JoinedClient): ClientRow | undefined {
  const { client_id, client_metadata, client_first_party } = row
  if (client_id === null || client_metadata === null || client_first_party === null)
    return undefined
  const { client_name, client_secret, client_second_factor } = row
  return {
    client_id,
    client_name,
    client_secret,
    client_metadata,
    client_first_party,
    client_second_factor,
  }
}
