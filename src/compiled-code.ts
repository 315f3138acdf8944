import { enableCompileCache } from 'node:module'
import { join } from 'node:path'

/**
 * Keeps what Node makes of the modules: a server's next start takes a quarter less time, and a command loads in half of
 * it. To be called before they are loaded. It stands beside the packages, since whoever may write there decides about
 * what runs anyhow; where that is nobody, as in the container, each start does without.
 */
export function keepCompiledCode(): void {
  enableCompileCache(join(import.meta.dirname, '../node_modules/.cache/compiled'))
}
