import { Agent, createServer, type IncomingMessage, request as send } from 'node:http'
import { buffer } from 'node:stream/consumers'
import { freePort } from './ports.ts'

export type Balancer = Awaited<ReturnType<typeof startBalancer>>

/**
 * Passes each request to the next of several instances, whoever it comes from: no sticky sessions. Where nobody
 * listens it asks the one after, as balancers do; an instance that goes away amid a request gives 502.
 */
export async function startBalancer(instances: readonly string[]) {
  const urls = [...instances]
  const served = urls.map(() => 0)
  const agent = new Agent({ keepAlive: false })
  let turn = 0

  function pass(index: number, incoming: IncomingMessage, body: Buffer): Promise<IncomingMessage> {
    return new Promise((resolve, reject) => {
      const { method, headers } = incoming
      const target = new URL(incoming.url ?? '/', urls[index])
      send(target, { method, headers, agent }, resolve).on('error', reject).end(body)
    })
  }

  async function answerOf(incoming: IncomingMessage, body: Buffer): Promise<IncomingMessage> {
    const mine = turn++
    for (let tries = 1; ; tries++) {
      // Others take their turns meanwhile.
      const index = (mine + tries - 1) % urls.length
      try {
        const answer = await pass(index, incoming, body)
        served[index] = (served[index] ?? 0) + 1
        return answer
      } catch (error) {
        const refused = error instanceof Error && 'code' in error && error.code === 'ECONNREFUSED'
        if (!refused || tries === urls.length) throw error
      }
    }
  }

  const server = createServer(async (incoming, response) => {
    try {
      const answer = await answerOf(incoming, await buffer(incoming))
      response.writeHead(answer.statusCode ?? 502, answer.rawHeaders)
      answer.on('error', () => response.destroy()).pipe(response)
    } catch {
      response.writeHead(502, { 'Content-Type': 'application/json' }).end('{"error":"bad_gateway"}')
    }
  })
  const port = await freePort()
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve))
  return {
    url: `http://localhost:${port}`,
    /** where each instance is; one that was started anew has another address */
    urls,
    /** how many requests each has answered */
    served,
    async close(): Promise<void> {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
