import { createHash } from 'node:crypto'
import { z } from 'zod'
import type {
  Callback,
  CallbackVerdict,
  DeliveryReport,
  DeliveryState,
  Gateway,
} from '../gateway.ts'
import { asCode, asProviderId, asReference, stateIn } from '../judge.ts'
import { jsonOf } from '../report-body.ts'
import { headerOf, isTimely, sameText } from '../signatures.ts'
import { readToken } from '../tokens.ts'
import { codeOf, ErrorTitle, refusalByCode } from './vonage-errors.ts'

/** @param secrets of the account's signed webhooks; with none there is nothing to trust a report by */
export function vonageReports(secrets: readonly string[]): Gateway['reports'] {
  if (secrets.length === 0) return undefined
  return {
    addressed: 'message',
    read(callback) {
      const signed = verify(callback, secrets)
      if ('refused' in signed) return signed
      const body = bodyOf(callback)
      if (body === undefined) return { refused: 'malformed' }
      const report = textReport(body) ?? callReport(body, callback.url)
      return { reports: report ? [{ ...report, key: signed.id }] : [] }
    },
  }
}

const Claims = z.object({
  iat: z.number(),
  jti: z.string().regex(/^[!-~]{1,128}$/),
  payload_hash: z.string(),
})

type Refused = Extract<CallbackVerdict, { refused: unknown }>

/** The token doesn't expire, so its time is what keeps an old one out; the body is covered by its hash. */
function verify(callback: Callback, secrets: readonly string[]): { id: string } | Refused {
  const authorization = headerOf(callback, 'authorization') ?? ''
  const [, bearer = ''] = /^Bearer (.+)$/i.exec(authorization) ?? []
  const claims = Claims.safeParse(readToken(bearer, secrets)?.claims)
  // Without them a token says nothing of this request, whoever signed it.
  if (!claims.success) return { refused: 'signature' }
  const { iat, jti, payload_hash } = claims.data
  const hash = createHash('sha256').update(callback.body).digest('hex')
  if (!sameText(payload_hash, hash)) return { refused: 'signature' }
  return isTimely(iat, callback.now) ? { id: jti } : { refused: 'stale' }
}

/** Call events may come as a form. */
function bodyOf(callback: Callback): unknown {
  const type = headerOf(callback, 'content-type') ?? ''
  if (!type.startsWith('application/x-www-form-urlencoded')) return jsonOf(callback.body)
  return Object.fromEntries(new URLSearchParams(callback.body.toString('utf8')))
}

type Report = Omit<DeliveryReport, 'key'>

const TextStatus = z.object({
  message_uuid: z.string(),
  status: z.string(),
  client_ref: z.unknown().optional(),
  error: z.object({ title: ErrorTitle }).optional().catch(undefined),
})

const TEXT_STATES: ReadonlyMap<string, DeliveryState> = new Map([
  ['submitted', 'sent'],
  ['delivered', 'delivered'],
  ['read', 'delivered'],
  ['rejected', 'rejected'],
  ['undeliverable', 'failed'],
])

/** @returns undefined for what is no report, such as a text that came in */
function textReport(body: unknown): Report | undefined {
  const { data } = TextStatus.safeParse(body)
  const providerId = asProviderId(data?.message_uuid)
  if (!data || providerId === null) return undefined
  const code = codeOf(data.error?.title)
  const refusal = refusalByCode(code ?? '')
  return {
    providerId,
    ...asReference(data.client_ref),
    ...stateIn(TEXT_STATES, data.status),
    ...(refusal && { failure: refusal.failure }),
    ...(refusal?.fault && { fault: refusal.fault }),
    ...(code && { code }),
  }
}

const CallEvent = z.object({ uuid: z.string(), status: z.string() })

/** That somebody took the call says nothing yet: it may have been a machine. */
const CALL_STATES: ReadonlyMap<string, DeliveryState> = new Map([
  ['started', 'sending'],
  ['ringing', 'sending'],
  ['answered', 'sent'],
  ['human', 'delivered'],
  // Of a call in which neither was made out, that it came to its end is all there is to know.
  ['completed', 'unconfirmed'],
  ['machine', 'failed'],
  ['busy', 'failed'],
  ['timeout', 'failed'],
  ['unanswered', 'failed'],
  ['cancelled', 'failed'],
  ['failed', 'failed'],
  ['rejected', 'rejected'],
])

/** Nobody took it; another time somebody may. */
const PASSING = new Set(['machine', 'busy', 'timeout', 'unanswered'])

function callReport(body: unknown, url: string): Report | undefined {
  const { data } = CallEvent.safeParse(body)
  const providerId = asProviderId(data?.uuid)
  if (!data || providerId === null) return undefined
  return {
    providerId,
    // A call is given no reference, but each tells an address of its own.
    ...asReference(URL.parse(url)?.searchParams.get('ref')),
    ...stateIn(CALL_STATES, data.status),
    ...(PASSING.has(data.status) && { failure: 'transient' as const }),
    code: asCode(data.status),
  }
}
