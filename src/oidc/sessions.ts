import { type RawBuilder, sql } from 'kysely'
import { auditEntry } from '../audit/event.ts'
import type { Vault } from '../crypto/vault.ts'
import { type Clock, unexpired } from '../db/clock.ts'
import type { Db } from '../db/schema.ts'
import { Refusal } from '../errors.ts'
import { keepApart, recordsOf } from './apart.ts'
import { logoutsAsJson, logoutsOf, queueLogouts } from './logouts.ts'
import { createSealedRecords, type Place, type StoredPayload, uidKey } from './sealed-records.ts'

export type Sessions = ReturnType<typeof createSessions>

/** Code of the refusal of what is done in a session that has ended meanwhile. */
export const SESSION_OVER = 'session_over'

/** A browser that is signed in. */
export interface LiveSession {
  uid: string
  /** when its last factor was checked */
  signedInAt: Date
  acr: string | undefined
  amr: readonly string[]
  /** unknown for sessions from before places were noted */
  place: Place | undefined
  /** apps it was used in */
  apps: ReadonlyArray<{ id: string; name: string | null }>
}

/** Who is signed in where, and ending it. */
export function createSessions({ db, vault, clock }: { db: Db; vault: Vault; clock: Clock }) {
  const sealed = createSealedRecords(vault)

  /**
   * Deletes some of an account's records, records the end of each session among them, and has the apps told that
   * it was used in.
   * @returns how many sessions there were
   */
  async function deleteRecords(on: Db, accountId: string, which: RawBuilder<unknown>) {
    const event = { type: 'session.ended', accountId, clientId: null } as const
    return inTransaction(on, async (trx) => {
      await keepApart(trx, recordsOf.account(accountId))
      const { rows } = await sql<{ key: Buffer; payload: Buffer }>`
        with gone as (
          delete from oidc_record where account_id = ${accountId} and ${which}
          returning key, model, payload
        ),
        recorded as (${auditEntry(clock, event, sql`from gone where model = 'Session'`)})
        select key, payload from gone where model = 'Session'`.execute(trx)
      const logouts = rows.flatMap(({ key, payload }) => {
        try {
          return logoutsOf(sealed.open(key, payload, null))
        } catch {
          // The vault has told of it. A session that can't be read must end all the same.
          return []
        }
      })
      if (logouts.length > 0) await queueLogouts(clock, sql`${logoutsAsJson(logouts)}`).execute(trx)
      return rows.length
    })
  }

  async function endAll(on: Db, accountId: string, exceptUid?: string): Promise<number> {
    const kept = exceptUid === undefined ? null : uidKey(exceptUid)
    return deleteRecords(
      on,
      accountId,
      sql`(${kept}::bytea is null
        or (uid_key is distinct from ${kept} and session_uid_key is distinct from ${kept}))`,
    )
  }

  async function namesOf(ids: readonly string[]): Promise<Map<string, string | null>> {
    if (ids.length === 0) return new Map()
    const rows = await db
      .selectFrom('client')
      .select(['id', 'name'])
      .where('id', 'in', [...ids])
      .execute()
    return new Map(rows.map(({ id, name }) => [id, name]))
  }

  return {
    /** An account's live sessions, the newest first. */
    async list(accountId: string): Promise<LiveSession[]> {
      const rows = await db
        .selectFrom('oidc_record')
        .select(['key', 'payload'])
        .where('account_id', '=', accountId)
        .where('model', '=', 'Session')
        .where(unexpired(clock, 'expires_at'))
        .execute()
      const payloads = rows.map(({ key, payload }) => sealed.open(key, payload, null))
      const names = await namesOf([...new Set(payloads.flatMap(appsOf))])
      return payloads
        .flatMap((payload) => describe(payload, names))
        .toSorted((a, b) => b.signedInAt.getTime() - a.signedInAt.getTime())
    },

    /**
     * Ends a session with all that was given in it: grants, codes and tokens, those for access while the
     * person is away included.
     * @returns whether the account had such a session
     */
    async end(accountId: string, uid: string, on: Db = db): Promise<boolean> {
      const key = uidKey(uid)
      const ended = await deleteRecords(
        on,
        accountId,
        sql`(uid_key = ${key} or session_uid_key = ${key})`,
      )
      return ended > 0
    },

    /**
     * Ends an account's sessions and takes back everything apps were given, also what outlived its session.
     * @param on the transaction of what this follows from
     * @param exceptUid a session that stays, with what was given in it
     * @returns how many sessions that were
     */
    endAll,

    /**
     * Makes sure that a session hasn't ended, and doesn't until the transaction is done.
     * @param on the transaction of what is done in it
     * @throws Refusal when it has
     */
    async assertLive(on: Db, accountId: string, uid: string): Promise<void> {
      // What is done in it may end the others, and then comes too late for the order.
      await keepApart(on, recordsOf.account(accountId))
      const row = await on
        .selectFrom('oidc_record')
        .select('key')
        .where('uid_key', '=', uidKey(uid))
        .where(unexpired(clock, 'expires_at'))
        .forUpdate()
        .executeTakeFirst()
      if (!row) throw new Refusal(SESSION_OVER, 403, 'The session has ended. Nothing was changed.')
    },

    /** Ends all sessions of an account, for an admin. @returns how many there were */
    endAllOf: (accountId: string) => endAll(db, accountId),

    /** Ends all sessions of an account but one. */
    endOthers: (accountId: string, keptUid: string) => endAll(db, accountId, keptUid),
  }
}

/** In the transaction that is under way, or in one of its own. */
function inTransaction<T>(on: Db, work: (trx: Db) => Promise<T>): Promise<T> {
  return on.isTransaction ? work(on) : on.transaction().execute(work)
}

function appsOf({ authorizations }: StoredPayload): string[] {
  return Object.keys(authorizations ?? {})
}

function describe(payload: StoredPayload, names: Map<string, string | null>): LiveSession[] {
  const { uid, loginTs, acr, amr = [], place } = payload
  if (!uid || loginTs === undefined) return []
  const apps = appsOf(payload).flatMap((id) => {
    const name = names.get(id)
    return name === undefined ? [] : [{ id, name }]
  })
  return [{ uid, signedInAt: new Date(loginTs * 1000), acr, amr, place, apps }]
}
