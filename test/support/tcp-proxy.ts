import { connect, createServer, type Socket } from 'node:net'
import { freePort } from './ports.ts'

/**
 * Where a statement is lost: on its way to the database, or its answer on the way back; or it is kept from the
 * database and answered with an error that means nothing to anybody, over a connection that lives on.
 */
export type Loss = 'before' | 'after' | 'instead'

export type TcpProxy = Awaited<ReturnType<typeof startTcpProxy>>

/** pg ends each statement it sends with a Sync message. */
const SYNC = Buffer.from([0x53, 0, 0, 0, 4])

const protocolMessage = (letter: string, body: string): Buffer => {
  const head = Buffer.alloc(5)
  head.write(letter)
  head.writeInt32BE(body.length + 4, 1)
  return Buffer.concat([head, Buffer.from(body)])
}

/** ErrorResponse and ReadyForQuery. */
const INTERNAL_ERROR = Buffer.concat([
  protocolMessage('E', 'SERROR\0VERROR\0CXX000\0Man internal error\0\0'),
  protocolMessage('Z', 'I'),
])

/** The text of the statement that a chunk begins with: Parse has it behind the statement's name. */
function statementIn(chunk: Buffer): string {
  if (chunk[0] !== 0x50) return ''
  const [, text = ''] = chunk.subarray(5).toString('latin1').split('\0', 2)
  return text
}

/**
 * Stands between a server and its database on the loopback interface, and fails as it is told to.
 * @param spared statements that are never the one that is lost
 */
export async function startTcpProxy(targetPort: number, spared?: RegExp) {
  const port = await freePort()
  const pairs = new Set<{ near: Socket; far: Socket; deaf: boolean }>()
  let swallowing = false
  let lateMs = 0
  let refusesLook = false
  /** statements to let through before one is lost */
  let loss: { left: number; when: Loss } | undefined

  const server = createServer((near) => {
    const far = connect(targetPort, '127.0.0.1')
    const pair = { near, far, deaf: swallowing }
    pairs.add(pair)
    const end = () => {
      near.destroy()
      far.destroy()
      pairs.delete(pair)
    }
    for (const socket of [near, far]) socket.on('error', end).on('close', end)
    let lost = false
    near.on('data', (chunk) => {
      if (pair.deaf) return
      if (refusesLook && chunk.includes('pg_stat_get_activity')) {
        refusesLook = false
        return void near.write(INTERNAL_ERROR)
      }
      const counts = chunk.subarray(-SYNC.length).equals(SYNC) && !spared?.test(statementIn(chunk))
      if (loss && counts && loss.left-- === 0) {
        const { when } = loss
        loss = undefined
        if (when === 'before') return end()
        if (when === 'instead') return void near.write(INTERNAL_ERROR)
        lost = true
      }
      far.write(chunk)
    })
    far.on('data', (chunk) => {
      if (lost) end()
      else if (lateMs > 0) setTimeout(() => near.write(chunk), lateMs)
      else if (!pair.deaf) near.write(chunk)
    })
  })

  async function start(): Promise<void> {
    swallowing = false
    if (!server.listening)
      await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve))
  }

  function cut(): void {
    for (const { near } of pairs) near.destroy()
  }

  /** Refuses new connections and cuts those there are, like a database that has stopped. */
  async function stop(): Promise<void> {
    const closed = server.listening && new Promise((resolve) => server.close(resolve))
    cut()
    await closed
  }

  await start()
  return {
    start,
    stop,
    /** Cuts the connections there are. */
    cut,
    /** From now on bytes vanish, until `start`; connections from before or during it stay dead for good. */
    hang(): void {
      swallowing = true
      for (const pair of pairs) pair.deaf = true
    },
    /** From now on each answer comes so much later, over connections that live on. */
    delay(ms: number): void {
      lateMs = ms
    },
    /** The next connection can't find out what it leads to (src/db/direct.ts), and works all the same. */
    refuseLook(): void {
      refusesLook = true
    },
    /** Loses the connection at the statement that comes after `left` others. */
    loseAt(left: number, when: Loss): void {
      loss = { left, when }
    },
    /** Whether the statement that was to be lost has come, and forgets it if not. */
    hasLost(): boolean {
      const done = loss === undefined
      loss = undefined
      return done
    },
    /** A database URL, by way of this proxy. */
    url: (database: string) => Object.assign(new URL(database), { port: String(port) }).href,
  }
}
