import { z } from 'zod'
import type { Log } from '../log.ts'
import { requestJson } from '../messaging/http.ts'
import type { PhoneNumber } from '../phone-number.ts'

export interface SimSwapRules {
  /** of the CAMARA SIM Swap check call */
  url: string
  token: string | undefined
  /** a SIM changed within so many hours counts as swapped */
  hours: number
  /** `refuse`: another factor instead; `alert`: the code is sent, and it is recorded */
  policy: 'refuse' | 'alert'
}

export type SimSwap = ReturnType<typeof createSimSwap>

/** The page waits for it, and for a gateway after it. */
const TIMEOUT_MS = 1000

const Answer = z.object({ swapped: z.boolean() })

/**
 * Asks whether a number moved to another SIM lately: whoever has it now may not be who enrolled it (CAMARA SIM
 * Swap, `POST /check`). A check that fails stops nobody; it is logged.
 */
export function createSimSwap(rules: SimSwapRules | undefined, log: Log) {
  return {
    async look(number: PhoneNumber): Promise<'fine' | 'refuse' | 'alert'> {
      if (!rules) return 'fine'
      const { url, token, hours, policy } = rules
      const answer = await requestJson(
        {
          method: 'POST',
          url,
          headers: token ? { authorization: `Bearer ${token}` } : {},
          body: { phoneNumber: number, maxAge: hours },
        },
        AbortSignal.timeout(TIMEOUT_MS),
      )
      const read = answer.kind === 'answer' ? Answer.safeParse(answer.json) : undefined
      if (answer.kind !== 'answer' || answer.status !== 200 || !read?.success) {
        const reason = answer.kind === 'answer' ? `http ${answer.status}` : answer.detail
        log.warn({ reason }, 'SIM swap check failed; the code is sent without it')
        return 'fine'
      }
      return read.data.swapped ? policy : 'fine'
    },
  }
}
