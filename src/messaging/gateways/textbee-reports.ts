import { z } from 'zod'
import type { Callback, CallbackVerdict, DeliveryReport, DeliveryState } from '../gateway.ts'
import { asCode, asProviderId, stateIn } from '../judge.ts'
import { jsonOf } from '../report-body.ts'
import { headerOf, hmac, isSignedByOne } from '../signatures.ts'

/** Of messages that went out; any other is none of ours. */
const EVENTS = new Set([
  'MESSAGE_SENT',
  'MESSAGE_DELIVERED',
  'MESSAGE_FAILED',
  'UNKNOWN_STATE',
  'SMS_STATUS_UPDATED',
])

const Event = z.object({ webhookEvent: z.string() })

/** Its `message` is the whole text, so it holds the code: it isn't read, and goes nowhere. */
const Report = z.object({
  idempotencyKey: z.string().regex(/^[\w-]{1,128}$/),
  smsBatchId: z.string().nullish(),
  status: z.string(),
  errorCode: z.string().nullish(),
})

/** Nothing tells when it was signed: an old one can come again, with its old key. */
export function readTextbeeReport(callback: Callback, secrets: readonly string[]): CallbackVerdict {
  const signature = headerOf(callback, 'x-signature') ?? ''
  const sign = (secret: string) => hmac('sha256', secret, [callback.body], 'hex')
  if (!isSignedByOne(secrets, signature, sign)) return { refused: 'signature' }
  const json = jsonOf(callback.body)
  const event = Event.safeParse(json)
  if (!event.success) return { refused: 'malformed' }
  if (!EVENTS.has(event.data.webhookEvent)) return { reports: [] }
  const { data } = Report.safeParse(json)
  if (!data) return { refused: 'malformed' }
  const providerId = asProviderId(data.smsBatchId)
  // A server without a queue told no id when it took the message.
  if (providerId === null) return { reports: [] }
  const outcome = outcomeOf(data.status, data.errorCode)
  return { reports: [{ providerId, ...outcome, key: data.idempotencyKey }] }
}

const STATES: ReadonlyMap<string, DeliveryState> = new Map([
  ['pending', 'accepted'],
  ['dispatched', 'sending'],
  ['sent', 'sent'],
  ['delivered', 'delivered'],
  ['failed', 'failed'],
  ['unknown', 'unconfirmed'],
  // The phone had no receipt; the text may have arrived.
  ['delivery_failed', 'unconfirmed'],
])

/** What a status comes to, with the code that says why. */
export function outcomeOf(
  status: string,
  errorCode: string | null | undefined,
): Pick<DeliveryReport, 'state' | 'unheard' | 'failure' | 'code'> {
  const state = stateIn(STATES, status.toLowerCase())
  if (!errorCode) return state
  // Whatever it is, it is the phone's or its connection's, never the recipient's.
  const failure = /^(FCM_|PERMISSION_)/.test(errorCode) ? 'config' : 'transient'
  return { ...state, failure, code: asCode(errorCode) }
}
