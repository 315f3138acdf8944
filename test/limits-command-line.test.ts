import { sql } from 'kysely'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createPlace, type Place } from './cli/command-line.ts'
import { createTestDatabase, type TestDatabase } from './support/database.ts'

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

test('limits are listed, and a country’s pause is lifted once', { timeout: 90_000 }, async () => {
  const { db } = database
  await sql`
    insert into send_traffic (country, slot, sends, passes)
    values ('DK', floor(extract(epoch from now()) / 300), 60, 3)`.execute(db)
  // What is unanswered, within the hour.
  await sql`
    insert into send_limit (key, slot, slots)
    values ('\\x06' || convert_to('DK', 'UTF8'), floor(extract(epoch from now()) / 300), ${[32, ...new Array(12).fill(0)]})`.execute(
    db,
  )
  expect(await place.json(['limits', 'list'])).toEqual({
    hour: { sends: 0, limit: 1000 },
    day: { sends: 0, limit: 10_000 },
    countries: [{ country: 'DK', sends: 60, passes: 3, pausedUntil: expect.any(String) }],
  })
  expect((await place.cli(['limits', 'list'])).out).toMatch(/^DK +60 +3 +\d{4}-/m)
  expect(await place.json(['limits', 'lift', 'dk'])).toEqual({ country: 'DK', paused: false })
  expect(await place.cli(['limits', 'lift', 'DK'])).toMatchObject({
    code: 1,
    err: expect.stringContaining('DK is not paused.'),
  })
  expect(await place.cli(['limits', 'lift', 'Denmark'])).toMatchObject({ code: 1 })
  const { rows } = await sql`
    select actor, detail from audit_event where type = 'country.resumed'`.execute(db)
  expect(rows).toEqual([{ actor: 'command-line', detail: { country: 'DK' } }])
})
