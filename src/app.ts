import type { RequestListener } from 'node:http'
import { type Config, ConfigError } from './config/config.ts'
import type { CompleteSecrets } from './config/development-keys.ts'
import { type OpenDatabase, openDatabase } from './db/client.ts'
import { type Clock, databaseClock } from './db/clock.ts'
import { pendingMigrations } from './db/migrate.ts'
import { Unavailable } from './errors.ts'
import { keepHouse } from './housekeeping.ts'
import type { Log } from './log.ts'
import { createOutbox } from './messaging/gateways/outbox.ts'
import { createMessenger } from './messaging/messenger.ts'
import { createGateways } from './messaging/registry.ts'
import { fitsOnePart } from './messaging/texts.ts'
import { createClientThrottle } from './oidc/client-throttle.ts'
import { loadSigningKeys } from './oidc/keys.ts'
import { createProvider, logRefusals } from './oidc/provider.ts'
import { createRecords } from './oidc/records.ts'
import { createUnitsOfWork } from './oidc/unit-of-work.ts'
import { createRooms } from './rooms.ts'
import { createChallenges } from './second-factor/challenges.ts'
import { createChallengeSteps } from './web/challenge.ts'
import { createConsent } from './web/consent.ts'
import { createFailure } from './web/failure.ts'
import { guardProviderForms, securityHeaders } from './web/guard.ts'
import { createInteraction } from './web/interaction.ts'
import { createLogin } from './web/login.ts'
import { loadLogo } from './web/logo.ts'
import { addOutbox } from './web/outbox.ts'
import { createPages } from './web/pages.ts'
import { createProviderPages } from './web/provider-pages.ts'
import { createRoutes } from './web/routes.ts'
import { createSignIn } from './web/sign-in.ts'
import { createSteps } from './web/steps.ts'
import { createVisitors } from './web/visitor.ts'

export interface App {
  handle: RequestListener
  /** Finishes what is being sent, then lets go of the database. */
  close(): Promise<void>
}

export interface AppOptions {
  config: Config
  secrets: CompleteSecrets
  log: Log
  /** tests move it */
  clock?: Clock
  /** called with each SQL statement sent */
  onStatement?: (sql: string) => void
}

/** Puts everything together, on a database brought up to date. */
export async function createApp(options: AppOptions): Promise<App> {
  const { config, secrets, log, onStatement } = options
  if (!fitsOnePart(config.brand.name, new URL(config.issuer).hostname)) {
    const problem =
      'makes a text message longer than one part, together with the host of ISSUER, or has letters that texts can’t carry cheaply'
    throw new ConfigError([{ variable: 'BRAND_NAME', problem }])
  }
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
    return await assemble(options, database)
  } catch (error) {
    await database.close()
    throw error
  }
}

async function assemble(
  { config, secrets, log, clock = databaseClock }: AppOptions,
  database: OpenDatabase,
): Promise<App> {
  const { db } = database
  for (const migration of await database.migrate()) log.info({ migration }, 'migrated')
  const { vault, fingerprint, throttle, accounts, phones, clients } = await createRooms(
    db,
    clock,
    config,
    secrets,
  )
  const { host, hostname } = new URL(config.issuer)
  const secure = config.issuer.startsWith('https:')

  const outbox = createOutbox()
  const usesOutbox = config.sms.gateways.includes('outbox')
  const messenger = createMessenger({
    db,
    clock,
    log,
    gateways: createGateways(
      { gateways: config.sms.gateways, textbee: config.textbee },
      secrets,
      outbox,
    ),
  })
  const challenges = createChallenges({
    db,
    clock,
    phones,
    messenger,
    fingerprint,
    rules: { ...config.otp, sms: config.sms },
    brand: config.brand.name,
    host: hostname,
  })

  const records = createRecords({ db, vault, clock })
  const units = createUnitsOfWork(records)
  const pages = createPages({
    brand: { ...config.brand, logo: await loadLogo(config.brand.logoUrl, log) },
    simulatedPhone: usesOutbox,
  })
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
  })
  provider.on('server_error', (ctx, error) =>
    log.error({ request: ctx.state.requestId, error }, 'provider failed'),
  )
  logRefusals(provider, log)
  // Koa would write the stack to standard error; most are people who closed the page before it came.
  provider.onerror = (error) => log.warn({ error }, 'a request was broken off')

  const visitors = createVisitors({ provider, cookieKeys: secrets.cookieKeys, secure })
  const steps = createSteps({ pages, visitors, codeLength: config.otp.length, host: hostname })
  const signIn = createSignIn({ provider, units })
  const consent = createConsent({ provider, clients, signIn, visitors, steps, pages })
  const interaction = createInteraction({ signIn, challenges, visitors, steps, consent })
  const code = createChallengeSteps({
    signIn,
    challenges,
    visitors,
    steps,
    codeLength: config.otp.length,
  })
  const login = createLogin({
    signIn,
    accounts,
    challenges,
    visitors,
    steps,
    secondFactor: config.secondFactor,
  })
  const routes = createRoutes({
    issuer: config.issuer,
    pages,
    visitors,
    show: interaction.show,
    steps: {
      login,
      code: code.verify,
      resend: code.resend,
      consent: consent.allow,
      cancel: interaction.cancel,
      restart: interaction.restart,
    },
    reachDatabase: async () => {
      if ((await pendingMigrations(db)).length > 0)
        throw new Unavailable(new Error('migrations are pending'))
    },
  })
  if (usesOutbox) addOutbox(routes, outbox, pages)

  provider.use(createFailure({ pages, log }))
  provider.use(securityHeaders(secure))
  provider.use(guardProviderForms(config.issuer))
  provider.use((_ctx, next) => units.run(next))
  provider.use(createClientThrottle({ provider, throttle, units, fingerprint }))
  provider.use(routes.routes())

  const housekeeping = keepHouse([records, challenges, throttle, messenger], log)
  return {
    handle: provider.callback(),
    async close() {
      housekeeping.stop()
      await messenger.idle()
      await database.close()
    },
  }
}
