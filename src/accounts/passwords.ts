import { randomBytes } from 'node:crypto'
import { availableParallelism } from 'node:os'
import { type Algorithm, hash, verify } from '@node-rs/argon2'
import { readHash } from './foreign-hashes/foreign-hashes.ts'
import type { Check, FindSignerKey } from './foreign-hashes/scheme.ts'
import { createHashingQueue } from './hashing-queue.ts'

export type Passwords = ReturnType<typeof createPasswords>

/** How hard it is to make a hash. */
export type Cost = Readonly<Record<'memoryCost' | 'timeCost' | 'parallelism', number>>

/** OWASP's recommendation for argon2id with least memory: 19 MiB, two passes, one lane. */
const ARGON2ID: Algorithm = 2
export const COST: Cost = { memoryCost: 19_456, timeCost: 2, parallelism: 1 }

/** How the hashes begin that were made here; those from elsewhere never do: see `foreignForm`. */
export const OWN_HASH = '$argon2'

/**
 * Hashes and checks passwords off the event loop, as many at a time as there are cores, so that a burst
 * of logins can't take all memory. Hashes that were imported are checked in the way of their own scheme.
 *
 * @param findSignerKey what hashes that came from Firebase need
 */
export function createPasswords(
  cost: Cost = COST,
  findSignerKey: FindSignerKey = async () => undefined,
) {
  const queue = createHashingQueue(availableParallelism())
  const options = { ...cost, algorithm: ARGON2ID }
  // Checked when there is no account to check, so that both take the same time.
  const decoy = hash(randomBytes(16).toString('hex'), options)
  const checkDecoy: Check = async (password) => verify(await decoy, password)

  return {
    hash(password: string): Promise<string> {
      return queue.run(() => hash(normalized(password), options))
    },

    /**
     * @param stored a hash of any scheme that is known, or null: then the answer is false, after as much work
     */
    async verify(stored: string | null, password: string): Promise<boolean> {
      const read = stored === null ? undefined : readHash(stored, findSignerKey)
      const check = read && 'check' in read ? read.check : undefined
      // What is cheaper than ours mustn't be answered sooner than a name that nobody has (ENU-02).
      const isForeign = check !== undefined && !stored?.startsWith(OWN_HASH)
      return queue.run(async () => {
        const [right] = await Promise.all([
          isRight(check ?? checkDecoy, password),
          isForeign && isRight(checkDecoy, password),
        ])
        return right && check !== undefined
      })
    },

    /** Whether a stored hash was made with other settings than today's, so that it should be made anew. */
    isOutdated(stored: string): boolean {
      const { memoryCost, timeCost, parallelism } = cost
      return !stored.startsWith(
        `${OWN_HASH}id$v=19$m=${memoryCost},t=${timeCost},p=${parallelism}$`,
      )
    },
  }
}

/**
 * The form in which a hash from elsewhere is kept: as it was given, but for argon2, which gets Django's prefix, so
 * that it is told from our own.
 * @returns why it isn't kept instead: a sentence that quotes nothing of it
 */
export function foreignForm(given: string): { stored: string } | { fault: string } {
  const stored = given.startsWith(OWN_HASH) ? `argon2${given}` : given
  const read = readHash(stored, async () => undefined)
  return 'fault' in read ? read : { stored }
}

/** A stored hash as other systems write it. */
export function commonForm(stored: string): string {
  return stored.startsWith(`argon2${OWN_HASH}`) ? stored.slice('argon2'.length) : stored
}

/** In our spelling and as it was typed, where that differs: other systems hash what is typed. */
async function isRight(check: Check, password: string): Promise<boolean> {
  for (const spelling of new Set([normalized(password), password]))
    if (await check(spelling)) return true
  return false
}

/**
 * A password as it is hashed, so that what two keyboards write differently is one: composed letters, plain
 * spaces (the OpaqueString profile of RFC 8265). Nothing changes in one of ASCII characters.
 */
export function normalized(password: string): string {
  return password.replace(/\p{Zs}/gu, ' ').normalize('NFC')
}

/** Longer than any password of 256 characters in bytes: refused before it is looked at. */
export const PASSWORD_INPUT_LIMIT = 256 * 4
