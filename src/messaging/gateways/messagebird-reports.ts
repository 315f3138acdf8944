import { createHash } from 'node:crypto'
import { errors, type JWTPayload, jwtVerify } from 'jose'
import type { Callback, CallbackVerdict, DeliveryReport, DeliveryState } from '../gateway.ts'
import { asCode, asProviderId, asReference, stateIn } from '../judge.ts'
import { headerOf, sameText } from '../signatures.ts'
import { recipientFaultOf } from './messagebird-api.ts'

/** Seconds by which its clock and ours may differ: what is signed lives for 60. */
const LEEWAY_SECONDS = 5

/** Of texts, then of calls. */
const STATES = new Map<string, DeliveryState>([
  ['scheduled', 'accepted'],
  ['buffered', 'sending'],
  ['sent', 'sent'],
  ['delivered', 'delivered'],
  ['expired', 'expired'],
  ['delivery_failed', 'failed'],
  ['calling', 'sending'],
  ['answered', 'delivered'],
  ['failed', 'failed'],
  ['busy', 'failed'],
  ['machine', 'failed'],
])

/** Reads a report, which is a GET whose query is the report and whose header signs it. */
export async function readMessagebirdReport(
  signingKeys: readonly string[],
  callback: Callback,
): Promise<CallbackVerdict> {
  const refused = await signatureFault(signingKeys, callback)
  if (refused) return { refused }
  const { searchParams: query } = new URL(callback.url)
  const status = query.get('status')
  const providerId = asProviderId(query.get('id'))
  // Ours is in the address too, where MessageBird left its own out.
  const { reference } = { ...asReference(query.get('ref')), ...asReference(query.get('reference')) }
  if (status === null || (providerId === null && reference === undefined)) return { reports: [] }
  const told = { status, statusErrorCode: query.get('statusErrorCode') }
  return { reports: [messagebirdReport(told, providerId, reference)] }
}

/** What a status says, whether it was reported or asked for. */
export function messagebirdReport(
  told: { status: string; statusErrorCode?: string | number | null | undefined },
  providerId: string | null,
  reference?: string,
): DeliveryReport {
  const state = stateIn(STATES, told.status)
  const code = asCode(told.statusErrorCode)
  return {
    ...(providerId !== null && { providerId }),
    ...(reference !== undefined && { reference }),
    ...state,
    ...(code !== 'no-code' && code !== '0' && { code }),
    ...(state.state === 'failed' && recipientFaultOf(code)),
    // Its `jti` is of the request and new when a report comes again. What is replayed has this key all the
    // same, since the signature covers the whole query.
    key: `${providerId ?? reference}:${asCode(told.status)}`,
  }
}

type SignatureFault = 'signature' | 'stale' | undefined

async function signatureFault(
  keys: readonly string[],
  callback: Callback,
): Promise<SignatureFault> {
  const token = headerOf(callback, 'messagebird-signature-jwt')
  if (token === undefined) return 'signature'
  const faults: SignatureFault[] = []
  for (const key of keys) faults.push(await tokenFault(token, key, callback))
  if (faults.includes(undefined)) return undefined
  return faults.includes('stale') ? 'stale' : 'signature'
}

async function tokenFault(token: string, key: string, callback: Callback): Promise<SignatureFault> {
  try {
    const { payload } = await jwtVerify(token, Buffer.from(key), {
      algorithms: ['HS256', 'HS384', 'HS512'],
      issuer: 'MessageBird',
      requiredClaims: ['nbf', 'exp', 'jti'],
      clockTolerance: LEEWAY_SECONDS,
      currentDate: new Date(callback.now * 1000),
    })
    return covers(payload, callback) ? undefined : 'signature'
  } catch (error) {
    return isOfTime(error) ? 'stale' : 'signature'
  }
}

function isOfTime(error: unknown): boolean {
  if (error instanceof errors.JWTExpired) return true
  return error instanceof errors.JWTClaimValidationFailed && error.claim === 'nbf'
}

/** Whether a token was made for this very request: its address, and its body where it has one. */
function covers({ jti, url_hash, payload_hash }: JWTPayload, { url, body }: Callback): boolean {
  if (typeof jti !== 'string' || jti === '') return false
  if (typeof url_hash !== 'string' || !sameText(url_hash, sha256(url))) return false
  if (body.length === 0) return payload_hash === undefined
  return typeof payload_hash === 'string' && sameText(payload_hash, sha256(body))
}

function sha256(data: string | Buffer): string {
  return createHash('sha256').update(data).digest('hex')
}
