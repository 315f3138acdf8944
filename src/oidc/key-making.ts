import { randomBytes } from 'node:crypto'
import { exportJWK, generateKeyPair } from 'jose'
import type { Vault } from '../crypto/vault.ts'
import { sealedTable } from '../db/sealed-table.ts'

export const SEALED_SIGNING_KEYS = sealedTable('signing_key', {
  key: { kid: 'text' },
  columns: ['private_jwk'],
})

/** RS256 is what every client library verifies by default; the others are there for clients registered for them. */
export const SIGNING_ALGORITHMS = ['RS256', 'ES256', 'EdDSA'] as const
type Algorithm = (typeof SIGNING_ALGORITHMS)[number]

export function placeOfKey(kid: string) {
  return { column: 'signing_key.private_jwk', row: kid }
}

export type MadeKey = Awaited<ReturnType<typeof makeKey>>

/** A new key for each algorithm, sealed. */
export function makeKeys(algorithms: readonly Algorithm[], vault: Vault): Promise<MadeKey[]> {
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
      placeOfKey(kid),
    ),
  }
}
