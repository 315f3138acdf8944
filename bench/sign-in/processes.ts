import { type ChildProcess, fork, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import process from 'node:process'
import { setTimeout as pause } from 'node:timers/promises'
import { sql } from 'kysely'
import type { Db } from '../../src/db/schema.ts'

export type RunningProcess = Awaited<ReturnType<typeof startProcess>>

const ROOT = join(import.meta.dirname, '../..')
/** The unit of times in /proc, which has been this on Linux ever since. */
const TICK_MS = 10
const START_AT_MOST_MS = 120_000
const LOOK_EVERY_MS = 5

/** Starts a server as a process of its own and waits for its first answer. */
export async function startProcess(
  file: string,
  port: number,
  env: Record<string, string>,
  flags: readonly string[] = [],
) {
  const began = performance.now()
  const child = spawn(process.execPath, [...flags, join(ROOT, file)], {
    cwd: ROOT,
    env: { PATH: process.env.PATH, NODE_ENV: 'production', ...env, PORT: String(port) },
    // What it logs costs it what it costs, and is read by nobody.
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  running.add(child)
  let complaint = ''
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    complaint = (complaint + text).slice(-2000)
  })
  while (!(await answers(port))) {
    if (child.exitCode !== null || performance.now() - began > START_AT_MOST_MS) {
      throw new Error(`${file} didn't start: ${complaint}`)
    }
    await pause(LOOK_EVERY_MS)
  }
  const firstAnswerMs = performance.now() - began
  return { port, firstAnswerMs, pid: child.pid ?? 0, stop: () => stopProcess(child) }
}

async function answers(port: number): Promise<boolean> {
  try {
    const { status } = await fetch(`http://127.0.0.1:${port}/.well-known/openid-configuration`)
    return status === 200
  } catch {
    return false
  }
}

/** What was started and not stopped yet. */
const running = new Set<ChildProcess>()

/** Starts a part of the bench that it talks to by messages. */
export function forkProcess(file: string): ChildProcess {
  const child = fork(join(import.meta.dirname, file))
  running.add(child)
  return child
}

/** Stops whatever still runs, as after a fault. */
export async function stopAll(): Promise<void> {
  await Promise.all([...running].map(stopProcess))
}

export async function stopProcess(child: ChildProcess): Promise<void> {
  running.delete(child)
  if (child.exitCode !== null || child.signalCode !== null) return
  const gone = once(child, 'exit')
  child.kill('SIGTERM')
  const late = setTimeout(() => child.kill('SIGKILL'), 15_000)
  await gone
  clearTimeout(late)
}

/** Milliseconds of CPU, of a process with all its threads. */
export function cpuMs(pid: number): number {
  return statOf(pid)?.ownMs ?? 0
}

/** Megabytes of memory that a process holds just now. */
export function residentMegabytes(pid: number): number {
  const [, kilobytes] =
    /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? []
  return Number(kilobytes) / 1024
}

/** How many files and connections a process has open. */
export function openDescriptors(pid: number): number {
  return readdirSync(`/proc/${pid}/fd`).length
}

/** Tells the CPU that a database server has used, in milliseconds: of all its processes, those that ended included. */
export async function watchPostgres(db: Db): Promise<() => number> {
  const { rows } = await sql<{ pid: number }>`select pg_backend_pid() as pid`.execute(db)
  const main = statOf(rows[0]?.pid ?? 0)?.parent
  if (!main) throw new Error('the database server is not on this machine')
  return () => {
    const stats = readdirSync('/proc').flatMap((name) =>
      /^\d+$/.test(name) ? (statOf(Number(name)) ?? []) : [],
    )
    return stats.reduce(
      (sum, { pid, parent, ownMs, endedMs }) =>
        sum + (parent === main ? ownMs : 0) + (pid === main ? ownMs + endedMs : 0),
      0,
    )
  }
}

function statOf(pid: number) {
  const file = `/proc/${pid}/stat`
  if (!existsSync(file)) return undefined
  try {
    // The name, which stands second, may have anything in it.
    const fields = readFileSync(file, 'utf8')
      .replace(/^.*\) /s, '')
      .split(' ')
      .map(Number)
    const [, parent = 0] = fields
    const [user = 0, system = 0, endedUser = 0, endedSystem = 0] = fields.slice(11, 15)
    return {
      pid,
      parent,
      ownMs: (user + system) * TICK_MS,
      endedMs: (endedUser + endedSystem) * TICK_MS,
    }
  } catch {
    return undefined
  }
}
