import './compiled-code.js'

const { run } = await import('./run.ts')
// `compile-ahead` only loads it.
if (import.meta.main) await run()
