import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { CompiledQuery, sql } from 'kysely'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createRecords } from '../../src/oidc/records.ts'
import { signInToAccount } from '../support/account.ts'
import { createFlow } from '../support/flow.ts'
import { type House, startHouse } from '../support/house.ts'
import { postTo } from '../support/proofs.ts'

/** What `docs/postgres.md` has people run. */
const FILE = join(import.meta.dirname, '../../deploy/postgres/partition.sql')

let house: House
beforeAll(async () => {
  house = await startHouse()
})
afterAll(() => house.stop())

/** Columns, indexes and triggers of both tables, and what stands in them. */
async function look() {
  const columns = sql`
    select table_name, column_name, data_type, is_nullable from information_schema.columns
    where table_name in ('oidc_record', 'audit_event') order by table_name, ordinal_position`
  const indexes = sql<{ text: string }>`
    select replace(indexdef, ' ON ONLY ', ' ON ') as text from pg_indexes
    where tablename in ('oidc_record', 'audit_event') order by indexname`
  const triggers = sql`
    select pg_get_triggerdef(oid) from pg_trigger
    where tgrelid = 'audit_event'::regclass and not tgisinternal order by tgname`
  return {
    columns: (await columns.execute(house.db)).rows,
    indexes: (await indexes.execute(house.db)).rows.map(({ text }) => text),
    triggers: (await triggers.execute(house.db)).rows,
    records: await house.db.selectFrom('oidc_record').selectAll().orderBy('key').execute(),
    events: await house.db.selectFrom('audit_event').selectAll().orderBy('id').execute(),
  }
}

test('records in partitions by hash and events in partitions by time serve as before, with all there was', async () => {
  const client = await house.addClient('app', { grants: ['authorization_code', 'refresh_token'] })
  await house.addClient('tv', { name: 'TV', public: true, grants: ['device_code'] })
  const { id } = await house.addAccount('alex')
  const flow = createFlow(house, { client })
  const code = (await flow.complete('alex')).get('code') ?? ''
  const { status, body } = await flow.redeem(code)
  expect(status).toBe(200)
  await sql`
    insert into oidc_record (key, model, payload, expires_at)
    values ('over', 'Session', '', now() - interval '1 day')`.execute(house.db)
  await sql`
    insert into audit_event (at, type, actor) values (now() - interval '400 days', 'session.ended', 'self')
  `.execute(house.db)

  const before = await look()
  await house.db.executeQuery(CompiledQuery.raw(readFileSync(FILE, 'utf8')))
  expect(await look()).toEqual({
    ...before,
    indexes: before.indexes.map((text) =>
      text
        .replace('UNIQUE INDEX oidc_record_user_code', 'INDEX oidc_record_user_code')
        .replace(/(INDEX audit_event_pkey .+)\(id\)/, '$1(id, at)'),
    ),
  })
  expect(before.records.length).toBeGreaterThan(3)

  const renewal = { grant_type: 'refresh_token', refresh_token: String(body.refresh_token) }
  const renewed = await flow.redeem('', renewal)
  expect(renewed.status).toBe(200)
  // Single use, and what hangs on it.
  expect((await flow.redeem('', renewal)).body.error).toBe('invalid_grant')
  const last = { ...renewal, refresh_token: String(renewed.body.refresh_token) }
  expect((await flow.redeem('', last)).body.error).toBe('invalid_grant')

  const me = await signInToAccount(house, 'alex')
  expect(await me.text('/account/history')).toContain('Signed in')
  const ids = (await look()).events.map((event) => event.id)
  expect(new Set(ids).size).toBe(ids.length)
  const asked = await postTo(house.url, '/device/auth', { client_id: 'tv', scope: 'openid' })
  const { html } = await me.get('/device')
  const xsrf = /name="xsrf" value="([^"]+)"/.exec(html)?.[1] ?? ''
  const question = await me.flow.post('/device', { xsrf, user_code: String(asked.body.user_code) })
  expect(question.html).toContain(String(asked.body.user_code))
  expect(question.html).toContain('Is this your device?')

  expect(await createRecords({ ...house.rooms, db: house.db, clock: house.clock }).sweep(10)).toBe(
    1,
  )
  expect(await house.rooms.audit.sweep(10)).toBe(1)
  await expect(
    sql`delete from audit_event where account_id = ${id}`.execute(house.db),
  ).rejects.toThrow('only ever added')
})
