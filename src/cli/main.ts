import { keepCompiledCode } from '../compiled-code.ts'

keepCompiledCode()
const { run } = await import('./run.ts')
await run()
