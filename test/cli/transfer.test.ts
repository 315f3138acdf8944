import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
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

function file(name: string, content: string): string {
  const path = join(place.directory, name)
  writeFileSync(path, content)
  return path
}

const count = async () => (await database.db.selectFrom('account').select('id').execute()).length

describe('import', () => {
  test('prints one JSON value, with every row that failed', async () => {
    const path = file('a.csv', 'username,phone\nanna,+46701234567\nanna,\n')
    const dry = await place.json(['import', path, '--dry-run'])
    const failed = [{ line: 3, reason: 'There is an account of this name already.' }]
    const told = { created: 1, updated: 0, failed, failedCount: 1, error: null }
    expect(dry).toEqual({ import: expect.any(String), dryRun: true, ...told })
    expect(await count()).toBe(0)
    expect(await place.json(['import', path])).toMatchObject({ dryRun: false, ...told })
    const again = await place.cli(['import', path, '--update'])
    expect(again).toEqual({ code: 0, out: 'Done: 0 created, 2 updated, 0 failed\n', err: '' })
    expect(await place.json(['account', 'export', 'Anna'])).toMatchObject({
      account: { username: 'anna' },
      phones: [{ number: '+46701234567', verified: false }],
      events: expect.arrayContaining([expect.objectContaining({ type: 'account.created' })]),
    })
  })

  test('of what can’t be read ends with 1 and says why', async () => {
    const bad = file('b.csv', 'name,age\nx,7\n')
    const [header, missing] = await Promise.all([
      place.cli(['import', bad, '--json']),
      place.cli(['import', join(place.directory, 'none.csv'), '--resume']),
    ])
    expect(header.code).toBe(1)
    expect(JSON.parse(header.out)).toMatchObject({ created: 0, failed: [] })
    expect(header.err).toContain('names no column username')
    expect(missing).toEqual({ code: 1, out: '', err: "The file can't be read (ENOENT).\n" })
  })

  test('that is killed goes on where it was', async () => {
    const rows = 8000
    const path = file(
      'c.jsonl',
      Array.from({ length: rows }, (_, row) => `{"username":"killed-${row}"}`).join('\n'),
    )
    const before = await count()
    const child = place.start('cli/main.ts', ['import', path], {})
    const ended = new Promise((resolve) => child.once('close', resolve))
    await vi.waitFor(async () => expect(await count()).toBeGreaterThan(before), {
      timeout: 20_000,
      interval: 10,
    })
    child.kill('SIGKILL')
    await ended
    const stood = await count()
    expect(stood).toBeLessThan(before + rows)
    expect((stood - before) % 500).toBe(0)
    const told = await place.json(['import', path, '--resume'])
    expect(told).toMatchObject({ created: rows, failed: [], error: null })
    expect(await count()).toBe(before + rows)
  })
})

test('export accounts writes lines or a table, with hashes where asked for', async () => {
  const hash = '$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW'
  const path = file('d.csv', `username,name,phone,password_hash\nx,'=1+1,+46701234568,${hash}\n`)
  await place.json(['import', path])
  const [lines, csv] = await Promise.all([
    place.cli(['export', 'accounts']),
    place.cli(['export', 'accounts', '--format', 'csv', '--with-password-hashes']),
  ])
  const last = (text: string) => text.trimEnd().split('\n').at(-1) ?? ''
  expect(JSON.parse(last(lines.out))).toEqual({
    id: expect.any(String),
    username: 'x',
    email: null,
    email_verified: false,
    name: '=1+1',
    disabled: false,
    phones: [{ number: '+46701234568', verified: false }],
  })
  expect(last(csv.out)).toMatch(/,x,,false,'=1\+1,false,'\+46701234568,false,.*\$2a\$05\$C/)
})
