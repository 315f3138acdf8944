import { unhurried } from './deadline.ts'

/** More would wait for each other longer than for a connection of their own. */
const MOST = 16

const MARK = ' /* together */'

/** The text of a statement that shares its connection with others: a short one that waits for no lock. */
export const sharing = (sql: string): string => sql + MARK
export const isSharing = (sql: string): boolean => sql.endsWith(MARK)

/** A connection over which statements can be asked one behind the other. */
export interface Shared {
  /** Keeps what is asked until `send`. */
  hold(): void
  send(): void
  release(): void
}

interface Batch<C> {
  coming: Promise<C | undefined>
  size: number
  unanswered: number
  /** once it has, nobody joins any more */
  left: boolean
}

/**
 * Statements that are asked in one turn of the event loop share a connection: they go out in one system call and are
 * run one behind the other, each a transaction of its own. Where there is much to do, a round trip's price is shared by
 * several; where there is little, nothing waits. Only those may that are short and wait for no lock: others would wait
 * behind them.
 *
 * @param take takes a connection from the pool, if there is one to share
 * @returns runs a statement over a shared connection; undefined if there is none, and it wasn't run
 */
export function createTogether<C extends Shared>(take: () => Promise<C | undefined>) {
  let open: Batch<C> | undefined

  function joined(): Batch<C> {
    if (!open || open.size === MOST) open = begun()
    open.size++
    open.unanswered++
    return open
  }

  function begun(): Batch<C> {
    // For all of them, who may have more time than the first.
    const coming = unhurried(take)
    const batch = { coming, size: 0, unanswered: 0, left: false }
    coming.then(
      (connection) => {
        if (!connection) return leave(batch)
        connection.hold()
        setImmediate(() => {
          leave(batch)
          connection.send()
          if (batch.unanswered === 0) connection.release()
        })
      },
      () => leave(batch),
    )
    return batch
  }

  function leave(batch: Batch<C>): void {
    batch.left = true
    if (open === batch) open = undefined
  }

  return async <T>(ask: (connection: C) => Promise<T>): Promise<T | undefined> => {
    const batch = joined()
    const connection = await batch.coming
    if (!connection) return undefined
    try {
      return await ask(connection)
    } finally {
      batch.unanswered--
      if (batch.left && batch.unanswered === 0) connection.release()
    }
  }
}
