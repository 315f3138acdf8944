import type Router from '@koa/router'
import type Provider from 'oidc-provider'
import type { Bootstrap } from '../../admin/bootstrap.ts'
import type { Bypass } from '../../admin/bypass.ts'
import type { ConsoleSessions } from '../../admin/console-sessions.ts'
import type { Factors } from '../../admin/factors.ts'
import type { People } from '../../admin/people.ts'
import type { PhoneVerification } from '../../admin/phone-verification.ts'
import type { Resending } from '../../admin/resending.ts'
import type { Trail } from '../../admin/trail.ts'
import type { Audit } from '../../audit/audit.ts'
import type { Language } from '../../languages/language.ts'
import type { UnitsOfWork } from '../../oidc/unit-of-work.ts'
import type { Cursors } from '../api/cursors.ts'
import type { PageForms } from '../page-forms.ts'
import type { Pages } from '../pages.ts'
import { callbackOf, createRelyingParty, leftOf } from '../relying-party.ts'
import { addAudit } from './audit-pages.ts'
import { addBootstrap } from './bootstrap-pages.ts'
import { createConfirming } from './confirming.ts'
import { CONSOLE_APP, CONSOLE_URL } from './console-app.ts'
import { createConsoleDoor } from './console-door.ts'
import { createConsolePages } from './console-pages.ts'
import { addHelpActions } from './help-actions.ts'
import { addPeople } from './people-pages.ts'
import { addPersonActions } from './person-actions.ts'
import { addPersonPage } from './person-page.ts'
import { addPhoneActions } from './phone-actions.ts'
import { addSessionActions } from './session-actions.ts'

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
  bootstrap: Bootstrap
  people: People
  factors: Factors
  verification: PhoneVerification
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
      addPersonActions(router, deps)
      addPhoneActions(router, deps)
      addSessionActions(router, deps)
      addHelpActions(router, deps)
      addPersonPage(router, deps)
      addAudit(router, deps)
      router.get(
        CONSOLE_URL,
        door.page('dashboard.read', (ctx) => {
          ctx.status = 303
          ctx.redirect(`${CONSOLE_URL}/people`)
        }),
      )
    }
}
