import type Router from '@koa/router'
import { isBuiltIn } from '../../oidc/built-in.ts'
import type { Consents } from '../../oidc/consents.ts'
import type { Sessions } from '../../oidc/sessions.ts'
import type { Authenticators } from '../../second-factor/authenticators.ts'
import type { BackupCodes } from '../../second-factor/backup-codes.ts'
import type { Phones } from '../../second-factor/phones.ts'
import type { TrustedDevices } from '../../second-factor/trusted-devices.ts'
import type { Pages } from '../pages.ts'
import { ACCOUNT_URL } from './account-app.ts'
import { FEW_CODES } from './backup-codes.ts'
import type { Door } from './door.ts'
import { toView } from './phones.ts'

interface Dependencies {
  door: Door
  pages: Pages
  phones: Phones
  authenticators: Authenticators
  backupCodes: BackupCodes
  trustedDevices: TrustedDevices
  sessions: Sessions
  consents: Consents
}

/** How all of it stands, and the ways to the pages that change it. */
export function addOverview(router: Router, deps: Dependencies): void {
  const { door, pages } = deps

  router.get(
    ACCOUNT_URL,
    door.page(async (ctx, who) => {
      const { id } = who.account
      const [phones, app, codes, browsers, sessions, apps] = await Promise.all([
        deps.phones.list(id),
        deps.authenticators.describe(id),
        deps.backupCodes.count(id),
        deps.trustedDevices.list(id),
        deps.sessions.list(id),
        deps.consents.list(id),
      ])
      const hasFactor = phones.length > 0 || app !== undefined
      pages.show(ctx, 200, 'account', {
        ...door.shell(ctx, who),
        phones: phones.map(toView),
        hasApp: app !== undefined,
        codesLeft: codes.left,
        fewCodes: hasFactor && codes.left <= FEW_CODES,
        remembered: deps.trustedDevices.offered ? browsers.length : null,
        sessions: sessions.length,
        apps: apps.filter(({ clientId }) => !isBuiltIn(clientId)).length,
      })
    }),
  )
}
