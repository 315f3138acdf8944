import { setTimeout as pause } from 'node:timers/promises'
import type { Log } from '../log.ts'
import { ALARMING } from './circuits.ts'
import type { Gateway, OutgoingMessage, SendResult } from './gateway.ts'

/** How much longer than its time-out a driver may take to say so, before it's taken to hang. */
const GRACE_MS = 500
const BACK_OFF_MS = 250
/** A second try with less time than this would only end in a time-out. */
const WORTH_TRYING_MS = 500

/**
 * Hands a message to a gateway, at most twice within its time: again only after an answer that says that nothing
 * was sent and that it may be tried again, or where the gateway knows the message by its reference.
 */
export async function attempt(
  gateway: Gateway,
  message: OutgoingMessage,
  timeoutMs: number,
): Promise<SendResult> {
  const deadline = performance.now() + timeoutMs
  const first = await within(timeoutMs, (signal) => gateway.send(message, signal))
  const waitMs = waitBeforeRetry(gateway, first)
  if (waitMs === undefined || deadline - performance.now() < waitMs + WORTH_TRYING_MS) return first
  await pause(waitMs)
  const timeLeft = Math.max(1, deadline - performance.now())
  const second = await within(timeLeft, (signal) => gateway.send(message, signal))
  // Whatever it says of the second, the first one may be on its way.
  return first.outcome === 'unknown' && second.outcome === 'refused' ? first : second
}

/** @returns undefined where it must not be tried again */
function waitBeforeRetry({ can }: Gateway, result: SendResult): number | undefined {
  if (result.outcome === 'unknown') return can.idempotent ? BACK_OFF_MS : undefined
  if (result.outcome === 'accepted') return undefined
  if (result.failure === 'throttle') return result.retryAfterMs ?? 2 * BACK_OFF_MS
  return result.failure === 'transient' ? BACK_OFF_MS : undefined
}

/**
 * Runs one try under a time-out. Drivers are to heed the signal and never throw; one that doesn't
 * must still hold nobody up, and all that is known then is that the message may have gone out.
 */
async function within(
  timeoutMs: number,
  send: (signal: AbortSignal) => Promise<SendResult>,
): Promise<SendResult> {
  const late = Promise.withResolvers<SendResult>()
  const timer = setTimeout(
    () => late.resolve({ outcome: 'unknown', detail: 'driver ignored its time-out' }),
    timeoutMs + GRACE_MS,
  )
  try {
    return await Promise.race([send(AbortSignal.timeout(Math.ceil(timeoutMs))), late.promise])
  } catch (error) {
    // Only its kind: a message may quote what was sent.
    return {
      outcome: 'unknown',
      detail: `driver threw ${error instanceof Error ? error.name : ''}`,
    }
  } finally {
    clearTimeout(timer)
  }
}

/** Says how a try went, never to whom or what: number, text and code aren't for the log. */
export function logTry(
  log: Log,
  gateway: string,
  reference: string,
  result: SendResult,
  tookMs: number,
): void {
  const fields = { gateway, reference, durationMs: Math.round(tookMs) }
  if (result.outcome === 'accepted') {
    log.info(fields, 'message accepted')
  } else if (result.outcome === 'unknown') {
    log.warn({ ...fields, detail: result.detail }, 'message may or may not have been sent')
  } else {
    const { failure, detail, httpStatus } = result
    const level = ALARMING.has(failure) ? 'error' : 'warn'
    log[level]({ ...fields, class: failure, detail, httpStatus }, 'message refused')
  }
}
