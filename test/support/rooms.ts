import { randomBytes } from 'node:crypto'
import { readConfig } from '../../src/config/config.ts'
import { completeSecrets } from '../../src/config/development-keys.ts'
import { databaseClock } from '../../src/db/clock.ts'
import { createRooms, type RoomOptions } from '../../src/rooms.ts'
import { createTestDatabase } from './database.ts'
import { LEAST_COST } from './hash-cost.ts'

/**
 * The rooms that server and command line share, on a database of their own.
 * @param options in place of those that make tests quick
 */
export async function createTestRooms(
  env: Record<string, string> = {},
  options: RoomOptions = { passwordCost: LEAST_COST },
) {
  const database = await createTestDatabase()
  const { config, secrets } = readConfig({
    DATABASE_URL: database.url,
    ENCRYPTION_KEYS: randomBytes(32).toString('base64'),
    COOKIE_KEYS: randomBytes(32).toString('base64'),
    ...env,
  })
  const complete = completeSecrets(config, secrets, () => {})
  const rooms = await createRooms(database.db, databaseClock, config, complete, options)
  return { ...rooms, database, db: database.db }
}

export type TestRooms = Awaited<ReturnType<typeof createTestRooms>>
