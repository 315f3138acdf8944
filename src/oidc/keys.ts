import type { JWK } from 'jose'
import { sql } from 'kysely'
import { auditEntry } from '../audit/event.ts'
import { type Vault, VaultError } from '../crypto/vault.ts'
import { type Clock, later } from '../db/clock.ts'
import type { Db } from '../db/schema.ts'
import { Refusal } from '../errors.ts'
import { type MadeKey, makeKeys, placeOfKey, SIGNING_ALGORITHMS } from './key-making.ts'
import { createKnownKeys, REMEDY } from './known-keys.ts'
import { MINUTE, PUBLIC_SECONDS, SESSION_AT_MOST } from './lives.ts'

export type SigningKeys = ReturnType<typeof createSigningKeys>

/** Any fixed number: instances that make keys take turns under it. */
const LOCK = 7_326_001

/**
 * A new key is published this long before it signs: twice as long as anybody keeps the keys they read, so that
 * nobody meets a token whose key they can't know, also where an instance took it up a little later (OIDC-36).
 */
const PUBLISHED_BEFORE = 2 * PUBLIC_SECONDS
/**
 * A key verifies this long after its last signature. ID tokens end sooner, but apps show them once more to sign out
 * of a session (`id_token_hint`), however old they are.
 */
const VERIFIES_AFTER = SESSION_AT_MOST + 10 * MINUTE

/** What may be shown of a signing key: nothing of its private part. */
export interface SigningKey {
  kid: string
  algorithm: string
  /** published but not signing yet; signing; only verifying what it signed */
  state: 'next' | 'active' | 'retiring'
  createdAt: Date
  /** from when it signs */
  activatesAt: Date
  /** when it is withdrawn; null while no other takes over */
  retiresAt: Date | null
  /** when another is made by itself; null while one takes over, and where none ever is */
  rotatesAt: Date | null
}

interface Dependencies {
  db: Db
  vault: Vault
  clock: Clock
  /** age at which keys are rotated by themselves, in days; 0 for never */
  rotationDays: number
}

/** The keys that ID tokens are signed with, shared by all instances. */
export function createSigningKeys({ db, vault, clock, rotationDays }: Dependencies) {
  const known = createKnownKeys({ db, vault })
  const standing = () => sql<boolean>`(retires_at is null or retires_at > ${clock()})`
  /** Those that signed last come first, those that are yet to sign come last. */
  const ordered = () => sql`order by activates_at > ${clock()}, activates_at desc, kid`

  /**
   * Makes the keys that there never were, unless another instance has: all of them at first, a new one after an
   * upgrade. They sign at once: nobody can be registered for an algorithm before the version that has it runs. The
   * version before this one publishes them, and signs with none. Where that version rotated, and so left the key of
   * an algorithm to retire without another, that one goes on until everybody can know the one that is made here.
   * @throws Error with a sentence for the operator when keys were lost
   */
  async function ensure(): Promise<void> {
    const lost = await known.whyLost()
    if (lost) throw new Error(lost)
    if (await known.areComplete()) return
    const made = await makeKeys(await known.missing(db), vault)
    let done = false
    await underLock(db, async (trx) => {
      const still: readonly string[] = await known.missing(trx)
      const due = made.filter(({ algorithm }) => still.includes(algorithm))
      // Otherwise another version has rotated in this very moment.
      done = due.length === still.length
      if (!done) return
      for (const key of due) await insert(trx, [key], await whenToSign(trx, key))
      await known.remember(trx)
    })
    if (!done) await ensure()
  }

  async function whenToSign(trx: Db, { algorithm }: MadeKey) {
    const { numAffectedRows } = await sql`
      update signing_key set retires_at = ${later(clock, PUBLISHED_BEFORE + VERIFIES_AFTER)}
      where algorithm = ${algorithm} and ${standing()}`.execute(trx)
    return numAffectedRows ? later(clock, PUBLISHED_BEFORE) : clock()
  }

  function insert(on: Db, keys: readonly MadeKey[], activatesAt: ReturnType<Clock>) {
    const rows = keys.map((key) => ({ ...key, created_at: clock(), activates_at: activatesAt }))
    return on.insertInto('signing_key').values(rows).execute()
  }

  function open({ kid, private_jwk }: { kid: string; private_jwk: Buffer }): JWK {
    try {
      return JSON.parse(vault.open(private_jwk, placeOfKey(kid)).toString())
    } catch (cause) {
      if (!(cause instanceof VaultError)) throw cause
      throw new Error(
        `The signing key ${kid} can't be opened (${cause.message}). If its encryption key is missing, put that one back. ${REMEDY}`,
        { cause },
      )
    }
  }

  /** By the oldest key that no other takes over from: those of an upgrade may be younger. */
  const oldest = () => sql`min(activates_at) filter (where retires_at is null)`
  const age = () => sql`make_interval(days => ${rotationDays})`

  /** Whether keys are as old as they may get, and none takes over yet. */
  async function isDue(on: Db): Promise<boolean> {
    const { rows } = await sql`
      select from signing_key where ${standing()}
      having ${oldest()} + ${age()} <= ${clock()} and bool_and(retires_at is null)`.execute(on)
    return rows.length > 0
  }

  /** Publishes new keys, and has the others retire when they have taken over. */
  async function follow(trx: Db, made: readonly MadeKey[]): Promise<void> {
    const retiresAt = later(clock, PUBLISHED_BEFORE + VERIFIES_AFTER)
    await sql`update signing_key set retires_at = ${retiresAt} where retires_at is null`.execute(
      trx,
    )
    await insert(trx, made, later(clock, PUBLISHED_BEFORE))
    await known.remember(trx)
  }

  async function record(trx: Db, made: readonly MadeKey[], detail: Record<string, boolean>) {
    const kids = made.map(({ kid }) => kid).join(' ')
    await auditEntry(clock, { type: 'keys.rotated', detail: { ...detail, kids } }).execute(trx)
  }

  async function assertNoneUnderWay(on: Db): Promise<void> {
    const { rows } = await sql<{ until: Date | null; seconds: number }>`
      select max(retires_at) as until,
        ceil(extract(epoch from max(retires_at) - ${clock()}))::float8 as seconds
      from signing_key where retires_at > ${clock()}`.execute(on)
    const [{ until, seconds } = { until: null, seconds: 0 }] = rows
    if (!until) return
    throw new Refusal(
      'keys_rotating',
      409,
      `A rotation of the signing keys is under way; the next one can begin at ${until.toISOString()}. If a key is in wrong hands, rotate at once.`,
      seconds,
    )
  }

  async function list(): Promise<SigningKey[]> {
    const { rows } = await sql<SigningKey>`
      select kid, algorithm, created_at as "createdAt", activates_at as "activatesAt", retires_at as "retiresAt",
        case when ${rotationDays} > 0 and retires_at is null
          then ${oldest()} over () + ${age()} end as "rotatesAt",
        case when activates_at > ${clock()} then 'next'
          when row_number() over (partition by algorithm, activates_at > ${clock()} order by activates_at desc, kid) = 1
            then 'active'
          else 'retiring' end as state
      from signing_key where ${standing()} ${ordered()}`.execute(db)
    return rows
  }

  /** Those that are there, private parts included, without making any. */
  async function read(): Promise<JWK[]> {
    const { rows } = await sql<{ kid: string; private_jwk: Buffer }>`
      select kid, private_jwk from signing_key where ${standing()} ${ordered()}`.execute(db)
    return rows.map(open)
  }

  return {
    list,

    /** Ids of the keys as `load` would give them, without opening any. */
    async order(): Promise<string[]> {
      const { rows } = await sql<{ kid: string }>`
        select kid from signing_key where ${standing()} ${ordered()}`.execute(db)
      return rows.map(({ kid }) => kid)
    },

    /**
     * The keys, private parts included; of each algorithm the first one signs. The first instance to ask makes
     * them.
     */
    async load(): Promise<JWK[]> {
      await ensure()
      return read()
    },

    read,
    whyLost: known.whyLost,

    /**
     * Makes a new key for each algorithm. It is published at once and signs once everybody can have seen it; the
     * old one verifies until nobody needs it any more.
     * @param now for keys in wrong hands: the new ones sign at once, and all others are withdrawn with what they signed
     * @returns the keys as they are now
     * @throws Refusal while a rotation is under way
     * @throws Error with a sentence for the operator when the keys were lost, unless they are to be made now
     */
    async rotate({ now = false }: { now?: boolean } = {}): Promise<SigningKey[]> {
      if (!now) {
        await ensure()
        await assertNoneUnderWay(db)
      }
      const made = await makeKeys(SIGNING_ALGORITHMS, vault)
      await underLock(db, async (trx) => {
        if (now) {
          await sql`delete from signing_key`.execute(trx)
          await insert(trx, made, clock())
          await known.remember(trx)
        } else {
          await assertNoneUnderWay(trx)
          await follow(trx, made)
        }
        await record(trx, made, { immediate: now })
      })
      return list()
    },

    /**
     * Rotates keys that are as old as they may get. Of instances that try at once, one does.
     * @returns whether this one did
     */
    async rotateWhenDue(): Promise<boolean> {
      if (rotationDays === 0 || !(await isDue(db))) return false
      const made = await makeKeys(SIGNING_ALGORITHMS, vault)
      let done = false
      await underLock(db, async (trx) => {
        if (!(await isDue(trx))) return
        await follow(trx, made)
        await record(trx, made, { immediate: false, scheduled: true })
        done = true
      })
      return done
    },

    /** Deletes keys that nobody needs any more, `batch` at most. */
    async sweep(batch: number): Promise<number> {
      const { numAffectedRows } = await sql`
        delete from signing_key where kid in (
          select kid from signing_key where retires_at <= ${clock()}
          limit ${batch} for update skip locked)`.execute(db)
      return Number(numAffectedRows ?? 0)
    },
  }
}

function underLock(db: Db, work: (trx: Db) => Promise<void>): Promise<void> {
  return db.transaction().execute(async (trx) => {
    await sql`select pg_advisory_xact_lock(${LOCK})`.execute(trx)
    await work(trx)
  })
}
