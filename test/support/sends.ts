import { Kysely, PostgresDialect, type RawBuilder, sql } from 'kysely'
import { Pool } from 'pg'
import { vi } from 'vitest'
import { retrying } from '../../src/db/faults.ts'
import type { Database, Db } from '../../src/db/schema.ts'
import {
  createSendGrants,
  type GrantVerdict,
  type SendLimitRules,
  type SendRefusalReason,
} from '../../src/second-factor/send-grants.ts'
import { movedClock } from './clock.ts'
import { createTestDatabase } from './database.ts'

const PLENTY = 1_000_000
export const NO_LIMITS: SendLimitRules = {
  phoneHour: PLENTY,
  phoneDay: PLENTY,
  addressHour: PLENTY,
  prefixHour: PLENTY,
  prefixUnanswered: PLENTY,
  countryHour: undefined,
  globalHour: PLENTY,
  globalDay: PLENTY,
  unanswered: PLENTY,
}

/** What a send is counted under; whatever isn't said is the same for all. */
export interface Asked {
  account?: 'anna' | 'bert'
  number?: string
  /** null for a number from before there were fingerprints of blocks */
  prefix?: string | null
  country?: string
  address?: string
  starts?: boolean
  stranger?: boolean
  /** as strange as it is, unless that is said */
  newcomer?: boolean
}

/** A moment in the middle of its five minutes, its hour and its day, so that nothing turns over by itself. */
const NOON = '2030-01-02 12:32:30+00'

export type Sends = Awaited<ReturnType<typeof startSends>>

/** The statement part that grants sends, on a database of its own with two accounts and a clock that only tests move. */
export async function startSends() {
  const database = await createTestDatabase()
  const { db } = database
  for (const id of ['anna', 'bert']) {
    await sql`insert into account (id, username, username_key) values (${id}, ${id}, ${id})`.execute(
      db,
    )
    await sql`insert into second_factor (account_id) values (${id})`.execute(db)
  }
  let offset = 0
  const clock = movedClock(() => offset, sql`${NOON}::timestamptz`)

  const sends = {
    db,
    url: database.url,
    clock,

    moveClock(seconds: number): void {
      offset += seconds
    },

    statement(rules: Partial<SendLimitRules>, asked: Asked = {}): RawBuilder<GrantVerdict> {
      const { account = 'anna', number = 'a number', prefix = 'a block', country = 'SE' } = asked
      const grants = createSendGrants(clock, { ...NO_LIMITS, ...rules })
      return sql`
        with ready as (
          select ${account}::text as account_id, ${Buffer.from(number)}::bytea as number_fingerprint,
            ${prefix === null ? null : Buffer.from(prefix)}::bytea as prefix_fingerprint, ${country}::text as country,
            ${asked.stranger ?? true}::bool as stranger, ${asked.newcomer ?? asked.stranger ?? true}::bool as newcomer
        ),
        ${grants.ctes(Buffer.from(asked.address ?? 'an address'), asked.starts ?? true)}
        select ${grants.verdict}`
    },

    async one(rules: Partial<SendLimitRules>, asked?: Asked): Promise<GrantVerdict> {
      const text = sends.statement(rules, asked)
      const { rows } = await retrying(() => text.execute(db))
      const [verdict] = rows
      if (!verdict) throw new Error('a send had no verdict')
      return verdict
    },

    /** Why each of some sends, one after the other, was refused. */
    async row(
      count: number,
      rules: Partial<SendLimitRules>,
      asked?: Asked,
    ): Promise<Array<SendRefusalReason | null>> {
      const all: Array<SendRefusalReason | null> = []
      for (let i = 0; i < count; i++) all.push((await sends.one(rules, asked)).refused_by)
      return all
    },

    /**
     * All at once, over two pools as two instances have them; each is tried again after a deadlock. The first of
     * them are held up until they all have begun, so that none knows of another's send.
     * @param lock takes what they wait for; the accounts, unless it is said
     */
    async burst(
      statements: ReadonlyArray<RawBuilder<GrantVerdict>>,
      lock: RawBuilder<unknown> = sql`select from second_factor for update`,
    ): Promise<{ verdicts: GrantVerdict[]; deadlocks: number }> {
      const pools = [connect(database.url), connect(database.url)]
      let tries = 0
      const answers = await db.transaction().execute(async (trx) => {
        await lock.execute(trx)
        const all = statements.map((statement, index) =>
          retrying(() => {
            tries++
            return statement.execute(pools[index % pools.length] ?? db)
          }),
        )
        await vi.waitUntil(async () => (await held(db)) === pools.length * CONNECTIONS, 20_000)
        return { all }
      })
      const done = await Promise.all(answers.all)
      await Promise.all(pools.map((pool) => pool.destroy()))
      return { verdicts: done.flatMap(({ rows }) => rows), deadlocks: tries - statements.length }
    },

    /** Details of every event of a type, oldest first. */
    async events(type: string): Promise<unknown[]> {
      const rows = await db
        .selectFrom('audit_event')
        .select('detail')
        .where('type', '=', type)
        .orderBy('id')
        .execute()
      return rows.map(({ detail }) => detail)
    },

    /** As if nothing had been sent yet, at the first moment. */
    async reset(): Promise<void> {
      offset = 0
      await sql`truncate send_limit, send_traffic, send_day, send_alert`.execute(db)
      await sql`
        update second_factor set sends_since_success = 0, starts_since_success = 0, last_send_at = null`.execute(
        db,
      )
    },

    stop: () => database.destroy(),
  }
  return sends
}

/** Connections of one instance, and so the statements it can have under way. */
const CONNECTIONS = 5

function connect(url: string): Db {
  return new Kysely<Database>({
    dialect: new PostgresDialect({
      pool: new Pool({ connectionString: url, max: CONNECTIONS }),
    }),
  })
}

/** How many statements wait for a lock; asked outside of a transaction, in which the answer would stay the same. */
async function held(db: Db): Promise<number> {
  const { rows } = await sql<{ held: number }>`
    select count(*)::int as held from pg_stat_activity
    where datname = current_database() and wait_event_type = 'Lock'`.execute(db)
  return rows[0]?.held ?? 0
}
