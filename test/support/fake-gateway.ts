import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { text as readText } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import { listen } from './fake-textbee.ts'

/** How a fake treats a well-formed send. */
export type FakeMode =
  | 'ok'
  /** accepts it, but no phone ever gets it */
  | 'accept-never-deliver'
  /** takes the request and never answers */
  | 'hang'
  /** delivers, answers and then one byte now and again, without end */
  | 'slow-drip'
  /** delivers, then resets the connection */
  | 'reset'
  | 'bad-json'
  | 'empty'
  | 'html'
  | '5xx'
  | 'redirect'
  /** delivers and answers a body without end */
  | 'huge-body'

/** Modes in which the message reaches a phone, whatever the caller is told. */
const DELIVERING = new Set<FakeMode>([
  'ok',
  'slow-drip',
  'reset',
  'bad-json',
  'empty',
  'html',
  'huge-body',
])

export interface FakeRequest {
  method: string
  /** below the base URL */
  path: string
  query: URLSearchParams
  headers: IncomingMessage['headers']
  body: string
}

export interface FakeAnswer {
  status: number
  /** sent as JSON, or as it is when a string */
  body?: unknown
  headers?: Record<string, string>
  afterMs?: number
}

export interface FakeMessage {
  channel: 'sms' | 'voice'
  /** `+E.164`, whatever the gateway's own notation */
  to: string
  /** as it would be read or heard; of a gateway that makes the code, the code alone */
  text: string
  sender: string | null
  /** our reference, where the gateway is told it */
  reference: string | null
  /** the id it was given */
  providerId: string | null
  /** where it asks for its reports to go */
  reportUrl: string | null
}

export interface FakeReply extends FakeAnswer {
  /** what the caller did that the real gateway wouldn't take, or its documentation doesn't know */
  fault?: string
  /** set on a request that sends something, when it is well-formed */
  message?: FakeMessage
}

/** A gateway's HTTP contract: how the real one would answer. */
export interface FakeContract {
  /** what its base URL ends with, e.g. `/v2` */
  basePath: string
  answer(request: FakeRequest): FakeReply
}

export type FakeGateway = Awaited<ReturnType<typeof startFakeGateway>>

/** A strict stand-in for a gateway's HTTP API on a free port of 127.0.0.1. */
export async function startFakeGateway(contract: FakeContract) {
  const stopped = new AbortController()
  const script: FakeAnswer[] = []
  const server = createServer((request, response) => {
    handle(request, response).catch(() => response.destroy())
  })
  const port = await listen(server)
  const baseUrl = `http://127.0.0.1:${port}${contract.basePath}`

  const fake = {
    baseUrl,
    /** may be changed at any time */
    mode: 'ok' as FakeMode,
    /** what reached a phone, oldest first */
    messages: [] as FakeMessage[],
    /** every well-formed send, whatever was answered */
    sends: [] as FakeMessage[],
    requests: [] as FakeRequest[],
    /** every way in which a caller broke the contract */
    faults: [] as string[],

    /** Answers for the next requests, one each, before `mode` counts again. */
    answerNext(...answers: FakeAnswer[]): void {
      script.push(...answers)
    },

    reset(): void {
      for (const list of [fake.messages, fake.sends, fake.requests, fake.faults, script])
        list.length = 0
      fake.mode = 'ok'
    },

    async close(): Promise<void> {
      stopped.abort()
      server.closeAllConnections()
      if (server.listening) await new Promise((resolve) => server.close(resolve))
    },
  }

  async function handle(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await readText(incoming)
    const url = new URL(incoming.url ?? '/', baseUrl)
    const inside = url.pathname.startsWith(contract.basePath)
    const request: FakeRequest = {
      method: incoming.method ?? '',
      path: inside ? url.pathname.slice(contract.basePath.length) : url.pathname,
      query: url.searchParams,
      headers: incoming.headers,
      body,
    }
    fake.requests.push(request)
    const { fault, message, ...reply } = contract.answer(request)
    if (fault) fake.faults.push(fault)
    const scripted = script.shift()
    if (message) {
      fake.sends.push(message)
      if (scripted ? scripted.status < 300 : DELIVERING.has(fake.mode)) fake.messages.push(message)
    }
    if (!scripted && message) return act(fake.mode, response, reply)
    const chosen = scripted ?? reply
    if (chosen.afterMs)
      await sleep(chosen.afterMs, undefined, { signal: stopped.signal }).catch(() => {})
    send(response, chosen)
  }

  async function act(mode: FakeMode, response: ServerResponse, reply: FakeAnswer): Promise<void> {
    switch (mode) {
      case 'hang':
        return
      case 'reset':
        response.socket?.resetAndDestroy()
        return
      case 'slow-drip':
        return pour(response, reply.status, ' ', 50)
      case 'huge-body':
        return pour(response, reply.status, `{"data":"${'x'.repeat(16 * 1024)}`, 0)
      case 'bad-json':
        return send(response, { status: reply.status, body: '{"data":{"id":' })
      case 'empty':
        return send(response, { status: reply.status })
      case 'html':
        return send(response, { status: reply.status, body: '<html>It works!</html>' })
      case '5xx':
        return send(response, { status: 503, body: '<html>Service unavailable</html>' })
      case 'redirect':
        return send(response, {
          status: 302,
          headers: { location: 'http://169.254.169.254/latest/meta-data/' },
        })
      default:
        return send(response, reply)
    }
  }

  async function pour(
    response: ServerResponse,
    status: number,
    piece: string,
    pauseMs: number,
  ): Promise<void> {
    response.writeHead(status, { 'content-type': 'application/json' })
    while (!response.destroyed) {
      if (!response.write(piece)) await once(response, 'drain', { signal: stopped.signal })
      await sleep(pauseMs, undefined, { signal: stopped.signal })
    }
  }

  return fake
}

function send(response: ServerResponse, { status, body, headers }: FakeAnswer): void {
  response.writeHead(status, { 'content-type': 'application/json', ...headers })
  response.end(typeof body === 'string' || body === undefined ? body : JSON.stringify(body))
}
