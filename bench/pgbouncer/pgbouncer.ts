import { sql } from 'kysely'
import type { Db } from '../../src/db/schema.ts'
import { findBouncer, startBouncer } from './bouncer.ts'
import { openInstances, type Visitor } from './instances.ts'

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
  const each = { instances: INSTANCES, connections: CONNECTIONS, people: concurrency }
  const direct = await openInstances(straight.url, straight.db, each)
  const pooled = await openInstances(bouncer.url(beyond.url), beyond.db, each)
  const turns: Turn[] = [
    { by: 'directly', visitors: direct.visitors, loads: [] },
    { by: 'through PgBouncer', visitors: pooled.visitors, loads: [] },
  ]
  try {
    for (let round = 0; round <= rounds; round++)
      for (const { visitors, loads } of turns) {
        const done = await load(visitors, seconds)
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

/** One way to the database, and what was done by it so far. */
interface Turn {
  by: string
  visitors: readonly Visitor[]
  loads: Load[]
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
          await visitor.signIn()
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
