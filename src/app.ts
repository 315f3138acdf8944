import type { RequestListener } from 'node:http'
import type { AppOptions } from './app-options.ts'
import { assertTextsFit } from './brand.ts'
import { type OpenDatabase, openDatabase } from './db/client.ts'
import { databaseClock } from './db/clock.ts'
import { pendingMigrations } from './db/migrate.ts'
import { createDelivery } from './delivery.ts'
import { Unavailable } from './errors.ts'
import { createHosted } from './hosted.ts'
import { keepHouse } from './housekeeping.ts'
import { createLanguages, type Languages, loadCatalogues } from './languages/languages.ts'
import { ACCOUNT_CLIENT_ID } from './oidc/built-in.ts'
import { createClientThrottle } from './oidc/client-throttle.ts'
import { loadSigningKeys } from './oidc/keys.ts'
import { createProvider, logRefusals } from './oidc/provider.ts'
import { createRecords } from './oidc/records.ts'
import { createUnitsOfWork } from './oidc/unit-of-work.ts'
import { createRooms } from './rooms.ts'
import { isEnrolled } from './second-factor/enrolled.ts'
import { createImportWorker } from './transfer/worker.ts'
import { accountClientOf } from './web/account/section.ts'
import { createBrowserCookie } from './web/browser-cookie.ts'
import { createCircumstances, placeOf } from './web/circumstances.ts'
import { createFailure } from './web/failure.ts'
import { guardProviderForms, securityHeaders } from './web/guard.ts'
import { createLanguageChoice } from './web/language.ts'
import { loadLogo } from './web/logo.ts'
import { addOutbox } from './web/outbox.ts'
import { createPages } from './web/pages.ts'
import { createProviderPages } from './web/provider-pages.ts'
import { createRoutes } from './web/routes.ts'
import { createTrustedBrowserCookie } from './web/trusted-browser.ts'
import { addWebhooks } from './web/webhooks.ts'

export interface App {
  handle: RequestListener
  /** Finishes what is being sent, then lets go of the database. */
  close(): Promise<void>
}

/** Puts everything together, on a database brought up to date. */
export async function createApp(options: AppOptions): Promise<App> {
  const { config, secrets, log, onStatement } = options
  const languages = options.languages ?? createLanguages(loadCatalogues(), config.defaultLocale)
  assertTextsFit(config, languages)
  const database = await openDatabase(
    {
      url: secrets.databaseUrl,
      dataDir: config.dataDir,
      poolSize: config.poolSize,
      ...(onStatement && { onStatement }),
    },
    log,
  )
  try {
    return await assemble({ ...options, languages }, database)
  } catch (error) {
    await database.close()
    throw error
  }
}

async function assemble(
  {
    config,
    secrets,
    log,
    metrics,
    languages: known,
    clock = databaseClock,
  }: AppOptions & { languages: Languages },
  database: OpenDatabase,
): Promise<App> {
  const { db } = database
  for (const migration of await database.migrate()) log.info({ migration }, 'migrated')
  const rooms = await createRooms(db, clock, config, secrets)
  const { vault, fingerprint, throttle, accounts, phones, clients, trustedDevices } = rooms
  await clients.ensureBuiltIn({
    id: ACCOUNT_CLIENT_ID,
    ...accountClientOf(config.issuer, config.brand.name),
  })
  const { host } = new URL(config.issuer)
  const secure = config.issuer.startsWith('https:')
  const delivery = createDelivery({
    config,
    secrets,
    log,
    metrics,
    db,
    clock,
    languages: known,
    vault,
    fingerprint,
  })

  const records = createRecords({ db, vault, clock })
  const units = createUnitsOfWork(records)
  const languages = createLanguageChoice({ languages: known, issuer: config.issuer })
  const pages = createPages({
    languages,
    brand: { ...config.brand, logo: await loadLogo(config.brand.logoUrl, log) },
    simulatedPhone: delivery.outbox !== undefined,
  })
  const trustedCookie = createTrustedBrowserCookie({ secure, days: config.trustedDeviceDays })
  const provider = createProvider({
    issuer: config.issuer,
    cookieKeys: secrets.cookieKeys,
    signingKeys: await loadSigningKeys(db, vault),
    units,
    clients,
    accounts,
    phoneOf: async (accountId) => (await phones.list(accountId))[0],
    pages: createProviderPages(pages, host),
    secondFactor: config.secondFactor,
    selfEnrolment: config.selfEnrolment,
    isEnrolled: (accountId) => isEnrolled(db, accountId),
    placeOf,
    languages: known.all.map(({ tag }) => tag),
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
  // Koa would write the stack to standard error; most are people who closed the page before it came.
  provider.onerror = (error) => log.warn({ error }, 'a request was broken off')

  const hosted = createHosted({
    config,
    secrets,
    log,
    metrics,
    languages: known,
    db,
    clock,
    rooms,
    provider,
    units,
    pages,
    messenger: delivery.messenger,
    trustedCookie,
    browsers: createBrowserCookie(secure),
  })
  const routes = createRoutes({
    issuer: config.issuer,
    pages,
    languages,
    visitors: hosted.visitors,
    show: hosted.show,
    steps: hosted.steps,
    reachDatabase: async () => {
      if ((await pendingMigrations(db)).length > 0)
        throw new Unavailable(new Error('migrations are pending'))
    },
  })
  for (const add of hosted.sections) add(routes)
  addWebhooks(routes, delivery.reports, config.issuer)
  if (delivery.outbox) addOutbox(routes, delivery.outbox, pages)

  provider.use(createFailure({ pages, log }))
  provider.use(createCircumstances(fingerprint))
  provider.use(securityHeaders(secure))
  provider.use(guardProviderForms(config.issuer))
  provider.use(languages.note)
  provider.use((_ctx, next) => units.run(next))
  provider.use(createClientThrottle({ provider, throttle, units, fingerprint }))
  provider.use(routes.routes())

  const { messenger, notices, reports } = delivery
  const swept = [records, hosted.challenges, throttle, messenger, notices, reports]
  const { audit, links, sendStates, imports } = rooms
  const housekeeping = keepHouse(
    [...swept, audit, links, phones, trustedDevices, sendStates, imports],
    log,
  )
  const importWorker = createImportWorker({ imports, log })
  importWorker.start()
  delivery.notices.start()
  delivery.watch.start(hosted.challenges.reroute)
  return {
    handle: provider.callback(),
    async close() {
      housekeeping.stop()
      await hosted.idle()
      await importWorker.close()
      await delivery.close()
      await database.close()
    },
  }
}
