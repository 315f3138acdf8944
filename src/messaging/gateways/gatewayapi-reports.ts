import { z } from 'zod'
import type { Callback, CallbackVerdict } from '../gateway.ts'
import { asProviderId, asReference } from '../judge.ts'
import { jsonOf } from '../report-body.ts'
import { headerOf, hmac, isSignedByOne, isTimely } from '../signatures.ts'
import { readToken } from '../tokens.ts'
import { outcomeOf } from './gatewayapi-outcomes.ts'

const Claims = z.object({
  id: z.union([z.number().int(), z.string()]),
  time: z.number(),
  status: z.string(),
  code: z.string().nullish(),
  userref: z.string().nullish(),
})

/**
 * A report of the older API: a signed token whose claims are the report. The body says the same unsigned, so it
 * isn't read. Nothing in the token tells when it was signed: an old one can come again, with its old key.
 */
export function readTokenReport(callback: Callback, secrets: readonly string[]): CallbackVerdict {
  const token = readToken(headerOf(callback, 'x-gwapi-signature') ?? '', secrets)
  if (!token) return { refused: 'signature' }
  const { claims } = token
  const report = Claims.safeParse(claims)
  if (!report.success) return isOtherEvent(claims) ? { reports: [] } : { refused: 'malformed' }
  const { id, time, status, code, userref } = report.data
  const providerId = asProviderId(id)
  if (providerId === null) return { refused: 'malformed' }
  const key = `${providerId}:${status}:${time}`
  return { reports: [{ providerId, ...asReference(userref), ...outcomeOf(status, code), key }] }
}

/** Such as a text that came in. */
function isOtherEvent(claims: unknown): boolean {
  return typeof claims === 'object' && claims !== null && !('status' in claims)
}

const Envelope = z.object({
  event_id: z.string().regex(/^[\w-]{1,64}$/),
  timestamp: z.string(),
  event_type: z.string(),
  event: z.unknown(),
})

/** The last is what its documentation once said. */
const STATUS_EVENTS = new Set(['message.status.sms', 'message.status.rcs', 'messaging.status.sms'])

const StatusEvent = z.object({
  msg_id: z.string(),
  reference: z.string().nullish(),
  status: z.string(),
  error: z.object({ hex_code: z.string().nullish() }).nullish().catch(undefined),
})

/** A report of the newer API: the signature is of the body, which holds the time. */
export function readEventReport(callback: Callback, secrets: readonly string[]): CallbackVerdict {
  const header = headerOf(callback, 'signature') ?? ''
  const [, signature = ''] = /^v1=([0-9a-f]{64})$/.exec(header) ?? []
  const sign = (secret: string) => hmac('sha256', secret, [callback.body], 'hex')
  if (!isSignedByOne(secrets, signature, sign)) return { refused: 'signature' }
  const envelope = Envelope.safeParse(jsonOf(callback.body))
  if (!envelope.success) return { refused: 'malformed' }
  const { event_id: key, timestamp, event_type, event } = envelope.data
  if (!isTimely(Date.parse(timestamp) / 1000, callback.now)) return { refused: 'stale' }
  if (!STATUS_EVENTS.has(event_type)) return { reports: [] }
  const { data } = StatusEvent.safeParse(event)
  const providerId = asProviderId(data?.msg_id)
  if (!data || providerId === null) return { refused: 'malformed' }
  const outcome = outcomeOf(data.status, data.error?.hex_code)
  return { reports: [{ providerId, ...asReference(data.reference), ...outcome, key }] }
}
