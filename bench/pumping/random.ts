export type Random = ReturnType<typeof createRandom>

/** Numbers that look random and are the same in every run (mulberry32). */
export function createRandom(seed: number) {
  let state = seed

  /** From 0 up to 1, without it. */
  function next(): number {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }

  return {
    next,
    chance: (share: number) => next() < share,
    between: (least: number, most: number) => least + next() * (most - least),
    /** A whole number from 0 up to `count`, without it. */
    below: (count: number) => Math.floor(next() * count),
  }
}
