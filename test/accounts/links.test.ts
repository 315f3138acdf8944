import { randomBytes } from 'node:crypto'
import { type CompiledQuery, Kysely, PostgresDialect, sql } from 'kysely'
import { Client, Pool } from 'pg'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { createLinkMails, type LinkMail } from '../../src/accounts/link-mails.ts'
import { createLinks } from '../../src/accounts/links.ts'
import { createThrottle } from '../../src/accounts/throttle.ts'
import { createFingerprints } from '../../src/crypto/fingerprints.ts'
import type { Database } from '../../src/db/schema.ts'
import { movedClock } from '../support/clock.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { unindexedReads } from '../support/plans.ts'

let database: TestDatabase
let db: Kysely<Database>
const queries: CompiledQuery[] = []
let seconds = 0
const clock = movedClock(() => seconds)

beforeAll(async () => {
  database = await createTestDatabase()
  const pool = new Pool({ connectionString: database.url, max: 3 })
  pool.on('error', () => {})
  db = new Kysely<Database>({
    dialect: new PostgresDialect({ pool }),
    log: ({ query }) => void queries.push(query),
  })
})
afterAll(async () => {
  await db.destroy()
  await database.destroy()
})

const mails: LinkMail[] = []
beforeEach(() => {
  mails.length = 0
})

function createMails(fault?: Error, queued = true) {
  return createLinkMails({
    db,
    clock,
    issuer: 'https://login.example.com',
    links: createLinks({ db, clock }),
    throttle: createThrottle({ db, clock }),
    fingerprint: createFingerprints(randomBytes(32)),
    mailLink: async (_on, mail) => {
      if (fault) throw fault
      mails.push(mail)
      return queued
    },
  })
}

async function addAccount(username: string, more: { language?: string; email?: string } = {}) {
  const row = { id: `id of ${username}`, username, username_key: username }
  await db
    .insertInto('account')
    .values({ ...row, email: `${username}@example.com`, ...more })
    .execute()
  return row.id
}

describe('a mail with a link', () => {
  test('speaks the owner’s language, else that of the page it was asked on', async () => {
    await addAccount('danish', { language: 'da' })
    await addAccount('mute')
    const { mailReset } = createMails()
    await mailReset('danish', 'fr')
    await mailReset('MUTE@example.com', 'fr')
    expect(mails).toEqual([
      expect.objectContaining({ to: 'danish@example.com', language: 'da' }),
      expect.objectContaining({ to: 'mute@example.com', language: 'fr' }),
    ])
    expect(mails[0]).toMatchObject({
      accountId: 'id of danish',
      kind: 'mail.password-reset',
      lifeSeconds: 1800,
      link: expect.stringMatching(/^https:\/\/login\.example\.com\/link\/[\w-]{43}$/),
    })
  })

  test('that can’t be queued leaves no link and no event behind', async () => {
    const id = await addAccount('unlucky')
    await expect(createMails(new Error('no queue')).mailReset('unlucky', 'en')).rejects.toThrow()
    for (const table of ['one_time_link', 'audit_event'] as const) {
      const rows = await db.selectFrom(table).where('account_id', '=', id).selectAll().execute()
      expect(rows, table).toEqual([])
    }
    await createMails().mailReset('unlucky', 'en')
    expect(mails).toHaveLength(1)
  })

  test('that won’t be sent leaves the link before it as it was', async () => {
    await addAccount('flooded')
    await createMails().mailReset('flooded', 'en')
    seconds += 121
    await createMails(undefined, false).mailReset('flooded', 'en')
    seconds = 0
    const [first, second] = mails.map(({ link }) => link.split('/').at(-1) ?? '')
    const { peek } = createLinks({ db, clock })
    expect(await peek(first ?? '')).toMatchObject({ account: { username: 'flooded' } })
    expect(await peek(second ?? '')).toBeUndefined()
  })

  test('goes to five at most of those who share an address', async () => {
    for (let i = 0; i < 7; i++) await addAccount(`crowd${i}`, { email: 'crowd@example.com' })
    await createMails().mailReset('crowd@example.com', 'en')
    expect(mails).toHaveLength(5)
  })
})

test('links are swept when they have expired, in batches', async () => {
  const { sweep } = createLinks({ db, clock })
  await db.deleteFrom('one_time_link').execute()
  const id = await addAccount('swept')
  await sql`
    insert into one_time_link (token_hash, account_id, purpose, created_at, expires_at, used_at)
    select sha256(int4send(i)), ${id}, 'password-reset', now(),
      now() + case when i <= 7 then interval '-1 second' else interval '1 minute' end, now()
    from generate_series(1, 10) i`.execute(db)
  expect([await sweep(5), await sweep(5), await sweep(5)]).toEqual([5, 2, 0])
  expect(await db.selectFrom('one_time_link').select('token_hash').execute()).toHaveLength(3)
})

test('every statement finds its rows by an index', async () => {
  const id = await addAccount('indexed')
  const links = createLinks({ db, clock })
  const linkMails = createMails()
  queries.length = 0
  await linkMails.countAsking('indexed', '192.0.2.1')
  await linkMails.mailReset('indexed@example.com', 'en')
  await linkMails.invite(id)
  const token = (await links.make(db, id, 'invitation')) ?? ''
  await links.peek(token)
  await links.consume(db, token)
  await links.endAll(db, id)
  await links.sweep(10)
  await createThrottle({ db, clock }).forgetName(db, Buffer.from('a name'))
  const explainer = new Client({ connectionString: database.url })
  await explainer.connect()
  try {
    for (const { sql: text, parameters } of queries.filter(({ sql: text }) => !isPlain(text)))
      expect(await unindexedReads(explainer, text, parameters), text).toEqual([])
  } finally {
    await explainer.end()
  }
})

/** Statements that read no table. */
function isPlain(text: string): boolean {
  return /^\s*(begin|commit|insert into audit_event)/i.test(text)
}
