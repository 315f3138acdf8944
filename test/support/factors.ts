import { randomBytes } from 'node:crypto'
import { type RawBuilder, sql } from 'kysely'
import { Client } from 'pg'
import type { SecurityChange } from '../../src/audit/change.ts'
import { createFingerprints } from '../../src/crypto/fingerprints.ts'
import { createVault } from '../../src/crypto/vault.ts'
import type { Clock } from '../../src/db/clock.ts'
import { late } from '../../src/db/prepared.ts'
import type { Db } from '../../src/db/schema.ts'
import { createTestDatabase } from './database.ts'
import { unindexedReads } from './plans.ts'

export type Factors = Awaited<ReturnType<typeof createFactors>>

/** What the parts of the second factor stand on, over a database of their own. */
export async function createFactors() {
  const { db, url, destroy } = await createTestDatabase()
  // It stands still unless it is moved, so that no test depends on how fast it runs.
  let seconds = Math.floor(Date.now() / 1000)
  const clock: Clock = () => sql<Date>`to_timestamp(${late(() => seconds)}::float8)`
  const changes: SecurityChange[] = []
  let fault: Error | undefined

  return {
    db,
    clock,
    vault: createVault([randomBytes(32)]),
    fingerprint: createFingerprints(randomBytes(32)),
    /** the changes that were told of, in their order */
    changes,

    async onChange(_on: Db, change: SecurityChange): Promise<void> {
      if (fault) throw fault
      changes.push(change)
    },

    /** Lets all that should follow from a change go wrong, until it is called without a fault. */
    failOnChange(error?: Error): void {
      fault = error
    },

    moveClock(by: number): void {
      seconds += by
    },

    async addAccount(username: string): Promise<{ id: string; username: string }> {
      const id = randomBytes(16).toString('base64url')
      await db.insertInto('account').values({ id, username, username_key: username }).execute()
      return { id, username }
    },

    async addPhone(accountId: string): Promise<void> {
      const [id = '', number] = [randomBytes(16).toString('hex'), randomBytes(32)]
      await sql`
        insert into phone (id, account_id, number, number_fingerprint, is_primary, verified_at)
        values (${id}, ${accountId}, ${number}, ${number}, true, now())`.execute(db)
    },

    /** Runs a statement that is made to stand in another one. */
    async run<T>(part: RawBuilder<T>): Promise<T[]> {
      const { rows } = await sql<T>`with part as (${part}) select * from part`.execute(db)
      return rows
    },

    /** Types of the account's audit events, oldest first. */
    async eventsOf(accountId: string): Promise<string[]> {
      const rows = await db
        .selectFrom('audit_event')
        .select('type')
        .where('account_id', '=', accountId)
        .orderBy('id')
        .execute()
      return rows.map(({ type }) => type)
    },

    /** Readings of a table, in any of the statements given, that no index condition helps. */
    async unindexed(statements: ReadonlyArray<RawBuilder<unknown>>): Promise<string[]> {
      const client = new Client({ connectionString: url })
      await client.connect()
      try {
        const found: string[] = []
        for (const statement of statements) {
          const compiled = statement.compile(db)
          found.push(...(await unindexedReads(client, compiled.sql, compiled.parameters)))
        }
        return found
      } finally {
        await client.end()
      }
    },

    destroy,
  }
}
