import type Router from '@koa/router'
import { isBuiltIn } from '../../oidc/built-in.ts'
import type { Consents } from '../../oidc/consents.ts'
import { SHARED } from '../consent.ts'
import type { Pages } from '../pages.ts'
import { goOn } from './done.ts'
import type { Door } from './door.ts'
import { idOf, readStrict } from './input.ts'

const APPS_URL = '/account/apps'

interface Dependencies {
  door: Door
  pages: Pages
  consents: Consents
}

/** Apps that can see something of the person, and taking that back. */
export function addApps(router: Router, { door, pages, consents }: Dependencies): void {
  router.get(
    APPS_URL,
    door.page(async (ctx, who) => {
      const apps = await consents.list(who.account.id)
      const { say } = pages.languageOf(ctx)
      pages.show(ctx, 200, 'account-apps', {
        ...door.shell(ctx, who),
        apps: apps.flatMap(({ clientId, name, since, scopes }) => {
          const shown = nameOfApp({ id: clientId, name })
          if (shown === undefined) return []
          const gets = scopes.map((scope) => {
            const words = SHARED[scope]?.title
            // What an API offers has no other name.
            return words ? say(words) : scope
          })
          return [{ id: clientId, name: shown, since, gets }]
        }),
      })
    }),
  )

  router.post(
    `${APPS_URL}/:id/revoke`,
    door.form(async (ctx, { account }) => {
      readStrict(ctx, {})
      const id = idOf(ctx)
      const revoked = !isBuiltIn(id) && (await consents.revoke(account.id, id))
      if (!revoked) return door.gone(ctx)
      goOn(ctx, APPS_URL, 'access-revoked')
    }),
  )
}

/** What people call an app; nothing for these pages themselves, which are one to the provider only. */
export function nameOfApp({ id, name }: { id: string; name: string | null }): string | undefined {
  return isBuiltIn(id) ? undefined : (name ?? id)
}
