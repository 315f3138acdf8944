import { constants, flushCompileCache } from 'node:module'
import { compiledCode } from './compiled-code.js'

/**
 * Has Node compile what the server and all commands load, and runs neither: for where they are started by somebody who
 * may write nothing. To be run by that very user, since Node reads what others made as little as what was changed.
 */
const { status, message } = compiledCode
if (status === constants.compileCacheStatus.FAILED) {
  process.stderr.write(`Compiled code can't be kept: ${message}\n`)
  process.exit(1)
}
// They know by it that they aren't to run.
if (import.meta.main === undefined) {
  process.stderr.write('Compiling ahead takes Node 24.2 or later.\n')
  process.exit(1)
}
await import('./main.ts')
await import('./cli/main.ts')
const { createProgram } = await import('./cli/program.ts')
await createProgram()
// Loaded only for the first mail and the first request.
await import('nodemailer')
await import('undici')
flushCompileCache()
