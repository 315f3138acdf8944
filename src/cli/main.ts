import '../compiled-code.js'

const { run } = await import('./run.ts')
if (import.meta.main) await run()
