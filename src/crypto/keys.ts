import { hash, hkdfSync } from 'node:crypto'

/** Derives a key for one purpose from a master key (HKDF-SHA256, RFC 5869), so that no key serves two. */
export function deriveKey(master: Buffer, purpose: string): Buffer {
  return Buffer.from(hkdfSync('sha256', master, Buffer.alloc(0), `sallyport/${purpose}`, 32))
}

/** SHA-256 of a random token: what is stored instead of it. Fit only for values of 128 random bits or more. */
export function hashToken(token: string, kind: string): Buffer {
  return hash('sha256', `${kind}\0${token}`, 'buffer')
}
