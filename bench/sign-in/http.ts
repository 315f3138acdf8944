import { connect, type Socket } from 'node:net'

export interface Reply {
  status: number
  /** names in lower case */
  headers: ReadonlyMap<string, string>
  setCookies: readonly string[]
  body: string
}

export type Connection = ReturnType<typeof openConnection>

const END_OF_HEAD = '\r\n\r\n'

/**
 * A connection that is kept open and carries one request after the other. It does no more than the two servers
 * need, so that the driver leaves as much of the machine to them as it can.
 */
export function openConnection(port: number) {
  let socket: Socket | undefined
  let waiting: { resolve(reply: Reply): void; reject(error: Error): void } | undefined
  let received = ''

  function fail(error: Error): void {
    const { reject } = waiting ?? {}
    waiting = undefined
    socket?.destroy()
    socket = undefined
    received = ''
    reject?.(error)
  }

  function open(): Socket {
    const opened = connect({ port, host: '127.0.0.1', noDelay: true })
    // One character a byte: what is looked at is ASCII, and lengths count bytes.
    opened.setEncoding('latin1')
    opened.on('error', fail)
    opened.on('close', () => {
      if (socket !== opened) return
      if (waiting) fail(new Error('the connection was closed'))
      socket = undefined
    })
    opened.on('data', (chunk: string) => {
      received += chunk
      try {
        const reply = parse(received)
        if (!reply || !waiting) return
        const { resolve } = waiting
        waiting = undefined
        received = ''
        resolve(reply)
      } catch (error) {
        fail(error instanceof Error ? error : new Error('not HTTP'))
      }
    })
    return opened
  }

  return {
    request(
      method: string,
      path: string,
      headers: Record<string, string>,
      body = '',
    ): Promise<Reply> {
      socket ??= open()
      const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`)
      const length = body ? `content-length: ${Buffer.byteLength(body)}\r\n` : ''
      socket.write(`${method} ${path} HTTP/1.1\r\n${lines.join('')}${length}\r\n${body}`)
      return new Promise((resolve, reject) => {
        waiting = { resolve, reject }
      })
    },
    close: () => void socket?.destroy(),
  }
}

/** @returns undefined while something of the answer is still to come */
function parse(text: string): Reply | undefined {
  const end = text.indexOf(END_OF_HEAD)
  if (end < 0) return undefined
  const [first = '', ...lines] = text.slice(0, end).split('\r\n')
  const headers = new Map<string, string>()
  const setCookies: string[] = []
  for (const line of lines) {
    const colon = line.indexOf(':')
    const name = line.slice(0, colon).toLowerCase()
    const value = line.slice(colon + 1).trim()
    if (name === 'set-cookie') setCookies.push(value)
    else headers.set(name, value)
  }
  const rest = text.slice(end + END_OF_HEAD.length)
  const reply = { status: Number(first.split(' ')[1]), headers, setCookies }
  if (headers.get('transfer-encoding') === 'chunked') {
    const body = unchunked(rest)
    return body === undefined ? undefined : { ...reply, body }
  }
  const length = Number(headers.get('content-length') ?? 0)
  return rest.length < length ? undefined : { ...reply, body: rest }
}

function unchunked(text: string): string | undefined {
  let body = ''
  for (let at = 0; ; ) {
    const end = text.indexOf('\r\n', at)
    if (end < 0) return undefined
    const length = Number.parseInt(text.slice(at, end), 16)
    const next = end + 2 + length + 2
    if (text.length < next) return undefined
    if (length === 0) return body
    body += text.slice(end + 2, end + 2 + length)
    at = next
  }
}
