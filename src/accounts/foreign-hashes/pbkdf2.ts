import { pbkdf2 as pbkdf2Callback } from 'node:crypto'
import { promisify } from 'node:util'
import { fromAb64, fromBase64, isHash, isSalt, same, wholeNumber } from './encoding.ts'
import type { Check, HashFault, Scheme } from './scheme.ts'

/** Rounds times blocks of output: about two seconds. Django's default of 2026 is 1.2 million. */
const WORK_MOST = 4_000_000
const BLOCK_BYTES: Record<string, number> = { sha1: 20, sha256: 32, sha512: 64 }

const pbkdf2Async = promisify(pbkdf2Callback)

/** passlib's `$pbkdf2-sha256$ROUNDS$SALT$HASH` (`$pbkdf2$` is SHA-1) and PHC's `$pbkdf2-sha256$i=ROUNDS,l=32$SALT$HASH`. */
export const pbkdf2: Scheme = {
  name: 'pbkdf2',
  begins: /^\$pbkdf2/,

  read(stored): Check | HashFault {
    const [, digest = 'sha1', phc, rounds, length, salt = '', hash = ''] =
      /^\$pbkdf2(?:-(sha1|sha256|sha512))?\$(i=)?(\d+)(?:,l=(\d+))?\$([^$]+)\$([^$]+)$/.exec(
        stored,
      ) ?? []
    const decode = phc ? fromBase64 : fromAb64
    const bytes = decode(hash)
    if (length !== undefined && Number(length) !== bytes?.length) return 'malformed'
    return readPbkdf2(digest, wholeNumber(rounds), decode(salt), bytes)
  },
}

/** Django's `pbkdf2_sha256$ROUNDS$SALT$HASH`, its salt being the text as it stands. */
export const djangoPbkdf2: Scheme = {
  name: 'pbkdf2',
  begins: /^pbkdf2_/,

  read(stored): Check | HashFault {
    const [, digest = '', rounds, salt = '', hash = ''] =
      /^pbkdf2_(sha1|sha256|sha512)\$(\d+)\$([^$]+)\$([^$]+)$/.exec(stored) ?? []
    return readPbkdf2(digest, wholeNumber(rounds), Buffer.from(salt), fromBase64(hash))
  },
}

function readPbkdf2(
  digest: string,
  rounds: number,
  salt: Buffer | undefined,
  hash: Buffer | undefined,
): Check | HashFault {
  const block = BLOCK_BYTES[digest]
  if (block === undefined || !(rounds >= 1) || !isSalt(salt) || !isHash(hash)) return 'malformed'
  if (rounds * Math.ceil(hash.length / block) > WORK_MOST) return 'too-costly'
  return async (password) =>
    same(await pbkdf2Async(password, salt, rounds, hash.length, digest), hash)
}
