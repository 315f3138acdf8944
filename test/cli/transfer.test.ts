import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { createTestRooms, type TestRooms } from '../support/rooms.ts'
import { createPlace, type Place } from './command-line.ts'

const FIXTURES = join(import.meta.dirname, '../transfer/fixtures')
let rooms: TestRooms
let place: Place

beforeAll(async () => {
  place = createPlace()
  // With the keys of the command line: what it seals must open elsewhere.
  rooms = await createTestRooms(place.env)
  place.env.DATABASE_URL = rooms.database.url
})
afterAll(async () => {
  place.remove()
  await rooms.database.destroy()
})

function file(name: string, content: string): string {
  const path = join(place.directory, name)
  writeFileSync(path, content)
  return path
}

const count = async () => (await rooms.db.selectFrom('account').select('id').execute()).length

async function signsIn(username: string, password: string): Promise<boolean> {
  const attempt = await rooms.accounts.authenticate(username, password)
  await attempt.conclude(attempt.account !== undefined)
  return attempt.account !== undefined
}

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

  test('takes .json for a realm of Keycloak', async () => {
    const told = await place.json(['import', join(FIXTURES, 'keycloak-realm.json')])
    expect(told).toMatchObject({ created: 2, failedCount: 2, error: null })
    expect(await signsIn('jane.doe', 'secret')).toBe(true)
  })

  test('takes users of Firebase with the parameters of their project', async () => {
    const parameters = file(
      'hash.txt',
      `hash_config {
  algorithm: SCRYPT,
  base64_signer_key: jxspr8Ki0RYycVU8zykbdLGjFQ3McFUH0uiiTvC8pVMXAn210wjLNmdZJzxUECKbm0QsEmYUSDzZvpjeJ9WmXA==,
  base64_salt_separator: Bw==,
  rounds: 8,
  mem_cost: 14,
}`,
    )
    const args = ['import', join(FIXTURES, 'firebase-users.json'), '--format', 'firebase']
    const told = await place.json([...args, '--firebase-hash-config', parameters])
    expect(told).toMatchObject({ created: 2, failed: [] })
    expect(await signsIn('fire@example.com', 'user1password')).toBe(true)
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

test('whatever is exported is in the audit trail', async () => {
  const { id } = await rooms.accounts.create({ username: 'leaving' })
  const exported = () =>
    rooms.db
      .selectFrom('audit_event')
      .select(['actor', 'account_id', 'detail'])
      .where('type', '=', 'account.exported')
      .orderBy('id')
      .execute()
  const before = (await exported()).length
  await place.json(['account', 'export', 'leaving'])
  expect((await place.cli(['account', 'export', 'nobody'])).code).toBe(1)
  await place.cli(['export', 'accounts', '--with-password-hashes'])
  expect((await exported()).slice(before)).toEqual([
    { actor: 'command-line', account_id: id, detail: {} },
    { actor: 'command-line', account_id: null, detail: { all: true, hashes: true } },
  ])
})
