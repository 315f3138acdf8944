import type { DeliveryReport, DeliveryState, Refused, SendResult } from './gateway.ts'
import type { HttpResult } from './http.ts'

export type Answer = Extract<HttpResult, { kind: 'answer' }>

/** A refusal as a driver's table tells it. */
export type Refusal = Omit<Refused, 'outcome' | 'httpStatus'>

/** What a driver answers that is asked for a call and makes none, or isn't set up to. */
export const NO_CALLS: Refused = { outcome: 'refused', failure: 'config', detail: 'no-calls' }

/**
 * What an HTTP exchange comes to. What is the same at all gateways is decided here; drivers read what isn't.
 *
 * @param accepted reads a 2xx: undefined when it isn't what the gateway gives for a message it took
 * @param refused reads anything else: undefined when only its status tells
 */
export function judge(
  result: HttpResult,
  accepted: (answer: Answer) => SendResult | undefined,
  refused: (answer: Answer) => Refusal | undefined,
): SendResult {
  switch (result.kind) {
    case 'misconfigured':
      return { outcome: 'refused', failure: 'config', detail: result.detail }
    case 'unreachable':
      return { outcome: 'refused', failure: 'transient', detail: result.detail }
    case 'lost':
      return { outcome: 'unknown', detail: result.detail }
  }
  const { status, fault } = result
  if (status >= 200 && status < 300) {
    const unread: SendResult = {
      outcome: 'unknown',
      detail: `http ${status}, ${fault ?? 'unrecognised'} body`,
    }
    return accepted(result) ?? unread
  }
  // A proxy gave up waiting for the server, which may have taken the message all the same.
  if (status === 504) return { outcome: 'unknown', detail: 'http 504' }
  return { outcome: 'refused', httpStatus: status, ...(refused(result) ?? byStatus(result)) }
}

/** What a status alone tells. */
export function byStatus({ status, retryAfterMs }: Answer): Refusal {
  const detail = `http ${status}`
  if (status === 429) {
    return { failure: 'throttle', detail, ...(retryAfterMs !== undefined && { retryAfterMs }) }
  }
  if (status === 402) return { failure: 'quota', detail }
  if (status >= 500 || status === 408) return { failure: 'transient', detail }
  // Something about this one message that we don't know yet; the gateway itself is well.
  if (status === 400 || status === 422) return { failure: 'content', detail }
  // Redirects and unheard-of 4xx: most likely the base URL or something before the server is wrong.
  return { failure: 'config', detail }
}

/** An id that a gateway gave, if it is one that can be kept and handed back; else null. */
export function asProviderId(value: unknown): string | null {
  const text = typeof value === 'number' && Number.isSafeInteger(value) ? String(value) : value
  return typeof text === 'string' && /^[\w.:-]{1,128}$/.test(text) ? text : null
}

/** A gateway's code as it may be logged: it says what it says in a few harmless characters, or nothing. */
export function asCode(value: unknown): string {
  const text = typeof value === 'number' ? String(value) : value
  return typeof text === 'string' && /^[\w.-]{1,40}$/.test(text) ? text : 'no-code'
}

/** Our reference as it came back, if it is one that we may have given. */
export function asReference(value: unknown): Pick<DeliveryReport, 'reference'> {
  return typeof value === 'string' && /^[A-Za-z0-9]{1,40}$/.test(value) ? { reference: value } : {}
}

/** What a gateway's word for a state comes to. One that it has added since stops nothing, and is told. */
export function stateIn(
  states: ReadonlyMap<string, DeliveryState>,
  word: string,
): Pick<DeliveryReport, 'state' | 'unheard'> {
  const state = states.get(word)
  return state ? { state } : { state: 'accepted', unheard: asCode(word) }
}
