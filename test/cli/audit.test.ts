import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { sql } from 'kysely'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createAudit } from '../../src/audit/audit.ts'
import { inCircumstances } from '../../src/audit/circumstances.ts'
import { auditEntry, EVENT_TYPES } from '../../src/audit/event.ts'
import { databaseClock as clock } from '../../src/db/clock.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { createPlace, type Place } from './command-line.ts'

/** More than two of the pages that an export reads. */
const EVENTS = 2500
let database: TestDatabase
let place: Place

beforeAll(async () => {
  database = await createTestDatabase()
  place = createPlace(database.url)
  await sql`
    insert into audit_event (at, type, actor, account_id, detail)
    select '2026-01-01'::timestamptz + make_interval(mins => i), 'password.wrong', 'self', 'a' || i, '{"try": 1}'
    from generate_series(1, ${EVENTS}::int) i`.execute(database.db)
  await inCircumstances({ actor: 'command-line', requestId: 'r1', address: 'b2c3' }, () =>
    auditEntry(clock, {
      type: 'account.unlocked',
      accountId: 'anna',
      detail: { passwords: true, codes: null },
    }).execute(database.db),
  )
})
afterAll(async () => {
  place.remove()
  await database.destroy()
})

async function lines(...args: string[]): Promise<Array<Record<string, unknown>>> {
  const { code, out, err } = await place.cli(['audit', 'export', ...args])
  expect({ code, err }).toEqual({ code: 0, err: '' })
  return out
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line))
}

describe('audit export', () => {
  test('writes every event as a line of JSON, oldest first (LOG-01)', async () => {
    const events = await lines()
    expect(events).toHaveLength(EVENTS + 1)
    const ids = events.map(({ id }) => Number(id))
    expect(ids).toEqual(ids.toSorted((a, b) => a - b))
    expect(events[0]).toEqual({
      id: '1',
      at: '2026-01-01T00:01:00.000Z',
      type: 'password.wrong',
      actor: 'self',
      account_id: 'a1',
      client_id: null,
      request_id: null,
      address: null,
      detail: { try: 1 },
    })
    expect(events.at(-1)).toMatchObject({
      type: 'account.unlocked',
      actor: 'command-line',
      account_id: 'anna',
      request_id: 'r1',
      address: 'b2c3',
      detail: { passwords: true },
    })
  })

  test('begins where it is told to', async () => {
    const since = await lines('--since', '2026-01-02T16:30:00Z')
    expect(since[0]).toMatchObject({ at: '2026-01-02T16:30:00.000Z' })
    const elsewhere = await lines('--since', '2026-01-02T17:30:00+01:00')
    expect(elsewhere).toEqual(since)
    const midnight = await lines('--since', '2026-01-02')
    expect(midnight[0]).toMatchObject({ at: '2026-01-02T00:00:00.000Z' })
  })

  test('writes one array with --json, also of nothing', async () => {
    const whole = await place.json(['audit', 'export'])
    expect(whole).toHaveLength(EVENTS + 1)
    expect(await place.json(['audit', 'export', '--since', '2100-01-01'])).toEqual([])
    expect(await lines('--since', '2100-01-01')).toEqual([])
  })

  test.each(['yesterday', '2026-02-30', '1', '2026-01-01T00:00:00'])(
    'refuses the time %j as wrong usage',
    async (time) => {
      const { code, out, err } = await place.cli(['audit', 'export', '--since', time])
      expect({ code, out }).toEqual({ code: 2, out: '' })
      expect(err).toContain('2026-01-31')
    },
  )

  test('ends quietly when nobody reads on', async () => {
    const child = place.start('cli/main.ts', ['audit', 'export'], {})
    let err = ''
    child.stderr.on('data', (chunk) => (err += chunk))
    await once(child.stdout, 'data')
    child.stdout.destroy()
    const [code] = await once(child, 'close')
    expect({ code, err }).toEqual({ code: 0, err: '' })
  })
})

describe('audit events', () => {
  test.each([
    ['changed', sql`update audit_event set type = 'x' where id = 1`],
    ['removed', sql`delete from audit_event where account_id = 'anna'`],
    ['emptied out', sql`truncate audit_event`],
    ['emptied out with others', sql`truncate account, audit_event cascade`],
  ])('can’t be %s, whatever a statement says', async (_, statement) => {
    await expect(statement.execute(database.db)).rejects.toMatchObject({ code: '42501' })
    const { rows } = await sql<{ n: number }>`
      select count(*)::int as n from audit_event where type <> 'x'`.execute(database.db)
    expect(rows).toEqual([{ n: EVENTS + 1 }])
  })

  test('go when they are old enough, a batch at a time', async () => {
    const { db } = database
    await sql`
      insert into audit_event (at, type, actor)
      select now() - make_interval(days => i), 'token.issued', 'system'
      from unnest(array[200, 363, 364, 366, 367, 368]) i`.execute(db)
    const ages = async () => {
      const { rows } = await sql<{ days: number }>`
        select extract(day from now() - at)::int as days from audit_event
        where actor = 'system' order by at desc`.execute(db)
      return rows.map(({ days }) => days)
    }
    const audit = createAudit({ db, clock, retentionDays: 365 })
    await audit.sweep(2)
    expect(await ages()).toEqual([200, 363, 364, 366])
    await audit.sweep(2)
    expect(await ages()).toEqual([200, 363, 364])
    expect(await audit.sweep(2)).toBe(0)
  })

  test('are all described in the documentation', () => {
    const page = readFileSync(join(import.meta.dirname, '../../docs/audit.md'), 'utf8')
    expect(EVENT_TYPES.filter((type) => !page.includes(`\`${type}\``))).toEqual([])
  })
})
