import { scrypt as scryptCallback } from 'node:crypto'
import { promisify } from 'node:util'
import { fromBase64, isHash, isSalt, same, wholeNumber } from './encoding.ts'
import type { Check, HashFault, Scheme } from './scheme.ts'

const MEMORY_MOST_BYTES = 256 * 1024 * 1024
/** N times r times p: about two seconds. */
const WORK_MOST = 2 ** 22
const LANES_MOST = 16

export interface ScryptCost {
  /** N, a power of two */
  N: number
  r: number
  p: number
}

const scryptAsync = promisify<
  string,
  Buffer,
  number,
  { N: number; r: number; p: number; maxmem: number },
  Buffer
>(scryptCallback)

/** PHC form, which is passlib's, too: `$scrypt$ln=14,r=8,p=1$SALT$HASH`. */
export const scrypt: Scheme = {
  name: 'scrypt',
  begins: /^\$scrypt\$/,

  read(stored): Check | HashFault {
    const [, ln, r, p, salt = '', hash = ''] =
      /^\$scrypt\$ln=(\d+),r=(\d+),p=(\d+)\$([^$]+)\$([^$]+)$/.exec(stored) ?? []
    const cost = { N: 2 ** wholeNumber(ln), r: wholeNumber(r), p: wholeNumber(p) }
    return readScrypt(cost, fromBase64(salt), fromBase64(hash))
  },
}

/** Django's: `scrypt$16384$SALT$8$1$HASH`, its salt being the text as it stands. */
export const djangoScrypt: Scheme = {
  name: 'scrypt',
  begins: /^scrypt\$/,

  read(stored): Check | HashFault {
    const [, n, salt = '', r, p, hash = '', ...more] = stored.split('$')
    if (more.length > 0) return 'malformed'
    const cost = { N: wholeNumber(n), r: wholeNumber(r), p: wholeNumber(p) }
    return readScrypt(cost, Buffer.from(salt), fromBase64(hash))
  },
}

function readScrypt(
  cost: ScryptCost,
  salt: Buffer | undefined,
  hash: Buffer | undefined,
): Check | HashFault {
  if (!isSalt(salt) || !isHash(hash)) return 'malformed'
  const fault = faultOfCost(cost)
  if (fault) return fault
  return async (password) => same(await deriveScrypt(password, salt, hash.length, cost), hash)
}

export function faultOfCost({ N, r, p }: ScryptCost): HashFault | undefined {
  if (!(N >= 2 && r >= 1 && p >= 1) || !Number.isInteger(Math.log2(N))) return 'malformed'
  const tooMuch = 128 * N * r > MEMORY_MOST_BYTES || N * r * p > WORK_MOST || p > LANES_MOST
  return tooMuch ? 'too-costly' : undefined
}

export function deriveScrypt(
  password: string,
  salt: Buffer,
  bytes: number,
  cost: ScryptCost,
): Promise<Buffer> {
  return scryptAsync(password, salt, bytes, { ...cost, maxmem: 2 * MEMORY_MOST_BYTES })
}
