import type Router from '@koa/router'
import type { Outbox } from '../messaging/gateways/outbox.ts'
import type { Pages } from './pages.ts'

/** The simulated phone: what the outbox gateway kept, as a page to look at and as JSON. Only in development. */
export function addOutbox(router: Router, outbox: Outbox, pages: Pages): void {
  router.get('/dev/outbox', (ctx) => {
    const messages = outbox.list().toReversed()
    pages.show(ctx, 200, 'outbox', { messages, development: true })
  })
  router.get('/dev/outbox.json', (ctx) => {
    ctx.body = outbox.list()
  })
}
