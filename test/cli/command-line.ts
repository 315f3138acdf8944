import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { COMPILED } from '../support/children.ts'

const ROOT = resolve(import.meta.dirname, '../..')

export interface Ended {
  code: number | null
  out: string
  err: string
}

export type Environment = Record<string, string>

/** More than that at once only slow each other down. */
let free = 3
const waiting: Array<() => void> = []

async function takeTurn(): Promise<void> {
  if (free > 0) free--
  else await new Promise<void>((turn) => waiting.push(turn))
}

function giveTurn(): void {
  const next = waiting.shift()
  if (next) next()
  else free++
}

/** A directory of its own, and an environment with random keys on the database given. */
export function createPlace(databaseUrl?: string) {
  const directory = mkdtempSync(join(tmpdir(), 'sallyport-cli-'))
  const env: Environment = {
    DATA_DIR: join(directory, 'data'),
    ENCRYPTION_KEYS: randomKey(),
    COOKIE_KEYS: randomKey(),
    ...(databaseUrl && { DATABASE_URL: databaseUrl }),
  }

  /** Starts a program of ours where no `.env` of the checkout is read. */
  function start(program: 'main.ts' | 'cli/main.ts', args: readonly string[], more: Environment) {
    return spawn(process.execPath, [join(ROOT, 'src', program), ...args], {
      cwd: directory,
      env: { NODE_COMPILE_CACHE: COMPILED, ...env, ...more },
    })
  }

  /** Runs a command to its end; a test may start many, which then take turns. */
  async function cli(args: readonly string[], input: string | Buffer = '', more: Environment = {}) {
    await takeTurn()
    try {
      return await run(args, input, more)
    } finally {
      giveTurn()
    }
  }

  function run(args: readonly string[], input: string | Buffer, more: Environment) {
    return new Promise<Ended>((done, fail) => {
      const child = start('cli/main.ts', args, more)
      const ended: Ended = { code: null, out: '', err: '' }
      child.stdout.on('data', (chunk) => (ended.out += chunk))
      child.stderr.on('data', (chunk) => (ended.err += chunk))
      child.stdin.on('error', () => {})
      child.stdin.end(input)
      child.once('error', fail)
      child.once('close', (code) => done({ ...ended, code }))
    })
  }

  return {
    directory,
    env,
    start,
    cli,
    /** Runs a command that must work, with `--json`; standard output must hold one value and no more. */
    async json(args: readonly string[], input?: string) {
      const { code, out, err } = await cli([...args, '--json'], input)
      if (code !== 0) throw new Error(`${args.join(' ')} ended with ${code}: ${err}`)
      return JSON.parse(out)
    },
    remove: () => rmSync(directory, { recursive: true, force: true }),
  }
}

export type Place = ReturnType<typeof createPlace>

export function randomKey(): string {
  return randomBytes(32).toString('base64')
}
