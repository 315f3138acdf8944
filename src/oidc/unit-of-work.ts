import { AsyncLocalStorage } from 'node:async_hooks'
import type { AdapterPayload } from 'oidc-provider'
import type { Account } from '../accounts/accounts.ts'
import type { PlainEvent } from '../audit/event.ts'
import { type Batch, NOTHING } from './batch.ts'
import type { ClientRow } from './client-rows.ts'
import type { Logout } from './logouts.ts'
import type { Written } from './record-writes.ts'
import type { FoundRecord, Records } from './records.ts'
import {
  endsWithGrant,
  type PendingRecord,
  type Place,
  recordKey,
  type StoredPayload,
} from './sealed-records.ts'

export type UnitsOfWork = ReturnType<typeof createUnitsOfWork>
export type UnitOfWork = ReturnType<typeof createUnit>

/** A code or token that may be used once had been used by the time the request wanted to store what it gave for it. */
export class UsedAlready extends Error {
  override readonly name = 'UsedAlready'
}

/** What the request was about to store rests on something that was removed meanwhile, as by signing out. */
export class ChangedMeanwhile extends Error {
  override readonly name = 'ChangedMeanwhile'
}

/**
 * What one request reads and writes of the provider's records.
 *
 * The provider saves a session, a grant, a code and so on one by one. Here they are kept until the request
 * is done and then stored in one statement: all or nothing, in one round trip, and with single use decided
 * by that same statement. What a look-up brought along answers the look-ups that follow it.
 */
export function createUnitsOfWork(records: Records) {
  const storage = new AsyncLocalStorage<UnitOfWork>()

  return {
    /** Runs a request's work and stores what it wrote. @throws UsedAlready, ChangedMeanwhile */
    async run(work: () => Promise<void>): Promise<void> {
      const unit = createUnit(records)
      await storage.run(unit, work)
      await unit.flush()
    },

    current(): UnitOfWork {
      const unit = storage.getStore()
      if (!unit) throw new Error('the provider was used outside a request')
      return unit
    },
  }
}

function createUnit(records: Records) {
  const known = new Map<string, StoredPayload | undefined>()
  /** device codes as they were stored: two people could decide about one at the same moment */
  const asRead = new Map<string, Buffer>()
  const sessionsByUid = new Map<string, StoredPayload>()
  const places = new Map<string, Place>()
  const accounts = new Map<string, Account>()
  const clients = new Map<string, ClientRow>()
  const upserts = new Map<string, PendingRecord>()
  const destroyed = new Map<string, Buffer>()
  const consumed = new Map<string, Buffer>()
  const revoked = new Map<string, Buffer>()
  const events: PlainEvent[] = []
  const logouts: Logout[] = []
  const losses: Array<() => void> = []
  let reused = false
  let signInPlace: Place | undefined

  function remember(found: FoundRecord | undefined): StoredPayload | undefined {
    if (found?.payload.kind === 'DeviceCode') asRead.set(found.key.toString('hex'), found.sealed)
    if (found?.client) clients.set(found.client.client_id, found.client)
    if (found?.account) accounts.set(found.account.id, found.account)
    if (found?.grant) known.set(found.grant.key.toString('hex'), found.grant.payload)
    if (found?.session?.uid) sessionsByUid.set(found.session.uid, found.session)
    const { uid, place } = found?.payload ?? {}
    if (uid && place) places.set(uid, place)
    return found?.payload
  }

  return {
    accounts,
    clients,

    async find(model: string, id: string): Promise<StoredPayload | undefined> {
      const key = recordKey(model, id)
      const hex = key.toString('hex')
      if (destroyed.has(hex)) return undefined
      const pending = upserts.get(hex)
      if (pending) return pending.payload
      if (!known.has(hex)) known.set(hex, remember(await records.find(key)))
      return known.get(hex)
    },

    async findByUid(uid: string): Promise<StoredPayload | undefined> {
      for (const { model, payload } of upserts.values()) {
        if (model === 'Session' && payload.uid === uid) return payload
      }
      return sessionsByUid.get(uid) ?? remember(await records.findByUid(uid))
    },

    async findByUserCode(code: string): Promise<StoredPayload | undefined> {
      const found = await records.findByUserCode(code)
      if (!found) return undefined
      known.set(found.key.toString('hex'), remember(found))
      return found.payload
    },

    upsert(
      model: string,
      id: string,
      payload: AdapterPayload,
      expiresIn: number | undefined,
    ): void {
      const key = recordKey(model, id)
      const hex = key.toString('hex')
      destroyed.delete(hex)
      // The provider leaves out what it doesn't know.
      const place = model === 'Session' ? (signInPlace ?? places.get(payload.uid ?? '')) : undefined
      const stored = place ? { ...payload, place } : payload
      const userCodeKey = payload.userCode ? records.userCodeKey(payload.userCode) : undefined
      upserts.set(hex, { key, model, payload: stored, expiresIn, givenIn: undefined, userCodeKey })
    },

    destroy(model: string, id: string): void {
      const key = recordKey(model, id)
      const hex = key.toString('hex')
      upserts.delete(hex)
      destroyed.set(hex, key)
    },

    consume(model: string, id: string): void {
      const key = recordKey(model, id)
      consumed.set(key.toString('hex'), key)
    },

    revokeGrant(grantId: string): void {
      const key = recordKey('Grant', grantId)
      revoked.set(key.toString('hex'), key)
      for (const [hex, { model, payload }] of upserts) {
        if (payload.grantId === grantId && endsWithGrant(model)) upserts.delete(hex)
      }
    },

    /** Has an event recorded by the statement that stores the rest, if it stores it; else `lost` is called. */
    tell(event: PlainEvent, lost?: () => void): void {
      events.push(event)
      if (lost) losses.push(lost)
    },

    /** Has an app told that a session has ended, if the statement stores that it has. */
    tellOfLogout(logout: Logout): void {
      logouts.push(logout)
    },

    /** Notes that grants are revoked because a code or a token came a second time. */
    tellOfReuse(): void {
      reused = true
    },

    /** Notes where the sign-in of this request's session was done. */
    noteSignIn(place: Place): void {
      signInPlace = place
    },

    /** Forgets what was to be written: the request is refused after all. */
    discard(): void {
      for (const pending of [upserts, destroyed, consumed, revoked]) pending.clear()
      events.length = 0
      logouts.length = 0
      for (const lost of losses.splice(0)) lost()
    },

    async flush(): Promise<void> {
      const batch = {
        upserts: [...upserts.values()].map(withSession),
        destroyed: [...destroyed.values()],
        consumed: [...consumed.values()],
        required: required(),
        unchanged: unchanged(),
        revokedGrants: [...revoked.values()],
        events,
        logouts,
        reused,
      }
      const parts = [batch.upserts, batch.destroyed, batch.consumed, batch.revokedGrants, events]
      if (parts.every((part) => part.length === 0)) return
      let written: Written | undefined
      try {
        written = await records.write(batch)
      } finally {
        if (written !== 'stored') for (const lost of losses) lost()
      }
      if (written === 'stored') return
      if (written === 'changed') throw new ChangedMeanwhile('changed meanwhile')
      // Used twice: what the first use gave is taken back (RFC 6749 section 4.1.2, RFC 9700 section 4.14.2).
      const grants = [...consumed.keys()].flatMap((hex) => known.get(hex)?.grantId ?? [])
      const revokedGrants = grants.map((id) => recordKey('Grant', id))
      await records.write({ ...NOTHING, revokedGrants, reused: true })
      throw new UsedAlready('used already')
    },
  }

  /** A grant with the session it is given in: the one that names it, or that its consent was asked for in. */
  function withSession(record: PendingRecord): PendingRecord {
    if (record.model !== 'Grant') return record
    const id = record.payload.jti
    for (const { payload } of upserts.values()) {
      const named = Object.values(payload.authorizations ?? {}).some(
        ({ grantId }) => grantId === id,
      )
      if (named) return { ...record, givenIn: payload.uid }
      if (payload.result?.consent?.grantId === id)
        return { ...record, givenIn: payload.session?.uid }
    }
    return record
  }

  /** What this request decided about by what it read of it. */
  function unchanged(): Batch['unchanged'] {
    return [...upserts].flatMap(([hex, { key }]) => {
      const sealed = asRead.get(hex)
      return sealed ? [{ key, sealed }] : []
    })
  }

  /**
   * Whatever this request read and now replaces or removes must still be there when something new comes of it:
   * an interaction is resumed once, and a session that was ended meanwhile isn't brought back.
   */
  function required(): Buffer[] {
    if (upserts.size === 0) return []
    const replaced = [...upserts].map(([hex, { key }]) => ({ hex, key }))
    const removed = [...destroyed].map(([hex, key]) => ({ hex, key }))
    return [...replaced, ...removed].flatMap(({ hex, key }) => (known.get(hex) ? [key] : []))
  }
}
