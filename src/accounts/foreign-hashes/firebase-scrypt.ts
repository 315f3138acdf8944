import { createCipheriv } from 'node:crypto'
import { fromBase64, isHash, isSalt, same, wholeNumber } from './encoding.ts'
import type { Check, HashFault, Scheme } from './scheme.ts'
import { deriveScrypt, faultOfCost } from './scrypt.ts'

/** What Firebase shows as a project's password hash parameters, but for the signer key. */
export interface FirebaseParameters {
  /** id under which the signer key is kept, sealed */
  keyId: string
  /** base64 */
  saltSeparator: string
  rounds: number
  /** base-two logarithm of scrypt's N */
  memCost: number
}

/**
 * The form in which Firebase's hashes are stored here:
 * `$firebase-scrypt$k=KEY,m=14,r=8$SEPARATOR$SALT$HASH`, the last three in base64.
 */
export function firebaseHash(
  { keyId, saltSeparator, rounds, memCost }: FirebaseParameters,
  salt: string,
  hash: string,
): string {
  return `$firebase-scrypt$k=${keyId},m=${memCost},r=${rounds}$${saltSeparator}$${salt}$${hash}`
}

/** The id of the signer key that a stored hash of Firebase needs; undefined for others. */
export function signerKeyOf(stored: string): string | undefined {
  return /^\$firebase-scrypt\$k=([\w-]+),/.exec(stored)?.[1]
}

/** Firebase's own: the project's signer key, encrypted with what scrypt makes of the password. */
export const firebaseScrypt: Scheme = {
  name: 'firebase-scrypt',
  begins: /^\$firebase-scrypt\$/,

  read(stored, findSignerKey): Check | HashFault {
    const [, keyId = '', m, r, separator = '', salt = '', hash = ''] =
      /^\$firebase-scrypt\$k=([\w-]+),m=(\d+),r=(\d+)\$([^$]*)\$([^$]+)\$([^$]+)$/.exec(stored) ??
      []
    const own = fromBase64(salt)
    const shared = separator === '' ? Buffer.alloc(0) : fromBase64(separator)
    const expected = fromBase64(hash)
    if (!isSalt(own) || !shared || !isHash(expected)) return 'malformed'
    const salted = Buffer.concat([own, shared])
    const cost = { N: 2 ** wholeNumber(m), r: wholeNumber(r), p: 1 }
    const fault = faultOfCost(cost)
    if (fault) return fault
    return async (password) => {
      const signerKey = await findSignerKey(keyId)
      const key = await deriveScrypt(password, salted, 32, cost)
      // No import lets it come to that; without its key, a hash is nobody's.
      if (!signerKey) return false
      const cipher = createCipheriv('aes-256-ctr', key, Buffer.alloc(16))
      return same(Buffer.concat([cipher.update(signerKey), cipher.final()]), expected)
    }
  },
}
