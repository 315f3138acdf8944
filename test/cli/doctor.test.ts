import { chmodSync, mkdirSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { sql } from 'kysely'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { judgeClock } from '../../src/cli/database-checks.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { startForgetfulPooler } from '../support/forgetful-pooler.ts'
import { freePort } from '../support/ports.ts'
import { createPlace, type Environment, type Place, randomKey } from './command-line.ts'

let database: TestDatabase
let place: Place

beforeAll(async () => {
  database = await createTestDatabase()
  place = createPlace(database.url)
  // Seals the database's pepper with this place's key.
  await place.json(['account', 'list'])
})

afterAll(async () => {
  place.remove()
  await database.destroy()
})

interface Report {
  ok: boolean
  checks: Array<{ name: string; status: string; detail: string }>
}

async function doctor(more: Environment = {}, from = place) {
  const { code, out, err } = await from.cli(['doctor', '--json'], '', more)
  const report: Report = JSON.parse(out)
  const find = (name: string) => report.checks.find((check) => check.name === name)
  return { code, err, report, find }
}

describe.concurrent('doctor', { timeout: 90_000 }, () => {
  test('finds nothing wrong with a good place, and changes nothing', async () => {
    const { code, err, report, find } = await doctor()
    expect({ code, err, ok: report.ok }).toEqual({ code: 0, err: '', ok: true })
    expect(report.checks.map(({ name, status }) => `${name}: ${status}`)).toEqual([
      'configuration: ok',
      'key file: ok',
      'database: ok',
      'clock: ok',
      'limits: ok',
      'migrations: ok',
      'encryption keys: ok',
      'signing keys: warning',
      'issuer: warning',
      'gateway outbox: ok',
      'mail: ok',
    ])
    expect(find('database')?.detail).toMatch(/^PostgreSQL 18/)
    expect(await database.db.selectFrom('signing_key').select('kid').execute()).toEqual([])
    const { out } = await place.cli(['doctor'])
    expect(out).toMatch(/^ok {7}database {9}PostgreSQL 18/m)
    expect(out).toMatch(/^warning {2}issuer {11}http:\/\/localhost:3000 /m)
  })

  test('lists every fault of the configuration', async () => {
    const { code, report } = await doctor({ ENCRYPTION_KEYS: 'c2hvcnQ=', OTP_LENGTH: '99' })
    expect(code).toBe(1)
    expect(report.ok).toBe(false)
    expect(report.checks.map(({ status }) => status)).toEqual(['failed', 'failed'])
    expect(report.checks.map(({ detail }) => detail.split(' ')[0]).sort()).toEqual([
      'ENCRYPTION_KEYS',
      'OTP_LENGTH',
    ])
    const { code: again, out } = await place.cli(['doctor'], '', { OTP_LENGTH: '99' })
    expect(again).toBe(1)
    expect(out).toMatch(/^FAILED {3}configuration {2}OTP_LENGTH /)
  })

  test('finds a brand that texts can’t carry, as the start does', async () => {
    const { code, report } = await doctor({ BRAND_NAME: 'Bank’s' })
    expect(code).toBe(1)
    expect(report.checks).toEqual([
      {
        name: 'configuration',
        status: 'failed',
        detail: expect.stringMatching(/^BRAND_NAME makes a text message take more parts/),
      },
    ])
  })

  test('finds keys of another database', async () => {
    const { code, find } = await doctor({ ENCRYPTION_KEYS: randomKey() })
    expect(code).toBe(1)
    expect(find('encryption keys')).toMatchObject({
      status: 'failed',
      detail: expect.stringContaining('does not fit this database'),
    })
    expect(find('migrations')?.status).toBe('ok')
  })

  test('finds signing keys that do not open', async () => {
    const broken = await createTestDatabase()
    const there = createPlace(broken.url)
    try {
      await broken.db
        .insertInto('signing_key')
        .values({
          kid: 'k',
          algorithm: 'RS256',
          private_jwk: Buffer.alloc(64, 1),
        })
        .execute()
      const { code, find } = await doctor({}, there)
      expect(code).toBe(1)
      expect(find('signing keys')?.status).toBe('failed')
      // Nor did looking at the keyring make a pepper.
      expect(await broken.db.selectFrom('keyring').select('name').execute()).toEqual([])
    } finally {
      there.remove()
      await broken.destroy()
    }
  })

  test('finds a database out of reach, within seconds', async () => {
    const port = await freePort()
    const closed = { DATABASE_URL: `postgres://postgres@127.0.0.1:${port}/none` }
    const { code, find } = await doctor(closed)
    expect(code).toBe(1)
    const detail = expect.stringContaining('out of reach (ECONNREFUSED)')
    expect(find('database')).toMatchObject({ status: 'failed', detail })
    const command = await place.cli(['account', 'list'], '', closed)
    expect(command).toMatchObject({ code: 1, out: '' })
    expect(command.err).toMatch(/^The database is out of reach \(ECONNREFUSED\)\. .*\n$/)
  })

  test('finds a database that refuses us', async () => {
    const gone = database.url.replace(/[^/]+$/, 'not_there')
    const { code, find } = await doctor({ DATABASE_URL: gone })
    expect(code).toBe(1)
    expect(find('database')).toMatchObject({
      status: 'failed',
      detail: expect.stringContaining('"not_there" does not exist'),
    })
  })

  test('tells of connections that begin without limits', async () => {
    const pooler = await startForgetfulPooler(database.url)
    const { code, find } = await doctor({ DATABASE_URL: pooler.url })
    await pooler.close()
    expect(code).toBe(0)
    const names =
      'default_transaction_isolation, idle_in_transaction_session_timeout, lock_timeout, statement_timeout'
    expect(find('limits')).toMatchObject({
      status: 'warning',
      detail: `connections begin without ${names}: see docs/postgres.md, Poolers`,
    })
  })

  test('looks whether the issuer answers with its own name', async () => {
    const port = await freePort()
    let named = `http://localhost:${port}`
    const server = createServer((_request, response) => response.end(`{"issuer":"${named}"}`))
    await new Promise<void>((listening) => server.listen(port, 'localhost', listening))
    try {
      const own = await doctor({ PORT: String(port) })
      expect(own.find('issuer')?.status).toBe('ok')
      named = 'https://other.example.com'
      const other = await doctor({ PORT: String(port) })
      expect(other.code).toBe(0)
      expect(other.find('issuer')).toMatchObject({
        status: 'warning',
        detail: expect.stringContaining('another issuer'),
      })
    } finally {
      server.close()
    }
  })

  test('asks each gateway and the mail server, and fails where one does not answer in time', async () => {
    const port = await freePort()
    const server = createServer(() => {})
    await new Promise<void>((listening) => server.listen(port, '127.0.0.1', listening))
    try {
      const { code, find } = await doctor({
        SMS_GATEWAYS: 'textbee',
        TEXTBEE_API_KEY: 'key-of-the-gateway',
        TEXTBEE_DEVICE_ID: 'device',
        TEXTBEE_WEBHOOK_SECRET: randomKey(),
        TEXTBEE_BASE_URL: `http://127.0.0.1:${port}/api/v1`,
        TEXTBEE_TIMEOUT_MS: '300',
        SMTP_URL: `smtp://127.0.0.1:${await freePort()}`,
        MAIL_FROM: 'login@example.com',
      })
      expect(code).toBe(1)
      expect(find('gateway textbee')).toMatchObject({
        status: 'failed',
        detail: expect.stringContaining('time-out'),
      })
      const detail = expect.stringMatching(/ECONNREFUSED.*SMTP_URL/)
      expect(find('mail')).toMatchObject({ status: 'failed', detail })
    } finally {
      server.closeAllConnections()
      server.close()
    }
  })

  test('wants the key file closed to others', async () => {
    const there = createPlace(database.url)
    try {
      const keys = { ENCRYPTION_KEYS: '', COOKIE_KEYS: '' }
      expect((await doctor(keys, there)).find('key file')?.status).toBe('warning')
      const file = join(there.env.DATA_DIR ?? '', 'development-keys.json')
      mkdirSync(there.env.DATA_DIR ?? '')
      const [encryptionKey, cookieKey] = [place.env.ENCRYPTION_KEYS, randomKey()]
      writeFileSync(file, JSON.stringify({ encryptionKey, cookieKey }), { mode: 0o600 })
      expect(await doctor(keys, there)).toMatchObject({ code: 0, err: '' })
      chmodSync(file, 0o644)
      const open = await doctor(keys, there)
      expect(open.code).toBe(1)
      expect(open.find('key file')).toMatchObject({
        status: 'failed',
        detail: expect.stringContaining(`Run: chmod 600 ${file}`),
      })
      writeFileSync(file, `{"encryptionKey": "${encryptionKey}`)
      chmodSync(file, 0o600)
      const broken = await doctor(keys, there)
      expect(broken.find('key file')?.status).toBe('failed')
      expect(JSON.stringify(broken.report)).not.toContain(encryptionKey?.slice(0, 4))
    } finally {
      there.remove()
    }
  })

  test.each([
    [0.2, 'ok'],
    [-4.9, 'ok'],
    [6, 'warning'],
    [-29, 'warning'],
    [31, 'failed'],
    [-3600, 'failed'],
  ])('judges a clock %s s ahead as %s', (seconds, status) => {
    expect(judgeClock(seconds).status).toBe(status)
  })
})

describe.concurrent('migrate', { timeout: 90_000 }, () => {
  test('--check tells what is missing and changes nothing; migrate brings it', async () => {
    const empty = await createTestDatabase()
    const there = createPlace(empty.url)
    try {
      await sql`drop schema public cascade`.execute(empty.db)
      await sql`create schema public`.execute(empty.db)
      const before = await there.cli(['migrate', '--check', '--json'])
      expect(before.code).toBe(1)
      const { pending } = JSON.parse(before.out)
      expect(pending).toContain('0001-first')
      expect(before.err).toContain('not up to date')
      const tables = await sql`select 1 from pg_tables where schemaname = 'public'`.execute(
        empty.db,
      )
      expect(tables.rows).toEqual([])
      const ill = await doctor({}, there)
      expect(ill.code).toBe(1)
      expect(ill.find('migrations')).toMatchObject({
        status: 'failed',
        detail: expect.stringContaining('npm run cli -- migrate'),
      })
      expect(await there.json(['migrate'])).toEqual({ ran: pending })
      expect(await there.json(['migrate'])).toEqual({ ran: [] })
      expect(await there.json(['migrate', '--check'])).toEqual({ pending: [] })
      expect((await there.cli(['migrate', '--check'])).out).toBe('The schema is up to date.\n')
    } finally {
      there.remove()
      await empty.destroy()
    }
  })
})
