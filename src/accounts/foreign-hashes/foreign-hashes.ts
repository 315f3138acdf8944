import { argon2 } from './argon2.ts'
import { bcrypt, bcryptSha256, passlibBcryptSha256 } from './bcrypt.ts'
import { firebaseScrypt } from './firebase-scrypt.ts'
import { djangoPbkdf2, pbkdf2 } from './pbkdf2.ts'
import type { Check, FindSignerKey, Scheme } from './scheme.ts'
import { djangoScrypt, scrypt } from './scrypt.ts'

/** Those that are told by how they begin; no two begin alike. */
const SCHEMES: readonly Scheme[] = [
  argon2,
  bcrypt,
  bcryptSha256,
  passlibBcryptSha256,
  scrypt,
  djangoScrypt,
  pbkdf2,
  djangoPbkdf2,
  firebaseScrypt,
]
/** No form comes near it. */
const LONGEST = 1024

/**
 * Reads a stored hash, whichever scheme it is of.
 * @returns how to check a password against it, or why it isn't taken: a sentence that quotes nothing of the hash
 */
export function readHash(
  stored: string,
  findSignerKey: FindSignerKey,
): { check: Check } | { fault: string } {
  const scheme = SCHEMES.find(({ begins }) => begins.test(stored))
  if (!scheme || stored.length > LONGEST)
    return { fault: 'The password hash is of no kind that is known here.' }
  const read = scheme.read(stored, findSignerKey)
  if (typeof read === 'function') return { check: read }
  return {
    fault:
      read === 'malformed'
        ? `The password hash begins as ${scheme.name} does, and can't be read as such.`
        : `The password hash is ${scheme.name}, and costs more than is taken.`,
  }
}
