import { Unavailable } from '../errors.ts'

/** So many may wait for their turn; a login beyond that hears "try again" at once instead of queueing for long. */
const WAITING_AT_MOST = 256

/** As many as one statement has places for. With more, nothing is left that could be hashed while they go on. */
const TOGETHER_AT_MOST = 16
/** About as long as two cores take for as many. */
const HELD_AT_MOST_MS = 200

/**
 * Hashes so many at a time. While others wait for their turn, those that are done are held until the last has begun, and
 * then go on together. What follows a hash shares statements and turns of the event loop with what follows others, and
 * isn't done between hashes, where both would find the core's caches full of the other: where there is much to do,
 * everything takes a fifth less of the processor.
 */
export function createHashingQueue(size: number) {
  let free = size
  const waiting: Array<() => void> = []
  let held: Array<() => void> = []
  let timer: NodeJS.Timeout | undefined

  function letGo(): void {
    clearTimeout(timer)
    const all = held
    held = []
    for (const goOn of all) goOn()
  }

  function hold(): Promise<void> {
    if (held.length === 0) timer = setTimeout(letGo, HELD_AT_MOST_MS)
    const going = new Promise<void>((goOn) => held.push(goOn))
    if (held.length === TOGETHER_AT_MOST) letGo()
    return going
  }

  return {
    /** @throws Unavailable where too many wait */
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
        if (waiting.length > 0) await hold()
        else letGo()
      }
    },
  }
}
