import { randomInt } from 'node:crypto'
import { createServer } from 'node:net'

/** Below the ports that systems take for outgoing connections: one of those may be taken before a test listens there. */
const [FIRST, LAST] = [10_000, 32_000]

/** A port of the loopback interface that nobody listens on at this moment, nor is likely to. */
export async function freePort(): Promise<number> {
  const port = randomInt(FIRST, LAST)
  return (await isFree(port)) ? port : freePort()
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createServer()
    probe.once('error', () => resolve(false))
    probe.listen(port, '127.0.0.1', () => probe.close(() => resolve(true)))
  })
}
