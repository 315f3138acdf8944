import { setTimeout as pause } from 'node:timers/promises'
import type { Driver } from './driving.ts'
import { startHashing } from './hashing.ts'
import { type RunningProcess, residentMegabytes } from './processes.ts'
import { type Length, median, type Subject, takeTurns } from './turns.ts'

export interface Server extends RunningProcess, App {}

interface App {
  client: string
  secret: string
}

/** What is measured, and by whom. */
export interface Stage {
  driver: Driver
  startOurs(flags?: readonly string[]): Promise<Server & { es256: App }>
  startBare(flags?: readonly string[]): Promise<Server>
  /** how many have an account, with a phone and without */
  people: number
}

const WITHOUT_HASH = ['--import', new URL('without-hash.ts', import.meta.url).href]

/** How long a start takes, and what memory a server holds that has nothing to do. */
export async function measureRest({ startOurs }: Stage, starts: number, idleSeconds: number) {
  const firstAnswers: number[] = []
  let idleMegabytes = 0
  for (let number = 0; number < starts; number++) {
    const server = await startOurs()
    firstAnswers.push(server.firstAnswerMs)
    if (number === starts - 1) {
      await pause(idleSeconds * 1000)
      idleMegabytes = residentMegabytes(server.pid)
    }
    await server.stop()
  }
  return { firstAnswerMs: median(firstAnswers), idleMegabytes }
}

/** Sign-ins with the hash at its default cost, and whatever else apps ask often. */
export async function measureRates(stage: Stage, length: Length) {
  const { driver } = stage
  const hashing = await startHashing()
  const hashes = { inTurn: [] as number[], atOnce: [] as number[] }

  async function judgeAlone(): Promise<void> {
    const { concurrency } = length
    for (const way of ['inTurn', 'atOnce'] as const) {
      const job = { concurrency, seconds: length.seconds / 2, inTurn: way === 'inTurn' }
      hashes[way].push((await hashing.judge(job)).rate)
    }
  }

  return atBoth(stage, [], async (ours, bare, es256) => {
    const rates = await measureSignIns(driver, { ours, bare, es256 }, length, judgeAlone)
    await hashing.stop()
    const grants = { ours: ours('refresh'), bare: bare('refresh') }
    const reads = {
      discovery: ours('discovery'),
      jwks: ours('jwks'),
      bareDiscovery: bare('discovery'),
      bareJwks: bare('jwks'),
    }
    return {
      ...rates,
      hashAlone: { inTurn: median(hashes.inTurn), atOnce: median(hashes.atOnce) },
      refresh: await takeTurns(driver, grants, length),
      open: await takeTurns(driver, reads, length),
      busyMegabytes: residentMegabytes(ours('password').at.pid),
    }
  })
}

/** Sign-ins with the hash taken out of both. */
export function measureWithoutHash(stage: Stage, length: Length) {
  return atBoth(stage, WITHOUT_HASH, (ours, bare, es256) =>
    measureSignIns(stage.driver, { ours, bare, es256 }, length),
  )
}

type At = (what: Subject['what']) => Subject

/** Those with a text come last: each text is followed for a while at its gateway, which is part of what it costs. */
async function measureSignIns(
  driver: Driver,
  { ours, bare, es256 }: Record<'ours' | 'bare' | 'es256', At>,
  length: Length,
  between?: () => Promise<void>,
) {
  const alone = { ours: ours('password'), bare: bare('password'), es256: es256('password') }
  return {
    ...(await takeTurns(driver, alone, length, between)),
    ...(await takeTurns(driver, { texted: ours('texted') }, length)),
  }
}

async function atBoth<T>(
  { startOurs, startBare, people }: Stage,
  flags: readonly string[],
  work: (ours: At, bare: At, es256: At) => Promise<T>,
): Promise<T> {
  const [ours, bare] = [await startOurs(flags), await startBare(flags)]
  const measured = await work(
    (what) => ({ at: ours, what, people }),
    (what) => ({ at: bare, what, people }),
    (what) => ({ at: { ...ours, ...ours.es256 }, what, people }),
  )
  await ours.stop()
  await bare.stop()
  return measured
}
