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
 * Stands before a database like such a pooler, and as if the database had another level of its own. As all poolers do,
 * it makes up the process that a client may have cancelled.
 */
export async function startForgetfulPooler(database: string) {
  const port = await freePort()
  const server = createServer((near) => {
    const far = connect(Number(new URL(database).port), '127.0.0.1')
    const end = () => {
      near.destroy()
      far.destroy()
    }
    for (const socket of [near, far]) socket.on('error', end).on('close', end)
    near.once('data', (startup) => {
      far.write(forgetting(startup))
      near.pipe(far)
    })
    far.on('data', (answer) => near.write(madeUp(answer)))
  })
  await new Promise<void>((listening) => server.listen(port, '127.0.0.1', listening))
  return {
    url: Object.assign(new URL(database), { hostname: '127.0.0.1', port: String(port) }).href,
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
