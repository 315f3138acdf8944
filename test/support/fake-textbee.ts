import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { text as readText } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'

/** How the fake answers a well-formed send. */
export type FakeMode =
  /** 201 as the hosted service gives it, with a batch id */
  | 'ok'
  /** 201 as a server without a queue gives it, with no id of use */
  | 'ok-no-queue'
  /** 201, but no phone ever gets the text */
  | 'accept-never-deliver'
  /** 400, the device is switched off */
  | '4xx'
  /** 500, the queue is down */
  | '5xx'
  /** takes the request and never answers */
  | 'hang'
  /** delivers, answers 201 and then one byte now and again, without end */
  | 'slow-drip'
  /** delivers, then resets the connection */
  | 'reset'
  | 'bad-json'
  | 'empty'
  | '3xx-to-metadata-ip'
  /** delivers and answers a body without end */
  | 'huge-body'

/** Modes in which the text reaches a phone, whatever the caller is told. */
const DELIVERING: ReadonlySet<FakeMode> = new Set([
  'ok',
  'ok-no-queue',
  'slow-drip',
  'reset',
  'bad-json',
  'empty',
  'huge-body',
])

export interface FakeAnswer {
  status: number
  /** sent as JSON, or as it is when a string */
  body?: unknown
  headers?: Record<string, string>
  /** how long it takes to answer */
  afterMs?: number
}

export interface FakeMessage {
  to: string
  text: string
  at: Date
}

export interface FakeTextbee {
  readonly baseUrl: string
  readonly apiKey: string
  readonly deviceId: string
  /** may be changed at any time */
  mode: FakeMode
  /** what GET /gateway/devices lists */
  devices: unknown[]
  /** what reached a phone, oldest first */
  readonly messages: FakeMessage[]
  /** every well-formed send, whatever was answered */
  readonly requests: FakeMessage[]
  /** every way in which a caller broke the contract */
  readonly faults: string[]
  /** answers for the next requests, one each, before `mode` counts again */
  answerNext(...answers: FakeAnswer[]): void
  /** forgets messages, requests, faults and scripted answers; back to `ok` */
  reset(): void
  close(): Promise<void>
}

/**
 * A strict stand-in for textbee's HTTP API on a free port of 127.0.0.1. A request that breaks the
 * contract is answered as textbee would and noted in `faults`.
 */
export async function startFakeTextbee(): Promise<FakeTextbee> {
  const server = createServer((request, response) => {
    handle(request, response).catch(() => response.destroy())
  })
  const port = await listen(server)
  const stopped = new AbortController()
  const script: FakeAnswer[] = []
  const deviceId = '665f0c0e1f4b2a0012ab0001'

  const fake: FakeTextbee = {
    baseUrl: `http://127.0.0.1:${port}/api/v1`,
    apiKey: '5d0fbc3e-8f55-4c0b-9c1b-3a6c2f4e7d10',
    deviceId,
    mode: 'ok',
    devices: [{ _id: deviceId, enabled: true }],
    messages: [],
    requests: [],
    faults: [],
    answerNext(...answers) {
      script.push(...answers)
    },
    reset() {
      for (const list of [fake.messages, fake.requests, fake.faults, script]) list.length = 0
      fake.mode = 'ok'
    },
    async close() {
      stopped.abort()
      server.closeAllConnections()
      if (server.listening) await new Promise((resolve) => server.close(resolve))
    },
  }

  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await readText(request)
    const url = new URL(request.url ?? '/', fake.baseUrl)
    if (url.search) fake.faults.push('query string')
    if (request.headers['x-api-key'] !== fake.apiKey || request.headers.authorization) {
      return refuse(response, 401, { error: 'Unauthorized' }, 'key')
    }
    const [, device] =
      /^\/api\/v1\/gateway\/devices(?:\/([^/]+)\/send-sms)?$/.exec(url.pathname) ?? []
    if (request.method === 'GET' && url.pathname === '/api/v1/gateway/devices') {
      return answer(response, script.shift() ?? { status: 200, body: { data: fake.devices } })
    }
    if (request.method !== 'POST' || device === undefined) {
      return refuse(response, 404, { message: 'Cannot do that', statusCode: 404 }, 'method or path')
    }
    if (!/^[0-9a-f]{24}$/.test(device)) {
      return refuse(response, 400, { error: 'Invalid device id' }, 'device id')
    }
    if (device !== fake.deviceId) return refuse(response, 401, { error: 'Unauthorized' }, 'device')
    const message = readMessage(request.headers['content-type'], body)
    if (typeof message === 'string') {
      return refuse(response, 400, { success: false, error: message }, message)
    }
    fake.requests.push(message)
    const scripted = script.shift()
    if (scripted ? scripted.status < 300 : DELIVERING.has(fake.mode)) fake.messages.push(message)
    if (!scripted) return act(fake.mode, response)
    if (scripted.afterMs)
      await sleep(scripted.afterMs, undefined, { signal: stopped.signal }).catch(() => {})
    answer(response, scripted)
  }

  function refuse(response: ServerResponse, status: number, body: unknown, fault: string): void {
    fake.faults.push(fault)
    answer(response, { status, body })
  }

  async function act(mode: FakeMode, response: ServerResponse): Promise<void> {
    switch (mode) {
      case 'hang':
        return
      case 'reset':
        response.socket?.resetAndDestroy()
        return
      case 'slow-drip':
        return pour(response, ' ', 50)
      case 'huge-body':
        return pour(response, `{"data":"${'x'.repeat(16 * 1024)}`, 0)
      default:
        return answer(response, ANSWERS[mode])
    }
  }

  async function pour(response: ServerResponse, piece: string, pauseMs: number): Promise<void> {
    response.writeHead(201, { 'content-type': 'application/json' })
    while (!response.destroyed) {
      if (!response.write(piece)) {
        await once(response, 'drain', { signal: stopped.signal })
      }
      await sleep(pauseMs, undefined, { signal: stopped.signal })
    }
  }

  return fake
}

/** Listens on a free port of the loopback address and tells it. */
export async function listen(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  return address.port
}

function answer(response: ServerResponse, { status, body, headers }: FakeAnswer): void {
  response.writeHead(status, { 'content-type': 'application/json', ...headers })
  response.end(typeof body === 'string' || body === undefined ? body : JSON.stringify(body))
}

const FIELDS = new Set(['recipients', 'message', 'simSubscriptionId', 'scheduledAt'])

/** The message of a send request, or what is wrong with it in textbee's words (or ours, where it is laxer). */
function readMessage(contentType: string | undefined, body: string): FakeMessage | string {
  if (!/^application\/json\b/.test(contentType ?? '')) return 'Message cannot be blank'
  let fields: Record<string, unknown>
  try {
    fields = JSON.parse(body)
  } catch {
    return 'Unexpected token in JSON'
  }
  const stranger = Object.keys(fields).find((name) => !FIELDS.has(name))
  if (stranger) return `Unknown field ${stranger}`
  const { recipients, message, simSubscriptionId } = fields
  if (typeof message !== 'string' || message.trim() === '') return 'Message cannot be blank'
  const to: unknown = Array.isArray(recipients) && recipients.length === 1 ? recipients[0] : null
  if (typeof to !== 'string' || !/^\+[1-9]\d{6,14}$/.test(to)) return 'Invalid recipients'
  if (!['undefined', 'number'].includes(typeof simSubscriptionId))
    return 'Invalid simSubscriptionId'
  return { to, text: message, at: new Date() }
}

const QUEUED: FakeAnswer = {
  status: 201,
  body: {
    data: {
      success: true,
      message: 'SMS added to queue for processing',
      smsBatchId: '665f0c0e1f4b2a0012ab0003',
      recipientCount: 1,
    },
  },
}

const ANSWERS: Record<
  Exclude<FakeMode, 'hang' | 'reset' | 'slow-drip' | 'huge-body'>,
  FakeAnswer
> = {
  ok: QUEUED,
  'accept-never-deliver': QUEUED,
  'ok-no-queue': {
    status: 201,
    body: {
      data: {
        successCount: 1,
        failureCount: 0,
        responses: [{ success: true, messageId: 'projects/p/messages/0:1' }],
      },
    },
  },
  '4xx': {
    status: 400,
    body: { success: false, error: 'Device does not exist or is not enabled' },
  },
  '5xx': { status: 500, body: { success: false, error: 'Failed to add SMS to queue' } },
  'bad-json': { status: 201, body: '{"data":{"success":true,' },
  empty: { status: 201 },
  '3xx-to-metadata-ip': {
    status: 302,
    headers: { location: 'http://169.254.169.254/latest/meta-data/' },
  },
}
