import type { PoolClient } from 'pg'

export type Directness = ReturnType<typeof createDirectness>

/** What a connection leads to: the server itself, a pooler, or nothing that answers. */
type End = 'server' | 'pooler' | 'nothing'

/**
 * Over a connection to the server itself, statements may be sent before those in front of them are answered. Poolers
 * mix up whose answer is whose then. So of each new connection it is asked whether one stands in between, and until
 * that is known, and where one does, `pg` sends one statement after the other, as it does by itself.
 */
export function createDirectness() {
  const ends = new WeakMap<object, End>()
  let newest: End | undefined

  return {
    /** Whether there is a point in sharing, by the newest connection that told. */
    isLikely: () => newest === 'server',
    /** undefined until it is known. */
    endOf: (client: object): End | undefined => ends.get(client),

    /** To be called with a new connection; what is asked over it next waits for the answer. */
    async look(client: PoolClient): Promise<void> {
      const end = await leadsTo(client).catch((): End => 'nothing')
      ends.set(client, end)
      // One that was lost says nothing of the others.
      if (end !== 'nothing') newest = end
      if (end === 'server') Object.assign(client, { pipeline: true })
    },
  }
}

/**
 * A pooler that lends sessions out makes up the process that a client may have cancelled (BackendKeyData), and some
 * count it, so that it may be one there is. But its sessions are older than our connection.
 */
async function leadsTo(client: PoolClient): Promise<End> {
  const { rows } = await client.query<{ pid: number; fresh: boolean }>(
    `select pid, backend_start > clock_timestamp() - interval '10 seconds' as fresh
     from pg_stat_get_activity(pg_backend_pid())`,
  )
  const [session] = rows
  const own = session?.fresh === true && 'processID' in client && session.pid === client.processID
  return own ? 'server' : 'pooler'
}
