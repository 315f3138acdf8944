import { setTimeout as pause } from 'node:timers/promises'
import { sql } from 'kysely'
import { BACKGROUND } from './background.ts'
import type { House } from './house.ts'

/** Until so many statements of requests wait for what another holds. */
export async function untilWaiting({ db }: Pick<House, 'db'>, count: number): Promise<void> {
  const waiting = async () => {
    const { rows } = await sql<{ query: string }>`
      select query from pg_stat_activity
      where datname = current_database() and wait_event_type = 'Lock'`.execute(db)
    return rows.filter(({ query }) => !BACKGROUND.test(query)).length
  }
  while ((await waiting()) < count) await pause(10)
}

/** Holds all records of a model while work begins and gets as far as it does without them. */
export function holding<T>(house: House, model: string, begin: () => Promise<T>): Promise<T> {
  return house.db.transaction().execute(async (trx) => {
    const held = trx.selectFrom('oidc_record').select('key').where('model', '=', model)
    await held.forUpdate().execute()
    return begin()
  })
}

/** Two that are after the same records of a model, the second once the first waits for them. */
export async function inTurn<A, B>(
  house: House,
  model: string,
  first: () => Promise<A>,
  second: () => Promise<B>,
): Promise<[A, B]> {
  const { both } = await holding(house, model, async () => {
    const began = first()
    await untilWaiting(house, 1)
    const both = Promise.all([began, second()])
    await untilWaiting(house, 2)
    return { both }
  })
  return both
}
