import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Account } from '../../src/accounts/accounts.ts'
import type { Cost } from '../../src/accounts/passwords.ts'
import { requestForLog } from '../../src/audit/circumstances.ts'
import { readConfig } from '../../src/config/config.ts'
import { completeSecrets } from '../../src/config/development-keys.ts'
import type { Languages } from '../../src/languages/languages.ts'
import { createLog } from '../../src/log.ts'
import type { NewClient } from '../../src/oidc/clients.ts'
import { parsePhoneNumber } from '../../src/phone-number.ts'
import { createRooms, type Rooms } from '../../src/rooms.ts'
import { startServer } from '../../src/server.ts'
import { BACKGROUND } from './background.ts'
import { movedClock } from './clock.ts'
import { createTestDatabase, type TestDatabase } from './database.ts'
import { type FakeTextbee, startFakeTextbee } from './fake-textbee.ts'
import { LEAST_COST } from './hash-cost.ts'
import { freePort } from './ports.ts'
import { laySigningKeys } from './signing-keys.ts'

export const PASSWORD = 'correct horse battery'
export const PHONES = ['+46701234567', '+46701234568', '+46701234569', '+46701234570'] as const
export const REDIRECT_URI = 'https://rp.example/cb'

export type House = Awaited<ReturnType<typeof startHouse>>

/** What two instances of one provider share. */
interface Shared {
  database: TestDatabase
  gateway: FakeTextbee
  variables: Record<string, string>
}

export interface HouseOptions {
  /** variables beside those a house needs */
  env?: Record<string, string>
  /** in place of those there are files for */
  languages?: Languages
  /** another house, to be a second instance of the same provider */
  beside?: Shared
  /** how often changed signing keys are looked for */
  keyPollMs?: number
  /** whether its start makes signing keys, as outside of tests, and none are there already */
  makesKeys?: true
  /** how hard hashes of passwords are, in place of the least */
  passwordCost?: Cost
  /** done to the fresh database before the provider starts on it */
  prepare?: (database: TestDatabase) => Promise<unknown>
}

/** The whole provider on a free port, over its own PostgreSQL database and a fake SMS gateway. */
export async function startHouse({
  env = {},
  languages,
  beside,
  keyPollMs,
  makesKeys,
  passwordCost = LEAST_COST,
  prepare,
}: HouseOptions = {}) {
  const database: TestDatabase = beside?.database ?? (await createTestDatabase())
  await prepare?.(database)
  const gateway: FakeTextbee = beside?.gateway ?? (await startFakeTextbee())
  const port = await freePort()
  const dataDir = mkdtempSync(join(tmpdir(), 'sallyport-house-'))
  const variables: Record<string, string> = beside
    ? { ...beside.variables, PORT: String(port), ...env }
    : {
        ISSUER: `http://localhost:${port}`,
        PORT: String(port),
        DATABASE_URL: database.url,
        DATA_DIR: dataDir,
        ENCRYPTION_KEYS: randomBytes(32).toString('base64'),
        COOKIE_KEYS: randomBytes(32).toString('base64'),
        // Clocks are moved by months for other reasons.
        SIGNING_KEY_ROTATION_DAYS: '0',
        SMS_GATEWAYS: 'textbee',
        TEXTBEE_BASE_URL: gateway.baseUrl,
        TEXTBEE_API_KEY: gateway.apiKey,
        TEXTBEE_DEVICE_ID: gateway.deviceId,
        SMS_LIMIT_PHONE_HOUR: '1000',
        SMS_LIMIT_IP_HOUR: '100000',
        SMS_LIMIT_GLOBAL_HOUR: '100000',
        SMS_LIMIT_PHONE_DAY: '1000',
        SMS_LIMIT_PREFIX_HOUR: '100000',
        SMS_LIMIT_PREFIX_UNANSWERED: '100000',
        SMS_LIMIT_GLOBAL_DAY: '100000',
        SMS_LIMIT_UNANSWERED: '1000',
        ...env,
      }
  const { config, secrets } = readConfig(variables)
  const complete = completeSecrets(config, secrets, () => {})
  if (!beside && !makesKeys) await laySigningKeys(database.db, complete.encryptionKeys)
  const statements: string[] = []
  const logged: string[] = []
  let offset = 0
  const clock = movedClock(() => offset)
  const server = await startServer({
    config,
    secrets: complete,
    clock,
    keyPollMs,
    ...(languages && { languages }),
    log: createLog('trace', false, { write: (line) => void logged.push(line) }, requestForLog),
    passwordCost,
    onStatement: (statement) => void (BACKGROUND.test(statement) || statements.push(statement)),
  })
  await server.ready
  const rooms: Rooms = await createRooms(database.db, clock, config, complete, {
    passwordCost,
  })

  return {
    issuer: config.issuer,
    /** where this instance itself listens; differs from the issuer for a second instance */
    url: `http://localhost:${port}`,
    variables,
    config,
    clock,
    database,
    db: database.db,
    rooms,
    gateway,
    /** every SQL statement the server sent for a request */
    statements,
    /** every line the server logged */
    logged,

    /** Moves the clock of all this house's statements. */
    moveClock(seconds: number): void {
      offset += seconds
    },

    /** What its clock says, in seconds since 1970. */
    now: () => Date.now() / 1000 + offset,

    /** Makes an account with a verified phone; without one when `phone` is null. */
    async addAccount(username: string, phone: string | null = PHONES[0]): Promise<Account> {
      const account = await rooms.accounts.create({
        username,
        password: PASSWORD,
        email: `${username}@example.com`,
        name: `Person ${username}`,
      })
      if (phone) await addPhone(rooms, account.id, phone)
      return account
    },

    /** Makes a first-party client, whatever isn't said otherwise. */
    async addClient(
      id = 'app',
      more: Partial<NewClient> = {},
    ): Promise<{ id: string; secret: string }> {
      const { secret } = await rooms.clients.create({
        id,
        redirectUris: [REDIRECT_URI],
        firstParty: true,
        ...more,
      })
      return { id, secret: secret ?? '' }
    },

    /** Texts that carry a code; an owner may be told of other things meanwhile. */
    codeTexts: () => gateway.messages.filter(({ text }) => /#\d+$/.test(text)),

    /** The code in the last text a number got. */
    lastCode(phone: string = PHONES[0]): string {
      const texts = gateway.messages.filter(({ to }) => to === phone).map(({ text }) => text)
      const code = texts.flatMap((text) => /#(\d+)$/.exec(text)?.[1] ?? []).at(-1)
      if (!code) throw new Error(`no code was sent to ${phone}`)
      return code
    },

    async stop(): Promise<void> {
      await server.stop()
      rmSync(dataDir, { recursive: true, force: true })
      if (beside) return
      await gateway.close()
      await database.destroy()
    },
  }
}

async function addPhone(rooms: Rooms, accountId: string, number: string): Promise<void> {
  const parsed = parsePhoneNumber(number, '*')
  if ('fault' in parsed) throw new Error(`${number}: ${parsed.fault}`)
  await rooms.phones.add(accountId, parsed, true)
}
