import { createHash } from 'node:crypto'
import { z } from 'zod'
import type {
  Callback,
  CallbackVerdict,
  DeliveryReport,
  DeliveryState,
  FailureClass,
  RecipientFault,
} from '../gateway.ts'
import { asCode, asProviderId, asReference, stateIn } from '../judge.ts'
import { jsonOf } from '../report-body.ts'
import { headerOf, hmac, isSignedByOne, sameText } from '../signatures.ts'
import { CALL_STATES } from './twilio-calls.ts'

/**
 * Whether Twilio signed a callback: its address, and behind it each field of the form, sorted by name. Of a JSON body
 * the address holds a hash instead. Nothing in it tells a time.
 */
function isSigned(callback: Callback, tokens: readonly string[]): boolean {
  const given = headerOf(callback, 'x-twilio-signature')
  if (given === undefined) return false
  const hash = URL.parse(callback.url)?.searchParams.get('bodySHA256')
  const isForm = typeof hash !== 'string'
  if (!isForm && !sameText(hash, createHash('sha256').update(callback.body).digest('hex')))
    return false
  const fields = isForm ? sortedFields(callback.body) : ''
  return writings(callback.url)
    .map((url) =>
      isSignedByOne(tokens, given, (token) => hmac('sha1', token, [url, fields], 'base64')),
    )
    .includes(true)
}

/** A value that comes twice counts once. */
function sortedFields(body: Buffer): string {
  const form = new URLSearchParams(body.toString('utf8'))
  const names = [...new Set(form.keys())].sort()
  return names
    .flatMap((name) => [...new Set(form.getAll(name))].sort().map((value) => name + value))
    .join('')
}

/** An address as it is, and with and without its port: Twilio signs either. */
function writings(url: string): string[] {
  const [, scheme, host, port, rest] = /^(https?):\/\/([^/:?#]+)(:\d+)?(.*)$/s.exec(url) ?? []
  if (scheme === undefined) return [url]
  const usual = scheme === 'https' ? ':443' : ':80'
  return [`${scheme}://${host}${rest}`, `${scheme}://${host}${port ?? usual}${rest}`]
}

const MESSAGE_STATES: ReadonlyMap<string, DeliveryState> = new Map([
  ['accepted', 'accepted'],
  ['scheduled', 'accepted'],
  ['queued', 'accepted'],
  ['sending', 'sending'],
  ['sent', 'sent'],
  // Some of its parts, of which nobody knows whether they hold the code: it isn't there yet, nor is it lost.
  ['partially_delivered', 'sent'],
  ['delivered', 'delivered'],
  ['read', 'delivered'],
  ['failed', 'failed'],
  ['undelivered', 'failed'],
  ['canceled', 'failed'],
])

/** What people sent us. */
const INBOUND: ReadonlySet<string> = new Set(['receiving', 'received'])

interface TwilioReason {
  failure: FailureClass
  fault?: RecipientFault
}

/** Why a text that Twilio took wasn't delivered. */
const REASONS: ReadonlyMap<string, TwilioReason> = new Map([
  ['21610', { failure: 'recipient', fault: 'opted-out' }],
  ['30003', { failure: 'recipient' }],
  ['30004', { failure: 'recipient', fault: 'barred' }],
  ['30005', { failure: 'recipient' }],
  ['30006', { failure: 'recipient', fault: 'landline' }],
  ['30007', { failure: 'content' }],
])

/** Where a message stands, by the words of a callback or of an answer. */
export function twilioReport(
  sid: string,
  status: string,
  errorCode: unknown,
): Omit<DeliveryReport, 'reference'> | null {
  const providerId = asProviderId(sid)
  if (providerId === null) return null
  const isCall = providerId.startsWith('CA')
  const state = stateIn(isCall ? CALL_STATES : MESSAGE_STATES, status)
  const report = { providerId, ...state, key: `${providerId}:${asCode(status)}` }
  if (report.state !== 'failed') return report
  // Of a call that nobody took its last word is all that is told.
  if (isCall) return { ...report, code: asCode(status) }
  const code = asCode(errorCode)
  return { ...report, ...REASONS.get(code), ...(code !== 'no-code' && { code }) }
}

const TextFields = z.object({
  MessageSid: z.string(),
  MessageStatus: z.string(),
  ErrorCode: z.unknown().optional(),
})
const CallFields = z.object({ CallSid: z.string(), CallStatus: z.string() })

/** @param tokens the account's, of which one must have signed it, whichever key sends */
export function readTwilioCallback(callback: Callback, tokens: readonly string[]): CallbackVerdict {
  if (!isSigned(callback, tokens)) return { refused: 'signature' }
  const fields = fieldsOf(callback)
  if (fields === undefined) return { refused: 'malformed' }
  const text = TextFields.safeParse(fields).data
  const call = CallFields.safeParse(fields).data
  const [sid, status] = text
    ? [text.MessageSid, text.MessageStatus]
    : [call?.CallSid, call?.CallStatus]
  if (sid === undefined || status === undefined || INBOUND.has(status)) return { reports: [] }
  const report = twilioReport(sid, status, text?.ErrorCode)
  if (!report) return { refused: 'malformed' }
  const reference = asReference(URL.parse(callback.url)?.searchParams.get('ref'))
  return { reports: [{ ...report, ...reference }] }
}

function fieldsOf({ url, body }: Callback): unknown {
  if (URL.parse(url)?.searchParams.has('bodySHA256')) return jsonOf(body)
  return Object.fromEntries(new URLSearchParams(body.toString('utf8')))
}
