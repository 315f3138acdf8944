import { randomBytes } from 'node:crypto'
import { sql } from 'kysely'
import { readConfig } from '../../src/config/config.ts'
import { completeSecrets } from '../../src/config/development-keys.ts'
import { databaseClock } from '../../src/db/clock.ts'
import type { Db } from '../../src/db/schema.ts'
import { createLog } from '../../src/log.ts'
import { parsePhoneNumber } from '../../src/phone-number.ts'
import { createRooms } from '../../src/rooms.ts'
import { startServer } from '../../src/server.ts'
import { type FakeTextbee, startFakeTextbee } from '../../test/support/fake-textbee.ts'
import { freePort } from '../../test/support/ports.ts'
import { findBouncer, startBouncer } from './bouncer.ts'
import { REDIRECT_URI, signIn, type Visitor } from './visit.ts'

export interface PgbouncerFigures {
  /** of PgBouncer; null where there is none, and then there is nothing else */
  version: string | null
  instances: number
  connections: number
  sessions: number
  runs: Array<{ by: string; signIns: number; errors: string[]; perSecond: number; p95Ms: number }>
  /** migrations that ran through it, from an empty database */
  migrated: number
  /** advisory locks that were left behind */
  locksLeft: number
  /** settings that its sessions begin without */
  missingLimits: string[]
}

export interface Size {
  /** of one turn */
  seconds: number
  /** turns of each */
  rounds: number
  concurrency: number
}

/** A database that nothing was done to yet, and another look at it. */
interface Databases {
  empty(): Promise<{ url: string; db: Db; destroy(): Promise<void> }>
}

const INSTANCES = 2
const CONNECTIONS = 10
const SESSIONS = 4
const PASSWORD = 'correct horse battery'
export const NO_BOUNCER =
  'PgBouncer: there is none here. Install it, or name its program by PGBOUNCER, and run this again.'

/**
 * Complete sign-ins on two instances, directly and through PgBouncer in transaction mode. They take turns, round after
 * round, so that what the machine does beside it meets both alike; the first round only warms up.
 */
export async function benchPgbouncer(
  { empty }: Databases,
  { seconds, rounds, concurrency }: Size,
): Promise<PgbouncerFigures> {
  const shape = { instances: INSTANCES, connections: CONNECTIONS, sessions: SESSIONS }
  const found = findBouncer()
  const figures: PgbouncerFigures = {
    version: found?.version ?? null,
    ...shape,
    runs: [],
    migrated: 0,
    locksLeft: 0,
    missingLimits: [],
  }
  if (!found) return figures
  const [straight, beyond] = [await empty(), await empty()]
  const bouncer = await startBouncer(found.path, beyond.url, SESSIONS)
  const direct = await open(straight.url, straight.db, concurrency)
  const pooled = await open(bouncer.url(beyond.url), beyond.db, concurrency)
  const turns = [
    { by: 'directly', house: direct, loads: [] as Load[] },
    { by: 'through PgBouncer', house: pooled, loads: [] as Load[] },
  ]
  try {
    for (let round = 0; round <= rounds; round++)
      for (const { house, loads } of turns) {
        const done = await load(house.visitors, seconds)
        if (round > 0) loads.push(done)
      }
    figures.runs = turns.map(({ by, loads }) => ({ by, ...together(loads) }))
    figures.migrated = pooled.migrated
    figures.missingLimits = pooled.missing
    figures.locksLeft = await advisoryLocks(beyond.db)
  } finally {
    await Promise.all([direct.close(), pooled.close()])
    await bouncer.stop()
    await Promise.all([straight.destroy(), beyond.destroy()])
  }
  return figures
}

/** Instances that start at once on an empty database, an app, and people. */
async function open(url: string, db: Db, people: number) {
  const gateway = await startFakeTextbee()
  const ports = await Promise.all(Array.from({ length: INSTANCES }, freePort))
  const missing = new Set<string>()
  let migrated = 0
  const log = createLog('info', false, {
    write(line) {
      const { msg, missing: names } = JSON.parse(line)
      if (msg === 'migrated') migrated += 1
      for (const name of names ?? []) missing.add(name)
    },
  })
  const variables = variablesFor(url, ports[0] ?? 0, gateway)
  const instances = await Promise.all(
    ports.map((port) => {
      const { config, secrets } = readConfig({ ...variables, PORT: String(port) })
      return startServer({ config, secrets: completeSecrets(config, secrets, () => {}), log })
    }),
  )
  await Promise.all(instances.map(({ ready }) => ready))
  const { config, secrets } = readConfig(variables)
  const rooms = await createRooms(
    db,
    databaseClock,
    config,
    completeSecrets(config, secrets, () => {}),
  )
  const { secret = '' } = await rooms.clients.create({
    id: 'app',
    redirectUris: [REDIRECT_URI],
    firstParty: true,
    grants: ['authorization_code', 'refresh_token'],
  })
  const codes = codesOf(gateway)
  const visitors: Visitor[] = []
  for (let i = 0; i < people; i++) {
    const username = `person${i}`
    const number = `+46701${String(230_000 + i)}`
    const { id } = await rooms.accounts.create({ username, password: PASSWORD })
    const parsed = parsePhoneNumber(number, '*')
    if ('fault' in parsed) throw new Error(`${number}: ${parsed.fault}`)
    await rooms.phones.add(id, parsed, true)
    let turn = i
    visitors.push({
      issuer: config.issuer,
      client: { id: 'app', secret },
      username,
      password: PASSWORD,
      code: () => codes(number),
      next: () => `http://localhost:${ports[turn++ % ports.length]}`,
    })
  }
  return {
    visitors,
    missing: [...missing],
    migrated,
    async close() {
      await Promise.all(instances.map((instance) => instance.stop()))
      await gateway.close()
    },
  }
}

/** Takes the code of each text once: each sign-in has one of its own. */
function codesOf(gateway: FakeTextbee): (number: string) => string | undefined {
  const taken = new Map<string, number>()
  return (number) => {
    const texts = gateway.messages.filter(({ to }) => to === number)
    const seen = taken.get(number) ?? 0
    if (texts.length <= seen) return undefined
    taken.set(number, texts.length)
    return /#(\d+)$/.exec(texts.at(-1)?.text ?? '')?.[1]
  }
}

function variablesFor(url: string, port: number, gateway: FakeTextbee): Record<string, string> {
  const key = () => randomBytes(32).toString('base64')
  return {
    ISSUER: `http://localhost:${port}`,
    DATABASE_URL: url,
    DATABASE_POOL_SIZE: String(CONNECTIONS),
    ENCRYPTION_KEYS: key(),
    COOKIE_KEYS: key(),
    SMS_GATEWAYS: 'textbee',
    TEXTBEE_BASE_URL: gateway.baseUrl,
    TEXTBEE_API_KEY: gateway.apiKey,
    TEXTBEE_DEVICE_ID: gateway.deviceId,
    SMS_LIMIT_PHONE_HOUR: '1000',
    SMS_LIMIT_PHONE_DAY: '10000',
    SMS_LIMIT_PREFIX_HOUR: '1000000',
    SMS_LIMIT_PREFIX_UNANSWERED: '10000',
    SMS_LIMIT_UNANSWERED: '10000',
    SMS_LIMIT_IP_HOUR: '1000000',
    SMS_LIMIT_GLOBAL_HOUR: '1000000',
    SMS_LIMIT_GLOBAL_DAY: '1000000',
  }
}

/** What was done in one turn. */
interface Load {
  /** how long each sign-in took, in milliseconds */
  took: number[]
  errors: string[]
  seconds: number
}

async function load(visitors: readonly Visitor[], seconds: number): Promise<Load> {
  const took: number[] = []
  const errors: string[] = []
  const began = performance.now()
  const until = began + seconds * 1000
  await Promise.all(
    visitors.map(async (visitor) => {
      while (performance.now() < until) {
        const start = performance.now()
        try {
          await signIn(visitor)
          took.push(performance.now() - start)
        } catch (error) {
          errors.push(String(error))
        }
      }
    }),
  )
  return { took, errors, seconds: (performance.now() - began) / 1000 }
}

function together(loads: readonly Load[]) {
  const took = loads.flatMap((one) => one.took).toSorted((a, b) => a - b)
  return {
    signIns: took.length,
    errors: loads.flatMap(({ errors }) => errors),
    perSecond: took.length / loads.reduce((sum, { seconds }) => sum + seconds, 0),
    p95Ms: took[Math.floor(took.length * 0.95)] ?? 0,
  }
}

async function advisoryLocks(db: Db): Promise<number> {
  const { rows } = await sql<{ locks: number }>`
    select count(*)::int as locks from pg_locks
    where locktype = 'advisory'
      and database = (select oid from pg_database where datname = current_database())`.execute(db)
  return rows[0]?.locks ?? 0
}

export function pgbouncerReport(figures: PgbouncerFigures): string {
  const { version, runs, instances, connections, sessions } = figures
  if (version === null) return `${NO_BOUNCER}\n`
  const limits = figures.missingLimits.join(', ') || 'none'
  return [
    `PgBouncer ${version}, transaction mode: ${instances} instances with ${connections} connections each share ${sessions} sessions`,
    '',
    '|                   | sign-ins | errors | a second | p95 |',
    '| ----------------- | -------: | -----: | -------: | --: |',
    ...runs.map(
      ({ by, signIns, errors, perSecond, p95Ms }) =>
        `| ${by.padEnd(17)} | ${signIns} | ${errors.length} | ${perSecond.toFixed(1)} | ${Math.round(p95Ms)} ms |`,
    ),
    '',
    `${figures.migrated} migrations ran through it; advisory locks left behind: ${figures.locksLeft}; limits missing: ${limits}`,
    ...runs.flatMap(({ errors }) => errors.slice(0, 3)),
    '',
  ].join('\n')
}
