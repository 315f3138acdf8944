import { type CompiledQuery, Kysely, PostgresDialect, sql } from 'kysely'
import { Client, Pool } from 'pg'
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { createThrottle } from '../../src/accounts/throttle.ts'
import { createTries } from '../../src/accounts/tries.ts'
import { databaseClock as clock } from '../../src/db/clock.ts'
import type { Database, Db } from '../../src/db/schema.ts'
import { keepHouse } from '../../src/housekeeping.ts'
import { createLog } from '../../src/log.ts'
import { createMessages } from '../../src/messaging/messages.ts'
import { NOTHING } from '../../src/oidc/batch.ts'
import { endGiven, endManaging } from '../../src/oidc/given.ts'
import { createRecords } from '../../src/oidc/records.ts'
import { createChallengeStatements } from '../../src/second-factor/challenge-statements.ts'
import { secondFactorState } from '../../src/second-factor/enrolled.ts'
import { sweepAlerts } from '../../src/second-factor/send-alerts.ts'
import { createSendGrants } from '../../src/second-factor/send-grants.ts'
import { sweepSendLimits } from '../../src/second-factor/send-limits.ts'
import { createSendTraffic } from '../../src/second-factor/send-traffic.ts'
import { burst, createFlow } from '../support/flow.ts'
import { type House, PASSWORD, PHONES, startHouse } from '../support/house.ts'
import { unindexedReads } from '../support/plans.ts'

const EXPIRED = 1200
const LIVE = 300
let house: House
let explainer: Client

beforeAll(async () => {
  house = await startHouse()
  await house.addClient('app')
  await house.addAccount('alex')
  explainer = new Client({ connectionString: house.database.url })
  await explainer.connect()
})
afterAll(async () => {
  await explainer.end()
  await house.stop()
})

const TABLES = [
  'oidc_record',
  'challenge',
  'send_limit',
  'send_traffic',
  'send_day',
  'send_alert',
  'sign_in_attempt',
  'message',
] as const
type Swept = (typeof TABLES)[number]

/** Each table's own way to sweep. */
const sweeps: Record<Swept, (db: Kysely<Database>, batch: number) => Promise<number>> = {
  oidc_record: (db, batch) => createRecords({ ...house.rooms, db, clock }).sweep(batch),
  challenge: async (db, batch) => {
    const { otp, sms } = house.config
    const { allowedCountries } = sms
    const rules = { ...otp, allowedCountries, holdOffSeconds: 0, sharing: 'allow' } as const
    const grants = createSendGrants(clock, sms.limits)
    return removed(createChallengeStatements(clock, rules, grants).sweep(batch).execute(db))
  },
  send_limit: (db, batch) => sweepSendLimits(db, clock, batch),
  send_traffic: (db, batch) => removed(createSendTraffic(clock).sweep(batch).execute(db)),
  send_day: (db, batch) => removed(createSendTraffic(clock).sweepDays(batch).execute(db)),
  send_alert: (db, batch) => removed(sweepAlerts(clock, batch).execute(db)),
  sign_in_attempt: (db, batch) => createThrottle({ db, clock }).sweep(batch),
  message: (db, batch) => createMessages({ db, clock }).sweep(batch),
}

async function removed(result: Promise<{ numAffectedRows?: bigint }>): Promise<number> {
  return Number((await result).numAffectedRows)
}

/** Fills every table: of its rows the first `EXPIRED` are due, the next `LIVE` only almost. */
async function fill(): Promise<void> {
  const { db } = house
  const age = (due: string, live: string) =>
    sql`now() - case when i <= ${EXPIRED}::int then ${due}::interval else ${live}::interval end`
  const rows = sql`generate_series(1, ${EXPIRED + LIVE}::int) i`
  const key = sql`sha256(int4send(i))`
  await sql`truncate oidc_record, challenge, send_limit, send_traffic, send_day, send_alert, sign_in_attempt, message`.execute(
    db,
  )
  await sql`insert into oidc_record (key, model, payload, expires_at)
    select ${key}, 'Session', '\\x00', ${age('1 second', '-1 minute')} from ${rows}`.execute(db)
  await sql`insert into oidc_record (key, model, payload)
    values ('\\x01', 'Never', '\\x00')`.execute(db)
  await sql`insert into challenge (id, interaction, browser, account_id, phone_id, counter,
      created_at, expires_at, last_sent_at)
    select 'c' || i, ${key}, ${key}, account_id, phone.id, i + 1000, now(),
      ${age('61 minutes', '59 minutes')}, now() from (select * from phone order by id limit 1) phone, ${rows}`.execute(
    db,
  )
  await sql`insert into send_limit (key, slot, slots)
    select ${key}, floor(extract(epoch from ${age('27 hours', '24 hours')}) / 300), array_fill(1, array[13])
    from ${rows}`.execute(db)
  await sql`insert into send_traffic (country, slot, sends, passes)
    select 'c' || i, floor(extract(epoch from ${age('25 hours', '23 hours 50 minutes')}) / 300), 1, 0 from ${rows}`.execute(
    db,
  )
  await sql`insert into send_day (country, day, passes)
    select 'c' || i, floor(extract(epoch from ${age('14 days', '13 days')}) / 86400), 1 from ${rows}`.execute(
    db,
  )
  await sql`insert into send_alert (name, until)
    select 'a' || i, ${age('1 second', '-1 minute')} from ${rows}`.execute(db)
  await sql`insert into sign_in_attempt (key, failures, last_at)
    select ${key}, 1, ${age('25 hours', '23 hours')} from ${rows}`.execute(db)
  await sql`insert into sign_in_attempt (key, failures, last_at, locked_until)
    values ('\\x01', 99, now() - interval '2 days', now() + interval '1 hour')`.execute(db)
  await sql`insert into message (id, challenge_id, channel, gateway, parts, state, created_at, updated_at)
    select 'm' || i, 'c' || i, 'sms', 'textbee', 1, 'accepted', ${age('31 days', '29 days')}, now()
    from ${rows}`.execute(db)
  await sql`insert into client (id, metadata) select 'client' || i, '{}' from ${rows}
    on conflict do nothing`.execute(db)
  await sql`insert into account (id, username, username_key)
    select 'a' || i, i, i from ${rows} on conflict do nothing`.execute(db)
  await sql`insert into second_factor (account_id)
    select 'a' || i from ${rows} on conflict do nothing`.execute(db)
  await sql`insert into phone (id, account_id, number, number_fingerprint, is_primary, pending)
    select 'p' || i, 'a' || i, '', ${key}, true, i % 2 = 0 from ${rows} on conflict do nothing`.execute(
    db,
  )
  await sql`insert into authenticator (id, account_id, secret, confirmed_at, created_at)
    select 't' || i, 'a' || i, '', now(), now() from ${rows} on conflict do nothing`.execute(db)
  await sql`analyze`.execute(db)
}

/** What some work sends to the database. */
async function sentBy(work: (db: Db) => Promise<unknown>): Promise<CompiledQuery[]> {
  const sent: CompiledQuery[] = []
  const pool = new Pool({ connectionString: house.database.url, max: 1 })
  const db = new Kysely<Database>({
    dialect: new PostgresDialect({ pool }),
    log: ({ query }) => void sent.push(query),
  })
  await work(db)
  await db.destroy()
  return sent
}

async function left(table: Swept): Promise<number> {
  const { rows } = await sql<{ n: number }>`
    select count(*)::int as n from ${sql.table(table)}`.execute(house.db)
  return rows[0]?.n ?? 0
}

/** Rows that stay: the live ones, and one that never expires or is locked. */
const staying = (table: Swept) =>
  LIVE + (table === 'oidc_record' || table === 'sign_in_attempt' ? 1 : 0)

describe.each(TABLES)('sweeping %s (CHL-22)', (table) => {
  beforeEach(fill)

  test('takes what is due, a batch at a time, and leaves what is alive', async () => {
    const sweep = () => sweeps[table](house.db, 500)
    expect([await sweep(), await sweep(), await sweep(), await sweep()]).toEqual([500, 500, 200, 0])
    expect(await left(table)).toBe(staying(table))
  })

  test('works beside other sweepers and isn’t held up by a row in use', async () => {
    await explainer.query('begin')
    await explainer.query(`select from ${table} for update limit 1`)
    const swept = await burst(4, async () => {
      let sum = 0
      for (let n = 1; n > 0; sum += n) n = await sweeps[table](house.db, 100)
      return sum
    })
    await explainer.query('rollback')
    const sum = swept.reduce((a, b) => a + b)
    expect(EXPIRED - sum).toBeLessThanOrEqual(1)
    await sweeps[table](house.db, 100)
    expect(await left(table)).toBe(staying(table))
  })

  test('finds what is due by an index', async () => {
    const sent = await sentBy((db) => sweeps[table](db, 500))
    expect(sent).toHaveLength(1)
    for (const { sql, parameters } of sent)
      expect(await unindexedReads(explainer, sql, parameters)).toEqual([])
  })
})

describe('the plan', () => {
  beforeAll(fill)

  test('of every statement of a sign-in finds its rows by indexes', async () => {
    await house.addAccount('planned', PHONES[1])
    house.statements.length = 0
    const flow = createFlow(house, { client: { id: 'app', secret: '' } })
    await flow.toCode('planned')
    await flow.page()
    await flow.step('resend')
    await flow.code('1')
    const query = await flow.resume(await flow.code(house.lastCode(PHONES[1])))
    await flow.redeem(query.get('code') ?? '')
    // What several do at once, they do by statements of its own kind.
    await burst(6, async (i) => {
      const many = createFlow(house, { client: { id: 'app', secret: '' } })
      await house.addAccount(`several${i}`, PHONES[2])
      await many.begin()
      return many.password(`several${i}`, PASSWORD)
    })
    const seen = new Set(house.statements)
    expect(seen.size).toBeGreaterThan(10)
    for (const statement of seen)
      expect({ statement, reads: await unindexedReads(explainer, statement) }).toEqual({
        statement,
        reads: [],
      })
  })

  test('of what a client was given finds it among all others by an index, however much it is', async () => {
    await sql`insert into oidc_record (key, model, payload, client_id)
      select sha256(('given' || i)::bytea), 'RefreshToken', '\\x00', 'client1'
      from generate_series(1, 10001) i`.execute(house.db)
    const sent = await sentBy(async (db) => {
      await endGiven(db, 'client1', { managing: false })
      await endManaging(db, 'client1')
    })
    expect(sent).toHaveLength(3)
    for (const { sql, parameters } of sent)
      expect(await unindexedReads(explainer, sql, parameters)).toEqual([])
    const given = house.db.selectFrom('oidc_record').where('client_id', '=', 'client1')
    expect(await given.select('key').execute()).toEqual([])
  })

  test('of a record’s look-up goes by keys while PostgreSQL knows nothing of the table yet', async () => {
    const lookUps = await sentBy(async (db) => {
      const { find, findByUid, findByUserCode } = createRecords({ ...house.rooms, db, clock })
      const looks = [() => find(Buffer.alloc(32)), () => findByUid('x'), () => findByUserCode('x')]
      for (const look of looks) {
        await look()
        await Promise.all([look(), look()])
      }
    })
    expect(lookUps).toHaveLength(6)
    expect(lookUps.filter(({ sql }) => sql.includes('generate_series'))).toHaveLength(3)
    const writes = await sentBy(async (db) => {
      const { write } = createRecords({ ...house.rooms, db, clock })
      const keys = [Buffer.alloc(32, 1), Buffer.alloc(32, 2)]
      await Promise.all(keys.map((key) => write({ ...NOTHING, consumed: [key], required: [key] })))
    })
    expect(writes[0]?.sql).toContain('skip locked')
    await sql`truncate oidc_record`.execute(house.db)
    await explainer.query('reset all')
    for (const lookUp of lookUps) {
      const { rows } = await explainer.query(`explain (generic_plan) ${lookUp.sql}`)
      const scans = JSON.stringify(rows).match(/\w+ Scan( using \w+)? on oidc_record/g)
      expect(scans).toEqual([
        expect.stringMatching(/^Index Scan using oidc_record_(pkey|uid|user_code) /),
        'Index Scan using oidc_record_pkey on oidc_record',
        'Index Scan using oidc_record_uid on oidc_record',
      ])
    }
    // Nor, as it fills, by what nearly all of it has in common: it is planned once, and the plan is kept.
    for (let rows = 25; rows <= 12_800; rows *= 2) {
      await sql`
        insert into oidc_record (key, model, payload, uid_key, expires_at)
        select sha256(convert_to(${rows}::int || ' ' || i, 'UTF8')), 'Session', sha256(int4send(i)),
          sha256(convert_to(${rows}::int || ' ' || i, 'UTF8')), now() + interval '1 hour'
        from generate_series(1, ${rows}::int) i`.execute(house.db)
      for (const lookUp of [...lookUps, ...writes]) {
        const plan = await explainer.query(`explain (generic_plan) ${lookUp.sql}`)
        expect(JSON.stringify(plan.rows)).not.toMatch(/oidc_record_expires|Seq Scan on oidc/)
      }
    }
  })

  test('of what ends several tries goes by keys, however few there are', async () => {
    const sent = await sentBy(async (db) => {
      const throttle = createThrottle({ db, clock })
      const tries = createTries({ db, clock, throttle, secondFactorOf: secondFactorState(clock) })
      await Promise.all([1, 2].map((n) => tries.succeed({ key: Buffer.alloc(32, n), id: 'x' })))
    })
    expect(sent).toHaveLength(1)
    await sql`truncate sign_in_attempt`.execute(house.db)
    await explainer.query('reset all')
    for (let rows = 25; rows <= 800; rows *= 2) {
      await sql`
        insert into sign_in_attempt (key, failures, pending, last_at)
        select sha256(convert_to(${rows}::int || ' ' || i, 'UTF8')), 1, 0, now()
        from generate_series(1, ${rows}::int) i`.execute(house.db)
      const plan = await explainer.query(`explain (generic_plan) ${sent[0]?.sql}`)
      expect(JSON.stringify(plan.rows)).not.toContain('Seq Scan on sign_in_attempt')
    }
  })

  test('of a statement without an index is told from one with', async () => {
    expect(await unindexedReads(explainer, 'select from message where detail = $1')).toEqual([
      'Seq Scan on message',
    ])
    expect(await unindexedReads(explainer, 'select from message where id = $1')).toEqual([])
  })
})

describe('the housekeeper', () => {
  test('goes through the rooms every minute, in batches, and past a room that fails', async () => {
    vi.useFakeTimers()
    const log = createLog('silent', false)
    const failing = { sweep: vi.fn(() => Promise.reject(new Error('no'))) }
    let backlog = 600 * 60 * 2
    const flooded = {
      sweep: vi.fn(async (batch: number) => {
        const swept = Math.min(batch, backlog)
        backlog -= swept
        return swept
      }),
    }
    const last = { sweep: vi.fn(async () => 0) }
    const keeper = keepHouse([failing, flooded, last], log)
    await vi.advanceTimersByTimeAsync(61_000)
    // Two rows for each of 600 refreshes a second are worked off in the round that finds them.
    expect(backlog).toBe(0)
    expect(failing.sweep).toHaveBeenCalledTimes(1)
    expect(last.sweep).toHaveBeenCalledTimes(1)
    expect(flooded.sweep.mock.invocationCallOrder[1]).toBeGreaterThan(
      last.sweep.mock.invocationCallOrder[0] ?? Number.POSITIVE_INFINITY,
    )

    // However much there is, some of each minute is left to others, and each room has its turn.
    backlog = Number.POSITIVE_INFINITY
    await vi.advanceTimersByTimeAsync(58_000)
    expect(failing.sweep).toHaveBeenCalledTimes(1)
    await vi.advanceTimersByTimeAsync(42_000)
    const calls = flooded.sweep.mock.calls.length
    expect(calls).toBeGreaterThan(1000)
    expect([failing, last].map(({ sweep }) => sweep.mock.calls.length)).toEqual([2, 2])
    await vi.advanceTimersByTimeAsync(10_000)
    expect(flooded.sweep).toHaveBeenCalledTimes(calls)

    await vi.advanceTimersByTimeAsync(10_000)
    keeper.stop()
    const stopped = flooded.sweep.mock.calls.length
    expect(stopped).toBeGreaterThan(calls)
    await vi.advanceTimersByTimeAsync(180_000)
    expect(flooded.sweep).toHaveBeenCalledTimes(stopped)
    vi.useRealTimers()
  })
})
