import { STATUS_CODES } from 'node:http'
import type { Context } from 'koa'
import type { Refusal } from '../../errors.ts'
import { Invalid } from './route.ts'

/** Answers with problem details (RFC 9457). */
export function answerProblem(ctx: Context, refusal: Refusal): void {
  const { code, status, message, retryAfterSeconds } = refusal
  ctx.status = status
  ctx.set('Cache-Control', 'no-store')
  if (retryAfterSeconds !== undefined) ctx.set('Retry-After', String(retryAfterSeconds))
  ctx.body = JSON.stringify({
    type: 'about:blank',
    title: STATUS_CODES[status] ?? 'Error',
    status,
    detail: message,
    code,
    ...(refusal instanceof Invalid && { errors: refusal.faults }),
    request: String(ctx.state.requestId),
  })
  ctx.set('Content-Type', 'application/problem+json')
}
