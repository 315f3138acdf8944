import type Router from '@koa/router'
import type { Settings } from '../../admin/settings.ts'
import { CONSOLE_URL } from './console-app.ts'
import type { ConsoleDoor } from './console-door.ts'
import type { ConsolePages } from './console-pages.ts'

interface Dependencies {
  door: ConsoleDoor
  pages: ConsolePages
  settings: Settings
}

/** The configuration as it was read from the environment; it is changed there. */
export function addSettings(router: Router, { door, pages, settings }: Dependencies): void {
  router.get(
    `${CONSOLE_URL}/settings`,
    door.page('settings.read', async (ctx, who) => {
      pages.show(ctx, who, 'settings', await settings.look(who.actor))
    }),
  )
}
