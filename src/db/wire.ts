import { createServer, type Socket } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import type { PGlite } from '@electric-sql/pglite'

export interface Wire {
  /** Takes nobody new, gives those who joined a moment to finish, and then cuts them off. */
  close(): Promise<void>
}

const IN_TRANSACTION_FOR_AT_MOST_MS = 10_000
/** As long as a command of the command line may take. */
const MOMENT_MS = 3000

/**
 * Lets many `pg` connections share one PGlite.
 *
 * PGlite is a single session that speaks PostgreSQL's wire protocol. Two things must hold for it to serve
 * several connections: the messages of one query (Parse to Sync) go in together, or another connection's
 * unnamed statement gets in between; and while one connection has a transaction open, the others wait.
 *
 * @param transactionMs a connection that leaves its transaction alone for this long is ended
 */
export async function serveWire(
  database: PGlite,
  socketPath: string,
  transactionMs = IN_TRANSACTION_FOR_AT_MOST_MS,
): Promise<Wire> {
  const turns = createTurns(database, transactionMs)
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
    attach(socket, turns)
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(socketPath, resolve)
  })
  return {
    async close() {
      const closed = new Promise((done) => server.close(done))
      await Promise.race([closed, pause(MOMENT_MS, undefined, { ref: false })])
      for (const socket of sockets) socket.destroySoon()
      await closed
    },
  }
}

const PROTOCOL_3 = 196_608
const SSL_REQUEST = 80_877_103
const LONGEST_STARTUP = 10_000
const LETTER = { query: 0x51, sync: 0x53, terminate: 0x58, readyForQuery: 0x5a }

type Turns = ReturnType<typeof createTurns>

/** Gives the database to one connection at a time: for one batch, or until its transaction ends. */
function createTurns(database: PGlite, transactionMs: number) {
  const waiting: Array<{ owner: Socket; batch: Buffer; done: (answer: Buffer) => void }> = []
  let holder: Socket | undefined
  let running = false
  let watchdog: NodeJS.Timeout | undefined

  async function pump(): Promise<void> {
    if (running) return
    running = true
    for (;;) {
      const index = holder ? waiting.findIndex(({ owner }) => owner === holder) : 0
      const [next] = index < 0 ? [] : waiting.splice(index, 1)
      if (!next) break
      const { owner, batch, done } = next
      try {
        const answer = Buffer.from(await database.execProtocolRaw(batch))
        hold(endsInTransaction(answer) ? owner : undefined)
        done(answer)
      } catch {
        // PGlite itself failed, or is closed: as with any database that ended, its connections end.
        hold(undefined)
        owner.destroy()
      }
      if (holder?.destroyed) rollBack(holder)
    }
    running = false
  }

  function hold(owner: Socket | undefined): void {
    holder = owner
    clearTimeout(watchdog)
    // The server's own idle_in_transaction_session_timeout doesn't fire in PGlite.
    if (owner) watchdog = setTimeout(() => owner.destroy(), transactionMs).unref()
  }

  function rollBack(owner: Socket): void {
    waiting.unshift({ owner, batch: simpleQuery('rollback'), done: () => {} })
  }

  return {
    run(owner: Socket, batch: Buffer): Promise<Buffer> {
      return new Promise((done) => {
        waiting.push({ owner, batch, done })
        void pump()
      })
    },
    leave(owner: Socket): void {
      for (let i = waiting.length - 1; i >= 0; i--)
        if (waiting[i]?.owner === owner) waiting.splice(i, 1)
      if (holder !== owner) return
      rollBack(owner)
      void pump()
    },
  }
}

function attach(socket: Socket, turns: Turns): void {
  let pending: Buffer = Buffer.alloc(0)
  let batch: Buffer[] = []
  let started = false
  let queue = Promise.resolve()

  socket.on('error', () => socket.destroy())
  socket.on('close', () => turns.leave(socket))
  socket.on('data', (chunk) => {
    pending = pending.length > 0 ? Buffer.concat([pending, chunk]) : chunk
    if (!started && !start()) return
    for (;;) {
      if (pending.length < 5) return
      const length = pending.readInt32BE(1)
      if (length < 4) return void socket.destroy()
      if (pending.length < 1 + length) return
      const message = pending.subarray(0, 1 + length)
      pending = pending.subarray(1 + length)
      if (message[0] === LETTER.terminate) return void socket.end()
      batch.push(message)
      if (message[0] !== LETTER.sync && message[0] !== LETTER.query) continue
      const whole = Buffer.concat(batch)
      batch = []
      queue = queue.then(async () => {
        const answer = await turns.run(socket, whole)
        if (socket.writable) socket.write(answer)
      })
    }
  })

  /** The start-up packet has no letter; we answer it ourselves, since PGlite's session is already open. */
  function start(): boolean {
    if (pending.length < 8) return false
    const length = pending.readInt32BE(0)
    const code = pending.readInt32BE(4)
    // Anything else is no client of ours, or asks to cancel a statement, which PGlite can't.
    if (length < 8 || length > LONGEST_STARTUP || (code !== PROTOCOL_3 && code !== SSL_REQUEST)) {
      socket.destroy()
      return false
    }
    if (pending.length < length) return false
    pending = pending.subarray(length)
    if (code === SSL_REQUEST) {
      socket.write('N')
      return start()
    }
    started = true
    socket.write(GREETING)
    return true
  }
}

function message(letter: string, body: Buffer): Buffer {
  const head = Buffer.alloc(5)
  head.write(letter)
  head.writeInt32BE(body.length + 4, 1)
  return Buffer.concat([head, body])
}

const GREETING = Buffer.concat([
  message('R', Buffer.alloc(4)),
  ...[
    ['server_version', '18'],
    ['client_encoding', 'UTF8'],
    ['DateStyle', 'ISO, MDY'],
    ['standard_conforming_strings', 'on'],
    ['integer_datetimes', 'on'],
  ].map(([name, value]) => message('S', Buffer.from(`${name}\0${value}\0`))),
  message('K', Buffer.alloc(8)),
  message('Z', Buffer.from('I')),
])

function simpleQuery(text: string): Buffer {
  return message('Q', Buffer.from(`${text}\0`))
}

/** The last message of an answer is ReadyForQuery; its one byte tells the state of the transaction. */
function endsInTransaction(answer: Buffer): boolean {
  return answer.at(-6) === LETTER.readyForQuery && answer.at(-1) !== 0x49
}
