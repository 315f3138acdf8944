import { randomBytes } from 'node:crypto'
import { readConfig } from '../../src/config/config.ts'
import { completeSecrets } from '../../src/config/development-keys.ts'
import { databaseClock } from '../../src/db/clock.ts'
import { createRooms } from '../../src/rooms.ts'
import { createTestDatabase } from './database.ts'

/** The rooms that server and command line share, on a database of their own. */
export async function createTestRooms(env: Record<string, string> = {}) {
  const database = await createTestDatabase()
  const { config, secrets } = readConfig({
    DATABASE_URL: database.url,
    ENCRYPTION_KEYS: randomBytes(32).toString('base64'),
    COOKIE_KEYS: randomBytes(32).toString('base64'),
    ...env,
  })
  const complete = completeSecrets(config, secrets, () => {})
  const rooms = await createRooms(database.db, databaseClock, config, complete)
  return { ...rooms, database, db: database.db }
}

export type TestRooms = Awaited<ReturnType<typeof createTestRooms>>
