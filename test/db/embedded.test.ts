import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { sql } from 'kysely'
import { Pool } from 'pg'
import { afterAll, afterEach, expect, test } from 'vitest'
import { openDatabase } from '../../src/db/client.ts'
import { type Embedded, openEmbedded } from '../../src/db/embedded.ts'
import { isPassing } from '../../src/db/faults.ts'
import { createLog } from '../../src/log.ts'
import { type Child, killChildren, startChild } from '../support/children.ts'

const CHILD = 'test/support/embedded-child.ts'
const cleanups: Array<() => Promise<void> | void> = []

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
  await killChildren()
})

/** One for all tests, since making a database takes seconds. */
const directory = mkdtempSync(join(tmpdir(), 'sallyport-embedded-'))
afterAll(() => rmSync(directory, { recursive: true, force: true }))

async function open(): Promise<Embedded> {
  const database = await openEmbedded(directory)
  cleanups.push(() => database.close())
  return database
}

function poolOf({ host }: Embedded): Pool {
  const pool = new Pool({ host, user: 'postgres', database: 'postgres', max: 2 })
  pool.on('error', () => {})
  cleanups.push(() => pool.end())
  return pool
}

async function stop(child: Child): Promise<number | NodeJS.Signals | null> {
  child.process.stdin?.end()
  return child.ended
}

function lockOf(of = directory): { pid: number; started: string; host: string } {
  return JSON.parse(readFileSync(join(of, 'database.lock'), 'utf8'))
}

async function numbers(pool: Pool): Promise<number[]> {
  const { rows } = await pool.query<{ number: number }>('select number from written')
  return rows.map(({ number }) => number)
}

test('what was reported as committed is there after a kill -9, three times over', async () => {
  const reported: number[] = []
  for (let round = 0; round < 3; round++) {
    const child = startChild(CHILD, [directory, 'write', String(round * 1_000_000)])
    await child.says('open')
    await child.says(`${round * 1_000_000 + 30}\n`)
    child.process.kill('SIGKILL')
    expect(await child.ended).toBe('SIGKILL')
    // The last line counts only if it was written whole.
    reported.push(...child.out.split('\n').slice(1, -1).map(Number))
    expect(existsSync(join(directory, 'database.lock'))).toBe(true)
  }
  const kept = new Set(await numbers(poolOf(await open())))
  expect(reported.length).toBeGreaterThan(90)
  expect(reported.filter((number) => !kept.has(number))).toEqual([])
  expect(lockOf().pid).toBe(process.pid)
})

test('of processes that start at the same moment one hosts, the others join, and all work', async () => {
  const numbersOf = (i: number) => 10e6 + i * 1e6
  const children = [0, 1, 2].map((i) =>
    startChild(CHILD, [directory, 'write', String(numbersOf(i))]),
  )
  await Promise.all(children.map((child, i) => child.says(`${numbersOf(i) + 20}\n`)))
  const [one, ...rest] = children.toSorted((a, b) => Number(isHost(b)) - Number(isHost(a)))
  expect(children.filter((child) => isHost(child)).length).toBe(1)
  for (const child of rest) expect(await stop(child)).toBe(0)
  expect(one && (await stop(one))).toBe(0)
  const kept = new Set(await numbers(poolOf(await open())))
  for (let i = 0; i < 3; i++) for (let n = 0; n < 20; n++) expect(kept).toContain(numbersOf(i) + n)
})

test('processes that find the lock of a killed one at the same moment don’t both take it over', async () => {
  const first = startChild(CHILD, [directory])
  await first.says('open')
  first.process.kill('SIGKILL')
  await first.ended
  const numbersOf = (i: number) => 20e6 + i * 1e6
  const children = [0, 1, 2].map((i) =>
    startChild(CHILD, [directory, 'write', String(numbersOf(i))]),
  )
  await Promise.all(children.map((child, i) => child.says(`${numbersOf(i) + 5}\n`)))
  expect(children.filter((child) => isHost(child)).length).toBe(1)
  const kept = await numbers(poolOf(await open()))
  expect(new Set(kept.filter((n) => n >= 20e6).map((n) => Math.floor(n / 1e6)))).toEqual(
    new Set([20, 21, 22]),
  )
})

test('a lock that names our own process id, from before a reboot, is taken over', async () => {
  const stale = { pid: process.pid, started: '1', host: directory, token: 'stale' }
  writeFileSync(join(directory, 'database.lock'), JSON.stringify(stale))
  const database = await open()
  expect(lockOf().started).not.toBe('1')
  await poolOf(database).query('select 1')
})

test('a host that stops gracefully lets go, though others are connected, and they hear a passing fault', async () => {
  const host = startChild(CHILD, [directory])
  await host.says('open')
  const joined = await open()
  const pool = poolOf(joined)
  await pool.query('select 1')
  const began = performance.now()
  expect(await stop(host)).toBe(0)
  // They get a moment to finish, and are then cut off.
  expect(performance.now() - began).toBeLessThan(8000)
  expect(existsSync(join(directory, 'database.lock'))).toBe(false)
  const fault = await pool.query('select 1').catch((error: unknown) => error)
  expect(isPassing(fault)).toBe(true)
  // Whoever opens it next hosts it.
  await poolOf(await open()).query('select 1')
  expect(lockOf().pid).toBe(process.pid)
})

test('a joined process whose host is killed amid its statements hears passing faults', async () => {
  const host = startChild(CHILD, [directory])
  await host.says('open')
  const pool = poolOf(await open())
  const faults: unknown[] = []
  const asking = async () => {
    while (faults.length < 3) {
      await pool.query('select pg_sleep(0.001)').catch((error: unknown) => faults.push(error))
    }
  }
  const asked = Promise.all([asking(), asking()])
  await pool.query('select 1')
  host.process.kill('SIGKILL')
  await asked
  expect(faults.filter((fault) => !isPassing(fault))).toEqual([])
})

test('a directory whose path is too long for a socket works, for the host and for who joins', async () => {
  // Counted in bytes: of these characters each has two.
  const long = join(directory, 'å'.repeat(60))
  mkdirSync(long)
  renameSync(join(directory, 'database'), join(long, 'database'))
  const first = await openEmbedded(long)
  const { host } = lockOf(long)
  expect(host.startsWith(long)).toBe(false)
  const joined = startChild(CHILD, [long])
  await joined.says('open')
  expect(await stop(joined)).toBe(0)
  await first.close()
  expect(existsSync(host)).toBe(false)
})

function isHost(child: Child): boolean {
  return lockOf().pid === child.process.pid
}

test('who joined takes over when the host leaves, and goes on', async () => {
  const host = startChild(CHILD, [directory])
  await host.says('open')
  const joined = await openDatabase(
    { url: undefined, dataDir: directory, poolSize: 2 },
    createLog('silent', false),
  )
  cleanups.push(() => joined.close())
  const ask = async () => (await sql<{ one: number }>`select 1 as one`.execute(joined.db)).rows
  expect(await ask()).toEqual([{ one: 1 }])
  host.process.kill('SIGKILL')
  await host.ended
  // A statement that was on its way may be lost; the next one finds the database again.
  await ask().catch((error: unknown) => expect(isPassing(error)).toBe(true))
  expect(await ask()).toEqual([{ one: 1 }])
})
