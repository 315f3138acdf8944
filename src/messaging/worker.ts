import { inCircumstances } from '../audit/circumstances.ts'
import { unhurried } from '../db/deadline.ts'
import { untraced } from '../tracing.ts'

/**
 * Does work that is looked for at once, from time to time, and whenever somebody says that there is some.
 *
 * @param round does some of what is due, and tells whether there may be more
 * @param failed told what a round ended with, if not well; the next one comes all the same
 */
export function createWorker(
  round: () => Promise<boolean>,
  everyMs: number,
  failed: (error: unknown) => void,
) {
  let timer: NodeJS.Timeout | undefined
  let stopped = false
  let working: Promise<void> | undefined
  /** there may be more than the round that is being made has seen */
  let more = false

  async function work(): Promise<void> {
    do {
      more = false
      const rest = await round()
      more ||= rest
    } while (more && !stopped)
  }

  /** Does what is due, now rather than at the next time: for after a commit. */
  function wake(): void {
    if (stopped) return
    more = true
    // Not in the circumstances of the request that wakes it: it is about others as well.
    const asItself = { actor: 'system', requestId: null, address: null }
    working ??= untraced(() => unhurried(() => inCircumstances(asItself, work)))
      .catch(failed)
      .finally(() => {
        working = undefined
        if (more) wake()
      })
  }

  return {
    wake,

    start(): void {
      timer ??= setInterval(wake, everyMs).unref()
      wake()
    },

    /** Takes up no more work; what is being done is finished (`idle`). */
    stop(): void {
      stopped = true
      clearInterval(timer)
    },

    /** Resolves when nothing is being done any more. */
    async idle(): Promise<void> {
      while (working) await working
    },
  }
}
