import { createServer, type RequestListener, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import { type App, createApp } from './app.ts'
import type { AppOptions } from './app-options.ts'
import { isPassing } from './db/faults.ts'
import { createMetrics } from './metrics.ts'
import { ownVersion } from './version.ts'
import { pinRequest } from './web/front.ts'
import { createMetricsListener } from './web/metrics.ts'

export interface RunningServer {
  /** where it listens */
  address: AddressInfo
  /** resolves when the first request can be served, rejects when it never will */
  ready: Promise<void>
  /** address of the page that makes the first admin, once it is ready; undefined where there is one */
  bootstrapUrl(): string | undefined
  /**
   * Says at `/readyz` that it is going and serves on for DRAIN_SECONDS, then takes nobody new, lets what is being
   * served end, for 10 s at most, and lets go of the database (AVL-10).
   */
  stop(): Promise<void>
}

const GRACE_MS = 10_000
const IDLE_MS = 100
const RETRY_MS = 1000

/**
 * Listens at once and answers 503 until the database can be reached, then serves. A database that is away
 * at start is waited for; any other fault of the start ends `ready` with an error.
 */
export async function startServer(options: Omit<AppOptions, 'metrics'>): Promise<RunningServer> {
  const { config, log } = options
  const metrics = createMetrics()
  metrics.runs(ownVersion())
  const ownPort = config.metricsPort !== undefined
  const tellMetrics = createMetricsListener(metrics, !ownPort)
  const issuer = new URL(config.issuer)
  let app: App | undefined
  let stopping = false
  const open = new Set<ServerResponse>()

  const server = createServer(
    // A slow or endless request is cut off, so that it can't hold a connection for long. Node looks for
    // such requests every 30 s unless told otherwise, and would let them have that long.
    {
      headersTimeout: 10_000,
      requestTimeout: 15_000,
      connectionsCheckingInterval: 1000,
      // Longer than balancers keep theirs, 60 s with most, so that none sends a request into one that is closing.
      keepAliveTimeout: 65_000,
      maxHeaderSize: 16_384,
    },
    (request, response) => {
      // Of a body that was refused for its length, the rest: the connection's next request stands behind it.
      response.once('finish', () => request.resume())
      open.add(response)
      response.once('close', () => open.delete(response))
      if (stopping) askToLeave(response)
      if (request.url === '/metrics' && !ownPort) return tellMetrics(request, response)
      pinRequest(request, issuer, config.trustedProxies)
      const going = stopping && /^\/readyz(\?|$)/.test(request.url ?? '')
      const handle: RequestListener = going ? leaving : (app?.handle ?? notYet)
      handle(request, response)
    },
  )
  await listen(server, config.port, config.host, 'PORT')
  const metricsServer = ownPort ? createServer(tellMetrics) : undefined
  if (metricsServer && config.metricsPort)
    await listen(metricsServer, config.metricsPort, config.host, 'METRICS_PORT')

  async function begin(): Promise<void> {
    while (!stopping) {
      try {
        app = await createApp({ ...options, metrics })
        return
      } catch (error) {
        if (!isPassing(error)) throw error
        log.warn({ error }, 'the database is out of reach; trying again')
        await pause(RETRY_MS)
      }
    }
  }

  const ready = begin()
  ready.catch(() => {})
  return {
    address: addressOf(server),
    ready,
    bootstrapUrl: () => app?.bootstrapUrl,
    async stop() {
      stopping = true
      for (const response of open) askToLeave(response)
      if (config.drainSeconds > 0) await pause(config.drainSeconds * 1000)
      metricsServer?.close()
      metricsServer?.closeAllConnections()
      const closed = new Promise((resolve) => server.close(resolve))
      // Those, too, that were kept for another request before that was over which is being served on them.
      const idle = setInterval(() => server.closeIdleConnections(), IDLE_MS)
      const forced = setTimeout(() => server.closeAllConnections(), GRACE_MS).unref()
      await closed
      clearInterval(idle)
      clearTimeout(forced)
      await ready.catch(() => {})
      await app?.close()
    },
  }
}

/** Whoever keeps the connection for later would come to one that is going. */
function askToLeave(response: ServerResponse): void {
  if (!response.headersSent) response.setHeader('Connection', 'close')
}

const notYet: RequestListener = (request, response) => {
  if (request.url === '/healthz') return answer(response, 200, { status: 'up' })
  answer(response, 503, unavailable('starting; try again in a moment'))
}

const leaving: RequestListener = (_request, response) =>
  answer(response, 503, unavailable('stopping; others take over'))

const unavailable = (why: string) => ({ error: 'temporarily_unavailable', error_description: why })

function answer(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, {
    'Content-Type': 'application/json',
    'Cache-Control': 'no-store',
    'X-Content-Type-Options': 'nosniff',
    ...(status === 503 && { 'Retry-After': '2' }),
  })
  response.end(JSON.stringify(body))
}

/** @throws Error with a sentence for the operator */
function listen(server: Server, port: number, host: string, variable: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error) => {
      const inUse = 'code' in error && error.code === 'EADDRINUSE'
      const sentence = `Port ${port} of ${host} is in use by another program. End that one, or set ${variable} to another.`
      reject(inUse ? new Error(sentence, { cause: error }) : error)
    })
    server.listen(port, host, resolve)
  })
}

function addressOf(server: Server): AddressInfo {
  const address = server.address()
  if (typeof address !== 'object' || address === null) throw new Error('not listening on a port')
  return address
}
