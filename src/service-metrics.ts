import { Counter, Gauge, Histogram, type Registry } from 'prom-client'

/** A request that was answered. */
export interface Served {
  /** the route's template, never the path that was asked for */
  route: string
  method: string
  status: number
  seconds: number
}

/** How the pool of database connections stands. */
export interface PoolLoad {
  used: number
  idle: number
  /** who waits for a connection */
  waiting: number
  most: number
}

/** What waits to be done in the background, and for how long the oldest of it has been due. */
export interface Queue {
  queue: string
  due: number
  overdueSeconds: number
}

/** Anybody may send any method; each is a row of its own for as long as the process lives. */
const METHODS = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'])

/** The service itself: requests, sign-ins, tokens, the database and what waits. */
export function createServiceMetrics(registry: Registry) {
  const registers = [registry]
  const requests = new Counter({
    name: 'sallyport_http_requests_total',
    help: 'Requests that were answered, by route and class of status',
    labelNames: ['route', 'method', 'status'],
    registers,
  })
  const requestSeconds = new Histogram({
    name: 'sallyport_http_request_seconds',
    help: 'From the arrival of a request to its answer',
    labelNames: ['route'],
    buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
    registers,
  })
  const signIns = new Counter({
    name: 'sallyport_sign_ins_total',
    help: 'Sign-ins that got through, by what was shown',
    labelNames: ['level'],
    registers,
  })
  const signInFailures = new Counter({
    name: 'sallyport_sign_in_failures_total',
    help: 'Steps towards a session that were refused or given up, by cause',
    labelNames: ['cause'],
    registers,
  })
  const grants = new Counter({
    name: 'sallyport_token_grants_total',
    help: 'Answers with tokens, by grant type',
    labelNames: ['grant'],
    registers,
  })
  const refusals = new Counter({
    name: 'sallyport_token_refusals_total',
    help: 'Requests for tokens that were refused, by grant type and error',
    labelNames: ['grant', 'error'],
    registers,
  })
  const statementSeconds = new Histogram({
    name: 'sallyport_database_statement_seconds',
    help: 'From sending a statement to the database to its answer',
    buckets: [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 2.5],
    registers,
  })
  const statementFailures = new Counter({
    name: 'sallyport_database_failures_total',
    help: 'Statements that failed, and whether waiting helps',
    labelNames: ['kind'],
    registers,
  })
  const backlog = new Gauge({
    name: 'sallyport_backlog',
    help: 'What is due in the background, as this instance last found it',
    labelNames: ['queue'],
    registers,
  })
  const backlogSeconds = new Gauge({
    name: 'sallyport_backlog_seconds',
    help: 'For how long the oldest of it has been due',
    labelNames: ['queue'],
    registers,
  })
  const info = new Gauge({
    name: 'sallyport_build_info',
    help: '1, with the versions that run',
    labelNames: ['version', 'node'],
    registers,
  })
  for (const level of ['password', 'two-factors']) signIns.inc({ level }, 0)
  for (const cause of ['wrong-password', 'password-locked']) signInFailures.inc({ cause }, 0)
  for (const kind of ['passing', 'lasting']) statementFailures.inc({ kind }, 0)
  const tellPool = poolMetrics(registers)

  return {
    requestServed({ route, method, status, seconds }: Served): void {
      const known = METHODS.has(method) ? method : 'other'
      requests.inc({ route, method: known, status: `${Math.floor(status / 100)}xx` })
      requestSeconds.observe({ route }, seconds)
    },

    signedIn: (level: 'password' | 'two-factors') => signIns.inc({ level }),

    /** @param cause one of a fixed list of words */
    signInFailed: (cause: string) => signInFailures.inc({ cause }),

    tokensGranted: (grant: string) => grants.inc({ grant }),

    /** @param error one of the protocol's own */
    tokensRefused: (grant: string, error: string) => refusals.inc({ grant, error }),

    /** @param failed whether it failed, and waiting helps */
    statementRan(seconds: number, failed?: 'passing' | 'lasting'): void {
      statementSeconds.observe(seconds)
      if (failed) statementFailures.inc({ kind: failed })
    },

    /** Whom to ask how the pool stands, whenever somebody wants to know. */
    tellPool,

    backlogFound(queues: readonly Queue[]): void {
      for (const { queue, due, overdueSeconds } of queues) {
        backlog.set({ queue }, due)
        backlogSeconds.set({ queue }, overdueSeconds)
      }
    },

    runs: (version: string) => info.set({ version, node: process.versions.node }, 1),
  }
}

function poolMetrics(registers: Registry[]): (ask: () => PoolLoad) => void {
  let load = (): PoolLoad => ({ used: 0, idle: 0, waiting: 0, most: 0 })
  new Gauge({
    name: 'sallyport_database_connections',
    help: 'Connections to the database that this instance holds',
    labelNames: ['state'],
    registers,
    collect() {
      const { used, idle } = load()
      this.set({ state: 'used' }, used)
      this.set({ state: 'idle' }, idle)
    },
  })
  new Gauge({
    name: 'sallyport_database_connections_max',
    help: 'How many it may hold',
    registers,
    collect() {
      this.set(load().most)
    },
  })
  new Gauge({
    name: 'sallyport_database_waiting',
    help: 'Who waits for a connection to the database',
    registers,
    collect() {
      this.set(load().waiting)
    },
  })
  return (ask) => {
    load = ask
  }
}
