import { AsyncLocalStorage } from 'node:async_hooks'
import type { AdapterPayload } from 'oidc-provider'
import type { Account } from '../accounts/accounts.ts'
import type { ClientRow } from './clients.ts'
import {
  endsWithGrant,
  type FoundRecord,
  type PendingRecord,
  type Records,
  recordKey,
} from './records.ts'

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
  const known = new Map<string, AdapterPayload | undefined>()
  const sessionsByUid = new Map<string, AdapterPayload>()
  const accounts = new Map<string, Account>()
  const clients = new Map<string, ClientRow>()
  const upserts = new Map<string, PendingRecord>()
  const destroyed = new Map<string, Buffer>()
  const consumed = new Map<string, Buffer>()
  const revoked = new Map<string, Buffer>()

  function remember(found: FoundRecord | undefined): AdapterPayload | undefined {
    if (found?.client) clients.set(found.client.client_id, found.client)
    if (found?.account) accounts.set(found.account.id, found.account)
    if (found?.grant) known.set(found.grant.key.toString('hex'), found.grant.payload)
    if (found?.session?.uid) sessionsByUid.set(found.session.uid, found.session)
    return found?.payload
  }

  return {
    accounts,
    clients,

    async find(model: string, id: string): Promise<AdapterPayload | undefined> {
      const key = recordKey(model, id)
      const hex = key.toString('hex')
      if (destroyed.has(hex)) return undefined
      const pending = upserts.get(hex)
      if (pending) return pending.payload
      if (!known.has(hex)) known.set(hex, remember(await records.find(key)))
      return known.get(hex)
    },

    async findByUid(uid: string): Promise<AdapterPayload | undefined> {
      for (const { model, payload } of upserts.values()) {
        if (model === 'Session' && payload.uid === uid) return payload
      }
      return sessionsByUid.get(uid) ?? remember(await records.findByUid(uid))
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
      upserts.set(hex, { key, model, payload, expiresIn })
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

    /** Forgets what was to be written: the request is refused after all. */
    discard(): void {
      for (const pending of [upserts, destroyed, consumed, revoked]) pending.clear()
    },

    async flush(): Promise<void> {
      const revokedGrants = [...revoked.values()]
      const batch = {
        upserts: [...upserts.values()],
        destroyed: [...destroyed.values()],
        consumed: [...consumed.values()],
        required: required(),
        revokedGrants,
      }
      if (Object.values(batch).every((part) => part.length === 0)) return
      const written = await records.write(batch)
      if (written === 'stored') return
      if (written === 'changed') throw new ChangedMeanwhile('changed meanwhile')
      // Used twice: what the first use gave is taken back (RFC 6749 section 4.1.2, RFC 9700 section 4.14.2).
      const grants = [...consumed.keys()].flatMap((hex) => known.get(hex)?.grantId ?? [])
      const keys = grants.map((id) => recordKey('Grant', id))
      await records.write({
        upserts: [],
        destroyed: [],
        consumed: [],
        required: [],
        revokedGrants: keys,
      })
      throw new UsedAlready('used already')
    },
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
