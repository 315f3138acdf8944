import type Router from '@koa/router'
import type { Context } from 'koa'
import { circumstances, inCircumstances } from '../audit/circumstances.ts'
import type { Callback } from '../messaging/gateway.ts'
import type { Reports } from '../messaging/reports.ts'
import { readBytes } from './bytes.ts'

/** Reports are a few hundred bytes. */
const MOST_BYTES = 64 * 1024
/**
 * What isn't signed is answered only so often, and what is, a good deal oftener: a flood must not slow sign-ins
 * down (GWY-14), nor one of the first kind hold up the second. By each instance.
 */
const FLOOD = { unsigned: { perSecond: 50, burst: 100 }, signed: { perSecond: 500, burst: 1000 } }

/** Where gateways report what became of messages: by POST or GET, on the bytes as they came. */
export function addWebhooks(router: Router, reports: Reports, issuer: string): void {
  const roomForUnsigned = createBucket(FLOOD.unsigned)
  const roomForSigned = createBucket(FLOOD.signed)

  function answer(ctx: Context, status: number, error: string): void {
    // Some never come again after a 4xx, so what is theirs to repeat is told by a 5xx.
    if (status === 429 || status === 503) ctx.set('Retry-After', '60')
    ctx.status = status
    ctx.body = { error }
  }

  async function receive(ctx: Context): Promise<void> {
    const name = String(ctx.params?.name)
    const method = ctx.method === 'POST' ? 'POST' : 'GET'
    const body = method === 'POST' ? await readBytes(ctx.req, MOST_BYTES) : Buffer.alloc(0)
    if (!body) return answer(ctx, 413, 'too_large')
    const callback: Callback = {
      method,
      // By the name the gateway knows, whatever proxies make of it.
      url: `${issuer}${ctx.url}`,
      headers: ctx.headers,
      body,
      now: Date.now() / 1000,
    }
    const verdict = await reports.read(name, callback)
    if (verdict === 'unknown-gateway') return answer(ctx, 404, verdict)
    const told = 'reports' in verdict ? verdict.reports : verdict.refused
    if (told === 'signature' || told === 'stale')
      return roomForUnsigned() ? answer(ctx, 401, told) : answer(ctx, 429, 'too_many_requests')
    if (!roomForSigned()) return answer(ctx, 503, 'temporarily_unavailable')
    // Signed and yet unreadable: coming again would make it no better.
    if (told !== 'malformed')
      await inCircumstances({ ...circumstances(), actor: `gateway:${name}` }, () =>
        reports.take(name, told),
      )
    ctx.body = { status: 'ok' }
  }

  // Some put a secret at the end of the path, since they sign nothing.
  for (const path of ['/webhooks/gateways/:name', '/webhooks/gateways/:name/:secret']) {
    router.get(path, receive)
    router.post(path, receive)
  }
}

/** Lets so many a second through on average, and a burst at once. */
function createBucket({ perSecond, burst }: { perSecond: number; burst: number }): () => boolean {
  let left = burst
  let filledAt = performance.now()
  return () => {
    const now = performance.now()
    left = Math.min(burst, left + ((now - filledAt) / 1000) * perSecond)
    filledAt = now
    if (left < 1) return false
    left -= 1
    return true
  }
}
