import type { Middleware } from 'koa'

const PATHS: ReadonlySet<string> = new Set(['/.well-known/openid-configuration', '/jwks'])
/** What of an answer is said again beside its body. */
const HEADERS = ['Content-Type', 'Cache-Control', 'Vary', 'Access-Control-Allow-Origin']

interface Kept {
  headers: Record<string, string>
  body: Buffer
  /** the template it is counted under */
  route: unknown
}

/**
 * Discovery and keys say the same to everybody for as long as a front lives, and clients ask for them more often than
 * for anything: what the provider says once is said again. Pages of other origins are answered by the provider, which
 * names each its own.
 */
export function createKeptAnswers(): Middleware {
  const answers = new Map<string, Kept>()
  return async (ctx, next) => {
    if (ctx.method !== 'GET' || !PATHS.has(ctx.path) || ctx.get('Origin')) return next()
    const kept = answers.get(ctx.path)
    if (kept) {
      Reflect.set(ctx, '_matchedRoute', kept.route)
      ctx.set(kept.headers)
      ctx.body = kept.body
      return
    }
    await next()
    if (ctx.status !== 200) return
    answers.set(ctx.path, {
      headers: Object.fromEntries(HEADERS.map((name) => [name, ctx.response.get(name)])),
      body: Buffer.from(JSON.stringify(ctx.body)),
      route: Reflect.get(ctx, '_matchedRoute'),
    })
  }
}
