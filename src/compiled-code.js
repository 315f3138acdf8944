import { enableCompileCache } from 'node:module'
import { join } from 'node:path'

/**
 * Keeps what Node makes of the modules: the next time they load in three fifths of the time. It stands beside the
 * packages, since whoever may write there decides about what runs anyhow. Who may not, as in the container, reads what
 * `compile-ahead` made.
 *
 * To be loaded before anything else: by `node --import`, else by the first import of what is run. It is JavaScript,
 * since Node would load what strips types for it and keep that: 80 ms and 20 MB.
 */
export const compiledCode = enableCompileCache(
  join(import.meta.dirname, '../node_modules/.cache/compiled'),
)
