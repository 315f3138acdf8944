import { randomBytes } from 'node:crypto'
import { availableParallelism } from 'node:os'
import { type Algorithm, hash, verify } from '@node-rs/argon2'
import { Unavailable } from '../errors.ts'

export type Passwords = ReturnType<typeof createPasswords>

/** OWASP's recommendation for argon2id with least memory: 19 MiB, two passes, one lane. */
const ARGON2ID: Algorithm = 2
export const COST = { memoryCost: 19_456, timeCost: 2, parallelism: 1 }

/** Hashing jobs that may wait for their turn; a login beyond that hears "try again" at once instead of queueing for long. */
const WAITING_AT_MOST = 256

/**
 * Hashes and checks passwords off the event loop, as many at a time as there are cores, so that a burst
 * of logins can't take all memory.
 */
export function createPasswords(cost: typeof COST = COST) {
  const slots = createSlots(availableParallelism())
  const options = { ...cost, algorithm: ARGON2ID }
  // Checked when there is no account to check, so that both take the same time.
  const decoy = hash(randomBytes(16).toString('hex'), options)

  return {
    hash(password: string): Promise<string> {
      return slots.run(() => hash(normalized(password), options))
    },

    /** @param stored a PHC string, or null: then the answer is false, after as much work */
    async verify(stored: string | null, password: string): Promise<boolean> {
      const against = stored ?? (await decoy)
      const right = await slots.run(() => verify(against, normalized(password)))
      return right && stored !== null
    },

    /** Whether a stored hash was made with other settings than today's, so that it should be made anew. */
    isOutdated(stored: string): boolean {
      const { memoryCost, timeCost, parallelism } = cost
      return !stored.startsWith(`$argon2id$v=19$m=${memoryCost},t=${timeCost},p=${parallelism}$`)
    },
  }
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

function createSlots(size: number) {
  let free = size
  const waiting: Array<() => void> = []

  return {
    async run<T>(work: () => Promise<T>): Promise<T> {
      if (free > 0) free--
      else {
        if (waiting.length >= WAITING_AT_MOST)
          throw new Unavailable(new Error('hashing queue is full'))
        await new Promise<void>((turn) => waiting.push(turn))
      }
      try {
        return await work()
      } finally {
        const next = waiting.shift()
        if (next) next()
        else free++
      }
    },
  }
}
