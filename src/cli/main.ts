import '../compiled-code.js'

const { run } = await import('./run.ts')
// `compile-ahead` only loads it. Before 24.2, Node doesn't know which file it was started with.
if (import.meta.main !== false) await run()
