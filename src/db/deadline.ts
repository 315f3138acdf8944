import { AsyncLocalStorage } from 'node:async_hooks'

/**
 * So long after a request has come it may begin to wait for a connection or an answer. With the longest that either
 * takes it is answered within ten seconds, before a proxy gives it up (AVL-23).
 */
const BEGUN_WITHIN_MS = 6000

/** Until when statements may be begun, by this process's clock. */
interface Time {
  until: number
}

const storage = new AsyncLocalStorage<Time | undefined>()

/** The database is too slow for this request: what it has asked so far took all of its time. */
export class TimeIsUp extends Error {
  override readonly name = 'TimeIsUp'
  constructor() {
    super('the time for one request is used up')
  }
}

/**
 * Runs a request's work, which has only so much time for statements. What it began and goes on with after its end, such
 * as sending, has as much as it needs.
 * @param arrived calls back once all of a long request has come: its time begins then
 */
export async function inTime<T>(
  work: () => Promise<T>,
  arrived?: (then: () => void) => void,
): Promise<T> {
  const time = { until: Infinity }
  let over = false
  const begin = () => {
    if (!over) time.until = performance.now() + BEGUN_WITHIN_MS
  }
  if (arrived) arrived(begin)
  else begin()
  try {
    return await storage.run(time, work)
  } finally {
    over = true
    time.until = Infinity
  }
}

/** Runs what a request has begun and what must be ended whatever becomes of it. */
export function unhurried<T>(work: () => T): T {
  return storage.run(undefined, work)
}

/** The time of what several requests ask for together: that of whoever has least of it. */
export function createSharedTime() {
  const time: Time = { until: Infinity }
  return {
    /** Called by each of them. */
    join(): void {
      time.until = Math.min(time.until, storage.getStore()?.until ?? Infinity)
    },
    run: <T>(work: () => T): T => storage.run(time, work),
  }
}

/** @throws TimeIsUp */
export function assertInTime(): void {
  const time = storage.getStore()
  if (time && performance.now() > time.until) throw new TimeIsUp()
}
