import type { IncomingMessage, RequestListener } from 'node:http'
import type { Metrics } from '../metrics.ts'

/** Headers that a proxy adds: what comes through one isn't from this machine. */
const OF_PROXIES = ['x-forwarded-for', 'forwarded', 'via', 'x-real-ip']

/** `GET /metrics` for Prometheus. @param guarded answers this machine alone */
export function createMetricsListener(metrics: Metrics, guarded: boolean): RequestListener {
  return async (request, response) => {
    const asked = request.method === 'GET' || request.method === 'HEAD'
    if (request.url !== '/metrics' || !asked || (guarded && !isLocal(request))) {
      response.writeHead(404, { 'Content-Type': 'text/plain' }).end('Not found\n')
      return
    }
    const text = await metrics.render()
    response.writeHead(200, { 'Content-Type': metrics.contentType, 'Cache-Control': 'no-store' })
    response.end(text)
  }
}

/** Whether it was made on this machine. To be asked before anything rewrites the request's headers. */
function isLocal({ headers, socket }: IncomingMessage): boolean {
  const address = socket.remoteAddress?.replace(/^::ffff:/, '') ?? ''
  const loopback = address === '::1' || address.startsWith('127.')
  return loopback && OF_PROXIES.every((name) => headers[name] === undefined)
}
