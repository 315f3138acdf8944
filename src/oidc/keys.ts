import { randomBytes } from 'node:crypto'
import { exportJWK, generateKeyPair, type JWK } from 'jose'
import { sql } from 'kysely'
import { auditEntry } from '../audit/event.ts'
import type { Vault } from '../crypto/vault.ts'
import { type Clock, later } from '../db/clock.ts'
import type { Db } from '../db/schema.ts'
import { Refusal } from '../errors.ts'
import { MINUTE, PUBLIC_SECONDS, SESSION_AT_MOST } from './lives.ts'

export type SigningKeys = ReturnType<typeof createSigningKeys>

/** RS256 is what every client library verifies by default; the others are there for clients registered for them. */
export const SIGNING_ALGORITHMS = ['RS256', 'ES256', 'EdDSA'] as const
type Algorithm = (typeof SIGNING_ALGORITHMS)[number]
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
}

/** The keys that ID tokens are signed with, shared by all instances. */
export function createSigningKeys({ db, vault, clock }: { db: Db; vault: Vault; clock: Clock }) {
  const standing = () => sql<boolean>`(retires_at is null or retires_at > ${clock()})`
  /** Those that signed last come first, those that are yet to sign come last. */
  const ordered = () => sql`order by activates_at > ${clock()}, activates_at desc, kid`

  /** Algorithms that no key is there to go on with: all of them at first, a new one after an upgrade. */
  async function missing(on: Db): Promise<Algorithm[]> {
    const { rows } = await sql<{ algorithm: string }>`
      select distinct algorithm from signing_key where retires_at is null`.execute(on)
    const there = new Set(rows.map(({ algorithm }) => algorithm))
    return SIGNING_ALGORITHMS.filter((algorithm) => !there.has(algorithm))
  }

  /**
   * Makes the keys that are missing, unless another instance has. They sign at once: nobody can be registered for an
   * algorithm before the version that has it runs. The version before this one publishes them, and signs with none.
   */
  async function ensure(): Promise<void> {
    const wanted = await missing(db)
    if (wanted.length === 0) return
    const made = await makeKeys(wanted, vault)
    await underLock(db, async (trx) => {
      const still: readonly string[] = await missing(trx)
      const due = made.filter(({ algorithm }) => still.includes(algorithm))
      if (due.length > 0) await insert(trx, due, clock())
    })
  }

  function insert(on: Db, keys: readonly MadeKey[], activatesAt: ReturnType<Clock>) {
    const rows = keys.map((key) => ({ ...key, created_at: clock(), activates_at: activatesAt }))
    return on.insertInto('signing_key').values(rows).execute()
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
        case when activates_at > ${clock()} then 'next'
          when row_number() over (partition by algorithm, activates_at > ${clock()} order by activates_at desc, kid) = 1
            then 'active'
          else 'retiring' end as state
      from signing_key where ${standing()} ${ordered()}`.execute(db)
    return rows
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
      const { rows } = await sql<{ kid: string; private_jwk: Buffer }>`
        select kid, private_jwk from signing_key where ${standing()} ${ordered()}`.execute(db)
      return rows.map(({ kid, private_jwk }) =>
        JSON.parse(vault.open(private_jwk, place(kid)).toString()),
      )
    },

    /**
     * Makes a new key for each algorithm. It is published at once and signs once everybody can have seen it; the
     * old one verifies until nobody needs it any more.
     * @param now for keys in wrong hands: the new ones sign at once, and all others are withdrawn with what they signed
     * @returns the keys as they are now
     * @throws Refusal while a rotation is under way
     */
    async rotate({ now = false }: { now?: boolean } = {}): Promise<SigningKey[]> {
      await ensure()
      if (!now) await assertNoneUnderWay(db)
      const made = await makeKeys(SIGNING_ALGORITHMS, vault)
      await underLock(db, async (trx) => {
        if (now) {
          await sql`delete from signing_key`.execute(trx)
        } else {
          await assertNoneUnderWay(trx)
          const retiresAt = later(clock, PUBLISHED_BEFORE + VERIFIES_AFTER)
          await sql`
            update signing_key set retires_at = ${retiresAt} where retires_at is null`.execute(trx)
        }
        await insert(trx, made, now ? clock() : later(clock, PUBLISHED_BEFORE))
        const detail = { immediate: now, kids: made.map(({ kid }) => kid).join(' ') }
        await auditEntry(clock, { type: 'keys.rotated', detail }).execute(trx)
      })
      return list()
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

function place(kid: string) {
  return { column: 'signing_key.private_jwk', row: kid }
}

function underLock(db: Db, work: (trx: Db) => Promise<void>): Promise<void> {
  return db.transaction().execute(async (trx) => {
    await sql`select pg_advisory_xact_lock(${LOCK})`.execute(trx)
    await work(trx)
  })
}

type MadeKey = Awaited<ReturnType<typeof makeKey>>

function makeKeys(algorithms: readonly Algorithm[], vault: Vault): Promise<MadeKey[]> {
  return Promise.all(algorithms.map((algorithm) => makeKey(algorithm, vault)))
}

async function makeKey(algorithm: Algorithm, vault: Vault) {
  const { privateKey } = await generateKeyPair(algorithm, {
    extractable: true,
    modulusLength: 2048,
  })
  const kid = randomBytes(9).toString('base64url')
  const marks = { kid, alg: algorithm, use: 'sig' }
  return {
    kid,
    algorithm,
    private_jwk: vault.seal(
      JSON.stringify({ ...(await exportJWK(privateKey)), ...marks }),
      place(kid),
    ),
  }
}
