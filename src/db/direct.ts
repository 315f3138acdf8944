import type { PoolClient } from 'pg'

export type Directness = ReturnType<typeof createDirectness>

/** Says that statements can't share a connection. */
export class NotDirect extends Error {
  override readonly name = 'NotDirect'
}

/**
 * Over a connection to the server itself, statements may be sent before those in front of them are answered. Poolers
 * mix up whose answer is whose then. So of each new connection it is asked whether one stands in between, and until
 * that is known, and where one does, `pg` sends one statement after the other, as it does by itself.
 */
export function createDirectness() {
  const direct = new WeakSet<object>()
  const unanswered = new WeakSet<object>()
  let newestIs = false

  return {
    /** Whether there is a point in sharing, by the newest connection. */
    isLikely: () => newestIs,
    isDirect: (client: object) => direct.has(client),
    /** Whether it gave no answer, and so will never be known to be direct. */
    isUnknown: (client: object) => unanswered.has(client),

    /** To be called with a new connection; what is asked over it next waits for the answer. */
    async look(client: PoolClient): Promise<void> {
      const is = await leadsToServer(client).catch(() => undefined)
      // One that was lost says nothing of the others.
      newestIs = is ?? newestIs
      if (is === undefined) unanswered.add(client)
      if (!is) return
      direct.add(client)
      Object.assign(client, { pipeline: true })
    },
  }
}

/**
 * A pooler that lends sessions out makes up the process that a client may have cancelled (BackendKeyData), and some
 * count it, so that it may be one there is. But its sessions are older than our connection.
 */
async function leadsToServer(client: PoolClient): Promise<boolean> {
  const { rows } = await client.query<{ pid: number; fresh: boolean }>(
    `select pid, backend_start > clock_timestamp() - interval '10 seconds' as fresh
     from pg_stat_get_activity(pg_backend_pid())`,
  )
  const [session] = rows
  return session?.fresh === true && 'processID' in client && session.pid === client.processID
}
