import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { sql } from 'kysely'
import type { Config, Secrets } from '../config/config.ts'
import type { CompleteSecrets } from '../config/development-keys.ts'
import { createVault, type Vault } from '../crypto/vault.ts'
import type { OpenDatabase } from '../db/client.ts'
import { databaseClock } from '../db/clock.ts'
import { openPepper } from '../db/keyring.ts'
import { pendingMigrations } from '../db/migrate.ts'
import type { Db } from '../db/schema.ts'
import { createSigningKeys } from '../oidc/keys.ts'
import { createReencryption, type EncryptionKey } from '../reencryption.ts'
import { attempt, type Check, failed, ok, warning } from './checks.ts'
import { explain } from './explain.ts'
import { withDatabase } from './session.ts'

const OLDEST = 15
/** Beyond this, tokens begin to look as if they were issued in the future. */
const CLOCK_WARNING_SECONDS = 5
/** Beyond this, gateways may refuse what we sign, and we what they sign. */
const CLOCK_FAILURE_SECONDS = 30

/**
 * Looks at the database without changing it.
 * @param complete undefined where there are no keys yet: then nothing sealed is opened
 */
export async function checkDatabase(
  config: Config,
  { databaseUrl }: Secrets,
  complete: CompleteSecrets | undefined,
): Promise<Check[]> {
  if (databaseUrl === undefined && !hasEmbedded(config)) {
    const place = `the embedded database in ${config.dataDir}`
    return [warning('database', `${place} is not there yet; the first start makes it`)]
  }
  try {
    return await withDatabase(config, databaseUrl, (database) => inspect(database, complete))
  } catch (error) {
    return [failed('database', explain(error))]
  }
}

/** Opening the embedded database would make it. */
function hasEmbedded({ dataDir }: Config): boolean {
  return existsSync(join(dataDir, 'database', 'PG_VERSION'))
}

async function inspect(
  { db, missingLimits }: OpenDatabase,
  complete: CompleteSecrets | undefined,
): Promise<Check[]> {
  const reached = await checkVersion(db)
  const clock = await attempt('clock', () => checkClock(db))
  const limits = await attempt('limits', async () => judgeLimits(await missingLimits()))
  const pending = await pendingMigrations(db)
  const checks = [reached, clock, limits, judgeMigrations(pending)]
  // Without its tables, or without keys, there is nothing to open.
  if (pending.length > 0 || !complete) return checks
  const vault = createVault(complete.encryptionKeys)
  return [
    ...checks,
    await attempt('encryption keys', () => checkEncryptionKeys(db, vault)),
    await attempt('signing keys', () => checkSigningKeys(db, vault)),
  ]
}

async function checkVersion(db: Db): Promise<Check> {
  const { rows } = await sql<{ version: string; major: number }>`
    select current_setting('server_version') as version,
      current_setting('server_version_num')::int / 10000 as major`.execute(db)
  const { version = '?', major = 0 } = rows[0] ?? {}
  const name = `PostgreSQL ${version.split(' ')[0]}`
  return major >= OLDEST
    ? ok('database', name)
    : failed('database', `${name} is too old: use PostgreSQL ${OLDEST} or later`)
}

async function checkClock(db: Db): Promise<Check> {
  const before = Date.now()
  const { rows } = await sql<{ now: Date }>`select clock_timestamp() as now`.execute(db)
  const here = (before + Date.now()) / 2
  const [row] = rows
  if (!row) return failed('clock', 'the database tells no time')
  return judgeClock((here - row.now.getTime()) / 1000)
}

/** @param seconds how far this machine is ahead of the database */
export function judgeClock(seconds: number): Check {
  const size = Math.abs(seconds)
  const difference = `${size.toFixed(1)} s ${seconds < 0 ? 'behind' : 'ahead of'} the database`
  if (size <= CLOCK_WARNING_SECONDS) return ok('clock', `this machine is ${difference}`)
  const detail = `this machine is ${difference}: let both follow an NTP server`
  return size <= CLOCK_FAILURE_SECONDS ? warning('clock', detail) : failed('clock', detail)
}

function judgeLimits(missing: readonly string[]): Check {
  if (missing.length === 0) return ok('limits', 'connections begin with time-outs')
  const names = missing.join(', ')
  return warning('limits', `connections begin without ${names}: see docs/postgres.md, Poolers`)
}

function judgeMigrations(pending: readonly string[]): Check {
  if (pending.length === 0) return ok('migrations', 'the schema is up to date')
  const names = pending.join(', ')
  return failed('migrations', `${names} not run yet. Run: npm run cli -- migrate`)
}

class RolledBack extends Error {}

async function checkEncryptionKeys(db: Db, vault: Vault): Promise<Check> {
  try {
    // On a database without a pepper this would make one; a check leaves no trace.
    await db.transaction().execute(async (trx) => {
      await openPepper(trx, vault)
      throw new RolledBack()
    })
  } catch (error) {
    if (!(error instanceof RolledBack)) throw error
  }
  const fit = 'ENCRYPTION_KEYS fit this database'
  const keys = await createReencryption({ db, clock: databaseClock, vault }).keys()
  const some = (state: EncryptionKey['state']) => keys.filter((key) => key.state === state)
  const [missing] = some('missing')
  if (missing) {
    const sealed = `${missing.values} values are sealed with ${missing.name}`
    return failed('encryption keys', `${sealed}, which is not among ENCRYPTION_KEYS: put it back`)
  }
  const others = some('opens')
  const needed = others.find(({ values }) => values > 0)
  if (needed) {
    const sealed = `${needed.values} values are still sealed with ${needed.name}`
    const detail = `${fit}; ${sealed}: keep that key until servers or “keys reencrypt” are done`
    return warning('encryption keys', detail)
  }
  const names = others.map(({ name }) => name).join(', ')
  return ok('encryption keys', others.length > 0 ? `${fit}; ${names} can go: unused` : fit)
}

async function checkSigningKeys(db: Db, vault: Vault): Promise<Check> {
  const signingKeys = createSigningKeys({ db, vault, clock: databaseClock, rotationDays: 0 })
  const lost = await signingKeys.whyLost()
  if (lost) return failed('signing keys', lost)
  const keys = await signingKeys.read()
  if (keys.length === 0)
    return warning('signing keys', 'there are none yet; the first start makes them')
  const algorithms = keys.map(({ alg }) => alg).join(', ')
  return ok('signing keys', `${keys.length} keys open (${algorithms})`)
}
