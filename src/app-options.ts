import type { Cost } from './accounts/passwords.ts'
import type { Config } from './config/config.ts'
import type { CompleteSecrets } from './config/development-keys.ts'
import type { Clock } from './db/clock.ts'
import type { Languages } from './languages/languages.ts'
import type { Log } from './log.ts'
import type { Metrics } from './metrics.ts'

export interface AppOptions {
  config: Config
  secrets: CompleteSecrets
  log: Log
  metrics: Metrics
  /** tests move it */
  clock?: Clock
  /** tests bring their own; all that there are files for by default */
  languages?: Languages
  /** how often changed signing keys are looked for; tests look more often */
  keyPollMs?: number | undefined
  /** sets the clock of the process, which a test shares with others and doesn't give away; ms since 1970 */
  setClock?: (ms: number) => void
  /** how hard passwords' hashes are to make; tests have them made with ease */
  passwordCost?: Cost | undefined
  /** called with each SQL statement sent */
  onStatement?: (sql: string) => void
}
