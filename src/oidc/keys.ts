import { randomBytes } from 'node:crypto'
import { exportJWK, generateKeyPair, type JWK } from 'jose'
import { sql } from 'kysely'
import type { Vault } from '../crypto/vault.ts'
import type { Db } from '../db/schema.ts'

/** RS256 is what every client library verifies by default; ES256 is there for clients that ask for it. */
const ALGORITHMS = ['RS256', 'ES256'] as const
/** Any fixed number: instances that start together take turns under it. */
const LOCK = 7_326_001

/**
 * The signing keys, private parts included. The first instance to ask makes them; all others share them.
 */
export async function loadSigningKeys(db: Db, vault: Vault): Promise<JWK[]> {
  const rows = await db.transaction().execute(async (trx) => {
    await sql`select pg_advisory_xact_lock(${LOCK})`.execute(trx)
    const existing = await trx
      .selectFrom('signing_key')
      .selectAll()
      .orderBy('created_at', 'desc')
      .execute()
    if (existing.length > 0) return existing
    const made = await Promise.all(ALGORITHMS.map((algorithm) => makeKey(algorithm, vault)))
    return trx.insertInto('signing_key').values(made).returningAll().execute()
  })
  return rows.map((row) => JSON.parse(vault.open(row.private_jwk, place(row.kid)).toString()))
}

function place(kid: string) {
  return { column: 'signing_key.private_jwk', row: kid }
}

async function makeKey(algorithm: (typeof ALGORITHMS)[number], vault: Vault) {
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
