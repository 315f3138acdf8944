import type Router from '@koa/router'
import type { Authenticators } from '../../second-factor/authenticators.ts'
import type { Pages } from '../pages.ts'
import type { Confirming } from './confirming.ts'
import { goOn } from './done.ts'
import type { Door } from './door.ts'

export const APP_URL = '/account/app'

interface Dependencies {
  door: Door
  confirming: Confirming
  pages: Pages
  authenticators: Authenticators
  /** whether the account's last factor must stay */
  keepLast: boolean
}

/** The person's authenticator app. */
export function addApp(router: Router, deps: Dependencies): void {
  const { door, confirming, pages, authenticators, keepLast } = deps

  router.get(
    APP_URL,
    door.page(async (ctx, who) => {
      const app = await authenticators.describe(who.account.id)
      pages.show(ctx, 200, 'account-app', {
        ...door.shell(ctx, who),
        since: app?.confirmedAt ?? null,
        held: app?.held ?? false,
      })
    }),
  )

  confirming.add(router, {
    path: `${APP_URL}/remove`,
    title: 'account.app.removeTitle',
    message: 'account.app.removeSay',
    button: 'account.app.remove',
    about: (_ctx, { account }) => authenticators.describe(account.id),
    back: () => APP_URL,
    async act(ctx, { account, sessionUid }, _app, { byBackupCode }) {
      const leaving = { keepLast, mayLeaveHeld: byBackupCode }
      await authenticators.remove(account.id, { ...leaving, sessionUid })
      goOn(ctx, APP_URL, 'app-removed')
    },
  })
}
