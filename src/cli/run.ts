import { CommanderError } from 'commander'
import { explain } from './explain.ts'
import { createProgram } from './program.ts'

const REFUSED = 1
const WRONG_USAGE = 2

export async function run(): Promise<void> {
  // A reader that has seen enough (`… | head`) is no fault of ours.
  process.stdout.on('error', () => {})
  // A connection lost between two statements is told by an event; it gets a sentence too, not a stack.
  process.once('uncaughtException', (error) => {
    process.stderr.write(`${explain(error)}\n`)
    process.exit(REFUSED)
  })
  try {
    const program = await createProgram(process.argv[2])
    await program.parseAsync()
  } catch (error) {
    if (error instanceof CommanderError) {
      process.exitCode = error.exitCode === 0 ? 0 : WRONG_USAGE
      return
    }
    process.stderr.write(`${explain(error)}\n`)
    process.exitCode = REFUSED
  }
}
