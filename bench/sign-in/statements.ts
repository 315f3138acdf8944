import { createLog } from '../../src/log.ts'
import { startServer } from '../../src/server.ts'
import { BACKGROUND } from '../../test/support/background.ts'
import { freePort } from '../../test/support/ports.ts'
import { startBare } from './bare.ts'
import type { Driver } from './driving.ts'
import type { Ours } from './ours.ts'
import { BARE_SECRET } from './people.ts'

export interface Statements {
  password: number
  texted: number
  bare: number
  bareUpserts: number
}

/** Of one sign-in at a time; what an instance asks from time to time by itself is left out. */
const ONE = { concurrency: 1, people: 10, seconds: 0.001 } as const

/** How many statements a sign-in takes. Each is a round trip of its own, at both. */
export async function countStatements(
  driver: Driver,
  ours: Ours,
  bareUrl: string,
): Promise<Statements> {
  const sent: string[] = []
  const onStatement = (statement: string) =>
    void (BACKGROUND.test(statement) || sent.push(statement))

  async function count(work: () => Promise<unknown>): Promise<string[]> {
    await work()
    sent.length = 0
    await work()
    return [...sent]
  }

  const { config, secrets, secret } = ours
  const server = await startServer({
    config,
    secrets,
    log: createLog('silent', false),
    onStatement,
  })
  await server.ready
  const here = { pid: process.pid, port: ours.port, secret }
  const password = await count(() => driver.drive(here, { what: 'password', ...ONE }))
  // The first time a phone is used, its secret is made.
  const texted = await count(() => driver.drive(here, { what: 'texted', ...ONE, people: 1 }))
  await server.stop()

  const port = await freePort()
  const provider = await startBare({ port, databaseUrl: bareUrl, onStatement })
  const bare = await count(() =>
    driver.drive({ pid: process.pid, port, secret: BARE_SECRET }, { what: 'password', ...ONE }),
  )
  await provider.stop()
  return {
    password: password.length,
    texted: texted.length,
    bare: bare.length,
    bareUpserts: bare.filter((statement) => /^\s*insert/.test(statement)).length,
  }
}
