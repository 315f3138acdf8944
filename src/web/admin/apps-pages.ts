import type Router from '@koa/router'
import { z } from 'zod'
import type { Apps } from '../../admin/apps.ts'
import { idOf } from '../account/input.ts'
import { CLIENT_PLACE, type Cursors } from '../api/cursors.ts'
import { KINDS } from './app-form.ts'
import { kindOf, snippetsFor } from './app-snippets.ts'
import { CONSOLE_URL } from './console-app.ts'
import type { ConsoleDoor } from './console-door.ts'
import type { ConsolePages } from './console-pages.ts'

export const APPS_URL = `${CONSOLE_URL}/apps`
const PAGE = 50

interface Dependencies {
  issuer: string
  door: ConsoleDoor
  pages: ConsolePages
  apps: Apps
  cursors: Cursors
}

const query = z.object({ cursor: z.string().max(2000).optional().catch(undefined) })

/** The apps that people sign in to: all of them, and each with what it takes to connect it. */
export function addApps(router: Router, deps: Dependencies): void {
  const { issuer, door, pages, apps, cursors } = deps

  router.get(
    APPS_URL,
    door.page('apps.read', async (ctx, who) => {
      const { cursor } = query.parse(ctx.query)
      const asked = { cursor, limit: PAGE }
      const { after, limit, cut } = cursors.page('apps', asked, CLIENT_PLACE)
      const found = await apps.list(who.actor, { after: after?.id, limit })
      const { items, next } = cut(found, ({ id }) => ({ id }))
      pages.show(ctx, who, 'apps', {
        apps: items.map((app) => ({ ...app, kind: KINDS[kindOf(app)] })),
        next: next && `${APPS_URL}?${new URLSearchParams({ cursor: next })}`,
      })
    }),
  )

  router.get(
    `${APPS_URL}/:id`,
    door.page('apps.read', async (ctx, who) => {
      const app = await apps.get(who.actor, idOf(ctx))
      const kind = kindOf(app)
      pages.show(ctx, who, 'app', {
        app,
        kind: KINDS[kind],
        signsIn: kind !== 'program',
        redirects: kind === 'web' || kind === 'public',
        snippets: snippetsFor(issuer, app),
      })
    }),
  )
}
