import { enableCompileCache } from 'node:module'
import { join } from 'node:path'

/**
 * Keeps what Node makes of the modules, which takes a third off the time the next start loads: to be called before any
 * is loaded. Beside the packages, since whoever may write there decides about what runs anyhow. Who may not, as in the
 * container, reads what `compile-ahead` made.
 */
export function keepCompiledCode() {
  return enableCompileCache(join(import.meta.dirname, '../node_modules/.cache/compiled'))
}
