import { sql } from 'kysely'
import { auditEntry } from '../audit/event.ts'
import type { Vault } from '../crypto/vault.ts'
import { type Clock, later } from '../db/clock.ts'
import type { Db } from '../db/schema.ts'
import { Refusal } from '../errors.ts'
import { type MadeKey, makeKeys, SIGNING_ALGORITHMS } from './key-making.ts'
import { createKnownKeys } from './known-keys.ts'
import { MINUTE, PUBLIC_SECONDS, SESSION_AT_MOST } from './lives.ts'

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

export interface KeyParts {
  db: Db
  vault: Vault
  clock: Clock
  /** age at which keys are rotated by themselves, in days; 0 for never */
  rotationDays: number
}

/** Whether a key is still good for something. */
export const standing = (clock: Clock) =>
  sql<boolean>`(retires_at is null or retires_at > ${clock()})`

/** Makes signing keys, each at its time and by one instance of all. */
export function createKeyRotation({ db, vault, clock, rotationDays }: KeyParts) {
  const known = createKnownKeys({ db, vault })
  /** By the oldest key that no other takes over from: those of an upgrade may be younger. */
  const oldest = () => sql`min(activates_at) filter (where retires_at is null)`
  const age = () => sql`make_interval(days => ${rotationDays})`

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
      where algorithm = ${algorithm} and ${standing(clock)}`.execute(trx)
    return numAffectedRows ? later(clock, PUBLISHED_BEFORE) : clock()
  }

  function insert(on: Db, keys: readonly MadeKey[], activatesAt: ReturnType<Clock>) {
    const rows = keys.map((key) => ({ ...key, created_at: clock(), activates_at: activatesAt }))
    return on.insertInto('signing_key').values(rows).execute()
  }

  /** Whether keys are as old as they may get, and none takes over yet. */
  async function isDue(on: Db): Promise<boolean> {
    const { rows } = await sql`
      select from signing_key where ${standing(clock)}
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

  return {
    ensure,
    whyLost: known.whyLost,

    /** When a key is followed by another by itself, as SQL over the rows of all that stand; null for never. */
    rotatesAt: () => sql<Date | null>`case when ${rotationDays} > 0 and retires_at is null
      then ${oldest()} over () + ${age()} end`,

    /** As `SigningKeys.rotate` says. */
    async rotate(now: boolean): Promise<void> {
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
  }
}

function underLock(db: Db, work: (trx: Db) => Promise<void>): Promise<void> {
  return db.transaction().execute(async (trx) => {
    await sql`select pg_advisory_xact_lock(${LOCK})`.execute(trx)
    await work(trx)
  })
}
