import { afterAll, beforeAll, expect, test } from 'vitest'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { createPlace, type Place } from './command-line.ts'

let database: TestDatabase
let place: Place

beforeAll(async () => {
  database = await createTestDatabase()
  place = createPlace(database.url)
  await database.db
    .insertInto('account')
    .values({ id: 'a1', username: 'anna', username_key: 'anna' })
    .execute()
})
afterAll(async () => {
  place.remove()
  await database.destroy()
})

const stored = () => database.db.selectFrom('backup_code').selectAll().execute()

test('backup-codes issue prints ten codes, and those before are gone', async () => {
  const { codes } = await place.json(['backup-codes', 'issue', 'anna'])
  expect(new Set(codes).size).toBe(10)
  for (const code of codes) expect(code).toMatch(/^([A-Z]{4}-){3}[A-Z]{4}$/)
  const before = await stored()
  const { code, out } = await place.cli(['backup-codes', 'issue', 'anna'])
  expect(code).toBe(0)
  expect(out.match(/^([A-Z]{4}-){3}[A-Z]{4}$/gm)).toHaveLength(10)
  const after = await stored()
  expect(after).toHaveLength(10)
  const hashes = new Set(before.map(({ hash }) => hash.toString('hex')))
  expect(after.some(({ hash }) => hashes.has(hash.toString('hex')))).toBe(false)
})

test('backup-codes issue refuses someone who isn’t there', async () => {
  const { code, out, err } = await place.cli(['backup-codes', 'issue', 'nobody'])
  expect({ code, out }).toEqual({ code: 1, out: '' })
  expect(err).toContain('There is no account nobody.')
})
