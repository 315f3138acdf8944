import type { Context, Middleware } from 'koa'
import type { Metrics } from '../metrics.ts'
import { traced } from '../tracing.ts'

interface Dependencies {
  metrics: Metrics
  /** host of the issuer */
  host: string
  /** whether a trace that a request names is gone on with */
  takesParents: boolean
}

/** Counts each request and follows it, by its route's template: what was asked for holds ids and more. */
export function createObserved({ metrics, host, takesParents }: Dependencies): Middleware {
  return (ctx, next) => {
    const began = performance.now()
    const { method } = ctx
    const attributes = { 'http.request.method': method, 'server.address': host }
    const parent = takesParents ? ctx.get('traceparent') || undefined : undefined
    return traced({ name: method, kind: 'server', attributes, parent }, async (span) => {
      // For the log's line of this request.
      if (span.traceId !== undefined) ctx.state.traceId = span.traceId
      try {
        await next()
      } finally {
        const { status } = ctx
        const route = routeOf(ctx)
        metrics.requestServed({
          route: route ?? 'none',
          method,
          status,
          seconds: (performance.now() - began) / 1000,
        })
        span.rename(route === undefined ? method : `${method} ${route}`)
        span.note({
          ...(route !== undefined && { 'http.route': route }),
          'http.response.status_code': status,
          'sallyport.request': String(ctx.state.requestId),
        })
        if (status >= 500) span.fail(String(status))
      }
    })
  }
}

/** The template that matched, whether it is one of our router's or of the provider's. */
function routeOf(ctx: Context): string | undefined {
  const matched: unknown = Reflect.get(ctx, '_matchedRoute')
  return typeof matched === 'string' ? matched : undefined
}
