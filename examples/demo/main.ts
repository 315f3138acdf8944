import { ConfigError, readConfig } from '../../src/config/config.ts'
import { completeSecrets } from '../../src/config/development-keys.ts'
import { openDatabase } from '../../src/db/client.ts'
import { databaseClock } from '../../src/db/clock.ts'
import type { Db } from '../../src/db/schema.ts'
import { createLog } from '../../src/log.ts'
import { createRooms } from '../../src/rooms.ts'
import { type RunningServer, startServer } from '../../src/server.ts'
import { type ProtectedApi, startProtectedApi } from '../protected-api/protected-api.ts'
import { type RelyingParty, startRelyingParty } from '../relying-party/relying-party.ts'
import { fillHouse, regulars } from './crowd.ts'
import { topUp } from './history.ts'
import { choosePort } from './ports.ts'
import { createPrinter } from './printer.ts'
import { API_ID, CLIENT_ID, registerSample, registerStaff } from './sample.ts'
import { signIn } from './sign-in.ts'
import { printTour } from './tour.ts'

const print = createPrinter(process.stdout)
const running: {
  provider?: RunningServer
  app?: RelyingParty
  api?: ProtectedApi
  history?: { stop(): Promise<void> }
  database?: { close(): Promise<void> }
} = {}

/** How often what happened meanwhile is made up. */
const TOP_UP_MS = 60_000

/** The demo: a provider, an app with an API and a simulated phone in this process, and one sign-in through them. */
async function demo(): Promise<void> {
  print.title('Sallyport demo')
  const wanted = readConfig({ PORT: process.env.PORT }).config.port
  const port = await choosePort(wanted, print.note)
  const appPort = await choosePort(wanted + 1, print.note, [port])
  const apiPort = await choosePort(wanted + 2, print.note, [port, appPort])

  // Configured here and not by .env, so that it works whatever a developer's own settings are.
  const { config, secrets } = readConfig({
    PORT: String(port),
    DATA_DIR: process.env.DATA_DIR || './data/demo',
    LOG_LEVEL: process.env.LOG_LEVEL || 'warn',
    BRAND_NAME: process.env.BRAND_NAME,
    BRAND_LOGO_URL: process.env.BRAND_LOGO_URL,
    BRAND_COLOR: process.env.BRAND_COLOR,
    DEFAULT_COUNTRY: 'SE',
    TRUSTED_DEVICE_DAYS: '14',
    SMS_GATEWAYS: 'outbox',
    VOICE_GATEWAYS: 'outbox',
    // Of the traffic that is made up; these texts cost nothing.
    SMS_PRICES:
      'gatewayapi/SE=0.048;gatewayapi/DK=0.036;gatewayapi/NO=0.052;messagebird/*=0.055;vonage/DE=0.0788;vonage/FR=0.0654;twilio/US=0.0083;twilio/GB=0.0463;*=0.08',
    VOICE_PRICES: '*=0.09',
    // Each start signs in once, and nobody pays for these texts.
    SMS_LIMIT_PHONE_HOUR: '1000',
    SMS_LIMIT_PHONE_DAY: '1000',
    SMS_LIMIT_PREFIX_HOUR: '1000',
    SMS_LIMIT_IP_HOUR: '1000',
  })
  print.note('Starting the provider on its embedded database; the first start creates it.')
  const complete = completeSecrets(config, secrets, () => {})
  const log = createLog(config.logLevel, true)
  running.provider = await startServer({ config, secrets: complete, log })
  await running.provider.ready
  const { issuer, dataDir } = config
  const database = await openDatabase({ url: undefined, dataDir, poolSize: 2 }, log)
  running.database = database
  const rooms = await createRooms(database.db, databaseClock, config, complete)
  const sample = await registerSample(rooms, complete, appPort)
  running.api = await startProtectedApi({
    issuer,
    clientId: API_ID,
    clientSecret: sample.apiSecret,
    port: apiPort,
  })
  running.app = await startRelyingParty({
    issuer,
    clientId: CLIENT_ID,
    clientSecret: sample.clientSecret,
    port: appPort,
    apiUrl: running.api.url,
  })
  print.note(`Provider, app and API are up (${seconds()} s).\n`)

  const app = running.app.url
  print.json(await signIn({ issuer, app, ...sample, print }))
  print.note(`From a cold start to a verified ID token: ${seconds()} s.`)

  if (process.argv.includes('--once')) return stop(0)
  const adminSecret = await registerStaff(rooms, sample.password)
  await fillHouse(database.db, databaseClock, rooms, sample.username)
  const began = performance.now()
  const messages = await topUp(database.db, databaseClock, regulars())
  const took = ((performance.now() - began) / 1000).toFixed(1)
  print.note(`Made up ${messages} messages of the last 30 days for the console (${took} s).`)
  running.history = goOn(database.db)
  printTour({ sample, adminSecret, app, issuer, dataDir, print })
}

/** Lets the made-up traffic go on while the demo runs. */
function goOn(db: Db) {
  let work: Promise<unknown> = Promise.resolve()
  const timer = setInterval(() => {
    // Traffic that isn't there is no reason to end the demo; the next time makes up for it.
    work = work.then(() => topUp(db, databaseClock, regulars())).catch(() => {})
  }, TOP_UP_MS)
  return {
    async stop() {
      clearInterval(timer)
      await work
    },
  }
}

function seconds(): string {
  return (performance.now() / 1000).toFixed(1)
}

let stopping = false
async function stop(code: number): Promise<void> {
  // A second Ctrl+C doesn't wait.
  if (stopping) process.exit(code)
  stopping = true
  await running.history?.stop()
  await running.app?.close()
  await running.api?.close()
  await running.database?.close()
  await running.provider?.stop()
  process.exit(code)
}

process.on('SIGINT', () => stop(0))
process.on('SIGTERM', () => stop(0))

demo().catch(async (error: unknown) => {
  if (stopping) return
  const message = error instanceof Error ? error.message : String(error)
  const hint = error instanceof ConfigError ? '' : ' To start afresh, delete its data directory.'
  process.stderr.write(`\nThe demo failed: ${message}\n${hint && `${hint.trim()}\n`}`)
  await stop(1)
})
