import type { RequestListener } from 'node:http'
import type { JWK } from 'jose'
import type { Administration } from './administration.ts'
import type { AppOptions } from './app-options.ts'
import type { Codes } from './codes.ts'
import { pendingMigrations } from './db/migrate.ts'
import type { Db } from './db/schema.ts'
import type { Delivery } from './delivery.ts'
import { Unavailable } from './errors.ts'
import { createHosted } from './hosted.ts'
import type { Languages } from './languages/languages.ts'
import type { ClientThrottle } from './oidc/client-throttle.ts'
import { hideFromPages } from './oidc/cors.ts'
import { countEvents } from './oidc/counted.ts'
import { createLogoutTokens } from './oidc/logout-tokens.ts'
import { cacheable, createProvider } from './oidc/provider.ts'
import { logRefusals } from './oidc/refusal-log.ts'
import { createRegistration } from './oidc/registration.ts'
import type { UnitsOfWork } from './oidc/unit-of-work.ts'
import type { Rooms } from './rooms.ts'
import { isEnrolled } from './second-factor/enrolled.ts'
import type { BrowserCookie } from './web/browser-cookie.ts'
import { byFirstPart } from './web/by-first-part.ts'
import { createCircumstances, placeOf } from './web/circumstances.ts'
import { keepUserCode } from './web/device-pages.ts'
import { createFailure } from './web/failure.ts'
import type { Forgotten } from './web/forgotten.ts'
import { guardProviderForms, securityHeaders } from './web/guard.ts'
import { createKeptAnswers } from './web/kept-answers.ts'
import type { LanguageChoice } from './web/language.ts'
import { createObserved } from './web/observed.ts'
import { addOutbox } from './web/outbox.ts'
import type { PageForms } from './web/page-forms.ts'
import type { Pages } from './web/pages.ts'
import { addPostedRequests } from './web/posted-requests.ts'
import { createProviderPages } from './web/provider-pages.ts'
import { createRoutes } from './web/routes.ts'
import type { TrustedBrowserCookie } from './web/trusted-browser.ts'
import { addWebhooks } from './web/webhooks.ts'

interface Dependencies extends Pick<AppOptions, 'config' | 'secrets' | 'log' | 'metrics'> {
  db: Db
  rooms: Rooms
  delivery: Delivery
  codes: Codes
  administration: Administration
  units: UnitsOfWork
  languages: Languages
  languageChoice: LanguageChoice
  pages: Pages
  forms: PageForms
  forgotten: Forgotten
  browsers: BrowserCookie
  trustedCookie: TrustedBrowserCookie
  clientThrottle: ClientThrottle
  signingKeys: JWK[]
  /** Has apps told that a session has ended, and waits for that, but not for long. */
  tellApps: () => Promise<void>
}

export interface Front {
  handle: RequestListener
  /** a logout token by the keys of this front */
  writeLogout: ReturnType<typeof createLogoutTokens>
}

/**
 * What a visitor meets: the provider, and the pages around it. A provider's keys are fixed when it is made, so
 * there is a new front whenever they change; nothing that must last stands in here.
 */
export function createFront(deps: Dependencies): Front {
  const { config, secrets, log, db, rooms, delivery, units, pages, languageChoice, trustedCookie } =
    deps
  const { fingerprint, accounts, phones, clients, trustedDevices } = rooms
  const { issuer } = config
  const provider = createProvider({
    issuer,
    cookieKeys: secrets.cookieKeys,
    signingKeys: deps.signingKeys,
    units,
    clients,
    accounts,
    phoneOf: async (accountId) => (await phones.list(accountId))[0],
    pages: createProviderPages(pages, new URL(issuer).host),
    secondFactor: config.secondFactor,
    selfEnrolment: config.selfEnrolment,
    isEnrolled: (accountId) => isEnrolled(db, accountId),
    placeOf,
    apis: rooms.apis,
    replays: rooms.replays,
    devices: rooms.devices,
    registrations: createRegistration({
      enabled: config.dynamicRegistration,
      clients,
      tokens: rooms.registrationTokens,
      rules: rooms.registrationRules,
    }),
    subjects: rooms.subjects,
    fetch: rooms.outbound.fetch,
    fetchForRegistered: rooms.registrationOutbound.fetch,
    languages: deps.languages.all.map(({ tag }) => tag),
    ...(trustedDevices.offered && {
      isTrusted: async (ctx, accountId) => {
        const token = trustedCookie.read(ctx)
        return token !== undefined && trustedDevices.isTrusted(token, accountId)
      },
    }),
  })
  provider.on('server_error', (ctx, error) =>
    log.error({ request: ctx.state.requestId, error }, 'provider failed'),
  )
  logRefusals(provider, log)
  countEvents(provider, deps.metrics)
  // Koa would write the stack to standard error; most are people who closed the page before it came.
  provider.onerror = (error) => log.warn({ error }, 'a request was broken off')

  const hosted = createHosted({ ...deps, provider })
  const routes = createRoutes({
    issuer,
    pages,
    languages: languageChoice,
    visitors: hosted.visitors,
    show: hosted.show,
    steps: hosted.steps,
    reachDatabase: async () => {
      if ((await pendingMigrations(db)).length > 0)
        throw new Unavailable(new Error('migrations are pending'))
    },
  })
  for (const add of [...hosted.sections, ...deps.administration.sections(provider)]) add(routes)
  addPostedRequests(routes)
  addWebhooks(routes, delivery.reports, issuer)
  if (delivery.outbox) addOutbox(routes, delivery.outbox, pages)

  provider.use(
    createObserved({
      metrics: deps.metrics,
      host: new URL(issuer).hostname,
      takesParents: config.tracing?.takesParents ?? false,
    }),
  )
  provider.use(createFailure({ pages, log }))
  provider.use(securityHeaders(issuer.startsWith('https:')))
  provider.use(createKeptAnswers())
  provider.use(cacheable)
  provider.use(hideFromPages)
  provider.use(createCircumstances(fingerprint))
  provider.use(guardProviderForms(issuer))
  provider.use(languageChoice.note)
  provider.use(async (ctx, next) => {
    await next()
    if (ctx.state.appsToTell) await deps.tellApps()
  })
  provider.use(keepUserCode)
  provider.use((ctx, next) =>
    units.run(async () => {
      await next()
      if (ctx.status < 500) return
      // The provider answers faults itself. Who hears of one has nothing, so nothing of it is stored: a code that
      // was to be redeemed isn't used, and can be redeemed again. Nor does a cookie name what isn't there.
      units.current().discard()
      ctx.remove('Set-Cookie')
    }),
  )
  provider.use(deps.clientThrottle(provider))
  provider.use(byFirstPart(routes))
  return { handle: provider.callback(), writeLogout: createLogoutTokens(provider, units) }
}
