import Router from '@koa/router'
import type { Context, Middleware, Next } from 'koa'
import { readForm } from './forms.ts'
import { assertOwnOrigin } from './guard.ts'
import type { LanguageChoice } from './language.ts'
import type { Pages } from './pages.ts'
import { notFound } from './refusals.ts'
import type { Visitors } from './visitor.ts'

interface Dependencies {
  issuer: string
  pages: Pages
  languages: LanguageChoice
  visitors: Visitors
  show: (ctx: Context) => Promise<void>
  /** what each form of an interaction does, by the last part of its path */
  steps: Record<string, (ctx: Context) => Promise<void>>
  /** resolves when the database answers and its schema is up to date */
  reachDatabase: () => Promise<void>
}

/** Our routes, in front of the provider's. */
export function createRoutes(deps: Dependencies): Router {
  const { issuer, pages, languages, visitors } = deps
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
    pages.show(ctx, 200, 'home', { issuer })
  })

  router.post('/language', readForm, languages.change)
  router.get('/language', (ctx) => {
    ctx.status = 303
    ctx.redirect('/')
  })

  router.get('/assets/:file', (ctx) => {
    const asset = pages.assets.get(ctx.path)
    const shown = asset ?? pages.likeAsset(ctx.path)
    if (!shown) throw notFound()
    ctx.set('Cache-Control', asset ? 'public, max-age=31536000, immutable' : 'no-store')
    ctx.set('Content-Type', shown.type)
    ctx.body = shown.body
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
