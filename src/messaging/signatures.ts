import { createHmac, timingSafeEqual } from 'node:crypto'
import type { Callback } from './gateway.ts'

/** Seconds a signed report may be late or early. */
export const WINDOW_SECONDS = 300

/** Whether two texts are the same, in a time that tells nothing of where they differ. */
export function sameText(given: string, right: string): boolean {
  const [a, b] = [Buffer.from(given), Buffer.from(right)]
  return a.length === b.length && timingSafeEqual(a, b)
}

/** @param parts hashed one after another */
export function hmac(
  algorithm: 'sha1' | 'sha256',
  key: string | Buffer,
  parts: ReadonlyArray<string | Buffer>,
  encoding: 'hex' | 'base64',
): string {
  const hash = createHmac(algorithm, key)
  for (const part of parts) hash.update(part)
  return hash.digest(encoding)
}

/** Whether one of the keys, of which there are several during a rotation, makes the given signature. */
export function isSignedByOne<Key>(
  keys: readonly Key[],
  given: string,
  sign: (key: Key) => string,
): boolean {
  return keys.map((key) => sameText(given, sign(key))).includes(true)
}

/** A header that came exactly once; undefined otherwise. */
export function headerOf({ headers }: Callback, name: string): string | undefined {
  const value = headers[name]
  return typeof value === 'string' ? value : undefined
}

/** Whether a moment (seconds since 1970) is near enough to now, on either side. */
export function isTimely(at: number, now: number): boolean {
  return Number.isFinite(at) && Math.abs(now - at) <= WINDOW_SECONDS
}
