import { type RawBuilder, sql } from 'kysely'
import { type Account, accountAsJson } from '../accounts/account.ts'
import type { Fingerprints } from '../crypto/fingerprints.ts'
import type { Vault } from '../crypto/vault.ts'
import { type Clock, unexpired } from '../db/clock.ts'
import { statementWork } from '../db/connection.ts'
import { retrying } from '../db/faults.ts'
import { gathered } from '../db/gathered.ts'
import { gathering } from '../db/gathering.ts'
import type { Db } from '../db/schema.ts'
import { type Batch, beginsOnly, isPlain, NOTHING } from './batch.ts'
import { type ClientRow, clientColumns } from './client-rows.ts'
import { createManyWrites } from './many-writes.ts'
import { createRecordWrites, type Written } from './record-writes.ts'
import { createSealedRecords, type StoredPayload, uidKey } from './sealed-records.ts'
import { type Sealed, sealBatch } from './upserts.ts'

export type Records = ReturnType<typeof createRecords>

/** A record with what a request that asks for it is about to ask for next. */
export interface FoundRecord {
  key: Buffer
  /** the payload as it is stored */
  sealed: Buffer
  payload: StoredPayload
  client: ClientRow | undefined
  account: Account | undefined
  grant: { key: Buffer; payload: StoredPayload } | undefined
  session: StoredPayload | undefined
}

interface Dependencies {
  db: Db
  vault: Vault
  clock: Clock
  fingerprint: Fingerprints
}

/** The table `oidc_record`: everything the provider remembers, sealed. */
export function createRecords({ db, vault, clock, fingerprint }: Dependencies) {
  const sealed = createSealedRecords(vault)
  const writeOn = createRecordWrites(clock)
  const writeAlone = (writing: Sealed) => writeOn(db, writing)
  const writeMany = createManyWrites(db, clock, writeAlone)
  // Of so few codes, anybody could undo a plain hash.
  const userCodeKey = (code: string) => fingerprint('user-code', code)

  /** Finds a live record together with its client, account, grant and session: one round trip instead of five. */
  const lookBy = (column: 'key' | 'uid_key' | 'user_code_key') =>
    gathered(db, 'bytea', (value: RawBuilder<Buffer>) => {
      // Row by row, so that PostgreSQL goes by keys also in a table that it knows nothing of yet.
      const live = (by: 'key' | 'uid_key', value: RawBuilder<Buffer | null>) =>
        db
          .selectFrom('oidc_record')
          .select(['key', 'payload'])
          .where(by, '=', value)
          .where(unexpired(clock, 'expires_at'))
          .limit(1)
      return db
        .selectFrom('oidc_record as r')
        .leftJoin('client as c', 'c.id', 'r.client_id')
        .leftJoinLateral(live('key', sql.ref('r.grant_key')).as('g'), (join) => join.onTrue())
        .leftJoinLateral(live('uid_key', sql.ref('r.session_uid_key')).as('s'), (join) =>
          join.onTrue(),
        )
        .select(['r.key', 'r.payload', 'r.consumed_at'])
        .select(clientColumns(clock))
        .select(({ ref }) => accountAsJson(ref('r.account_id')).as('account'))
        .select([
          'g.key as grant_key',
          'g.payload as grant_payload',
          's.key as session_key',
          's.payload as session_payload',
        ])
        .where(`r.${column}`, '=', value)
        .where(unexpired(clock, 'r.expires_at'))
        .limit(1)
    })

  const looks = {
    key: lookBy('key'),
    uid_key: lookBy('uid_key'),
    user_code_key: lookBy('user_code_key'),
  }

  /** Sign-ins that begin at the same time are stored together: nothing can stand against any of them. */
  const begin = gathering(
    async (writings: readonly Sealed[]) => {
      const upserts = writings.flatMap(({ batch }) => batch.upserts)
      const rows = writings.flatMap((writing) => writing.rows)
      const written = await writeAlone({ batch: { ...NOTHING, upserts }, rows, events: [] })
      return () => written
    },
    () => statementWork('insert into oidc_record'),
  )

  async function findBy(
    column: keyof typeof looks,
    value: Buffer,
  ): Promise<FoundRecord | undefined> {
    const row = await looks[column](value)
    if (!row) return undefined
    return {
      key: row.key,
      sealed: row.payload,
      payload: sealed.open(row.key, row.payload, row.consumed_at),
      client: clientOf(row),
      account: row.account ?? undefined,
      grant:
        row.grant_key && row.grant_payload
          ? { key: row.grant_key, payload: sealed.open(row.grant_key, row.grant_payload, null) }
          : undefined,
      session:
        row.session_key && row.session_payload
          ? sealed.open(row.session_key, row.session_payload, null)
          : undefined,
    }
  }

  return {
    find: (key: Buffer) => findBy('key', key),
    findByUid: (uid: string) => findBy('uid_key', uidKey(uid)),
    findByUserCode: (code: string) => findBy('user_code_key', userCodeKey(code)),
    userCodeKey,

    /** Stores a whole request's writes at once. */
    write(batch: Batch): Promise<Written> {
      const writing = sealBatch(sealed, batch)
      return retrying(() => {
        if (beginsOnly(batch)) return begin(writing)
        return isPlain(batch) ? writeMany(writing) : writeAlone(writing)
      })
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

type JoinedClient = { [K in keyof ClientRow]: ClientRow[K] | null }

/** The client's half of a left join, if there was one. */
function clientOf(row: JoinedClient): ClientRow | undefined {
  const { client_id, client_metadata, client_first_party } = row
  if (client_id === null || client_metadata === null || client_first_party === null)
    return undefined
  const { client_name, client_secret, client_previous_secret, client_second_factor } = row
  return {
    client_id,
    client_name,
    client_secret,
    client_previous_secret,
    client_metadata,
    client_first_party,
    client_second_factor,
  }
}
