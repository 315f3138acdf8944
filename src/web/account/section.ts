import type Router from '@koa/router'
import type { Audit } from '../../audit/audit.ts'
import type { Metrics } from '../../metrics.ts'
import type { Clients } from '../../oidc/clients.ts'
import type { Consents } from '../../oidc/consents.ts'
import type { Sessions } from '../../oidc/sessions.ts'
import type { Challenges } from '../../second-factor/challenges.ts'
import type { PhoneChanges } from '../../second-factor/phone-changes.ts'
import { callbackOf, createRelyingParty, leftOf } from '../relying-party.ts'
import { ACCOUNT_APP, ACCOUNT_URL } from './account-app.ts'
import { addAdding } from './adding.ts'
import { APP_URL, addApp } from './app.ts'
import { addApps } from './apps.ts'
import { addBackupCodes } from './backup-codes.ts'
import { addBrowsers } from './browsers.ts'
import { createConfirming } from './confirming.ts'
import { createDoor, type DoorDependencies } from './door.ts'
import { addHistory } from './history.ts'
import { addOverview } from './overview.ts'
import { addPassword } from './password.ts'
import { addPhones, PHONES_URL } from './phones.ts'
import { createProving } from './proving.ts'

interface Dependencies extends Omit<DoorDependencies, 'relyingParty'> {
  issuer: string
  challenges: Challenges
  phoneChanges: PhoneChanges
  sessions: Sessions
  consents: Consents
  audit: Audit
  clients: Clients
  codeLength: number
  allowedCountries: ReadonlySet<string> | '*'
  defaultCountry: string | undefined
  trustedDeviceDays: number
  brandName: string
  metrics: Metrics
}

/** Everything under `/account`: what people can see and change of their own. */
export function createAccountSection(given: Dependencies) {
  const { provider, issuer, secondFactor } = given
  const relyingParty = createRelyingParty({ provider, issuer, app: ACCOUNT_APP })
  const door = createDoor({ ...given, relyingParty })
  const keepLast = secondFactor === 'required'
  const { hostname: host } = new URL(issuer)
  const proving = createProving({ ...given, door, host })
  const confirming = createConfirming({ ...given, door })
  const deps = { ...given, relyingParty, door, keepLast, proving, confirming }

  return (router: Router): void => {
    router.get(callbackOf(ACCOUNT_APP), door.arrive)
    router.get(`${ACCOUNT_URL}/sign-out`, relyingParty.leave)
    router.get(leftOf(ACCOUNT_APP), door.left)
    addOverview(router, deps)
    // Before the pages of single numbers, whose ids stand in the same place.
    addAdding(router, deps)
    proving.add(router, PHONES_URL)
    proving.add(router, APP_URL)
    addPhones(router, deps)
    addApp(router, deps)
    addBackupCodes(router, deps)
    addPassword(router, deps)
    addBrowsers(router, { ...deps, days: given.trustedDeviceDays })
    addApps(router, deps)
    addHistory(router, deps)
  }
}
