import { z } from 'zod'
import type { FailureClass, RecipientFault } from '../gateway.ts'
import { type Answer, asCode, byStatus, type Refusal } from '../judge.ts'

export interface TelnyxReason {
  failure: FailureClass
  fault?: RecipientFault
}

const REASONS: ReadonlyMap<string, TelnyxReason> = new Map([
  ['10004', { failure: 'content' }],
  ['10005', { failure: 'config' }],
  ['10007', { failure: 'transient' }],
  ['10008', { failure: 'transient' }],
  ['10009', { failure: 'config' }],
  ['10010', { failure: 'config' }],
  ['10011', { failure: 'throttle' }],
  ['10015', { failure: 'content' }],
  ['40001', { failure: 'recipient', fault: 'landline' }],
  ['40002', { failure: 'content' }],
  ['40003', { failure: 'content' }],
  ['40004', { failure: 'transient' }],
  ['40005', { failure: 'transient' }],
  ['40006', { failure: 'transient' }],
  ['40008', { failure: 'transient' }],
  ['40009', { failure: 'content' }],
  ['40011', { failure: 'transient' }],
  ['40012', { failure: 'recipient' }],
  ['40013', { failure: 'sender' }],
  ['40014', { failure: 'transient' }],
  ['40015', { failure: 'content' }],
  ['40300', { failure: 'recipient', fault: 'opted-out' }],
  ['40310', { failure: 'recipient' }],
])

/** Inactive, invalid or not in E.164: which of the two numbers is meant, only the pointer tells. */
const ABOUT_A_NUMBER: ReadonlySet<string> = new Set(['10001', '10002', '10016'])
const RECIPIENT_POINTER = /^\/(to|phone_number)\b/i

const Errors = z.object({
  errors: z
    .array(
      z.object({
        code: z.string(),
        source: z.object({ pointer: z.string() }).optional().catch(undefined),
      }),
    )
    .min(1),
})

/** The first error of an answer, or of a report's payload. */
export function telnyxError(json: unknown): { code: string; reason?: TelnyxReason } | undefined {
  const error = Errors.safeParse(json).data?.errors[0]
  if (!error) return undefined
  const { code, source } = error
  if (!ABOUT_A_NUMBER.has(code)) {
    const reason = REASONS.get(code)
    return { code: asCode(code), ...(reason && { reason }) }
  }
  const failure = RECIPIENT_POINTER.test(source?.pointer ?? '') ? 'recipient' : 'sender'
  return { code, reason: { failure } }
}

export function telnyxRefusal(answer: Answer): Refusal | undefined {
  const error = telnyxError(answer.json)
  if (!error) return undefined
  const { failure, fault }: TelnyxReason = error.reason ?? byStatus(answer)
  const { retryAfterMs } = answer
  return {
    failure,
    detail: error.code,
    ...(fault && { fault }),
    ...(failure === 'throttle' && retryAfterMs !== undefined && { retryAfterMs }),
  }
}
