import { createHash } from 'node:crypto'
import { CompiledQuery, sql } from 'kysely'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { type OpenDatabase, openDatabase } from '../../src/db/client.ts'
import { createLog } from '../../src/log.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'

let database: TestDatabase
let opened: OpenDatabase
let logged: string[]

beforeEach(async () => {
  database = await createTestDatabase()
  logged = []
  const log = createLog('warn', false, { write: (line) => void logged.push(line) })
  // One connection, so that it is known which statements were prepared on it.
  opened = await openDatabase({ url: database.url, dataDir: '', poolSize: 1 }, log)
})
afterEach(async () => {
  await opened.close()
  await database.destroy()
})

const answer = async (number: number, on = opened.db) => {
  const { rows } = await sql<{ answer: number }>`select ${number}::int + 1 as answer`.execute(on)
  return rows[0]?.answer
}
const prepared = async () => {
  const { rows } = await sql<{ name: string; statement: string }>`
    select name, statement from pg_prepared_statements`.execute(opened.db)
  return rows
}
const losePrepared = () => sql`deallocate all`.execute(opened.db)

test('a statement that comes again is prepared, once, whatever its values are', async () => {
  expect(await answer(1)).toBe(2)
  expect(await prepared()).toEqual([])
  expect([await answer(2), await answer(3)]).toEqual([3, 4])
  expect(await prepared()).toEqual([
    { name: expect.stringMatching(/^sallyport_0_/), statement: 'select $1::int + 1 as answer' },
  ])
})

test('where a pooler loses prepared statements, they are sent without names, and nothing fails', async () => {
  for (const number of [1, 2, 3]) await answer(number)
  await losePrepared()
  expect([await answer(4), await answer(5), await answer(6)]).toEqual([5, 6, 7])
  expect(await prepared()).toEqual([])
  expect(logged.filter((line) => line.includes('pooler'))).toHaveLength(1)
})

/** Gives the name of the statement to another, as somebody may have who had the connection before. */
async function takeName(): Promise<void> {
  const digest = createHash('sha256').update('select $1::int + 1 as answer').digest('hex')
  const name = `sallyport_0_${digest.slice(0, 40)}`
  const other = `prepare "${name}" (int) as select $1 + 100 as answer`
  await opened.db.executeQuery(CompiledQuery.raw(other))
}

test('where a name is taken, statements are sent without names, and never is another one run', async () => {
  await answer(1)
  await takeName()
  expect([await answer(2), await answer(3), await answer(4)]).toEqual([3, 4, 5])
  expect(await prepared()).toHaveLength(1)
  expect(logged.filter((line) => line.includes('pooler'))).toHaveLength(1)
})

test('a transaction that meets one fails whole, and works when it is begun again', async () => {
  await answer(1)
  await takeName()
  const twice = () =>
    opened.db.transaction().execute(async (trx) => [await answer(4, trx), await answer(5, trx)])
  await expect(twice()).rejects.toMatchObject({ code: '42P05' })
  expect(await twice()).toEqual([5, 6])
})

test('a transaction that loses one fails whole, and works when it is begun again', async () => {
  for (const number of [1, 2, 3]) await answer(number)
  await losePrepared()
  const twice = () =>
    opened.db.transaction().execute(async (trx) => [await answer(4, trx), await answer(5, trx)])
  await expect(twice()).rejects.toMatchObject({ code: '26000' })
  expect(await twice()).toEqual([5, 6])
})

test('a table that a newer version gave another column is read on', async () => {
  const read = () => sql`select *, ${1}::int as one from account`.execute(opened.db)
  for (let times = 0; times < 3; times++) await read()
  await sql`alter table account add column of_a_newer_version text`.execute(database.db)
  for (let times = 0; times < 3; times++) expect((await read()).rows).toEqual([])
  expect((await prepared()).map(({ name }) => name)).toContainEqual(
    expect.stringMatching(/^sallyport_1_/),
  )
  expect(logged).toEqual([])
})
