import type { JWK } from 'jose'
import type { Log } from './log.ts'
import { createWorker } from './messaging/worker.ts'
import type { SigningKeys } from './oidc/keys.ts'

/** Soon enough: a new key isn't signed with for minutes, and a withdrawn one shouldn't be for more than this. */
const EVERY_MS = 15_000

interface Dependencies {
  signingKeys: SigningKeys
  /** those in use */
  keys: readonly JWK[]
  /** puts others in use */
  take: (keys: JWK[]) => void
  log: Log
  everyMs?: number | undefined
}

/**
 * Takes up changed signing keys while the server runs, whichever instance or command changed them, and changes them
 * when it is time.
 */
export function createKeyWatch({ signingKeys, keys, take, log, everyMs = EVERY_MS }: Dependencies) {
  let held = kidsOf(keys)

  async function look(): Promise<boolean> {
    if (await signingKeys.rotateWhenDue()) log.info('signing keys were rotated by schedule')
    if ((await signingKeys.order()).join() === held) return false
    const changed = await signingKeys.load()
    take(changed)
    held = kidsOf(changed)
    log.info({ kids: held }, 'signing keys changed')
    return false
  }

  return createWorker(look, everyMs, (error) => log.warn({ error }, 'no look at the signing keys'))
}

function kidsOf(keys: readonly JWK[]): string {
  return keys.map(({ kid }) => kid).join()
}
