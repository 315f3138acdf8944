import {
  createCipheriv,
  createDecipheriv,
  createHash,
  createSecretKey,
  type KeyObject,
  randomBytes,
} from 'node:crypto'
import { deriveKey } from './keys.ts'

export type Vault = ReturnType<typeof createVault>

/** Where a sealed value lives. It is bound to this place: moved to another row or column, it no longer opens. */
export interface Place {
  /** `table.column` */
  column: string
  row: string
}

export class VaultError extends Error {
  override readonly name = 'VaultError'
}

const FORMAT = 1
const KEY_ID_BYTES = 4
const NONCE_BYTES = 12
const DRAWN_AT_ONCE = 256
const TAG_BYTES = 16
const HEADER_BYTES = 1 + KEY_ID_BYTES

/**
 * Seals values for the database with AES-256-GCM.
 *
 * A sealed value is: format (1 byte), key id (4), nonce (12, random), cipher text, tag (16). Format and
 * place are authenticated. Each column has a key of its own, derived from the master key.
 *
 * A column's key may seal 2^32 values, for its nonces are random (NIST SP 800-38D, 8.3): `onSeal` is there to
 * count them, and another master key begins anew.
 *
 * @param masterKeys 32 bytes each; the first seals, all open
 * @param onFailure told the column of each value that doesn't open, before the error is thrown
 * @param onSeal told the column of each value that is sealed
 */
export function createVault(
  masterKeys: readonly Buffer[],
  onFailure: (column: string) => void = () => {},
  onSeal: (column: string) => void = () => {},
) {
  const ring = masterKeys.map((master) => ({
    id: keyId(master),
    name: keyId(master).toString('hex'),
    master,
    derived: new Map<string, KeyObject>(),
  }))
  const [current] = ring
  if (!current) throw new TypeError('a vault needs a key')

  function columnKey(entry: (typeof ring)[number], column: string): KeyObject {
    const known = entry.derived.get(column)
    if (known) return known
    // Made ready once: from bytes, each use would cost three times as much.
    const key = createSecretKey(deriveKey(entry.master, `seal/${column}`))
    entry.derived.set(column, key)
    return key
  }

  function failure({ column }: Place, why: string, cause?: unknown): VaultError {
    onFailure(column)
    return new VaultError(`${column}: ${why}`, { cause })
  }

  const nonces = createNonces()

  return {
    /** Public names of the keys, in hexadecimal; the first seals. They tell nothing of the keys. */
    keyNames: ring.map(({ name }) => name),

    /** Name of the key that a value says it was sealed with. */
    keyNameOf: (sealed: Buffer): string => sealed.subarray(1, HEADER_BYTES).toString('hex'),

    seal(plain: string | Buffer, place: Place): Buffer {
      onSeal(place.column)
      const nonce = nonces()
      const header = Buffer.concat([Buffer.from([FORMAT]), current.id])
      const cipher = createCipheriv('aes-256-gcm', columnKey(current, place.column), nonce)
      cipher.setAAD(boundTo(header, place))
      const body = typeof plain === 'string' ? cipher.update(plain, 'utf8') : cipher.update(plain)
      return Buffer.concat([header, nonce, body, cipher.final(), cipher.getAuthTag()])
    },

    /** @throws VaultError when no key fits, or the value was changed or moved */
    open(sealed: Buffer, place: Place): Buffer {
      if (sealed.length < HEADER_BYTES + NONCE_BYTES + TAG_BYTES || sealed[0] !== FORMAT) {
        throw failure(place, 'not a sealed value')
      }
      const header = sealed.subarray(0, HEADER_BYTES)
      const entry = ring.find(({ id }) => id.equals(header.subarray(1)))
      if (!entry) {
        const name = header.subarray(1).toString('hex')
        throw failure(place, `sealed with a key that is not among ENCRYPTION_KEYS (${name})`)
      }
      const nonce = sealed.subarray(HEADER_BYTES, HEADER_BYTES + NONCE_BYTES)
      const decipher = createDecipheriv('aes-256-gcm', columnKey(entry, place.column), nonce)
      decipher.setAAD(boundTo(header, place))
      decipher.setAuthTag(sealed.subarray(-TAG_BYTES))
      try {
        return Buffer.concat([
          decipher.update(sealed.subarray(HEADER_BYTES + NONCE_BYTES, -TAG_BYTES)),
          decipher.final(),
        ])
      } catch (cause) {
        throw failure(place, 'changed or moved since it was sealed', cause)
      }
    },
  }
}

/** Random nonces, drawn many at a time: to draw is what costs, and none of them is secret. */
function createNonces() {
  let drawn = Buffer.alloc(0)
  return (): Buffer => {
    if (drawn.length === 0) drawn = randomBytes(NONCE_BYTES * DRAWN_AT_ONCE)
    const nonce = drawn.subarray(0, NONCE_BYTES)
    drawn = drawn.subarray(NONCE_BYTES)
    return nonce
  }
}

/** A public name of a key: tells which key opens a value without telling anything of the key. */
function keyId(master: Buffer): Buffer {
  return createHash('sha256')
    .update('sallyport/key-id\0')
    .update(master)
    .digest()
    .subarray(0, KEY_ID_BYTES)
}

function boundTo(header: Buffer, { column, row }: Place): Buffer {
  return Buffer.concat([header, Buffer.from(`${column}\0${row}`)])
}
