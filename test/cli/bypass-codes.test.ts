import { afterAll, beforeAll, expect, test } from 'vitest'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { createPlace, type Place } from './command-line.ts'

let database: TestDatabase
let place: Place

beforeAll(async () => {
  database = await createTestDatabase()
  place = createPlace(database.url)
})
afterAll(async () => {
  place.remove()
  await database.destroy()
})

test('bypass-code issue prints a code that replaces the one before it, and keeps the reason', async () => {
  const { db } = database
  await db
    .insertInto('account')
    .values({ id: 'a1', username: 'anna', username_key: 'anna' })
    .execute()
  const command = ['bypass-code', 'issue', 'anna', '--reason', 'phone at home']
  const refused = await place.cli(command)
  expect({ code: refused.code, out: refused.out }).toEqual({ code: 1, out: '' })
  expect(refused.err).toContain('The account has no second factor')
  await place.cli(['phone', 'add', 'anna', '+46701234567', '--verified'])
  const { code, ...issued } = await place.json(command)
  expect(code).toMatch(/^([A-Z]{4}-){3}[A-Z]{4}$/)
  expect(issued).toEqual({
    id: expect.any(String),
    expiresAt: expect.stringMatching(/^\d{4}-.*Z$/),
    needsApproval: false,
  })
  const again = await place.cli(command, undefined, { BYPASS_CODE_CONSENT: 'required' })
  expect(again.out).toMatch(/^([A-Z]{4}-){3}[A-Z]{4}\n\nIt works once, until /)
  expect(again.err).toContain('until a second admin approves it')
  const stored = await db.selectFrom('bypass_code').select(['id', 'created_by']).execute()
  expect(stored).toMatchObject([{ created_by: 'command-line' }])
  expect(stored[0]?.id).not.toBe(issued.id)
  const events = await db
    .selectFrom('audit_event')
    .select('detail')
    .where('type', '=', 'bypass-code.issued')
    .orderBy('id')
    .execute()
  expect(events[0]?.detail).toEqual({ bypassCode: issued.id, reason: 'phone at home' })
})
