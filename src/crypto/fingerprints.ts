import { createHmac, createSecretKey, type KeyObject } from 'node:crypto'
import { deriveKey } from './keys.ts'

export type Fingerprints = ReturnType<typeof createFingerprints>

export type FingerprintKind =
  | 'phone'
  | 'phone-prefix'
  | 'address'
  | 'network'
  | 'name'
  | 'client'
  | 'backup-code'
  | 'bypass-code'
  | 'known-browser'
  | 'user-code'

/**
 * Keyed hashes under which personal values are found and counted without being readable.
 *
 * @param pepper 32 random bytes that live sealed in the database (see `db/keyring`), so that rotating
 *   ENCRYPTION_KEYS changes no fingerprint
 */
export function createFingerprints(pepper: Buffer) {
  const keys = new Map<FingerprintKind, KeyObject>()

  return function fingerprint(kind: FingerprintKind, value: string): Buffer {
    let key = keys.get(kind)
    if (!key) {
      // Made ready once: from bytes, each use would cost five times as much.
      key = createSecretKey(deriveKey(pepper, `fingerprint/${kind}`))
      keys.set(kind, key)
    }
    return createHmac('sha256', key).update(value).digest()
  }
}
