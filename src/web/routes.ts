import Router from '@koa/router'
import type { Context, Middleware, Next } from 'koa'
import { Refusal } from '../errors.ts'
import { readForm } from './forms.ts'
import { assertOwnOrigin } from './guard.ts'
import type { Pages } from './pages.ts'
import type { Visitors } from './visitor.ts'

/** What each form of an interaction does, by the last part of its path. */
export type Step = 'login' | 'code' | 'resend' | 'consent' | 'cancel' | 'restart'

interface Dependencies {
  issuer: string
  pages: Pages
  visitors: Visitors
  show: (ctx: Context) => Promise<void>
  steps: Record<Step, (ctx: Context) => Promise<void>>
  /** resolves when the database answers and its schema is up to date */
  reachDatabase: () => Promise<void>
}

/** Our routes, in front of the provider's. */
export function createRoutes(deps: Dependencies): Router {
  const { issuer, pages, visitors } = deps
  const router = new Router({ strict: true, sensitive: true })

  /** Every form: read, from our own origin, with this visitor's token. */
  const ownForm: Middleware = async (ctx: Context, next: Next) => {
    assertOwnOrigin(ctx, issuer)
    visitors.assertFormToken(visitors.of(ctx), fieldOf(ctx.request.body, 'form_token'))
    await next()
  }

  router.get('/interaction/:uid', deps.show)
  for (const [step, handle] of Object.entries(deps.steps)) {
    router.post(`/interaction/:uid/${step}`, readForm, ownForm, handle)
    // Someone who reloads an address that only takes forms gets the page that is due.
    router.get(`/interaction/:uid/${step}`, (ctx) => {
      ctx.status = 303
      ctx.redirect(`/interaction/${encodeURIComponent(String(ctx.params?.uid))}`)
    })
  }

  router.get('/', (ctx) => {
    ctx.type = 'html'
    ctx.body = pages.render('home', { issuer })
  })

  router.get('/assets/:file', (ctx) => {
    const asset = pages.assets.get(ctx.path)
    if (!asset) throw new Refusal('not_found', 404, 'There is nothing at this address.')
    ctx.set('Cache-Control', 'public, max-age=31536000, immutable')
    ctx.set('Content-Type', asset.type)
    ctx.body = asset.body
  })

  router.get('/healthz', (ctx) => {
    ctx.body = { status: 'up' }
  })
  router.get('/readyz', async (ctx) => {
    await deps.reachDatabase()
    ctx.body = { status: 'ready' }
  })
  return router
}

function fieldOf(body: unknown, name: string): unknown {
  return typeof body === 'object' && body !== null && Object.hasOwn(body, name)
    ? Reflect.get(body, name)
    : undefined
}
