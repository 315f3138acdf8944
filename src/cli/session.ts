import { circumstances, inCircumstances } from '../audit/circumstances.ts'
import { type Config, readConfig, type Secrets } from '../config/config.ts'
import { type CompleteSecrets, completeSecrets } from '../config/development-keys.ts'
import { environment } from '../config/environment.ts'
import { type OpenDatabase, openDatabase } from '../db/client.ts'
import { databaseClock } from '../db/clock.ts'
import type { Db } from '../db/schema.ts'
import { createLog } from '../log.ts'
import { createRooms, type Rooms } from '../rooms.ts'

/** What the audit trail says of whatever is done here. */
const CIRCUMSTANCES = { actor: 'command-line', requestId: null, address: null }

export type Session = Rooms & { config: Config }

/** Runs work over the same rooms as the web, on a database brought up to date, and lets go of it. */
export async function inSession<T>(work: (session: Session) => Promise<T>): Promise<T> {
  const { config, secrets } = readConfig(environment())
  const complete = readKeys(config, secrets)
  return onDatabase(config, secrets, async (db) => {
    const rooms = await createRooms(db, databaseClock, config, complete)
    try {
      return await work({ ...rooms, config })
    } finally {
      await rooms.alerts.idle()
    }
  })
}

/** Runs a part of the work for a reason, which stands in the audit trail. */
export function because<T>(reason: string, work: () => T): T {
  return inCircumstances({ ...circumstances(), reason }, work)
}

/** Runs work that needs no keys, on a database brought up to date. */
export async function onDatabase<T>(
  config: Config,
  { databaseUrl }: Pick<Secrets, 'databaseUrl'>,
  work: (db: Db) => Promise<T>,
): Promise<T> {
  return withDatabase(config, databaseUrl, async (database) => {
    await database.migrate()
    return inCircumstances(CIRCUMSTANCES, () => work(database.db))
  })
}

/** Opens the database for one piece of work. */
export async function withDatabase<T>(
  config: Config,
  url: string | undefined,
  work: (database: OpenDatabase) => Promise<T>,
): Promise<T> {
  const database = await openDatabase(
    { url, dataDir: config.dataDir, poolSize: config.poolSize },
    createLog('silent', false),
  )
  try {
    return await work(database)
  } finally {
    await database.close()
  }
}

/** @throws Error without the parser's message, which would quote from the key file */
export function readKeys(config: Config, secrets: Secrets): CompleteSecrets {
  try {
    return completeSecrets(config, secrets, (sentence) => process.stderr.write(`${sentence}\n`))
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? ` (${error.code})` : ''
    throw new Error(
      `The development keys in DATA_DIR (${config.dataDir}) can't be read or made${code}. Make the directory writable, put development-keys.json back from a backup, or set ENCRYPTION_KEYS and COOKIE_KEYS.`,
    )
  }
}
