import { createLog } from '../../src/log.ts'
import { startServer } from '../../src/server.ts'
import { BACKGROUND } from '../../test/support/background.ts'
import { freePort } from '../../test/support/ports.ts'
import { startBare } from './bare.ts'
import type { Driver, Target } from './driving.ts'
import type { Job } from './jobs.ts'
import type { Ours } from './ours.ts'
import { BARE_SECRET, CLIENT } from './people.ts'

export interface Statements {
  password: number
  texted: number
  bare: number
  bareUpserts: number
}

/** A single sign-in; what an instance asks from time to time by itself is left out of its count. */
const ONE = { concurrency: 1, times: 1, people: 1, seconds: 0 } as const

/** How many statements a sign-in takes. Each is a round trip of its own, at both. */
export async function countStatements(
  driver: Driver,
  ours: Ours,
  bareUrl: string,
): Promise<Statements> {
  const sent: string[] = []
  const onStatement = (statement: string) =>
    void (BACKGROUND.test(statement) || sent.push(statement))

  /** Of the second one: what is made once, such as a phone's secret, is made by then. */
  async function count(at: Target, what: Job['what']): Promise<string[]> {
    for (let time = 0; time < 2; time++) {
      sent.length = 0
      const { done, faults } = await driver.drive(at, { what, ...ONE })
      if (done !== 1) throw new Error(`nobody could sign in: ${faults.join()}`)
    }
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
  const here = { pid: process.pid, port: ours.port, client: CLIENT.id, secret }
  const password = await count(here, 'password')
  const texted = await count(here, 'texted')
  await server.stop()

  const port = await freePort()
  const provider = await startBare({ port, databaseUrl: bareUrl, onStatement })
  const there = { pid: process.pid, port, client: CLIENT.id, secret: BARE_SECRET }
  const bare = await count(there, 'password')
  await provider.stop()
  return {
    password: password.length,
    texted: texted.length,
    bare: bare.length,
    bareUpserts: bare.filter((statement) => /^\s*insert/.test(statement)).length,
  }
}
