import { setTimeout as pause } from 'node:timers/promises'
import { sql } from 'kysely'
import { expect } from 'vitest'
import type { House } from './house.ts'
import { startInstance } from './instance.ts'
import { untilWaiting } from './turns.ts'

export type Instance = Awaited<ReturnType<typeof startInstance>>

/** Instances to be killed one after the other: the next ones start while one is looked at. */
export function createVictims(house: House, count: number) {
  const begun: Array<Promise<Instance>> = []
  const begin = () => {
    if (count-- <= 0) return
    const instance = startInstance(house)
    // Told to whoever takes it, if anybody does.
    instance.catch(() => {})
    begun.push(instance)
  }
  begin()
  begin()
  return {
    async next(): Promise<Instance> {
      const instance = await begun.shift()
      begin()
      if (!instance) throw new Error('more were killed than were to be')
      return instance
    },
  }
}

/** Until nothing of what the killed instance began goes on in the database: it goes through with what it was sent. */
async function untilNothingRuns(house: House): Promise<void> {
  for (;;) {
    const { rows } = await sql`select from pg_stat_activity
      where datname = current_database() and state <> 'idle' and pid <> pg_backend_pid()`.execute(
      house.db,
    )
    if (rows.length === 0) return
    await pause(10)
  }
}

/**
 * Lets an instance begin a request and kills it while that waits for a table.
 * @param waits whether it is the request's writing to the table that waits, or already its reading
 */
export async function killAmid(
  house: House,
  instance: Instance,
  { table, waits = 'writing' }: { table: string; waits?: 'writing' | 'reading' },
  request: () => Promise<unknown>,
): Promise<void> {
  const mode = waits === 'writing' ? 'exclusive' : 'access exclusive'
  await house.db.transaction().execute(async (trx) => {
    await sql`lock table ${sql.table(table)} in ${sql.raw(mode)} mode`.execute(trx)
    const answer = request().then(
      () => 'an answer',
      () => 'no answer',
    )
    await untilWaiting(house, 1)
    instance.process.kill('SIGKILL')
    expect(await answer).toBe('no answer')
  })
  await instance.ended
  await untilNothingRuns(house)
}
