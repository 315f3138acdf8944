import { enableCompileCache } from 'node:module'
import { join } from 'node:path'

/**
 * Keeps what Node makes of the modules: a server's next start takes a quarter less time, and a command loads in half of
 * it. To be called before any is loaded. It stands beside the packages, since whoever may write there decides about
 * what runs anyhow. Who may not, as in the container, reads what `compile-ahead` made.
 */
export function keepCompiledCode() {
  return enableCompileCache(join(import.meta.dirname, '../node_modules/.cache/compiled'))
}
