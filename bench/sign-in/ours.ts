import { randomBytes } from 'node:crypto'
import { readConfig } from '../../src/config/config.ts'
import { completeSecrets } from '../../src/config/development-keys.ts'
import { databaseClock } from '../../src/db/clock.ts'
import type { Db } from '../../src/db/schema.ts'
import { createRooms } from '../../src/rooms.ts'
import { freePort } from '../../test/support/ports.ts'
import { addPlain, addTexted } from './fill.ts'
import { CLIENT, ES256_CLIENT_ID } from './people.ts'
import { startProcess } from './processes.ts'

export type Ours = Awaited<ReturnType<typeof prepareOurs>>

/** As much as may be set, far more than is sent here; it is counted all the same. */
const LIMITS = {
  SMS_LIMIT_PHONE_HOUR: '1000',
  SMS_LIMIT_PHONE_DAY: '10000',
  SMS_LIMIT_PREFIX_HOUR: '1000000',
  SMS_LIMIT_PREFIX_UNANSWERED: '10000',
  SMS_LIMIT_UNANSWERED: '10000',
  SMS_LIMIT_IP_HOUR: '1000000',
  SMS_LIMIT_GLOBAL_HOUR: '1000000',
  SMS_LIMIT_GLOBAL_DAY: '1000000',
}

interface Gateway {
  baseUrl: string
  apiKey: string
  deviceId: string
}

/** Sallyport as in production, but for http on loopback, with everything that protects people. */
export function variablesFor(port: number, url: string, gateway: Gateway) {
  return {
    NODE_ENV: 'production',
    HOST: '127.0.0.1',
    PORT: String(port),
    ISSUER: `http://localhost:${port}`,
    DATABASE_URL: url,
    DATABASE_POOL_SIZE: '10',
    ENCRYPTION_KEYS: randomBytes(32).toString('base64'),
    COOKIE_KEYS: randomBytes(32).toString('base64'),
    TRUST_PROXY: '1',
    SECOND_FACTOR: 'optional',
    SMS_ALLOWED_COUNTRIES: 'SE',
    SMS_GATEWAYS: 'textbee',
    TEXTBEE_BASE_URL: gateway.baseUrl,
    TEXTBEE_API_KEY: gateway.apiKey,
    TEXTBEE_DEVICE_ID: gateway.deviceId,
    ...LIMITS,
  }
}

/**
 * Puts an app, one that takes ES256, and people with a phone, into a database that has its schema.
 * @returns the apps' secrets, too
 */
export async function furnish(db: Db, variables: Record<string, string>, people: number) {
  const { config, secrets } = readConfig(variables)
  const complete = completeSecrets(config, secrets, () => {})
  const rooms = await createRooms(db, databaseClock, config, complete)
  const addApp = (id: string, idTokenAlgorithm: 'RS256' | 'ES256') =>
    rooms.clients.create({
      id,
      redirectUris: [CLIENT.redirectUri],
      firstParty: true,
      grants: ['authorization_code', 'refresh_token'],
      idTokenAlgorithm,
    })
  const { secret = '' } = await addApp(CLIENT.id, 'RS256')
  const { secret: es256Secret = '' } = await addApp(ES256_CLIENT_ID, 'ES256')
  await addTexted(rooms, db, people)
  return { config, secrets: complete, secret, es256Secret }
}

/** An app and people, with and without a phone. @returns the variables for a server, and the app's secret */
export async function prepareOurs(
  { db, url }: { db: Db; url: string },
  gateway: Gateway,
  people: number,
) {
  const port = await freePort()
  const variables = variablesFor(port, url, gateway)
  const furnished = await furnish(db, variables, people)
  await addPlain(db, 0, people)
  return { port, variables, ...furnished }
}

export async function startOurs(ours: Ours, flags: readonly string[] = []) {
  const { variables, port, secret, es256Secret } = ours
  const all = ['--import', './src/compiled-code.js', ...flags]
  const server = await startProcess('src/main.ts', port, variables, all)
  const es256 = { client: ES256_CLIENT_ID, secret: es256Secret }
  return { ...server, client: CLIENT.id, secret, es256 }
}
