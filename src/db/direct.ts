import type { PoolClient } from 'pg'

/**
 * Whether statements may be sent over a connection before those before them are answered. To the server itself they
 * may; poolers have mixed up whose answer is whose. So it is asked of every new connection whether one stands between.
 */
export function createSharing() {
  let direct = false
  let pooled = false

  return {
    isSafe: () => direct && !pooled,

    /** To be called with a new connection before anything is asked over it. */
    verify(client: PoolClient, done: (error?: Error) => void): void {
      isDirect(client).then((is) => {
        const shared = direct && !pooled
        if (is) direct = true
        else pooled = true
        // Somebody may count on sharing it already.
        done(is || !shared ? undefined : new Error('Connection terminated: a pooler is in between'))
      }, done)
    },
  }
}

/** A pooler makes up the process that a client may have cancelled (PostgreSQL's BackendKeyData). */
async function isDirect(client: PoolClient): Promise<boolean> {
  const { rows } = await client.query<{ pid: number }>('select pg_backend_pid() as pid')
  return 'processID' in client && rows[0]?.pid === client.processID
}
