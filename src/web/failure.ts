import { randomUUID } from 'node:crypto'
import type { Context, Middleware } from 'koa'
import { errors as providerErrors } from 'oidc-provider'
import { asUnavailable } from '../db/faults.ts'
import { Refusal, Unavailable } from '../errors.ts'
import { ENGLISH, type MessageKey } from '../languages/language.ts'
import type { Log } from '../log.ts'
import { ChangedMeanwhile, UsedAlready } from '../oidc/unit-of-work.ts'
import { answerProblem } from './api/problem.ts'
import type { Pages } from './pages.ts'
import { notFound, PageRefusal, wordsOf } from './refusals.ts'

/**
 * The outermost layer: gives the request an id, logs what became of it, and turns whatever was thrown into
 * an answer that tells what to do and nothing of the inside.
 */
export function createFailure({ pages, log }: { pages: Pages; log: Log }): Middleware {
  return async (ctx, next) => {
    const id = randomUUID()
    const began = performance.now()
    ctx.state.requestId = id
    ctx.set('X-Request-Id', id)
    try {
      await next()
      if (ctx.status === 404 && (ctx.body === undefined || ctx.body === null)) throw notFound()
      if (ctx.status === 503 && !ctx.response.get('Retry-After')) ctx.set('Retry-After', '2')
    } catch (error) {
      answer(ctx, id, error, { pages, log })
    }
    const fields = {
      request: id,
      method: ctx.method,
      path: withoutIds(ctx.path),
      status: ctx.status,
      ...(typeof ctx.state.traceId === 'string' && { trace: ctx.state.traceId }),
      ...(typeof ctx.state.actor === 'string' && { actor: ctx.state.actor }),
    }
    log[ctx.path.startsWith('/assets/') ? 'debug' : 'info'](
      { ...fields, durationMs: Math.round(performance.now() - began) },
      'request',
    )
  }
}

function answer(
  ctx: Context,
  id: string,
  thrown: unknown,
  { pages, log }: { pages: Pages; log: Log },
): void {
  // What was to be stored wasn't, so nothing of it may leave: no redirect with a code, no new session's cookie.
  ctx.remove('Location')
  ctx.remove('Set-Cookie')
  if (thrown instanceof ChangedMeanwhile && ctx.method === 'GET') {
    // Nothing was stored: asked once more, it meets things as they are now.
    ctx.status = 303
    ctx.redirect(ctx.url)
    return
  }
  const refusal = toRefusal(thrown)
  if (!(thrown instanceof Refusal))
    log[refusal.status >= 500 ? 'error' : 'info']({ request: id, error: thrown }, 'request failed')
  ctx.status = refusal.status
  if (refusal.retryAfterSeconds !== undefined)
    ctx.set('Retry-After', String(refusal.retryAfterSeconds))
  ctx.set('Cache-Control', 'no-store')
  if (ctx.path.startsWith('/api/')) answerProblem(ctx, refusal)
  else if (wantsPage(ctx)) {
    const { say } = pages.languageOf(ctx)
    const words = wordsOf(refusal)
    pages.show(ctx, refusal.status, 'error', {
      title: say(titleOf(refusal.status, refusal.code)),
      message: words ? say(words.key, words.values) : refusal.message,
      messageTag: words ? null : ENGLISH.tag,
      hint: null,
      requestId: refusal.status >= 500 ? id : null,
    })
  } else {
    ctx.body = { error: refusal.code, error_description: refusal.message }
  }
}

function toRefusal(thrown: unknown): Refusal {
  const error = asUnavailable(thrown)
  if (error instanceof Refusal) return error
  if (error instanceof ChangedMeanwhile)
    return new PageRefusal('changed_meanwhile', 409, 'refusal.changedMeanwhile')
  if (error instanceof UsedAlready) return new PageRefusal('invalid_grant', 400, 'refusal.grant')
  if (error instanceof providerErrors.SessionNotFound)
    return new PageRefusal('no_interaction', 400, 'refusal.over')
  if (error instanceof providerErrors.OIDCProviderError && error.status === 503)
    return new Unavailable(error)
  return new PageRefusal('server_error', 500, 'refusal.broken')
}

export function wantsPage(ctx: Context): boolean {
  return ctx.accepts('json', 'html') === 'html'
}

export function titleOf(status: number, code: string): MessageKey {
  if (code === 'no_interaction') return 'error.endedTitle'
  if (status === 404) return 'error.notFoundTitle'
  if (status === 503) return 'error.unavailableTitle'
  if (status >= 500) return 'error.brokenTitle'
  return 'error.refusedTitle'
}

/** Paths hold ids of interactions and tokens of links, which belong in no log. */
function withoutIds(path: string): string {
  return path
    .slice(0, 200)
    .replace(/^\/(interaction|auth|link)\/[^/]+/i, '/$1/:uid')
    .replace(/^\/reg\/[^/]+/i, '/reg/:id')
    .replace(/^\/device\/(?!auth\/?$)[^/]+/i, '/device/:uid')
    .replace(/^\/admin\/bootstrap\/[^/]+/i, '/admin/bootstrap/:token')
    .replace(/^(\/webhooks\/gateways\/[^/]+)\/.*/, '$1/:secret')
}
