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
/** What is left of a minute is everybody else's. */
const AT_MOST_MS = 40_000
/** Deleted well within the 2.5 seconds that a statement has. */
const BATCH = 2000
/** Between batches, so that sign-ins get at connections and disk. */
const PAUSE_MS = 20

/**
 * Sweeps expired rows in the background, in batches that several instances can share. Rooms take turns for as long
 * as they have more, so that one that is flooded holds up no other.
 */
export function keepHouse(rooms: readonly Sweepable[], log: Log): { stop(): void } {
  let sweeping = false
  let stopped = false

  async function sweep(): Promise<void> {
    if (sweeping) return
    sweeping = true
    const end = performance.now() + AT_MOST_MS
    let full = rooms
    while (full.length > 0) full = await sweepOnce(full, end)
    sweeping = false
  }

  /** @returns the rooms that may have more */
  async function sweepOnce(turn: readonly Sweepable[], end: number): Promise<Sweepable[]> {
    const full: Sweepable[] = []
    for (const room of turn) {
      if (stopped || performance.now() >= end) return []
      // What goes wrong in one room mustn't let the others fill up.
      try {
        if ((await room.sweep(BATCH)) < BATCH) continue
        full.push(room)
        await new Promise((resolve) => setTimeout(resolve, PAUSE_MS).unref())
      } catch (error) {
        log.warn({ error }, 'sweeping was put off')
      }
    }
    return full
  }

  const timer = setInterval(() => void sweep(), EVERY_MS).unref()
  return {
    stop() {
      stopped = true
      clearInterval(timer)
    },
  }
}
