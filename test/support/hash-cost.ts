import type { Cost } from '../../src/accounts/passwords.ts'

/** The least there may be, for tests that are about something else: a run makes thousands of hashes. */
export const LEAST_COST: Cost = { memoryCost: 8, timeCost: 1, parallelism: 1 }
