import type { RequestListener } from 'node:http'
import { setTimeout as pause } from 'node:timers/promises'
import { createAdministration } from './administration.ts'
import type { AppOptions } from './app-options.ts'
import { assertTextsFit } from './brand.ts'
import { createClockWatch } from './clock-watch.ts'
import { createCodes } from './codes.ts'
import { type OpenDatabase, openDatabase } from './db/client.ts'
import { databaseClock } from './db/clock.ts'
import { createDelivery } from './delivery.ts'
import { createFront } from './front.ts'
import { keepHouse, sweptAmong } from './housekeeping.ts'
import { createKeyWatch } from './key-watch.ts'
import { createLanguages, type Languages, loadCatalogues } from './languages/languages.ts'
import { createWorker } from './messaging/worker.ts'
import { createClientThrottle } from './oidc/client-throttle.ts'
import { createLogoutSender } from './oidc/logout-sender.ts'
import { createRecords } from './oidc/records.ts'
import { createUnitsOfWork } from './oidc/unit-of-work.ts'
import { createReencryptionWorker } from './reencryption.ts'
import { createRooms } from './rooms.ts'
import { createImportWorker } from './transfer/worker.ts'
import { ACCOUNT_APP } from './web/account/account-app.ts'
import { CONSOLE_APP, CONSOLE_URL } from './web/admin/console-app.ts'
import { createBrowserCookie } from './web/browser-cookie.ts'
import { createForgotten } from './web/forgotten.ts'
import { createLanguageChoice } from './web/language.ts'
import { loadLogo } from './web/logo.ts'
import { createPageForms } from './web/page-forms.ts'
import { createPages } from './web/pages.ts'
import { clientOf } from './web/relying-party.ts'
import { createTrustedBrowserCookie } from './web/trusted-browser.ts'

export interface App {
  handle: RequestListener
  /** address of the page that makes the first admin; undefined once there is one */
  bootstrapUrl: string | undefined
  /** Finishes what is being sent, then lets go of the database. */
  close(): Promise<void>
}

/** So often is looked for apps that are to be told of sign-outs. */
const LOGOUTS_EVERY_MS = 2000
/** A sign-out waits so long at most for apps to hear of it; those that don't are told behind it (OIDC-32). */
const LOGOUT_WAIT_MS = 1500

/** So often is looked whether it is this instance's turn to count. */
const FIGURES_EVERY_MS = 15_000

/** As often as Prometheus usually asks. */
const BACKLOG_EVERY_MS = 30_000

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
      onStatementEnd: options.metrics.statementRan,
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
    languages,
    clock = databaseClock,
    keyPollMs,
    setClock,
    passwordCost,
  }: AppOptions & { languages: Languages },
  database: OpenDatabase,
): Promise<App> {
  const { db } = database
  metrics.tellPool(database.load)
  for (const migration of await database.migrate()) log.info({ migration }, 'migrated')
  const missing = await database.missingLimits()
  if (missing.length > 0) log.warn({ missing }, 'connections begin without limits')
  // The embedded database has no clock but this machine's.
  const clockWatch =
    setClock && secrets.databaseUrl ? createClockWatch({ db, log, setClock }) : undefined
  await clockWatch?.look()
  const rooms = await createRooms(db, clock, config, secrets, {
    onSeal: metrics.sealed,
    passwordCost,
  })
  const { vault } = rooms
  const { issuer, brand } = config
  await rooms.clients.ensureBuiltIn(clientOf(ACCOUNT_APP, issuer, brand.name))
  await rooms.clients.ensureBuiltIn({
    ...clientOf(CONSOLE_APP, issuer, brand.name),
    secondFactor: 'required',
  })
  const secure = config.issuer.startsWith('https:')
  const parts = { config, secrets, log, metrics, db, clock, languages }
  const delivery = createDelivery({ ...parts, rooms })
  const codes = createCodes({ ...parts, rooms, messenger: delivery.messenger })

  const records = createRecords({ db, vault, clock, fingerprint: rooms.fingerprint })
  const units = createUnitsOfWork(records)
  const languageChoice = createLanguageChoice({ languages, issuer: config.issuer })
  const pages = createPages({
    languages: languageChoice,
    brand: { ...config.brand, logo: await loadLogo(config.brand.logoUrl, log) },
    simulatedPhone: delivery.outbox !== undefined,
  })
  const browsers = createBrowserCookie(secure)
  const forms = createPageForms({ ...config, cookieKeys: secrets.cookieKeys, browsers })
  const forgotten = createForgotten({ ...rooms, pages, forms, log })
  const importWorker = createImportWorker({ ...rooms, log })
  const administration = createAdministration({
    ...parts,
    rooms,
    codes,
    units,
    pages,
    forms,
    wakeImports: importWorker.wake,
  })
  const logouts = createWorker(
    createLogoutSender({
      db,
      clock,
      post: rooms.outbound.post,
      write: (logout) => front.writeLogout(logout),
      log,
    }),
    LOGOUTS_EVERY_MS,
    (error) => log.warn({ error }, 'telling apps of sign-outs was put off'),
  )
  const lasting = {
    ...parts,
    rooms,
    delivery,
    codes,
    administration,
    units,
    languageChoice,
    pages,
    forms,
    forgotten,
    browsers,
    trustedCookie: createTrustedBrowserCookie({ secure, days: config.trustedDeviceDays }),
    clientThrottle: createClientThrottle({ ...rooms, units }),
    tellApps: async () => {
      logouts.wake()
      await Promise.race([logouts.idle(), pause(LOGOUT_WAIT_MS, undefined, { ref: false })])
    },
  }
  const keys = await rooms.signingKeys.load()
  let front = createFront({ ...lasting, signingKeys: keys })
  const keyWatch = createKeyWatch({
    signingKeys: rooms.signingKeys,
    keys,
    // Requests that are being served end at the front they came to.
    take: (signingKeys) => {
      front = createFront({ ...lasting, signingKeys })
    },
    log,
    everyMs: keyPollMs,
  })
  const swept = [rooms, delivery, codes, administration.swept, { records }].flatMap(sweptAmong)
  const housekeeping = keepHouse(swept, log)
  const figures = createWorker(rooms.statistics.rollUpInTurn, FIGURES_EVERY_MS, (error) =>
    log.warn({ error }, 'figures were put off'),
  )
  const backlog = createWorker(
    async () => {
      metrics.backlogFound(await rooms.statistics.backlog())
      return false
    },
    BACKLOG_EVERY_MS,
    (error) => log.warn({ error }, 'the backlog was not counted'),
  )
  const workers = [
    figures,
    keyWatch,
    importWorker,
    logouts,
    backlog,
    createReencryptionWorker({ ...rooms, log, everyMs: keyPollMs }),
    ...(clockWatch ? [clockWatch] : []),
  ]
  delivery.notices.start()
  delivery.watch.start(codes.challenges.reroute)
  delivery.startAlerts()
  for (const worker of workers) worker.start()
  const bootstrapToken = await administration.bootstrap.begin()
  return {
    handle: (request, response) => front.handle(request, response),
    bootstrapUrl: bootstrapToken && `${issuer}${CONSOLE_URL}/bootstrap/${bootstrapToken}`,
    async close() {
      housekeeping.stop()
      for (const worker of workers) worker.stop()
      await Promise.all([forgotten.idle(), codes.challenges.idle(), logouts.idle()])
      await delivery.close()
      await Promise.all(workers.map((worker) => worker.idle()))
      await Promise.all([rooms.outbound.close(), rooms.registrationOutbound.close()])
      await database.close()
    },
  }
}
