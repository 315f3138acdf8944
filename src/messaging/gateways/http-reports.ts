import { z } from 'zod'
import type { Callback, CallbackVerdict, DeliveryState } from '../gateway.ts'
import { asProviderId, asReference, stateIn } from '../judge.ts'
import { jsonOf } from '../report-body.ts'
import { verifyStandardWebhook } from '../standard-webhooks.ts'

/** Our own words, which a receiver speaks as well. */
export const Failure = z.enum([
  'recipient',
  'sender',
  'content',
  'config',
  'quota',
  'throttle',
  'transient',
])

export const Fault = z.enum(['opted-out', 'landline', 'barred'])

const STATES: ReadonlyMap<string, DeliveryState> = new Map([
  ['accepted', 'accepted'],
  ['sending', 'sending'],
  ['sent', 'sent'],
  ['unconfirmed', 'unconfirmed'],
  ['expired', 'expired'],
  ['failed', 'failed'],
  ['rejected', 'rejected'],
  ['delivered', 'delivered'],
])

const Report = z.object({
  reference: z.unknown().optional(),
  id: z.unknown().optional(),
  status: z.string().catch(''),
  failure: Failure.optional().catch(undefined),
  fault: Fault.optional().catch(undefined),
})

/** @param secrets of Standard Webhooks, any of which may have signed it */
export function readHttpReport(callback: Callback, secrets: readonly string[]): CallbackVerdict {
  const verified = verifyStandardWebhook(secrets, callback)
  if ('refused' in verified) return verified
  const body = jsonOf(callback.body)
  // Something else than a report is none of our business.
  if (typeof body === 'object' && body !== null && !('status' in body)) return { reports: [] }
  const { data } = Report.safeParse(body)
  const providerId = asProviderId(data?.id)
  const { reference } = asReference(data?.reference)
  if (!data || (providerId === null && !reference)) return { refused: 'malformed' }
  const { status, failure, fault } = data
  const report = {
    ...(providerId !== null && { providerId }),
    ...(reference && { reference }),
    ...stateIn(STATES, status),
    ...(failure && { failure }),
    ...(failure === 'recipient' && fault && { fault }),
    key: verified.id,
  }
  return { reports: [report] }
}
