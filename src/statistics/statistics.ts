import type { Clock } from '../db/clock.ts'
import type { Db } from '../db/schema.ts'
import { createBacklog } from './backlog.ts'
import type { Prices } from './costs.ts'
import { createOverview } from './overview.ts'
import { createRollUp } from './roll-up.ts'

export type Statistics = ReturnType<typeof createStatistics>

interface Dependencies {
  db: Db
  clock: Clock
  prices: Prices
}

/** What sign-ins, codes and messages come to, counted in the background and looked at in a moment. */
export function createStatistics({ db, clock, prices }: Dependencies) {
  return {
    ...createRollUp({ db, clock }),
    overview: createOverview({ db, clock, prices }),
    backlog: createBacklog({ db, clock }),
  }
}
