import { setTimeout as pause } from 'node:timers/promises'
import { auditEntry } from './audit/event.ts'
import type { Vault } from './crypto/vault.ts'
import type { Clock } from './db/clock.ts'
import { forgetSecret, keepSecret, SEALED_KEYRING, sealerOf } from './db/keyring.ts'
import { createResealing, type ResealedPage } from './db/resealing.ts'
import type { Db } from './db/schema.ts'
import type { SealedTable } from './db/sealed-table.ts'
import type { Log } from './log.ts'
import { createWorker } from './messaging/worker.ts'
import { SEALED_TABLES } from './sealed-tables.ts'

export type Reencryption = ReturnType<typeof createReencryption>

/** One of ENCRYPTION_KEYS, or one that is missing among them. */
export interface EncryptionKey {
  /** public name: it stands in each sealed value and tells nothing of the key */
  name: string
  /** first of ENCRYPTION_KEYS; another one of them; sealed something, but isn't among them */
  state: 'seals' | 'opens' | 'missing'
  /** how many values are sealed with it */
  values: number
}

export interface Reencrypted {
  /** values that were sealed anew */
  resealed: number
  /** values that another key still seals: they were being changed, or are still being made */
  left: number
  /** values that no key opens */
  lost: number
  /** whether nothing but those is left, so that other keys than the first can go */
  finished: boolean
}

export interface ReencryptionOptions {
  signal?: AbortSignal
  /** times that a page takes, to rest after it */
  restFactor?: number
  onProgress?: (resealed: number) => void
}

/** A walk that leaves something is followed by another, so often. */
const MOST_WALKS = 5
const BETWEEN_WALKS_MS = 200
/** So often servers look whether one that was begun has been left. */
const EVERY_MS = 60_000
/** In the background it takes a fifth of one connection's time at most. */
const REST_FACTOR = 4

/**
 * Stands in the keyring from the beginning to the end, sealed with the key that all is to be sealed with. Servers that
 * have another one first take no part: they would seal everything back.
 */
const MARK = 'reencryption'

/** Seals everything with the first of ENCRYPTION_KEYS, while all goes on (CRY-04). */
export function createReencryption({ db, clock, vault }: { db: Db; clock: Clock; vault: Vault }) {
  const resealing = createResealing({ db, vault })
  const [current = ''] = vault.keyNames

  /** Walks tables once. */
  async function walk(
    tables: readonly SealedTable[],
    { signal, restFactor = 0, onProgress }: ReencryptionOptions,
  ): Promise<ResealedPage> {
    const sum = { found: 0, resealed: 0, lost: 0 }
    for (const table of tables) {
      let begun = performance.now()
      for await (const page of resealing.reseal(table)) {
        sum.found += page.found
        sum.resealed += page.resealed
        sum.lost += page.lost
        onProgress?.(sum.resealed)
        if (signal?.aborted) return sum
        await pause((performance.now() - begun) * restFactor, undefined, { signal }).catch(() => {})
        begun = performance.now()
      }
    }
    return sum
  }

  return {
    /**
     * Seals anew what another key than the first has sealed. It may be broken off at any time and begun again, and
     * made by several at once. The keyring comes last, when nothing else is left: as long as an old key is needed
     * for anything, no instance starts without it.
     */
    async run(options: ReencryptionOptions = {}): Promise<Reencrypted> {
      if ((await sealerOf(db, vault, MARK)) !== current) {
        await forgetSecret(db, MARK)
        await keepSecret(db, vault, MARK, Buffer.from(current))
      }
      let [resealed, left, lost] = [0, 0, 0]
      let finished = false
      for (let walks = 0; walks < MOST_WALKS && !options.signal?.aborted; walks++) {
        if (walks > 0) await pause(BETWEEN_WALKS_MS)
        const before = resealed
        const onProgress = (count: number) => options.onProgress?.(before + count)
        const sum = await walk(SEALED_TABLES, { ...options, onProgress })
        resealed += sum.resealed
        lost = sum.lost
        left = sum.found - sum.resealed - sum.lost
        // What was sealed anew may have been followed by more of its kind behind the walk.
        if (sum.found > sum.lost || options.signal?.aborted) continue
        const ring = await walk([SEALED_KEYRING], options)
        resealed += ring.resealed
        lost += ring.lost
        left = ring.found - ring.resealed - ring.lost
        finished = left === 0
        if (finished) await forgetSecret(db, MARK)
        break
      }
      if (resealed > 0) {
        const detail = { key: current, values: resealed }
        await auditEntry(clock, { type: 'keys.reencrypted', detail }).execute(db)
      }
      return { resealed, left, lost, finished }
    },

    /** Whether it was begun, towards the key that is first here, and isn't finished. */
    isUnderWay: async (): Promise<boolean> => (await sealerOf(db, vault, MARK)) === current,

    /** The encryption keys, the one that seals first, and what each has sealed. It looks at every row. */
    async keys(): Promise<EncryptionKey[]> {
      const values = new Map(vault.keyNames.map((name) => [name, 0]))
      for (const table of [...SEALED_TABLES, SEALED_KEYRING])
        for await (const use of resealing.count(table))
          values.set(use.key, (values.get(use.key) ?? 0) + use.values)
      return [...values].map(([name, count]) => {
        const opens = vault.keyNames.includes(name)
        const state = name === current ? 'seals' : opens ? 'opens' : 'missing'
        return { name, state, values: count }
      })
    },
  }
}

/** Has a server go on with what was begun and left, at leisure. */
export function createReencryptionWorker({
  reencryption,
  vault,
  log,
  everyMs = EVERY_MS,
}: {
  reencryption: Reencryption
  vault: Vault
  log: Log
  everyMs?: number | undefined
}) {
  const stopping = new AbortController()
  const worker = createWorker(
    async () => {
      if (!(await reencryption.isUnderWay())) return false
      const done = await reencryption.run({ signal: stopping.signal, restFactor: REST_FACTOR })
      log.info(done, 'sealed values were sealed anew')
      return false
    },
    everyMs,
    (error) => log.warn({ error }, 'sealing anew was put off'),
  )
  return {
    start: () => {
      if (vault.keyNames.length > 1) worker.start()
    },
    stop: () => {
      stopping.abort()
      worker.stop()
    },
    idle: worker.idle,
  }
}
