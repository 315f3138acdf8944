import type Router from '@koa/router'
import type { Sessions } from '../../oidc/sessions.ts'
import type { TrustedDevices } from '../../second-factor/trusted-devices.ts'
import type { Pages } from '../pages.ts'
import type { TrustedBrowserCookie } from '../trusted-browser.ts'
import { nameOfApp } from './apps.ts'
import { goOn } from './done.ts'
import type { Door } from './door.ts'
import { idOf, readStrict } from './input.ts'

const BROWSERS_URL = '/account/browsers'
const SESSIONS_URL = '/account/sessions'

interface Dependencies {
  door: Door
  pages: Pages
  sessions: Sessions
  trustedDevices: TrustedDevices
  trustedCookie: TrustedBrowserCookie
  /** for how many days a browser is remembered */
  days: number
}

/** Where the person is signed in, and which browsers skip the code. Ending either needs no fresh proof: it only takes away. */
export function addBrowsers(router: Router, deps: Dependencies): void {
  const { door, pages, sessions, trustedDevices, trustedCookie } = deps

  router.get(
    SESSIONS_URL,
    door.page(async (ctx, who) => {
      const live = await sessions.list(who.account.id)
      const mine = (uid: string) => uid === who.sessionUid
      pages.show(ctx, 200, 'account-sessions', {
        ...door.shell(ctx, who),
        sessions: live
          .toSorted((a, b) => Number(mine(b.uid)) - Number(mine(a.uid)))
          .map(({ uid, place, signedInAt, apps }) => ({
            uid,
            browser: place?.browser ?? null,
            address: place?.address ?? null,
            signedInAt,
            apps: apps.flatMap((app) => nameOfApp(app) ?? []),
            current: mine(uid),
          })),
      })
    }),
  )

  router.post(
    `${SESSIONS_URL}/:id/end`,
    door.form(async (ctx, { account }) => {
      readStrict(ctx, {})
      if (!(await sessions.end(account.id, idOf(ctx)))) return door.gone(ctx)
      goOn(ctx, SESSIONS_URL, 'session-ended')
    }),
  )

  router.post(
    `${SESSIONS_URL}/end-others`,
    door.form(async (ctx, { account, sessionUid }) => {
      readStrict(ctx, {})
      await sessions.endOthers(account.id, sessionUid)
      goOn(ctx, SESSIONS_URL, 'sessions-ended')
    }),
  )

  router.get(
    BROWSERS_URL,
    door.page(async (ctx, who) => {
      const [mine] = trustedCookie.read(ctx)?.split('.') ?? []
      const browsers = await trustedDevices.list(who.account.id)
      pages.show(ctx, 200, 'account-browsers', {
        ...door.shell(ctx, who),
        days: deps.days,
        browsers: browsers.map((each) => ({ ...each, current: each.id === mine })),
      })
    }),
  )

  router.post(
    `${BROWSERS_URL}/:id/forget`,
    door.form(async (ctx, { account }) => {
      readStrict(ctx, {})
      if (!(await trustedDevices.end(account.id, idOf(ctx)))) return door.gone(ctx)
      goOn(ctx, BROWSERS_URL, 'browser-forgotten')
    }),
  )

  router.post(
    `${BROWSERS_URL}/forget-all`,
    door.form(async (ctx, { account }) => {
      readStrict(ctx, {})
      await trustedDevices.endAll(account.id)
      goOn(ctx, BROWSERS_URL, 'browsers-forgotten')
    }),
  )
}
