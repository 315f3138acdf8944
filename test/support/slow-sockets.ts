import { connect, type Socket } from 'node:net'
import { burst } from './flow.ts'

/** Each says less than its request: of the head, or of the body. */
const HALVES = [
  'GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: ',
  'POST /token HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 9000\r\n\r\ngrant_type=',
]

/** Opens connections that never come to an end by themselves, some at a time. */
export async function holdOpen(url: string, count: number) {
  const port = Number(new URL(url).port)
  const open: Socket[] = []
  const closed: Array<Promise<unknown>> = []
  while (open.length < count) {
    await burst(250, async (i) => {
      const socket = connect(port, '127.0.0.1')
      socket.on('error', () => {}).resume()
      closed.push(new Promise((resolve) => socket.once('close', resolve)))
      open.push(socket)
      await new Promise((resolve) => socket.once('connect', resolve).once('close', resolve))
      socket.write(HALVES[i % HALVES.length] ?? '')
    })
  }
  const drip = setInterval(() => {
    for (const socket of open) if (socket.writable) socket.write('x')
  }, 2000)
  const allClosed = Promise.all(closed).finally(() => clearInterval(drip))
  return { allClosed, held: () => open.filter(({ readyState }) => readyState === 'open').length }
}
