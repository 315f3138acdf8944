import { once } from 'node:events'
import { connect } from 'node:net'

/**
 * Sends bytes as they are, which no HTTP client would, and reads until the server closes the connection.
 * @param drip sent again and again until then, one a second
 */
export async function exchange(port: number, bytes: string, drip?: string): Promise<string> {
  const socket = connect(port, '127.0.0.1')
  const ended = new AbortController()
  let answer = ''
  socket.setEncoding('utf8')
  socket.on('data', (piece) => {
    answer += piece
  })
  // A server may reset a connection it has answered on; what it said counts.
  socket.on('error', () => {})
  socket.on('close', () => ended.abort())
  socket.write(bytes)
  const dripping = setInterval(() => drip && socket.writable && socket.write(drip), 1000)
  await once(ended.signal, 'abort')
  clearInterval(dripping)
  return answer
}

/** A request line and headers as text; the connection closes after the answer unless a header says otherwise. */
export function head(
  method: string,
  target: string,
  headers: Record<string, string | undefined>,
): string {
  const all = { Host: 'localhost', Connection: 'close', ...headers }
  const lines = Object.entries(all).flatMap(([name, value]) =>
    value === undefined ? [] : [`${name}: ${value}`],
  )
  return `${[`${method} ${target} HTTP/1.1`, ...lines].join('\r\n')}\r\n\r\n`
}
