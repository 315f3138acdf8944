import type { JWK } from 'jose'
import { sql } from 'kysely'
import { VaultError } from '../crypto/vault.ts'
import { placeOfKey } from './key-making.ts'
import { createKeyRotation, type KeyParts, standing } from './key-rotation.ts'
import { REMEDY } from './known-keys.ts'

export type SigningKeys = ReturnType<typeof createSigningKeys>

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

/** The keys that ID tokens are signed with, shared by all instances. */
export function createSigningKeys(parts: KeyParts) {
  const { db, vault, clock } = parts
  const rotation = createKeyRotation(parts)
  /** Those that signed last come first, those that are yet to sign come last. */
  const ordered = () => sql`order by activates_at > ${clock()}, activates_at desc, kid`

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

  async function list(): Promise<SigningKey[]> {
    const { rows } = await sql<SigningKey>`
      select kid, algorithm, created_at as "createdAt", activates_at as "activatesAt", retires_at as "retiresAt",
        ${rotation.rotatesAt()} as "rotatesAt",
        case when activates_at > ${clock()} then 'next'
          when row_number() over (partition by algorithm, activates_at > ${clock()} order by activates_at desc, kid) = 1
            then 'active'
          else 'retiring' end as state
      from signing_key where ${standing(clock)} ${ordered()}`.execute(db)
    return rows
  }

  /** Those that are there, private parts included, without making any. */
  async function read(): Promise<JWK[]> {
    const { rows } = await sql<{ kid: string; private_jwk: Buffer }>`
      select kid, private_jwk from signing_key where ${standing(clock)} ${ordered()}`.execute(db)
    return rows.map(open)
  }

  return {
    list,

    /** Ids of the keys as `load` would give them, without opening any. */
    async order(): Promise<string[]> {
      const { rows } = await sql<{ kid: string }>`
        select kid from signing_key where ${standing(clock)} ${ordered()}`.execute(db)
      return rows.map(({ kid }) => kid)
    },

    /**
     * The keys, private parts included; of each algorithm the first one signs. The first instance to ask makes
     * them.
     * @throws Error with a sentence for the operator when keys were lost, or can't be opened
     */
    async load(): Promise<JWK[]> {
      await rotation.ensure()
      return read()
    },

    read,
    whyLost: rotation.whyLost,

    /**
     * Makes a new key for each algorithm. It is published at once and signs once everybody can have seen it; the
     * old one verifies until nobody needs it any more.
     * @param now for keys in wrong hands: the new ones sign at once, and all others are withdrawn with what they signed
     * @returns the keys as they are now
     * @throws Refusal while a rotation is under way
     * @throws Error with a sentence for the operator when the keys were lost, unless they are to be made now
     */
    async rotate({ now = false }: { now?: boolean } = {}): Promise<SigningKey[]> {
      await rotation.rotate(now)
      return list()
    },

    rotateWhenDue: rotation.rotateWhenDue,

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
