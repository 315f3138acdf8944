import { createHmac, createSecretKey, timingSafeEqual } from 'node:crypto'

/**
 * Signatures of cookies as Keygrip makes them, whose own way of comparing takes three times as long as signing; several
 * cookies are compared at every page.
 * @param keys the first signs; the others are known from before
 */
export function createCookieSignatures(keys: readonly string[]) {
  // Made ready once: from text, each use would cost more than the signature.
  const ready = keys.map((key) => createSecretKey(Buffer.from(key)))
  const [signing] = ready
  if (!signing) throw new TypeError('a signature needs a key')
  const signed = (data: string, key: typeof signing) =>
    createHmac('sha1', key).update(data).digest('base64url')

  /** The place of the key that signed; -1 where none did. */
  function index(data: string, signature: string): number {
    const presented = Buffer.from(signature)
    return ready.findIndex((key) => {
      const right = Buffer.from(signed(data, key))
      return right.length === presented.length && timingSafeEqual(right, presented)
    })
  }

  return {
    sign: (data: string): string => signed(data, signing),
    index,
    verify: (data: string, signature: string): boolean => index(data, signature) !== -1,
  }
}
