import { timingSafeEqual } from 'node:crypto'

/** Shorter ones could be met by chance, longer ones come from nowhere. */
const HASH_BYTES = { least: 16, most: 128 }
const SALT_MOST_BYTES = 128

/** Base64 of the usual alphabet, padded or not; undefined when it is anything else. */
export function fromBase64(text: string): Buffer | undefined {
  return /^[A-Za-z0-9+/]+={0,2}$/.test(text) ? Buffer.from(text, 'base64') : undefined
}

/** passlib's own base64: a dot for the plus, no padding. */
export function fromAb64(text: string): Buffer | undefined {
  return fromBase64(text.replaceAll('.', '+'))
}

export function isHash(bytes: Buffer | undefined): bytes is Buffer {
  return bytes !== undefined && bytes.length >= HASH_BYTES.least && bytes.length <= HASH_BYTES.most
}

export function isSalt(bytes: Buffer | undefined): bytes is Buffer {
  return bytes !== undefined && bytes.length > 0 && bytes.length <= SALT_MOST_BYTES
}

/** A whole number without leading zeros; NaN when it is none. */
export function wholeNumber(text: string | undefined): number {
  return text !== undefined && /^[1-9]\d{0,9}$/.test(text) ? Number(text) : Number.NaN
}

/** Compares in constant time. */
export function same(a: Buffer, b: Buffer): boolean {
  return a.length === b.length && timingSafeEqual(a, b)
}
