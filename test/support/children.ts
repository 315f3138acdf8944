import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'

const ROOT = join(import.meta.dirname, '../..')
/** Compiled once for all processes that tests start: starting is most of what they wait for. */
export const COMPILED = join(ROOT, 'node_modules/.cache/compile')

export interface Child {
  process: ChildProcess
  /** all it has written so far */
  readonly out: string
  readonly err: string
  /** resolves when its output contains a text; rejects when it ends without */
  says(text: string): Promise<void>
  /** its exit code, or the signal that ended it */
  ended: Promise<number | NodeJS.Signals | null>
}

const running = new Set<Child>()

/** Runs a TypeScript file of the repository in a process of its own. */
export function startChild(
  file: string,
  args: readonly string[] = [],
  env: Record<string, string> = {},
): Child {
  const child = spawn(process.execPath, [join(ROOT, file), ...args], {
    cwd: ROOT,
    env: { PATH: process.env.PATH ?? '', NODE_COMPILE_CACHE: COMPILED, ...env },
    stdio: 'pipe',
  })
  const written = { out: '', err: '' }
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    written.out += text
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    written.err += text
  })
  const ended = once(child, 'close').then((): number | NodeJS.Signals | null => {
    running.delete(self)
    return child.exitCode ?? child.signalCode
  })
  const self: Child = {
    process: child,
    get out() {
      return written.out
    },
    get err() {
      return written.err
    },
    ended,
    async says(text) {
      let over = false
      void ended.then(() => {
        over = true
      })
      while (!written.out.includes(text)) {
        if (over) throw new Error(`ended without saying "${text}": ${written.err}`)
        await Promise.race([once(child.stdout, 'data'), ended])
      }
    },
  }
  running.add(self)
  return self
}

/** Kills what a test left running. */
export async function killChildren(): Promise<void> {
  const left = [...running]
  for (const { process } of left) process.kill('SIGKILL')
  await Promise.all(left.map(({ ended }) => ended))
}
