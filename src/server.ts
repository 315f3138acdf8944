import { createServer, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import { type App, createApp } from './app.ts'
import type { AppOptions } from './app-options.ts'
import { isPassing } from './db/faults.ts'
import { createMetrics } from './metrics.ts'
import { pinRequest } from './web/front.ts'
import { createMetricsListener } from './web/metrics.ts'

export interface RunningServer {
  /** where it listens */
  address: AddressInfo
  /** resolves when the first request can be served, rejects when it never will */
  ready: Promise<void>
  /** address of the page that makes the first admin, once it is ready; undefined where there is one */
  bootstrapUrl(): string | undefined
  stop(): Promise<void>
}

const GRACE_MS = 10_000
const RETRY_MS = 1000

/**
 * Listens at once and answers 503 until the database can be reached, then serves. A database that is away
 * at start is waited for; any other fault of the start ends `ready` with an error.
 */
export async function startServer(options: Omit<AppOptions, 'metrics'>): Promise<RunningServer> {
  const { config, log } = options
  const metrics = createMetrics()
  const ownPort = config.metricsPort !== undefined
  const tellMetrics = createMetricsListener(metrics, !ownPort)
  const issuer = new URL(config.issuer)
  let app: App | undefined
  let stopping = false

  const server = createServer(
    // A slow or endless request is cut off, so that it can't hold a connection for long. Node looks for
    // such requests every 30 s unless told otherwise, and would let them have that long.
    {
      headersTimeout: 10_000,
      requestTimeout: 15_000,
      connectionsCheckingInterval: 1000,
      keepAliveTimeout: 5_000,
      maxHeaderSize: 16_384,
    },
    (request, response) => {
      // Of a body that was refused for its length, the rest: the connection's next request stands behind it.
      response.once('finish', () => request.resume())
      if (request.url === '/metrics' && !ownPort) return tellMetrics(request, response)
      pinRequest(request, issuer, config.trustedProxies)
      const handle: RequestListener = app?.handle ?? notYet
      handle(request, response)
    },
  )
  await listen(server, config.port, config.host)
  const metricsServer = ownPort ? createServer(tellMetrics) : undefined
  if (metricsServer && config.metricsPort)
    await listen(metricsServer, config.metricsPort, config.host)

  async function open(): Promise<void> {
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

  const ready = open()
  ready.catch(() => {})
  return {
    address: addressOf(server),
    ready,
    bootstrapUrl: () => app?.bootstrapUrl,
    async stop() {
      stopping = true
      metricsServer?.close()
      metricsServer?.closeAllConnections()
      const closed = new Promise((resolve) => server.close(resolve))
      server.closeIdleConnections()
      const forced = setTimeout(() => server.closeAllConnections(), GRACE_MS).unref()
      await closed
      clearTimeout(forced)
      await ready.catch(() => {})
      await app?.close()
    },
  }
}

const notYet: RequestListener = (request, response) => {
  const alive = request.url === '/healthz'
  response.writeHead(alive ? 200 : 503, {
    'Content-Type': 'application/json',
    'Cache-Control': 'no-store',
    'X-Content-Type-Options': 'nosniff',
    ...(alive ? {} : { 'Retry-After': '2' }),
  })
  response.end(
    JSON.stringify(
      alive
        ? { status: 'up' }
        : {
            error: 'temporarily_unavailable',
            error_description: 'starting; try again in a moment',
          },
    ),
  )
}

/** @throws Error with a sentence for the operator */
function listen(server: Server, port: number, host: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error) => {
      const inUse = 'code' in error && error.code === 'EADDRINUSE'
      const sentence = `Port ${port} of ${host} is in use by another program. End that one, or set PORT to another.`
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
