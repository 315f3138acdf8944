import { createPublicKey } from 'node:crypto'
import { z } from 'zod'
import { Refusal } from '../errors.ts'

/** Algorithms that apps may sign with: assertions that they are who they say, and DPoP proofs. Ed25519 is EdDSA by its newer name (RFC 9864). */
export const PROOF_ALGORITHMS = ['RS256', 'PS256', 'ES256', 'EdDSA', 'Ed25519'] as const

/** Room for ten RSA keys of 4096 bits. */
const MOST_BYTES = 16_384
const LEAST_RSA_BITS = 2048

/** What would tell the private part of a key (RFC 7518 section 6, RFC 8037 section 2). */
const PRIVATE = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k', 'priv']

/** Public keys that a client proves with who it is, as a JSON Web Key Set (RFC 7517). */
export const publicKeys = z
  .strictObject({
    keys: z
      .array(
        z.looseObject({
          kty: z.enum(['RSA', 'EC', 'OKP']),
          kid: z.string().min(1).max(256).optional(),
          use: z.literal('sig').optional(),
          alg: z.enum(PROOF_ALGORITHMS).optional(),
        }),
      )
      .min(1)
      .max(10),
  })
  .describe('Its public keys as a JSON Web Key Set; a private one is refused.')
export type PublicKeys = z.output<typeof publicKeys>

/**
 * Makes sure that keys are public ones that an assertion can be checked with.
 * @throws Refusal naming the key and what is wrong with it, and never a part of it
 */
export function assertPublicKeys({ keys }: PublicKeys): void {
  if (JSON.stringify(keys).length > MOST_BYTES)
    throw refusal(`The key set must have at most ${MOST_BYTES} characters.`)
  for (const [index, key] of keys.entries()) {
    const refuse = (why: string) => refusal(`Key ${index + 1} of the key set ${why}.`)
    if (PRIVATE.some((member) => Object.hasOwn(key, member)))
      throw refuse(
        'holds a private part. Give only public keys, and make a new pair: that one has been seen',
      )
    const made = importedKey(key)
    if (!made) throw refuse('can’t be read')
    const { asymmetricKeyType: type, asymmetricKeyDetails: details } = made
    if (type === 'rsa' && (details?.modulusLength ?? 0) < LEAST_RSA_BITS)
      throw refuse(`must have at least ${LEAST_RSA_BITS} bits`)
    if (type === 'ec' && details?.namedCurve !== 'prime256v1')
      throw refuse('must be on the curve P-256')
    if (key.kty === 'OKP' && type !== 'ed25519') throw refuse('must be on the curve Ed25519')
  }
}

function importedKey(jwk: PublicKeys['keys'][number]) {
  try {
    return createPublicKey({ key: { ...jwk }, format: 'jwk' })
  } catch {
    return undefined
  }
}

function refusal(sentence: string): Refusal {
  return new Refusal('client', 400, sentence)
}
