import { createHmac, timingSafeEqual } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders, type Server } from 'node:http'
import { text } from 'node:stream/consumers'

export interface Received {
  path: string
  headers: IncomingHttpHeaders
  body: string
}

export type Receiver = Awaited<ReturnType<typeof startReceiver>>

/** Somebody's own server that takes webhooks, on a free port of the loopback. */
export async function startReceiver() {
  const requests: Received[] = []
  const receiver = {
    /** what it answers; `hang` never does, `drip` never ends */
    answer: 200 as number | 'hang' | 'drip',
    location: '',
  }
  const server: Server = createServer(async (request, response) => {
    requests.push({
      path: request.url ?? '',
      headers: request.headers,
      body: await text(request),
    })
    const { answer, location } = receiver
    if (answer === 'hang') return
    if (answer === 'drip') {
      response.writeHead(200).write('x'.repeat(100_000))
      return
    }
    response.writeHead(answer, location ? { location } : {}).end('thanks')
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const address = server.address()
  if (typeof address !== 'object' || !address) throw new Error('not listening on a port')
  return Object.assign(receiver, {
    requests,
    port: address.port,
    url: `http://127.0.0.1:${address.port}/hook`,
    reset(): void {
      requests.length = 0
      receiver.answer = 200
      receiver.location = ''
    },
    async close(): Promise<void> {
      server.closeAllConnections()
      await new Promise((closed) => server.close(closed))
    },
  })
}

/** Verifies as standardwebhooks.com says, apart from our own code. */
export function isSigned({ headers, body }: Received, secret: string): boolean {
  const key = Buffer.from(secret.slice('whsec_'.length), 'base64')
  const content = `${headers['webhook-id']}.${headers['webhook-timestamp']}.${body}`
  const right = createHmac('sha256', key).update(content).digest()
  return String(headers['webhook-signature'])
    .split(' ')
    .map((versioned) => versioned.split(','))
    .some(([version, signature = '']) => {
      const given = Buffer.from(signature, 'base64')
      return version === 'v1' && given.length === right.length && timingSafeEqual(given, right)
    })
}
