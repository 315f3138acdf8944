import { createHash } from 'node:crypto'
import type { PostgresQueryResult } from 'kysely'
import { DatabaseError } from 'pg'

export type NamedStatements = ReturnType<typeof createNamedStatements>

/** What is used of a connection of `pg`. */
export interface NamedClient {
  query<R>(statement: {
    name?: string
    text: string
    values: unknown[]
  }): Promise<PostgresQueryResult<R>>
}

/** As many as PgBouncer keeps of them by default; each takes memory in every connection's process. */
const NAMED_AT_MOST = 200
/** Texts that were seen lately, among which those are found that come again. */
const REMEMBERED = 1000

/** Codes of PostgreSQL. */
const NO_SUCH_NAME = '26000'
const NAME_IS_TAKEN = '42P05'
const FORGOTTEN = 'RevalidateCachedQuery'

/**
 * Names for the statements that come again and again: the server then reads and plans each of them once a
 * connection, not every time, which is most of the work with the long ones.
 *
 * A name is the hash of its text, so that whatever stands between us and the server, a name never runs another
 * text. Poolers that give each transaction another connection must know of names, as PgBouncer does from 1.21 on with
 * `max_prepared_statements`. Where one turns out not to, names are given up, and the statement is sent without.
 *
 * @param onLost told once, when they are given up
 */
export function createNamedStatements(onLost: () => void) {
  const seen = new Set<string>()
  const names = new Map<string, string>()
  /** what was run over each connection by its name */
  const ran = new WeakMap<NamedClient, Set<string>>()
  let lost = false
  /** moves when the server's plans can't be used any more */
  let generation = 0

  function nameOf(text: string): string | undefined {
    const known = names.get(text)
    if (known || lost || names.size >= NAMED_AT_MOST) return known
    if (!seen.delete(text)) {
      seen.add(text)
      const [oldest] = seen
      if (oldest !== undefined && seen.size > REMEMBERED) seen.delete(oldest)
      return undefined
    }
    const digest = createHash('sha256').update(text).digest('hex').slice(0, 40)
    const name = `sallyport_${generation}_${digest}`
    names.set(text, name)
    return name
  }

  /** Notes what a failure says of names. @returns whether it came of them, so that the statement wasn't run */
  function isOfNames(error: unknown, client: NamedClient, name: string): boolean {
    if (!(error instanceof DatabaseError)) return false
    if (error.routine === FORGOTTEN) {
      // A migration changed what it returns: under another name it is planned anew.
      names.clear()
      generation++
      return true
    }
    // Sent together with one that was to prepare it, and failed.
    const unprepared = error.code === NO_SUCH_NAME && !ran.get(client)?.has(name)
    if (unprepared) return true
    if (error.code !== NO_SUCH_NAME && error.code !== NAME_IS_TAKEN) return false
    if (!lost) onLost()
    lost = true
    names.clear()
    return true
  }

  return {
    /** Queries over one connection, for as long as it is held. */
    over(client: NamedClient) {
      let inTransaction = false
      const known = ran.get(client) ?? new Set()
      ran.set(client, known)

      return async function query<R>(
        text: string,
        values: readonly unknown[],
      ): Promise<PostgresQueryResult<R>> {
        if (values.length === 0) {
          if (/^(begin|start transaction)/i.test(text)) inTransaction = true
          if (/^(commit|rollback)$/i.test(text)) inTransaction = false
          return client.query<R>({ text, values: [] })
        }
        const name = nameOf(text)
        if (!name) return client.query<R>({ text, values: [...values] })
        try {
          const result = await client.query<R>({ name, text, values: [...values] })
          known.add(name)
          return result
        } catch (error) {
          // A transaction has failed with its statement; its caller may begin it again.
          if (!isOfNames(error, client, name) || inTransaction) throw error
          return client.query<R>({ text, values: [...values] })
        }
      }
    },
  }
}
