import type Router from '@koa/router'
import type Provider from 'oidc-provider'
import type { Apps } from '../../admin/apps.ts'
import type { Bootstrap } from '../../admin/bootstrap.ts'
import type { Bypass } from '../../admin/bypass.ts'
import type { ConsoleSessions } from '../../admin/console-sessions.ts'
import type { Factors } from '../../admin/factors.ts'
import type { FreshnessOf } from '../../admin/freshness.ts'
import type { Keys } from '../../admin/keys.ts'
import type { People } from '../../admin/people.ts'
import type { PhoneVerification } from '../../admin/phone-verification.ts'
import type { Receivers } from '../../admin/receivers.ts'
import type { Resending } from '../../admin/resending.ts'
import type { Settings } from '../../admin/settings.ts'
import type { Traffic } from '../../admin/traffic.ts'
import type { Trail } from '../../admin/trail.ts'
import type { Transfers } from '../../admin/transfers.ts'
import type { Audit } from '../../audit/audit.ts'
import type { Language } from '../../languages/language.ts'
import type { UnitsOfWork } from '../../oidc/unit-of-work.ts'
import type { Cursors } from '../api/cursors.ts'
import type { PageForms } from '../page-forms.ts'
import type { Pages } from '../pages.ts'
import { callbackOf, createRelyingParty, leftOf } from '../relying-party.ts'
import { addAlerts } from './alerts-page.ts'
import { addAppActions } from './app-actions.ts'
import { addApps } from './apps-pages.ts'
import { addAudit } from './audit-pages.ts'
import { addBootstrap } from './bootstrap-pages.ts'
import { createConfirming } from './confirming.ts'
import { CONSOLE_APP, CONSOLE_URL } from './console-app.ts'
import { createConsoleDoor } from './console-door.ts'
import { createConsolePages } from './console-pages.ts'
import { addHelpActions } from './help-actions.ts'
import { addImports } from './import-pages.ts'
import { addKeys } from './keys-pages.ts'
import { addLimits } from './limits-pages.ts'
import { addMessages } from './messages-page.ts'
import { addOverview } from './overview-page.ts'
import { addPeople } from './people-pages.ts'
import { addPersonActions } from './person-actions.ts'
import { addPersonPage } from './person-page.ts'
import { addPhoneActions } from './phone-actions.ts'
import { addSessionActions } from './session-actions.ts'
import { addSettings } from './settings-page.ts'
import { addWebhooks } from './webhook-pages.ts'

interface Dependencies {
  issuer: string
  selfEnrolment: boolean
  english: Language
  pages: Pages
  forms: PageForms
  units: UnitsOfWork
  audit: Audit
  cursors: Cursors
  sessions: ConsoleSessions
  freshnessOf: FreshnessOf
  bootstrap: Bootstrap
  people: People
  factors: Factors
  verification: PhoneVerification
  apps: Apps
  keys: Keys
  settings: Settings
  transfers: Transfers
  traffic: Traffic
  receivers: Receivers
  gateways: readonly string[]
  currency: string
  bypass: Bypass
  resending: Resending
  trail: Trail
}

/** Everything under `/admin`. */
export function createConsoleSection(given: Dependencies) {
  const { issuer } = given
  const pages = createConsolePages(given)

  return (provider: Provider) =>
    (router: Router): void => {
      const relyingParty = createRelyingParty({ provider, issuer, app: CONSOLE_APP })
      const secure = issuer.startsWith('https:')
      const door = createConsoleDoor({ ...given, provider, relyingParty, pages, secure })
      const confirm = createConfirming({ door, pages })
      const deps = { ...given, pages, door, confirm }

      router.get(callbackOf(CONSOLE_APP), door.arrive)
      router.get(leftOf(CONSOLE_APP), door.left)
      router.get(`${CONSOLE_URL}/sign-out`, door.leave)
      addBootstrap(router, deps)
      addPeople(router, deps)
      // Before the people, whose ids stand in the same place.
      addImports(router, deps)
      addPersonActions(router, deps)
      addPhoneActions(router, deps)
      addSessionActions(router, deps)
      addHelpActions(router, deps)
      addPersonPage(router, deps)
      addAppActions(router, deps)
      addApps(router, deps)
      addKeys(router, deps)
      addSettings(router, deps)
      addOverview(router, deps)
      addMessages(router, deps)
      addLimits(router, deps)
      addAlerts(router, deps)
      addWebhooks(router, deps)
      addAudit(router, deps)
    }
}
