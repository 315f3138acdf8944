import type { AppOptions } from './app-options.ts'
import type { Clock } from './db/clock.ts'
import type { Db } from './db/schema.ts'
import type { Languages } from './languages/languages.ts'
import type { Messenger } from './messaging/messenger.ts'
import type { Rooms } from './rooms.ts'
import { createChallenges } from './second-factor/challenges.ts'
import { createGuesses } from './second-factor/guesses.ts'
import { createSendGrants } from './second-factor/send-grants.ts'
import { createSimSwap } from './second-factor/sim-swap.ts'

export type Codes = ReturnType<typeof createCodes>

interface Dependencies extends Pick<AppOptions, 'config' | 'secrets' | 'log' | 'metrics'> {
  languages: Languages
  db: Db
  clock: Clock
  rooms: Rooms
  messenger: Messenger
}

/** Asking for codes and judging them, put together. */
export function createCodes(deps: Dependencies) {
  const { config, secrets, log, rooms, clock } = deps
  const parts = {
    ...deps,
    ...rooms,
    rules: {
      ...config.otp,
      holdOffSeconds: config.holdOffSeconds,
      allowedCountries: config.sms.allowedCountries,
      sharing: config.phoneSharing,
    },
    grants: createSendGrants(clock, config.sms.limits),
    simSwap: createSimSwap(
      config.simSwap && { ...config.simSwap, token: secrets.simSwapToken },
      log,
    ),
  }
  const { hostname: host } = new URL(config.issuer)
  return {
    challenges: createChallenges({ ...parts, brand: config.brand.name, host }),
    guesses: createGuesses(parts),
  }
}
