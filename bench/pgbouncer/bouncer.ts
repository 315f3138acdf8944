import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { chownSync, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { freePort } from '../../test/support/ports.ts'

/** Where distributions put it. PGBOUNCER names another. */
const PLACES = ['/usr/sbin/pgbouncer', '/usr/bin/pgbouncer', '/usr/local/bin/pgbouncer']
/** Who it runs as where this is root, which it refuses to. */
const NOBODY = 65_534

/** How `docs/postgres.md` says it must be set up. */
const LIMITS = [
  'set statement_timeout = 2500',
  'set lock_timeout = 2000',
  'set idle_in_transaction_session_timeout = 10000',
  "set default_transaction_isolation = 'read committed'",
].join('; ')

export function findBouncer(): { path: string; version: string } | undefined {
  const { PGBOUNCER: named } = process.env
  const path = (named === undefined ? PLACES : [named]).find((place) => existsSync(place))
  if (!path) return undefined
  const told = spawnSync(path, ['--version'], { encoding: 'utf8' })
  return { path, version: /[\d.]+/.exec(told.stdout ?? '')?.[0] ?? 'unknown' }
}

/**
 * PgBouncer in transaction mode before a PostgreSQL server.
 * @param sessions of the server that it shares out
 */
export async function startBouncer(path: string, server: string, sessions: number) {
  const { hostname, port: serverPort, username, password } = new URL(server)
  const port = await freePort()
  const directory = mkdtempSync(join(tmpdir(), 'sallyport-bouncer-'))
  const users = join(directory, 'users.txt')
  const settings = join(directory, 'pgbouncer.ini')
  writeFileSync(users, `"${username}" "${password}"\n`)
  writeFileSync(
    settings,
    `[databases]
* = host=${hostname} port=${serverPort} connect_query='${LIMITS.replaceAll("'", "''")}'
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir =
auth_type = plain
auth_file = ${users}
pool_mode = transaction
default_pool_size = ${sessions}
max_client_conn = 1000
ignore_startup_parameters = statement_timeout,lock_timeout,idle_in_transaction_session_timeout,options
`,
  )
  const asNobody = process.getuid?.() === 0 ? { uid: NOBODY, gid: NOBODY } : {}
  if ('uid' in asNobody)
    for (const file of [directory, users, settings]) chownSync(file, NOBODY, NOBODY)
  const child = spawn(path, [settings], { stdio: ['ignore', 'ignore', 'pipe'], ...asNobody })
  let complaint = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    complaint = (complaint + text).slice(-2000)
  })
  await listening(port, child, () => complaint)
  return {
    /** a database's address by way of it */
    url: (database: string) =>
      Object.assign(new URL(database), { hostname: '127.0.0.1', port: String(port) }).href,
    async stop(): Promise<void> {
      const gone = new Promise((resolve) => child.once('exit', resolve))
      child.kill('SIGTERM')
      await gone
      rmSync(directory, { recursive: true, force: true })
    },
  }
}

async function listening(port: number, child: ChildProcess, complaint: () => string) {
  for (let tries = 0; tries < 200; tries++) {
    if (child.exitCode !== null) throw new Error(`pgbouncer didn't start: ${complaint()}`)
    const socket = connect(port, '127.0.0.1')
    const open = await new Promise<boolean>((resolve) => {
      socket.once('connect', () => resolve(true)).once('error', () => resolve(false))
    })
    socket.destroy()
    if (open) return
    await pause(25)
  }
  throw new Error(`pgbouncer doesn't listen: ${complaint()}`)
}
