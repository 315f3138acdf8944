import { connect, createServer } from 'node:net'
import { freePort } from './ports.ts'

/** How a connection is to begin, which a pooler leaves out that isn't set up for it (docs/postgres.md). */
const LEFT_OUT = new Set([
  'statement_timeout',
  'lock_timeout',
  'idle_in_transaction_session_timeout',
  'options',
])

/**
 * Stands before a database like such a pooler, and as if the database had another level of its own. As those do that lend
 * sessions out, it makes up the process that a client may have cancelled.
 */
export async function startForgetfulPooler(database: string) {
  const port = await freePort()
  let early = 0
  const server = createServer((near) => {
    // Of the start, which ends as every statement does.
    let unanswered = 1
    const far = connect(Number(new URL(database).port), '127.0.0.1')
    const end = () => {
      near.destroy()
      far.destroy()
    }
    for (const socket of [near, far]) socket.on('error', end).on('close', end)
    near.once('data', (startup) => {
      far.write(forgetting(startup))
      const read = createReader((type) => {
        if (type === 'S' || type === 'Q') unanswered++
        else if (unanswered > 0 && type !== 'p') early++
      })
      near.on('data', (message) => {
        read(message)
        far.write(message)
      })
    })
    let failed = false
    const read = createReader((type, message) => {
      const late = failed && type === 'Z'
      failed = type === 'E'
      const pass = () => {
        if (type === 'Z') unanswered--
        near.write(madeUp(message))
      }
      // A failure comes before all that belongs to it.
      if (late) setTimeout(pass, 20)
      else pass()
    })
    far.on('data', read)
  })
  await new Promise<void>((listening) => server.listen(port, '127.0.0.1', listening))
  return {
    url: Object.assign(new URL(database), { hostname: '127.0.0.1', port: String(port) }).href,
    /** how many messages came before what was asked was answered to its end */
    early: () => early,
    /** To be called when nobody is connected any more. */
    close: () => new Promise((closed) => server.close(closed)),
  }
}

/** StartupMessage: its length, the version of the protocol, and names and values. */
function forgetting(startup: Buffer): Buffer {
  const said = startup.subarray(8).toString().split('\0')
  const kept: string[] = []
  for (let at = 0; said[at]; at += 2) {
    const [name = '', value = ''] = said.slice(at, at + 2)
    if (!LEFT_OUT.has(name)) kept.push(name, value)
  }
  kept.push('default_transaction_isolation', 'serializable')
  const body = Buffer.from(`${kept.join('\0')}\0\0`)
  const head = Buffer.from(startup.subarray(0, 8))
  head.writeInt32BE(body.length + 8, 0)
  return Buffer.concat([head, body])
}

/** BackendKeyData: its length, a process and a key. */
const KEY_DATA = Buffer.from('K\0\0\0\x0c')

function madeUp(answer: Buffer): Buffer {
  const at = answer.indexOf(KEY_DATA)
  if (at >= 0) answer.writeInt32BE(1, at + KEY_DATA.length)
  return answer
}

/** Tells of each message with its type, however they come in pieces. */
function createReader(tell: (type: string, message: Buffer) => void) {
  let rest: Buffer<ArrayBufferLike> = Buffer.alloc(0)
  return (piece: Buffer) => {
    rest = Buffer.concat([rest, piece])
    while (rest.length >= 5 && rest.length > rest.readInt32BE(1)) {
      const end = rest.readInt32BE(1) + 1
      tell(String.fromCharCode(rest[0] ?? 0), rest.subarray(0, end))
      rest = rest.subarray(end)
    }
  }
}
