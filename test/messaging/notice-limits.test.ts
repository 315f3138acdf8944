import { randomBytes } from 'node:crypto'
import { type RawBuilder, sql } from 'kysely'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { createFingerprints } from '../../src/crypto/fingerprints.ts'
import { createVault } from '../../src/crypto/vault.ts'
import { createLanguages, loadCatalogues } from '../../src/languages/languages.ts'
import { createLog } from '../../src/log.ts'
import { createOutbox, type Outbox } from '../../src/messaging/gateways/outbox.ts'
import { createMailer } from '../../src/messaging/mailer.ts'
import { createNoticeDelivery } from '../../src/messaging/notice-delivery.ts'
import { createNotices } from '../../src/messaging/notices.ts'
import { brand, prefixOf } from '../../src/phone-number.ts'
import { createNoticeGrants } from '../../src/second-factor/notice-grants.ts'
import { createSendGrants, type GrantVerdict } from '../../src/second-factor/send-grants.ts'
import { createTestMessenger } from '../support/scripted-gateways.ts'
import { NO_LIMITS, type Sends, startSends } from '../support/sends.ts'

const NUMBER = brand('+46701234567')
const TO = { number: NUMBER, country: 'SE' }
const vault = createVault([randomBytes(32)])
const fingerprint = createFingerprints(randomBytes(32))
let outbox: Outbox
const logged: string[] = []
let sends: Sends

beforeAll(async () => {
  sends = await startSends()
})
beforeEach(async () => {
  await sends.reset()
  outbox = createOutbox()
  logged.length = 0
  await sql`delete from notice`.execute(sends.db)
})
afterAll(() => sends.stop())

type Rules = Partial<typeof NO_LIMITS>

function createGrants(rules: Rules, allowedCountries: ReadonlySet<string> | '*' = '*') {
  const { clock } = sends
  return createNoticeGrants({
    clock,
    fingerprint,
    rules: { ...NO_LIMITS, ...rules },
    allowedCountries,
  })
}

/** Queues notices for Anna, by text and by mail, and sends what may go. */
async function tell(
  times: number,
  rules: Rules,
  { number = NUMBER, allowed }: { number?: string; allowed?: ReadonlySet<string> } = {},
): Promise<void> {
  const { db, clock } = sends
  const log = createLog('trace', false, { write: (line) => void logged.push(line) })
  const gateways = [{ gateway: outbox, timeoutMs: 1000 }]
  const settings = {
    smtpUrl: undefined,
    from: { name: 'Sallyport', address: 'login@example.com' },
    tls: 'never' as const,
    timeoutMs: 1000,
  }
  const notices = createNotices({ clock, vault, canMail: true })
  const delivery = createNoticeDelivery({
    db,
    clock,
    vault,
    messenger: createTestMessenger({ db, clock, gateways, log }),
    countText: createGrants(rules, allowed).count,
    mailer: createMailer({ settings, outbox, log }),
    languages: createLanguages(loadCatalogues(), 'en'),
    brand: 'Sallyport',
    issuer: 'https://login.example.com',
    log,
  })
  for (let i = 0; i < times; i++) {
    await notices.queue(db, {
      accountId: 'anna',
      kind: 'phone.added',
      language: null,
      recipients: [
        { medium: 'sms', to: number, country: 'SE' },
        { medium: 'mail', to: 'anna@example.org' },
      ],
    })
  }
  delivery.wake()
  await delivery.idle()
}

/** How many went where. */
function reached(): { texts: number; mails: number } {
  const all = outbox.list()
  const texts = all.filter(({ to }) => to.startsWith('+')).length
  return { texts, mails: all.length - texts }
}

async function failed(): Promise<unknown[]> {
  const all = await sends.events('notice.failed')
  return all.slice(before)
}
let before = 0
beforeEach(async () => {
  before = (await sends.events('notice.failed')).length
})

/** A text with a code, to the number that notices go to. */
function code(rules: Rules): RawBuilder<GrantVerdict> {
  const grants = createSendGrants(sends.clock, { ...NO_LIMITS, ...rules })
  return sql`
    with ready as (
      select 'anna' as account_id, ${fingerprint('phone', NUMBER)}::bytea as number_fingerprint,
        ${fingerprint('phone-prefix', prefixOf(NUMBER))}::bytea as prefix_fingerprint, 'SE' as country,
        true as stranger, true as newcomer
    ),
    ${grants.ctes(Buffer.from('an address'), true)}
    select ${grants.verdict}`
}

async function sendCode(rules: Rules): Promise<string | null | undefined> {
  return (await code(rules).execute(sends.db)).rows[0]?.refused_by
}

describe('a notice by text', () => {
  const notTold = (reason: string) => ({ kind: 'phone.added', medium: 'sms', reason })

  test('goes a little beyond the limit of its number, then by mail alone, and that is audited', async () => {
    const rules = { phoneHour: 3 }
    await tell(8, rules)
    expect(reached()).toEqual({ texts: 5, mails: 8 })
    expect(await failed()).toEqual(new Array(3).fill(notTold('phone-limit')))
    expect(logged.filter((line) => line.includes('"reason":"phone-limit"'))).toHaveLength(3)
    // It isn't tried again, and the next hour has room.
    sends.moveClock(3 * 3600)
    await tell(1, rules)
    expect(reached()).toEqual({ texts: 6, mails: 9 })
  })

  test('is left something by the codes of its number, and leaves fewer to them', async () => {
    const rules = { phoneHour: 3 }
    for (let i = 0; i < 3; i++) expect(await sendCode(rules)).toBeNull()
    expect(await sendCode(rules)).toBe('phone-limit')
    await tell(3, rules)
    expect(reached().texts).toBe(2)
    await sends.reset()
    await tell(2, rules)
    expect([await sendCode(rules), await sendCode(rules)]).toEqual([null, 'phone-limit'])
  })

  test.each<[string, Rules]>([
    ['phone-day-limit', { phoneDay: 1 }],
    ['prefix-limit', { prefixHour: 2 }],
    ['country-limit', { countryHour: 2 }],
    ['overall-limit', { globalHour: 2 }],
    ['overall-day-limit', { globalDay: 2 }],
  ])('is under the %s too', async (reason, rules) => {
    await tell(4, rules)
    expect(reached()).toEqual({ texts: 3, mails: 4 })
    expect(await failed()).toEqual([notTold(reason)])
  })

  test('goes to other numbers while one is at its limit', async () => {
    await tell(4, { phoneHour: 1 })
    await tell(1, { phoneHour: 1 }, { number: '+46701234568' })
    expect(reached()).toEqual({ texts: 4, mails: 5 })
  })

  test('goes also where nothing is sent to strangers', async () => {
    const rules = { prefixUnanswered: 1 }
    expect([await sendCode(rules), await sendCode(rules)]).toEqual([null, 'prefix-unanswered'])
    await tell(2, rules)
    expect(reached()).toEqual({ texts: 2, mails: 2 })
  })

  test('goes to no country that isn’t allowed, or to none', async () => {
    await tell(1, {}, { allowed: new Set(['DK']) })
    expect(reached()).toEqual({ texts: 0, mails: 1 })
    expect(await failed()).toEqual([notTold('country-not-allowed')])
    const { count } = createGrants({})
    expect(await count(sends.db, { ...TO, country: null })).toBe('country-not-allowed')
  })

  test('isn’t counted where it may not go', async () => {
    for (let i = 0; i < 5; i++) await sendCode({})
    const counted = async () => {
      const { rows } = await sql`select key, slots from send_limit order by key`.execute(sends.db)
      return rows
    }
    const so = await counted()
    for (const rules of [{ phoneHour: 3 }, { prefixHour: 2 }, { globalDay: 2 }])
      expect(await createGrants(rules).count(sends.db, TO)).toBeDefined()
    expect(await counted()).toEqual(so)
  })

  test('passes no limit by coming with many others', async () => {
    const { count } = createGrants({ phoneHour: 3 })
    const all = await Promise.all(Array.from({ length: 20 }, () => count(sends.db, TO)))
    expect(all.filter((reason) => reason === undefined)).toHaveLength(5)
    expect(new Set(all)).toEqual(new Set([undefined, 'phone-limit']))
  })
})
