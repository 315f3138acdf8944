import { createHmac, timingSafeEqual } from 'node:crypto'

/**
 * HOTP (RFC 4226 section 5.3): HMAC-SHA1 of the counter, dynamically truncated.
 *
 * @param secret at least 16 bytes (R6); ours have 20
 * @param counter 0 to 2^64 - 1, eight bytes big-endian
 * @param digits 6 to 8
 * @returns the code with its leading zeros
 */
export function hotp(secret: Buffer, counter: bigint, digits: number): string {
  const moving = Buffer.alloc(8)
  moving.writeBigUInt64BE(counter)
  const mac = createHmac('sha1', secret).update(moving).digest()
  const offset = mac.readUInt8(mac.length - 1) & 0x0f
  const truncated = mac.readUInt32BE(offset) & 0x7fffffff
  return String(truncated % 10 ** digits).padStart(digits, '0')
}

/** Room for generous spacing, and little to parse. */
const LONGEST_INPUT = 64

/**
 * A code as people type it: exactly `digits` ASCII digits; spaces, and one dash between them, don't matter.
 * @returns the bare digits, or undefined when it can't be a code
 */
export function parseCode(input: string, digits: number): string | undefined {
  if (input.length > LONGEST_INPUT) return undefined
  const bare = input.replaceAll(' ', '').replace(/^(\d+)-(\d+)$/, '$1$2')
  return bare.length === digits && /^[0-9]+$/.test(bare) ? bare : undefined
}

/** Compares two codes of the same length in constant time. */
export function codesMatch(given: string, expected: string): boolean {
  return (
    given.length === expected.length && timingSafeEqual(Buffer.from(given), Buffer.from(expected))
  )
}
