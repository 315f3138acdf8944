import { randomBytes } from 'node:crypto'
import { linkSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { z } from 'zod'
import { serveWire } from './wire.ts'

/** How to reach the embedded database, and how to let go of it. */
export interface Embedded {
  /** directory of the Unix socket, as `pg` takes it for a host */
  host: string
  /** Finds the database again when the process that hosted it has ended: joins its new host, or becomes it. */
  restore(): Promise<void>
  close(): Promise<void>
}

/** Being the host, or being joined to it. */
type Stay = Pick<Embedded, 'host' | 'close'>

const lockFile = z.object({
  pid: z.number(),
  started: z.string(),
  host: z.string(),
  token: z.string(),
})
type Lock = z.output<typeof lockFile>

/** `pg` looks for a socket of this name in the directory it is given as host. */
const SOCKET = '.s.PGSQL.5432'
/** Unix socket paths are limited to about 104 bytes; longer directories get a short one under the temporary directory. */
const LONGEST_HOST = 104 - SOCKET.length - 2
/** Longer than the first start takes on a small machine. */
const GIVE_UP_AFTER_MS = 30_000

/**
 * Opens the embedded database in `dataDir`. One process at a time hosts it and serves it on a Unix socket;
 * any other process (the command line beside a running server) joins through that socket.
 */
export async function openEmbedded(dataDir: string): Promise<Embedded> {
  let stay = await enter(dataDir)
  let restoring: Promise<void> | undefined

  async function enterAgain(): Promise<void> {
    await stay.close()
    stay = await enter(dataDir)
  }

  return {
    host: stay.host,
    restore() {
      restoring ??= enterAgain().finally(() => {
        restoring = undefined
      })
      return restoring
    },
    close: () => stay.close(),
  }
}

async function enter(dataDir: string): Promise<Stay> {
  const directory = resolve(dataDir)
  mkdirSync(directory, { recursive: true, mode: 0o700 })
  const path = join(directory, 'database.lock')
  const deadline = Date.now() + GIVE_UP_AFTER_MS
  for (;;) {
    const mine = claim(path, directory)
    if (mine) return host(directory, path, mine)
    const holder = readLock(path)
    if (holder && (await answers(join(holder.host, SOCKET)))) {
      return { host: holder.host, close: async () => {} }
    }
    if (holder && !isAlive(holder) && removeStale(path, holder)) continue
    if (Date.now() > deadline) {
      throw new Error(
        `The embedded database in ${directory} is held by process ${holder?.pid ?? '?'}, which doesn't answer. End it, or remove ${path}.`,
      )
    }
    await pause(100)
  }
}

async function host(directory: string, path: string, lock: Lock): Promise<Stay> {
  const socket = join(lock.host, SOCKET)
  const letGo = () => {
    release(path, lock)
    if (lock.host !== directory) rmSync(lock.host, { recursive: true, force: true })
  }
  try {
    rmSync(socket, { force: true })
    // PGlite makes its files readable for everybody; the directory around them isn't.
    mkdirSync(join(directory, 'database'), { recursive: true, mode: 0o700 })
    // Where PostgreSQL runs, it isn't needed at all.
    const { PGlite } = await import('@electric-sql/pglite')
    const database = await PGlite.create({ dataDir: join(directory, 'database') })
    const wire = await serveWire(database, socket)
    const close = async () => {
      await wire.close()
      await database.close()
      letGo()
    }
    return { host: lock.host, close }
  } catch (error) {
    letGo()
    throw error
  }
}

/** Makes the lock file, or tells by `undefined` that another process has it. */
function claim(path: string, directory: string): Lock | undefined {
  const host =
    Buffer.byteLength(directory) <= LONGEST_HOST
      ? directory
      : mkdtempSync(join(tmpdir(), 'sallyport-'))
  const lock = {
    pid: process.pid,
    started: startOf(process.pid),
    host,
    token: randomBytes(8).toString('hex'),
  }
  const draft = `${path}.${lock.token}.draft`
  writeFileSync(draft, JSON.stringify(lock), { mode: 0o600 })
  try {
    // A link appears whole or not at all: nobody reads half a lock, or is left with an empty one.
    linkSync(draft, path)
    return lock
  } catch (error) {
    if (host !== directory) rmSync(host, { recursive: true, force: true })
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return undefined
    throw error
  } finally {
    rmSync(draft, { force: true })
  }
}

function readLock(path: string): Lock | undefined {
  try {
    return lockFile.parse(JSON.parse(readFileSync(path, 'utf8')))
  } catch {
    return undefined
  }
}

/** Removes the lock only if it is still the one that was read. */
function release(path: string, lock: Lock): void {
  if (readLock(path)?.token === lock.token) rmSync(path, { force: true })
}

/**
 * Removes the lock of a process that is gone. Of several processes that found it one at a time looks again and
 * removes it; otherwise a slow one would remove the lock a quick one has made since, and both would be hosts.
 * @returns false when another is at it
 */
function removeStale(path: string, stale: Lock): boolean {
  const turn = `${path}.${stale.token}.turn`
  try {
    writeFileSync(turn, '', { flag: 'wx', mode: 0o600 })
  } catch {
    return false
  }
  try {
    release(path, stale)
    return true
  } finally {
    rmSync(turn, { force: true })
  }
}

function isAlive({ pid, started }: Lock): boolean {
  try {
    process.kill(pid, 0)
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM'
  }
  return startOf(pid) === started
}

/** When a process began, where the system tells (Linux): a process id may be used again, after a reboot or in a container. */
function startOf(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? ''
  } catch {
    return ''
  }
}

function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path)
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })
}
