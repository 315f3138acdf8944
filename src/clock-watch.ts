import { sql } from 'kysely'
import type { Db } from './db/schema.ts'
import type { Log } from './log.ts'
import { createWorker } from './messaging/worker.ts'

const EVERY_MS = 10_000
/** Less is the way to the database and back, and nobody's clock. */
const TOLERATED_MS = 500
/** A way this long tells too little of the time. */
const LONGEST_WAY_MS = 2000
/** Signatures of others, and their certificates, are judged by this machine's clock. */
const WRONG_MS = 5000

interface Dependencies {
  db: Db
  log: Log
  /** sets the clock of the process, in milliseconds since 1970 */
  setClock: (ms: number) => void
  everyMs?: number | undefined
}

/**
 * Keeps the clock of this process at the database's, so that every instance tells the same time, whatever the clock
 * of its machine says or jumps to (AVL-12, AVL-13).
 */
export function createClockWatch({ db, log, setClock, everyMs = EVERY_MS }: Dependencies) {
  let isSet = false
  let toldOfWrong = false

  function tellOfMachine(now: number): void {
    // biome-ignore lint/complexity/useDateNow: that is the clock that was set, and this the machine's
    const machine = new Date().getTime()
    const seconds = Math.round((machine - now) / 1000)
    const wrong = Math.abs(seconds) * 1000 > WRONG_MS
    if (wrong && !toldOfWrong)
      log.error({ seconds }, 'the clock of this machine is ahead of the database’s, or behind it')
    toldOfWrong = wrong
  }

  /** @throws Error when the database doesn't answer */
  async function look(): Promise<void> {
    const asked = performance.now()
    const { rows } = await sql<{ ms: number }>`
      select (extract(epoch from clock_timestamp()) * 1000)::float8 as ms`.execute(db)
    const way = performance.now() - asked
    const [row] = rows
    if (!row || (isSet && way > LONGEST_WAY_MS)) return
    const now = row.ms + way / 2
    if (!isSet || Math.abs(Date.now() - now) > TOLERATED_MS + way / 2) setClock(now)
    isSet = true
    tellOfMachine(now)
  }

  const worker = createWorker(
    async () => {
      await look()
      return false
    },
    everyMs,
    (error) => log.warn({ error }, 'no look at the database’s clock'),
  )
  return { ...worker, look }
}
