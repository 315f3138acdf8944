import type Router from '@koa/router'
import type Provider from 'oidc-provider'
import { createAdminApis } from './admin/apis.ts'
import { createApps } from './admin/apps.ts'
import { createBootstrap } from './admin/bootstrap.ts'
import { createBypass } from './admin/bypass.ts'
import { createConsoleSessions } from './admin/console-sessions.ts'
import { createFactors } from './admin/factors.ts'
import { createFreshness } from './admin/freshness.ts'
import { createIdempotency } from './admin/idempotency.ts'
import { createKeys } from './admin/keys.ts'
import { createPeople } from './admin/people.ts'
import { createPhoneVerification } from './admin/phone-verification.ts'
import { createReceivers } from './admin/receivers.ts'
import { createResending } from './admin/resending.ts'
import { createSettings } from './admin/settings.ts'
import { createTraffic } from './admin/traffic.ts'
import { createTrail } from './admin/trail.ts'
import { createTransfers } from './admin/transfers.ts'
import type { AppOptions } from './app-options.ts'
import type { Codes } from './codes.ts'
import type { Clock } from './db/clock.ts'
import type { Db } from './db/schema.ts'
import { ENGLISH } from './languages/language.ts'
import type { Languages } from './languages/languages.ts'
import { namesOf } from './messaging/orders.ts'
import type { UnitsOfWork } from './oidc/unit-of-work.ts'
import type { Rooms } from './rooms.ts'
import { createConsoleSection } from './web/admin/section.ts'
import { createBearer } from './web/api/bearer.ts'
import { createCursors } from './web/api/cursors.ts'
import { createApiSection } from './web/api/section.ts'
import type { PageForms } from './web/page-forms.ts'
import type { Pages } from './web/pages.ts'

export type Administration = ReturnType<typeof createAdministration>

interface Dependencies extends Pick<AppOptions, 'config' | 'secrets' | 'log'> {
  languages: Languages
  db: Db
  clock: Clock
  rooms: Rooms
  codes: Codes
  units: UnitsOfWork
  pages: Pages
  forms: PageForms
  /** has a started import worked off */
  wakeImports: () => void
}

/** The admin's side, put together: its operations, and the API and the console over them. */
export function createAdministration(deps: Dependencies) {
  const { config, secrets, db, clock, rooms, units, languages } = deps
  const { vault, accounts } = rooms
  const phoneRules = {
    allowedCountries: config.sms.allowedCountries,
    defaultCountry: config.defaultCountry,
  }
  const people = createPeople({ ...rooms, phoneRules })
  const factors = createFactors({ ...rooms, phoneRules })
  const languageOf = (tag: string | null) => languages.find(tag ?? '') ?? languages.byDefault
  const verification = createPhoneVerification({ ...deps.codes, accounts, factors, languageOf })
  const bypass = createBypass(rooms)
  const resending = createResending({ ...deps.codes, accounts, languageOf })
  const trail = createTrail(rooms)
  const idempotency = createIdempotency({ db, clock, vault })
  const consoleSessions = createConsoleSessions({ db, clock })
  const freshnessOf = createFreshness({ db, clock })
  const bootstrap = createBootstrap({ ...rooms, db, clock, phoneRules })
  const cursors = createCursors(secrets.cookieKeys)
  const apps = createApps(rooms)
  const apis = createAdminApis(rooms)
  const keys = createKeys(rooms)
  const traffic = createTraffic({ ...rooms, rules: config.sms.limits })
  const receivers = createReceivers(rooms.webhooks)
  const transfers = createTransfers({ ...rooms, wake: deps.wakeImports })
  const beside = { bypass, resending, trail, traffic, receivers, transfers, apps, apis, keys }
  const operations = { people, factors, verification, cursors, ...beside }
  const api = createApiSection({ ...operations, idempotency })
  const console = createConsoleSection({
    ...deps,
    ...operations,
    issuer: config.issuer,
    selfEnrolment: config.selfEnrolment,
    english: languages.find('en') ?? ENGLISH,
    audit: rooms.audit,
    settings: createSettings({ db, config }),
    sessions: consoleSessions,
    freshnessOf,
    bootstrap,
    gateways: namesOf({
      texts: config.sms.gateways,
      routes: config.sms.routes,
      calls: config.sms.voiceGateways,
    }),
    currency: config.prices.currency,
  })

  return {
    /** What the provider's front has of it, for each provider that is made. */
    sections: (provider: Provider): Array<(router: Router) => void> => [
      api(createBearer({ provider, units, accounts, freshnessOf })),
      console(provider),
    ],
    bootstrap,
    swept: { idempotency, consoleSessions },
  }
}
