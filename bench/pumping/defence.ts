import type { SignIn } from './traffic.ts'

/** What stands between a right password and a text. Times are in seconds since the beginning. */
export interface Defence {
  name: string
  /**
   * Whether a text goes out that begins a sign-in.
   * @param attempt 0, or how often the person has tried before in vain
   */
  start(signIn: SignIn, attempt: number, at: number, address: string): Promise<boolean>
  /** Whether the same code goes out again. */
  again(signIn: SignIn, attempt: number, at: number, address: string): Promise<boolean>
  /** The right code was typed. */
  typed(signIn: SignIn, attempt: number, at: number, address: string): Promise<void>
}

/** A defence that only says whether a text may go, and makes no difference between the first and others. */
export function plain(
  name: string,
  may: (signIn: SignIn, at: number, address: string) => boolean,
  typed: (signIn: SignIn, at: number, address: string) => void = () => {},
): Defence {
  return {
    name,
    start: async (signIn, _, at, address) => may(signIn, at, address),
    again: async (signIn, _, at, address) => may(signIn, at, address),
    typed: async (signIn, _, at, address) => typed(signIn, at, address),
  }
}

/** Times of something under many keys, to be counted over a while. */
export function createTimes() {
  const held = new Map<string, number[]>()
  return {
    add(key: string, at: number): void {
      const times = held.get(key)
      if (times) times.push(at)
      else held.set(key, [at])
    },
    within(key: string, at: number, seconds: number): number {
      const times = held.get(key) ?? []
      let count = 0
      for (let i = times.length - 1; i >= 0 && (times[i] ?? 0) > at - seconds; i--) count++
      return count
    },
  }
}
