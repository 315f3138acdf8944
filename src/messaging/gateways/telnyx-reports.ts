import { createPublicKey, type KeyObject, verify } from 'node:crypto'
import { z } from 'zod'
import type { Callback, CallbackVerdict, DeliveryReport, DeliveryState } from '../gateway.ts'
import { asCode, asProviderId, asReference, stateIn } from '../judge.ts'
import { jsonOf } from '../report-body.ts'
import { headerOf, isTimely } from '../signatures.ts'
import { telnyxError } from './telnyx-errors.ts'
import { CALL_STATES } from './twilio-calls.ts'

/** What comes before the 32 bytes of an Ed25519 key in DER (RFC 8410). */
const SPKI_PREFIX = Buffer.from('302a300506032b6570032100', 'hex')

/** @param publicKeys base64 of 32 bytes each, as its portal shows them */
export function telnyxKeys(publicKeys: readonly string[]): KeyObject[] {
  return publicKeys.map((key) =>
    createPublicKey({
      key: Buffer.concat([SPKI_PREFIX, Buffer.from(key, 'base64')]),
      format: 'der',
      type: 'spki',
    }),
  )
}

/** Why a callback isn't to be read; undefined where it was signed by one of the keys, and lately. */
function faultOf(
  callback: Callback,
  keys: readonly KeyObject[],
): Extract<CallbackVerdict, { refused: unknown }> | undefined {
  const timestamp = headerOf(callback, 'telnyx-timestamp') ?? ''
  const signature = headerOf(callback, 'telnyx-signature-ed25519') ?? ''
  // 64 bytes in canonical base64, and nothing that a lenient decoder would skip.
  if (!/^\d{1,12}$/.test(timestamp) || !/^[A-Za-z0-9+/]{85}[AQgw]==$/.test(signature))
    return { refused: 'signature' }
  const signed = Buffer.concat([Buffer.from(`${timestamp}|`), callback.body])
  const given = Buffer.from(signature, 'base64')
  if (!keys.some((key) => verify(null, signed, key, given))) return { refused: 'signature' }
  return isTimely(Number(timestamp), callback.now) ? undefined : { refused: 'stale' }
}

const Event = z.object({
  data: z.object({
    id: z.string().min(1).max(128),
    event_type: z.string(),
    payload: z.unknown().optional(),
  }),
})

/** Reads an event that Telnyx signed. Its payload may hold a code: each reader takes only what it names. */
function readEvent(
  { body }: Callback,
  readers: Readonly<Record<string, (payload: unknown) => Omit<DeliveryReport, 'key'> | null>>,
): CallbackVerdict {
  const event = Event.safeParse(jsonOf(body))
  if (!event.success) return { refused: 'malformed' }
  const { id, event_type, payload } = event.data.data
  if (!Object.hasOwn(readers, event_type)) return { reports: [] }
  const report = readers[event_type]?.(payload)
  return report ? { reports: [{ ...report, key: id }] } : { refused: 'malformed' }
}

const MESSAGE_STATES: ReadonlyMap<string, DeliveryState> = new Map([
  ['queued', 'accepted'],
  ['sending', 'sending'],
  ['sent', 'sent'],
  ['delivery_unconfirmed', 'unconfirmed'],
  ['expired', 'expired'],
  ['sending_failed', 'failed'],
  ['delivery_failed', 'failed'],
  ['delivered', 'delivered'],
])

const Message = z.object({
  id: z.string(),
  to: z.tuple([z.object({ status: z.string() })], z.unknown()),
  errors: z.unknown().optional(),
})

/** What a message's own record says of it, in an event or in answer to a question. */
export function readTelnyxMessage(
  json: unknown,
): (Omit<DeliveryReport, 'key'> & { providerId: string }) | null {
  const message = Message.safeParse(json)
  const providerId = asProviderId(message.data?.id)
  if (!message.success || providerId === null) return null
  const { to, errors } = message.data
  const state = stateIn(MESSAGE_STATES, to[0].status)
  const error = ['failed', 'expired'].includes(state.state) ? telnyxError({ errors }) : undefined
  return { providerId, ...state, ...error?.reason, ...(error && { code: error.code }) }
}

/** Events of texts are JSON, those of calls are forms; the signature covers both alike. */
export function readTelnyxCallback(
  callback: Callback,
  keys: readonly KeyObject[],
): CallbackVerdict {
  const fault = faultOf(callback, keys)
  if (fault) return fault
  // From the address that we gave for this one message.
  const reference = asReference(URL.parse(callback.url)?.searchParams.get('ref'))
  // By what was signed: the content type wasn't.
  if (callback.body[0] !== '{'.charCodeAt(0)) return readCall(callback, reference)
  const read = (payload: unknown) => {
    const message = readTelnyxMessage(payload)
    return message && { ...message, ...reference }
  }
  return readEvent(callback, { 'message.sent': read, 'message.finalized': read })
}

/** Only the address tells which call it was: Telnyx gave it no id when it took it. */
function readCall(
  { body }: Callback,
  { reference }: Pick<DeliveryReport, 'reference'>,
): CallbackVerdict {
  const form = new URLSearchParams(body.toString('utf8'))
  const status = form.get('CallStatus')
  if (status === null || !reference) return { reports: [] }
  const code = asCode(status)
  const state = stateIn(CALL_STATES, status)
  // The signature doesn't cover the address: by the call's own id, one that is sent to another's has come before.
  const key = `${asProviderId(form.get('CallSid')) ?? reference}:${code}`
  return { reports: [{ reference, ...state, ...(state.state === 'failed' && { code }), key }] }
}

const Verification = z.object({ id: z.string() })

/** Events of verifications; of their payload only the id is read, since it holds the code. */
export function readTelnyxVerification(
  callback: Callback,
  keys: readonly KeyObject[],
): CallbackVerdict {
  const fault = faultOf(callback, keys)
  if (fault) return fault
  const as = (state: DeliveryState) => (payload: unknown) => {
    const providerId = asProviderId(Verification.safeParse(payload).data?.id)
    return providerId === null ? null : { providerId, state }
  }
  return readEvent(callback, {
    'verify.sent': as('sent'),
    'verify.delivered': as('delivered'),
    'verify.failed': as('failed'),
  })
}
