import { pbkdf2 as pbkdf2Callback } from 'node:crypto'
import { promisify } from 'node:util'
import { fromAb64, fromBase64, isHash, isSalt, same, wholeNumber } from './encoding.ts'
import type { Check, HashFault, Scheme } from './scheme.ts'

/**
 * Most rounds times blocks of output: two seconds at the worst, a round of SHA-512 taking three times as long as the
 * others. Keycloak's default of SHA-1 is 1.3 million rounds of four blocks, Django's of SHA-256 1.5 million of one.
 */
const DIGESTS: Record<string, { blockBytes: number; workMost: number }> = {
  sha1: { blockBytes: 20, workMost: 6_000_000 },
  sha256: { blockBytes: 32, workMost: 6_000_000 },
  sha512: { blockBytes: 64, workMost: 4_000_000 },
}

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
  const known = DIGESTS[digest]
  if (!known || !(rounds >= 1) || !isSalt(salt) || !isHash(hash)) return 'malformed'
  if (rounds * Math.ceil(hash.length / known.blockBytes) > known.workMost) return 'too-costly'
  return async (password) =>
    same(await pbkdf2Async(password, salt, rounds, hash.length, digest), hash)
}
