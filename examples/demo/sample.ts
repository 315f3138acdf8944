import { createHmac } from 'node:crypto'
import { usernameKey } from '../../src/accounts/account.ts'
import type { Config } from '../../src/config/config.ts'
import type { CompleteSecrets } from '../../src/config/development-keys.ts'
import { openDatabase } from '../../src/db/client.ts'
import { databaseClock } from '../../src/db/clock.ts'
import type { Log } from '../../src/log.ts'
import { parsePhoneNumber } from '../../src/phone-number.ts'
import { createRooms, type Rooms } from '../../src/rooms.ts'

export const CLIENT_ID = 'demo-app'
const USERNAME = 'alex'
/** from the range that the Swedish authority keeps for fiction: it rings nowhere */
const PHONE = '+46701740605'

export interface Sample {
  username: string
  password: string
  phone: string
  clientSecret: string
}

interface Settings {
  config: Config
  secrets: CompleteSecrets
  log: Log
  appPort: number
}

/**
 * Makes the sample user and registers the app, through the rooms and beside the running provider, as the
 * command line does. What is there from an earlier start is brought up to date.
 */
export async function registerSample({ config, secrets, log, appPort }: Settings): Promise<Sample> {
  const database = await openDatabase({ url: undefined, dataDir: config.dataDir, poolSize: 2 }, log)
  try {
    const rooms = await createRooms(database.db, databaseClock, config, secrets)
    const password = samplePassword(secrets)
    await ensureUser(rooms, password)
    const app = `http://localhost:${appPort}`
    // Anew each time, as its port may have changed; so its secret is kept nowhere.
    await rooms.clients.remove(CLIENT_ID)
    const { secret = '' } = await rooms.clients.create({
      id: CLIENT_ID,
      name: 'Example app',
      redirectUris: [`${app}/callback`],
      postLogoutRedirectUris: [`${app}/signed-out`],
      firstParty: true,
    })
    return { username: USERNAME, password, phone: PHONE, clientSecret: secret }
  } finally {
    await database.close()
  }
}

async function ensureUser({ accounts, phones, throttle, fingerprint }: Rooms, password: string) {
  // Someone may have tried wrong passwords on purpose; a new start forgives them.
  await throttle.clear(fingerprint('name', usernameKey(USERNAME)))
  const held = await accounts.findByUsername(USERNAME)
  if (held) {
    const { account, conclude } = await accounts.authenticate(USERNAME, password)
    await conclude(account !== undefined)
    if (!account) await accounts.setPassword(held.id, password, { how: 'reset' })
  }
  const account =
    held ??
    (await accounts.create({
      username: USERNAME,
      password,
      name: 'Alex Sample',
      email: 'alex@example.com',
    }))
  const numbers = await phones.list(account.id)
  const parsed = parsePhoneNumber(PHONE, '*')
  if ('fault' in parsed) throw new Error(`the sample phone number is ${parsed.fault}`)
  if (!numbers.some(({ number }) => number === parsed.number)) {
    await phones.add(account.id, parsed, true)
  }
}

/** Random, and the same at each start over one data directory, without being stored. */
function samplePassword({ cookieKeys }: CompleteSecrets): string {
  const digest = createHmac('sha256', cookieKeys[0] ?? '')
    .update('demo password')
    .digest()
  const letters = 'abcdefghjkmnpqrstuvwxyz23456789'
  const text = [...digest.subarray(0, 16)].map((byte) => letters[byte % letters.length]).join('')
  return text.replace(/(.{4})(?=.)/g, '$1-')
}
