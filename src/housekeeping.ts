import type { Log } from './log.ts'

interface Sweepable {
  /** Deletes at most `batch` rows that are no longer needed, and tells how many. */
  sweep(batch: number): Promise<number>
}

/** Those of some parts that can be swept: asked of the parts themselves, so that none is forgotten. */
export function sweptAmong(parts: object): Sweepable[] {
  return Object.values(parts).filter(isSweepable)
}

function isSweepable(part: unknown): part is Sweepable {
  return typeof part === 'object' && part !== null && 'sweep' in part
}

const EVERY_MS = 60_000
const BATCH = 500
/** So that a backlog is worked off over several rounds, without holding up logins. */
const BATCHES_A_ROUND = 20

/** Sweeps expired rows in the background, in small batches that several instances can share. */
export function keepHouse(rooms: readonly Sweepable[], log: Log): { stop(): void } {
  let sweeping = false

  async function sweep(): Promise<void> {
    if (sweeping) return
    sweeping = true
    for (const room of rooms) {
      // What goes wrong in one room mustn't let the others fill up.
      try {
        for (let round = 0; round < BATCHES_A_ROUND; round++)
          if ((await room.sweep(BATCH)) < BATCH) break
      } catch (error) {
        log.warn({ error }, 'sweeping was put off')
      }
    }
    sweeping = false
  }

  const timer = setInterval(() => void sweep(), EVERY_MS).unref()
  return { stop: () => clearInterval(timer) }
}
