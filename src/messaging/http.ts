import type { Request, Response } from 'undici'
import { once } from '../once.ts'
import { traced } from '../tracing.ts'

/** A host that doesn't answer at all must cost less than a try may take (GWY-03). */
const CONNECT_MS = 2000

/** Longest answer worth reading; gateways answer in a few hundred bytes. */
const MAX_BODY_BYTES = 64 * 1024

export interface JsonRequest {
  method: 'GET' | 'POST' | 'DELETE'
  url: string
  headers?: Record<string, string>
  /** sent as JSON, or exactly as it is when a string */
  body?: unknown
  /** sent as a form, in place of `body` */
  form?: Readonly<Record<string, string>>
}

export type BodyFault = 'empty' | 'not-json' | 'too-large' | 'broken' | 'time-out'

/** What became of one request. No `detail` ever holds an address, a header or a body. */
export type HttpResult =
  /** Status and headers arrived, and perhaps a readable body: `json` is undefined where `fault` is set. */
  | { kind: 'answer'; status: number; json: unknown; fault?: BodyFault; retryAfterMs?: number }
  /** Nothing went out, and trying again later may help. */
  | { kind: 'unreachable'; detail: string }
  /** Nothing went out, and nothing will until the operator acts: unusable address or key, untrusted certificate. */
  | { kind: 'misconfigured'; detail: string }
  /** The request went out, or may have, and no answer came. */
  | { kind: 'lost'; detail: string }

const BEFORE_SENDING = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'UND_ERR_CONNECT_TIMEOUT',
])

/** Node's names for a certificate that doesn't hold; the handshake ends before any request. */
const UNTRUSTED = new Set([
  'CERT_HAS_EXPIRED',
  'CERT_NOT_YET_VALID',
  'CERT_REVOKED',
  'CERT_UNTRUSTED',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'ERR_SSL_WRONG_VERSION_NUMBER',
  'ERR_TLS_CERT_ALTNAME_INVALID',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
])

/**
 * One JSON request, bounded in time by `signal` and in size by 64 kB of answer. Redirects aren't
 * followed: a 3xx comes back as the answer it is. Never throws.
 */
export async function requestJson(request: JsonRequest, signal: AbortSignal): Promise<HttpResult> {
  const client = await load().catch(() => undefined)
  if (!client) return { kind: 'unreachable', detail: 'no HTTP client' }
  const { fetch, Request, agent } = client
  if (signal.aborted) return { kind: 'unreachable', detail: 'time-out before sending' }
  const prepared = prepare(Request, request, signal)
  if (!prepared) return { kind: 'misconfigured', detail: 'unusable address or header' }
  // No path and no query: they hold ids of accounts and may hold more. Nor is the gateway told of the trace.
  const { hostname: host } = new URL(prepared.url)
  const attributes = { 'http.request.method': request.method, 'server.address': host }
  const work = { name: `${request.method} ${host}`, kind: 'client', attributes } as const
  return traced(work, async (span) => {
    const result = await answered(fetch(prepared, { dispatcher: agent }), signal)
    if (result.kind === 'answer') span.note({ 'http.response.status_code': result.status })
    if (result.kind !== 'answer' || result.status >= 400)
      span.fail(result.kind === 'answer' ? String(result.status) : result.detail)
    return result
  })
}

/** What requests are made with, which is loaded for the first of them: a command seldom makes any. */
const load = once(async () => {
  const { Agent, fetch, Request } = await import('undici')
  return { fetch, Request, agent: new Agent({ connect: { timeout: CONNECT_MS } }) }
})

async function answered(asked: Promise<Response>, signal: AbortSignal): Promise<HttpResult> {
  try {
    const response = await asked
    const retryAfterMs = retryAfterOf(response)
    return {
      kind: 'answer',
      status: response.status,
      ...(await readJson(response, signal)),
      ...(retryAfterMs !== undefined && { retryAfterMs }),
    }
  } catch (error) {
    return describeFailure(error, signal)
  }
}

/** Built apart from sending, since a malformed address or key throws here, with its value in the message. */
function prepare(
  RequestOf: typeof Request,
  { method, url, headers, body, form }: JsonRequest,
  signal: AbortSignal,
): Request | null {
  try {
    const content = form
      ? new URLSearchParams(form)
      : typeof body === 'string' || body === undefined
        ? body
        : JSON.stringify(body)
    return new RequestOf(url, {
      method,
      headers: {
        accept: 'application/json',
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(content === undefined ? {} : { body: content }),
      redirect: 'manual',
      signal,
    })
  } catch {
    return null
  }
}

/** Seconds or a date (RFC 9110 section 10.2.3). */
function retryAfterOf({ headers }: Response): number | undefined {
  const value = headers.get('retry-after')
  if (value === null) return undefined
  const ms = /^\d{1,6}$/.test(value) ? Number(value) * 1000 : Date.parse(value) - Date.now()
  return Number.isNaN(ms) ? undefined : Math.max(0, ms)
}

type Body = { json: unknown; fault?: BodyFault }

async function readJson(response: Response, signal: AbortSignal): Promise<Body> {
  const chunks: Uint8Array[] = []
  let size = 0
  try {
    // Leaving the loop cancels the stream, so a body without end costs at most one chunk more.
    for await (const chunk of response.body ?? []) {
      size += chunk.byteLength
      if (size > MAX_BODY_BYTES) return unreadable('too-large')
      chunks.push(chunk)
    }
  } catch {
    return unreadable(signal.aborted ? 'time-out' : 'broken')
  }
  const text = Buffer.concat(chunks).toString('utf8')
  if (text.trim() === '') return unreadable('empty')
  try {
    return { json: JSON.parse(text) }
  } catch {
    return unreadable('not-json')
  }
}

function unreadable(fault: BodyFault): Body {
  return { json: undefined, fault }
}

function describeFailure(error: unknown, signal: AbortSignal): HttpResult {
  if (signal.aborted) return { kind: 'lost', detail: 'time-out' }
  const cause = error instanceof Error ? error.cause : undefined
  const code = codeOf(cause)
  if (UNTRUSTED.has(code)) return { kind: 'misconfigured', detail: code }
  // One of those that no browser, and so no fetch, ever connects to.
  if (cause instanceof Error && cause.message === 'bad port')
    return { kind: 'misconfigured', detail: 'unusable port' }
  if (BEFORE_SENDING.has(code) || neverConnected(cause))
    return { kind: 'unreachable', detail: code }
  return { kind: 'lost', detail: code }
}

/** Every address of the host failed (one error of errors), or the one that was tried. */
function neverConnected(cause: unknown): boolean {
  if (cause instanceof AggregateError) return true
  return cause instanceof Error && 'syscall' in cause && cause.syscall === 'connect'
}

/** Only a code is passed on: messages name hosts and may name more. */
function codeOf(cause: unknown): string {
  const code = cause instanceof Error && 'code' in cause ? cause.code : undefined
  return typeof code === 'string' && /^[A-Z0-9_]{1,64}$/.test(code) ? code : 'connection failed'
}
