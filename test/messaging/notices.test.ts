import { randomBytes } from 'node:crypto'
import { Kysely, PostgresDialect, sql } from 'kysely'
import { Client, Pool } from 'pg'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { inCircumstances } from '../../src/audit/circumstances.ts'
import { createVault } from '../../src/crypto/vault.ts'
import type { Database, Db } from '../../src/db/schema.ts'
import { createLanguages, loadCatalogues } from '../../src/languages/languages.ts'
import { createLog } from '../../src/log.ts'
import { createTextbee } from '../../src/messaging/gateways/textbee.ts'
import { measureText } from '../../src/messaging/gsm7.ts'
import { createMailer, type Mailer } from '../../src/messaging/mailer.ts'
import { createNoticeDelivery } from '../../src/messaging/notice-delivery.ts'
import { createNoticeStatements } from '../../src/messaging/notice-statements.ts'
import { NOTICE_KINDS, noticeMail, noticeText } from '../../src/messaging/notice-words.ts'
import { createNotices, type Notice, type Recipient } from '../../src/messaging/notices.ts'
import { movedClock } from '../support/clock.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { type FakeSmtp, startFakeSmtp, startSilentServer } from '../support/fake-smtp.ts'
import { type FakeTextbee, startFakeTextbee } from '../support/fake-textbee.ts'
import { unindexedReads } from '../support/plans.ts'
import { freePort } from '../support/ports.ts'
import { createTestMessenger } from '../support/scripted-gateways.ts'

const NUMBER = '+46701234567'
const ADDRESS = 'alex@example.org'
const BY_TEXT: Recipient = { medium: 'sms', to: NUMBER, country: 'SE' }
const BY_MAIL: Recipient = { medium: 'mail', to: ADDRESS }
const ISSUER = 'https://login.example.com'
const LINK = { link: `${ISSUER}/password/AbCd-1234_x`, language: null, to: ADDRESS }

const vault = createVault([randomBytes(32)])
const languages = createLanguages(loadCatalogues(), 'en')
let offset = 0
/** Of the test that runs: what the trail tells of another's stays. */
let accountId = ''
let accounts = 0
const clock = movedClock(() => offset)

let database: TestDatabase
/** What the instances use: like the real one, it waits for nobody's lock for long. */
let impatient: Db
let smtp: FakeSmtp
let textbee: FakeTextbee
const logged: string[] = []

beforeAll(async () => {
  database = await createTestDatabase()
  const pool = new Pool({ connectionString: database.url, max: 5, lock_timeout: 2000 })
  pool.on('error', () => {})
  impatient = new Kysely<Database>({ dialect: new PostgresDialect({ pool }) })
  smtp = await startFakeSmtp()
  textbee = await startFakeTextbee()
})
beforeEach(async () => {
  offset = 0
  logged.length = 0
  smtp.reset()
  textbee.reset()
  await sql`delete from account`.execute(database.db)
  await sql`delete from gateway_state`.execute(database.db)
  accountId = await addAccount()
})
afterAll(async () => {
  for (const mailer of mailers) await mailer.close()
  await smtp.close()
  await textbee.close()
  await impatient.destroy()
  await database.destroy()
})

const mailers: Mailer[] = []

/** One instance of the provider, as far as notices go. */
function createInstance(smtpUrl: string | undefined = smtp.url, timeoutMs = 5000) {
  const db = impatient
  const log = createLog('trace', false, { write: (line) => void logged.push(line) })
  const mailer = createMailer({
    settings: {
      smtpUrl,
      from: { name: 'Sallyport', address: 'login@example.com' },
      tls: 'never',
      timeoutMs,
    },
    outbox: null,
    log,
  })
  const gateway = createTextbee({ ...textbee, webhookSecrets: [] })
  const gateways = [{ gateway, timeoutMs: 2000 }]
  mailers.push(mailer)
  return {
    notices: createNotices({ clock, vault, canMail: mailer.canMail }),
    delivery: createNoticeDelivery({
      db,
      clock,
      vault,
      messenger: createTestMessenger({ db, clock, gateways, log }),
      countText: async () => undefined,
      mailer,
      languages,
      brand: 'Sallyport',
      issuer: ISSUER,
      log,
    }),
  }
}
type Instance = ReturnType<typeof createInstance>

async function addAccount(): Promise<string> {
  const id = `a${++accounts}`
  const row = sql`(${id}, ${id}, ${id})`
  await sql`insert into account (id, username, username_key) values ${row}`.execute(database.db)
  return id
}

async function queue({ notices }: Instance, more: Partial<Notice> = {}): Promise<void> {
  const recipients = [BY_TEXT, BY_MAIL]
  await notices.queue(database.db, {
    accountId,
    kind: 'phone.removed',
    language: null,
    recipients,
    ...more,
  })
}

/** Sends all that is due. */
async function deliver({ delivery }: Instance): Promise<void> {
  delivery.wake()
  await delivery.idle()
}

async function states(): Promise<string[]> {
  const { rows } = await sql<{ line: string }>`
    select medium || ' ' || state || ' ' || tries as line from notice order by medium, created_at`.execute(
    database.db,
  )
  return rows.map(({ line }) => line)
}

/** What the trail tells of the account's notices, newest first. */
async function audited() {
  return database.db
    .selectFrom('audit_event')
    .select(['actor', 'request_id', 'detail'])
    .where('type', '=', 'notice.failed')
    .where('account_id', '=', accountId)
    .orderBy('id', 'desc')
    .execute()
}

describe('a notice', () => {
  test('reaches the old number and the mailbox, and says what happened, when, where and what to do (ADM-05)', async () => {
    const house = createInstance()
    await queue(house, { detail: { browser: 'Firefox on Windows', address: '203.0.113.7' } })
    await deliver(house)
    expect(textbee.faults).toEqual([])
    expect(textbee.messages.map(({ to }) => to)).toEqual([NUMBER])
    const when = '\\d{4}-\\d\\d-\\d\\d \\d\\d:\\d\\d UTC'
    expect(textbee.messages[0]?.text).toMatch(
      new RegExp(
        `^Sallyport: A phone number was removed from your account\\. ${when}\\. Not you\\? .* our support\\.$`,
      ),
    )
    expect(smtp.faults).toEqual([])
    const [mail] = smtp.mails
    expect(mail?.to).toEqual([ADDRESS])
    expect(mail?.headers.get('subject')).toBe('A phone number was removed from your account')
    expect(mail?.text).toMatch(new RegExp(`Time: ${when}`))
    expect(mail?.text).toContain('Place: Firefox on Windows, 203.0.113.7.')
    expect(mail?.text).toContain(`${ISSUER}/account`)
    expect(await states()).toEqual(['mail sent 1', 'sms sent 1'])
    const messages = await database.db
      .selectFrom('message')
      .select(['challenge_id', 'country', 'state'])
      .execute()
    expect(messages).toEqual([{ challenge_id: null, country: 'SE', state: 'accepted' }])
    expect(logged.join('')).not.toMatch(/46701234567|alex@|203\.0\.113/)
  })

  test('is there with what it tells of, or not at all', async () => {
    const house = createInstance()
    const undone = database.db.transaction().execute(async (trx) => {
      await house.notices.queue(trx, {
        accountId,
        kind: 'password.changed',
        language: null,
        recipients: [BY_MAIL],
      })
      throw new Error('changed my mind')
    })
    await expect(undone).rejects.toThrow('changed my mind')
    await deliver(house)
    expect(smtp.tries).toBe(0)
  })

  test('is in the language asked for, or else in the default', async () => {
    const house = createInstance()
    const other = createLanguages(
      {
        ...loadCatalogues(),
        xx: { textParts: 1, messages: { 'notice.phone.removed': 'Zzz zzz' } },
      },
      'en',
    )
    expect(noticeText('phone.removed', {}, context(other.find('xx') ?? other.byDefault))).toContain(
      ': Zzz zzz.',
    )
    await queue(house, { language: 'tlh', recipients: [BY_TEXT] })
    await deliver(house)
    expect(textbee.messages[0]?.text).toContain('A phone number was removed')
  })

  test('tells of a used backup code how many are left (BKP-07)', async () => {
    const house = createInstance()
    await queue(house, { kind: 'backup-code.used', detail: { left: 2 }, recipients: [BY_TEXT] })
    await deliver(house)
    expect(textbee.messages[0]?.text).toContain('A backup code of yours was used (2 left).')
  })

  test('is lost on nobody: without mail, the number is still told', async () => {
    const { db } = database
    const notices = createNotices({ clock, vault, canMail: false })
    const rest = { accountId, kind: 'password.changed', language: null } as const
    await notices.queue(db, { ...rest, recipients: [BY_TEXT, BY_MAIL] })
    await notices.queue(db, { ...rest, recipients: [BY_MAIL] })
    await notices.queue(db, { ...rest, recipients: [] })
    const invited = { ...LINK, accountId, kind: 'mail.invitation', lifeSeconds: 60 } as const
    expect(await notices.queueLink(db, invited)).toBe(false)
    expect(await states()).toEqual(['sms waiting 0'])
  })

  test('is in a stolen dump neither with its reader nor with its words', async () => {
    const house = createInstance()
    await queue(house, { detail: { browser: 'Firefox on Plan 9', address: '203.0.113.7' } })
    const { rows } = await sql`select notice::text as line from notice`.execute(database.db)
    const dump = JSON.stringify(rows)
    for (const secret of [NUMBER, NUMBER.slice(1), ADDRESS, 'Plan 9', '203.0.113.7']) {
      expect(dump).not.toContain(secret)
      expect(dump).not.toContain(Buffer.from(secret).toString('hex'))
    }
    // Nor are both kept, even sealed, once it was sent.
    await deliver(house)
    const kept = sql`select recipient, detail from notice`
    const nothing = { recipient: Buffer.alloc(0), detail: null }
    expect((await kept.execute(database.db)).rows).toEqual([nothing, nothing])
  })

  test('moved to another row goes nowhere', async () => {
    const house = createInstance()
    await queue(house, { recipients: [BY_MAIL] })
    await sql`insert into notice select 'other', ${await addAccount()}, kind, medium, recipient, language, detail, created_at,
      next_try_at, tries, state from notice`.execute(database.db)
    await deliver(house)
    expect(smtp.mails).toHaveLength(1)
    expect(logged.join('')).toContain('changed or moved since it was sealed')
  })
})

describe('trying again', () => {
  /** Lets all the waits pass, one after the other. */
  async function persist(house: Instance): Promise<void> {
    for (let round = 0; round < 8; round++) {
      await deliver(house)
      offset += 3 * 3600
    }
  }

  test('goes on while the server defers, waits longer each time, and then ends', async () => {
    const house = createInstance()
    smtp.mode = 'defer'
    await queue(house, { recipients: [BY_MAIL] })
    const waits: number[] = []
    for (let tries = 1; tries <= 4; tries++) {
      await deliver(house)
      expect(smtp.tries).toBe(tries)
      const { rows } = await sql<{ wait: number }>`
        select round(extract(epoch from next_try_at - ${clock()}))::int as wait from notice`.execute(
        database.db,
      )
      const wait = rows[0]?.wait ?? 0
      // Not before its time.
      offset += wait - 20
      await deliver(house)
      expect(smtp.tries).toBe(tries)
      offset += 21
      waits.push(wait)
    }
    expect(waits).toEqual([...waits].sort((one, other) => one - other))
    expect(new Set(waits).size).toBe(4)
    await deliver(house)
    expect(await states()).toEqual(['mail failed 5'])
    await persist(house)
    expect(smtp.tries).toBe(5)
  })

  test('ends well when the server comes back', async () => {
    const house = createInstance()
    smtp.mode = 'defer'
    await queue(house, { recipients: [BY_MAIL] })
    await deliver(house)
    smtp.mode = 'ok'
    offset += 61
    await deliver(house)
    expect(await states()).toEqual(['mail sent 2'])
    expect(await audited()).toEqual([])
  })

  test.each<[string, () => Promise<{ url: string; timeoutMs?: number; close?(): Promise<void> }>]>([
    ['is away', async () => ({ url: `smtp://127.0.0.1:${await freePort()}` })],
    [
      'takes mails and never says so',
      async () => {
        smtp.mode = 'hang'
        return { url: smtp.url, timeoutMs: 200 }
      },
    ],
    [
      'says nothing',
      async () => {
        const { port, close } = await startSilentServer()
        return { url: `smtp://127.0.0.1:${port}`, timeoutMs: 100, close }
      },
    ],
  ])('ends with an audited failure where the server %s', async (_, start) => {
    const { url, timeoutMs = 5000, close } = await start()
    const house = createInstance(url, timeoutMs)
    await queue(house, { recipients: [BY_MAIL] })
    // Whoever wakes it does not act in it.
    await inCircumstances({ actor: 'self', requestId: 'r1', address: null }, () => persist(house))
    await close?.()
    expect(await states()).toEqual(['mail failed 5'])
    const detail = { kind: 'phone.removed', medium: 'mail' }
    expect(await audited()).toEqual([{ actor: 'system', request_id: null, detail }])
  })

  test('is not done for a box that is not there; that is audited at once', async () => {
    const house = createInstance()
    smtp.mode = 'refuse'
    await queue(house, { recipients: [BY_MAIL] })
    await persist(house)
    expect(smtp.tries).toBe(1)
    expect(await states()).toEqual(['mail failed 1'])
    expect(await audited()).toHaveLength(1)
  })

  test('holds for texts too', async () => {
    const house = createInstance()
    textbee.mode = '5xx'
    await queue(house, { recipients: [BY_TEXT] })
    await persist(house)
    // Each try once more, since the gateway said that it sent nothing.
    expect(textbee.requests).toHaveLength(10)
    expect(await states()).toEqual(['sms failed 5'])
    expect((await audited())[0]?.detail).toEqual({ kind: 'phone.removed', medium: 'sms' })
  })

  test('ends for what can’t be opened any more', async () => {
    const house = createInstance()
    await queue(house, { recipients: [BY_MAIL] })
    await sql`update notice set recipient = '\\x00'`.execute(database.db)
    await persist(house)
    expect(await states()).toEqual(['mail failed 5'])
  })
})

describe('several instances', () => {
  test('send each notice once between them', async () => {
    const houses = [createInstance(), createInstance(), createInstance()]
    const [house = createInstance()] = houses
    for (let i = 1; i <= 40; i++) {
      const recipients = [{ medium: 'mail', to: `reader${i}@example.org` }] as const
      await queue(house, { accountId: await addAccount(), recipients })
    }
    // One of them is amid taking some, and ends before it has.
    const taking = database.db.transaction().execute(async (trx) => {
      const { rows } = await createNoticeStatements(clock).take(10).execute(trx)
      expect(rows).toHaveLength(10)
      await Promise.all(houses.map(deliver))
      expect(smtp.mails).toHaveLength(30)
      throw new Error('ends')
    })
    await expect(taking).rejects.toThrow('ends')
    await Promise.all(houses.map(deliver))
    const readers = smtp.mails.map(({ to }) => to.join())
    expect(readers).toHaveLength(40)
    expect(new Set(readers).size).toBe(40)
  })

  test('leave to one another what one of them is sending', async () => {
    const slow = createInstance(smtp.url, 400)
    smtp.mode = 'hang'
    await queue(slow, { recipients: [BY_MAIL] })
    slow.delivery.wake()
    while (smtp.tries === 0) await new Promise((soon) => setTimeout(soon, 5))
    await deliver(createInstance())
    expect(smtp.tries).toBe(1)
    await slow.delivery.idle()
  })

  test('a stopped one takes nothing, and a started one looks by itself', async () => {
    const house = createInstance()
    await queue(house, { recipients: [BY_MAIL] })
    house.delivery.stop()
    await deliver(house)
    expect(smtp.tries).toBe(0)
    const other = createInstance()
    other.delivery.start()
    await other.delivery.idle()
    other.delivery.stop()
    expect(smtp.mails).toHaveLength(1)
  })
})

describe('too many notices', () => {
  const often = async (house: Instance, times: number, kind: Notice['kind']) => {
    for (let i = 0; i < times; i++) await queue(house, { kind })
  }

  test('are not queued, and that is audited; the next hour has room again', async () => {
    const house = createInstance()
    await often(house, 12, 'phone.added')
    expect(await states()).toHaveLength(20)
    const detail = { kind: 'phone.added', reason: 'too-many' }
    expect((await audited()).map((event) => event.detail)).toEqual([detail, detail])
    offset += 3601
    await queue(house)
    expect(await states()).toHaveLength(22)
  })

  test('of what a stranger can cause leave room for all else the owner must hear', async () => {
    const house = createInstance()
    const asked = { ...LINK, accountId, kind: 'mail.password-reset', lifeSeconds: 1800 } as const
    const queued: boolean[] = []
    for (let i = 0; i < 12; i++) queued.push(await house.notices.queueLink(database.db, asked))
    expect(queued).toEqual([...new Array(10).fill(true), false, false])
    await often(house, 12, 'codes.locked')
    await queue(house, { kind: 'someone-has-password' })
    await queue(house, { kind: 'password.changed' })
    const { rows } = await sql<{ kind: string; n: number }>`
      select kind, count(*)::int as n from notice group by kind order by kind`.execute(database.db)
    expect(rows).toEqual([
      { kind: 'codes.locked', n: 20 },
      { kind: 'mail.password-reset', n: 10 },
      { kind: 'password.changed', n: 2 },
      { kind: 'someone-has-password', n: 2 },
    ])
  })
})

describe('a link', () => {
  test('comes by mail, on a line of its own, and says how long it holds', async () => {
    const house = createInstance()
    const asked = { ...LINK, accountId, kind: 'mail.password-reset', lifeSeconds: 1800 } as const
    expect(await house.notices.queueLink(database.db, asked)).toBe(true)
    const invited = { ...LINK, accountId, kind: 'mail.invitation', lifeSeconds: 259_200 } as const
    await house.notices.queueLink(database.db, invited)
    const { rows } = await sql`select notice::text as line from notice`.execute(database.db)
    expect(JSON.stringify(rows)).not.toContain('AbCd-1234_x')
    await deliver(house)
    expect(smtp.faults).toEqual([])
    const texts = smtp.mails.map(({ text }) => text)
    for (const text of texts) expect(text.split('\n')).toContain(LINK.link)
    expect(texts.filter((text) => text.includes('for 30 minutes'))).toHaveLength(1)
    expect(texts.filter((text) => text.includes('for 3 days'))).toHaveLength(1)
    expect(logged.join('')).not.toContain('AbCd-1234_x')
  })

  test('is not sent once it no longer works', async () => {
    const house = createInstance()
    const asked = { ...LINK, accountId, kind: 'mail.password-reset', lifeSeconds: 1800 } as const
    await house.notices.queueLink(database.db, asked)
    offset += 1800
    await deliver(house)
    expect(smtp.tries).toBe(0)
    expect(await states()).toEqual(['mail failed 1'])
  })
})

describe('housekeeping', () => {
  test('takes notices after 30 days', async () => {
    const house = createInstance()
    await queue(house)
    await deliver(house)
    offset += 29 * 24 * 3600
    expect(await house.delivery.sweep(10)).toBe(0)
    offset += 24 * 3600 + 1
    expect(await house.delivery.sweep(1)).toBe(1)
    expect(await house.delivery.sweep(10)).toBe(1)
    expect(await states()).toEqual([])
  })

  test('and deliveries find their rows by an index', async () => {
    await sql`insert into notice (id, account_id, kind, medium, recipient, created_at, next_try_at, state)
      select 'n' || i, ${accountId}, 'k', 'sms', '', now() - i * interval '1 minute', now() + (i - 9) * interval '1 minute',
        case when i < 500 then 'waiting' else 'sent' end from generate_series(1, 1000) i`.execute(
      database.db,
    )
    await sql`analyze notice`.execute(database.db)
    const explainer = new Client({ connectionString: database.url })
    await explainer.connect()
    const statements = createNoticeStatements(clock)
    const unindexed: string[][] = []
    for (const statement of [statements.take(10), statements.sweep(10), statements.sent('x')]) {
      const { sql: text, parameters } = statement.compile(database.db)
      unindexed.push(await unindexedReads(explainer, text, parameters))
    }
    await explainer.end()
    expect(unindexed).toEqual([[], [], []])
  })
})

const context = (language = languages.byDefault) => ({
  brand: 'Eleven Char',
  issuer: ISSUER,
  when: '2026-11-21 13:39 UTC',
  language,
})

test.each(NOTICE_KINDS)('the text of %s is one GSM-7 part without a link', (kind) => {
  for (const detail of [{}, { left: 10, address: '203.0.113.7', browser: 'Firefox on Windows' }]) {
    const text = noticeText(kind, detail, context())
    expect(measureText(text)).toEqual({ encoding: 'gsm-7', parts: 1 })
    // Neither an address nor what a phone would make one of, nor anything of the request.
    expect(text).not.toMatch(/https?:|www\.|\/|\p{L}\.\p{L}|203\.|Firefox/u)
    const mail = noticeMail(kind, detail, context())
    expect(text).toContain(mail.subject)
    expect(mail.text).toContain(mail.subject)
  }
})
