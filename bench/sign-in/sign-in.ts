import { sql } from 'kysely'
import type { Db } from '../../src/db/schema.ts'
import { freePort } from '../../test/support/ports.ts'
import { BARE_SCHEMA } from './bare-adapter.ts'
import { startDriver } from './driving.ts'
import { addBarePeople } from './fill.ts'
import { type Growth, measureGrowth } from './growth.ts'
import { prepareOurs, startOurs } from './ours.ts'
import { BARE_SECRET, CLIENT } from './people.ts'
import { measureRates, measureRest, measureWithoutHash, type Stage } from './phases.ts'
import { startProcess, stopAll, watchPostgres } from './processes.ts'
import { type Soak, soak } from './soak.ts'
import { countStatements, type Statements } from './statements.ts'
import type { Length } from './turns.ts'

export interface BenchDatabase {
  db: Db
  url: string
  destroy(): Promise<unknown>
}

export interface Size extends Length {
  /** how many there are at first, of each kind: with a phone and without */
  people: number
  /** how many accounts there are in the end */
  accounts: number
  /** how many challenges have passed before the last measurement */
  challenges: number
  soakMinutes: number
  starts: number
  idleSeconds: number
}

export interface Figures {
  size: Size
  statements: Statements
  atRest: Awaited<ReturnType<typeof measureRest>>
  withHash: Awaited<ReturnType<typeof measureRates>>
  withoutHash: Awaited<ReturnType<typeof measureWithoutHash>>
  growth: Growth[]
  soak: Soak
}

/** Both providers with their people, and the visitors, each a process of its own once it is started. */
export async function openStage(fresh: () => Promise<BenchDatabase>, people: number) {
  const [database, bareDatabase] = [await fresh(), await fresh()]
  const driver = await startDriver(await watchPostgres(database.db))
  const ours = await prepareOurs(database, driver.gateway, people)
  await sql.raw(BARE_SCHEMA).execute(bareDatabase.db)
  await addBarePeople(bareDatabase.db, people)
  const stage: Stage = {
    driver,
    people,
    startOurs: (flags) => startOurs(ours, flags),
    async startBare(flags) {
      const env = { DATABASE_URL: bareDatabase.url }
      const port = await freePort()
      const server = await startProcess('bench/sign-in/bare-process.ts', port, env, flags)
      return { ...server, client: CLIENT.id, secret: BARE_SECRET }
    },
  }
  return {
    stage,
    ours,
    count: () => countStatements(driver, ours, bareDatabase.url),
    async close(): Promise<void> {
      await stopAll()
      await database.destroy()
      await bareDatabase.destroy()
    },
  }
}

/**
 * What a sign-in costs, beside what it costs at a bare node-oidc-provider, and beside the hash alone.
 * @param tell told of each part when it is there, since all together take a while
 */
export async function benchSignIn(
  fresh: () => Promise<BenchDatabase>,
  size: Size,
  tell: (part: Partial<Figures>) => void = () => {},
): Promise<Figures> {
  const { stage, ours, count, close } = await openStage(fresh, size.people)
  try {
    // Before anybody signs in: what happened a moment ago is still seen to.
    const atRest = await measureRest(stage, size.starts, size.idleSeconds)
    const statements = await count()
    tell({ statements, atRest })
    const withHash = await measureRates(stage, size)
    tell({ withHash })
    const withoutHash = await measureWithoutHash(stage, size)
    tell({ withoutHash })
    const growth = await measureGrowth(fresh, stage.driver, ours, size)
    tell({ growth })
    const soaked = await soak(stage.driver, ours, { ...size, rate: withHash.ours.rate / 2 })
    return { size, statements, atRest, withHash, withoutHash, growth, soak: soaked }
  } finally {
    await close()
  }
}
