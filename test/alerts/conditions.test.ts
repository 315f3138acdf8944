import { sql } from 'kysely'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { VaultError } from '../../src/crypto/vault.ts'
import { type Alerting, startAlerting } from '../support/alerting.ts'

let alerting: Alerting
beforeAll(async () => {
  alerting = await startAlerting()
})
afterAll(() => alerting.stop())

const mailTo = ['ops@example.com']

/** Puts sends under a limit's key, all in the five minutes (or hour) that run. */
async function sent(key: string, sends: number, slots: number, seconds: number): Promise<void> {
  const { db, clock } = alerting
  await sql`
    insert into send_limit (key, slot, slots)
    values (decode(${key}, 'hex'),
      floor(extract(epoch from ${clock()}) / ${seconds}::int)::bigint * ${seconds / 300}::int,
      ${[sends, ...new Array(slots - 1).fill(0)]})`.execute(db)
}
const sentThisHour = (key: string, sends: number) => sent(key, sends, 13, 300)

async function recordedEvents(type: string, times: number, detail: object): Promise<void> {
  const { db, clock } = alerting
  await sql`
    insert into audit_event (at, type, actor, detail)
    select ${clock()}, ${type}, 'self', ${JSON.stringify(detail)}::jsonb
    from generate_series(1, ${times}::int)`.execute(db)
}

const failing = (gateway: string, openings: number, failure: string) =>
  sql`insert into gateway_state (gateway, failures, openings, open_until, failure, detail, failed_at)
    values (${gateway}, 5, ${openings}, ${alerting.clock()}, ${failure}, '', ${alerting.clock()})`.execute(
    alerting.db,
  )
const empty = () => sql`truncate gateway_state, send_limit, send_traffic`.execute(alerting.db)

const EVENTS = ['alert.gateway', 'alert.locks', 'alert.ended']

describe('what somebody should look at is raised once and ended once, whoever finds it', () => {
  test.each([
    {
      name: 'gateway-down:twilio',
      cause: () => failing('twilio', 2, 'transient'),
      says: [/twilio/, /gateway test twilio/],
      events: [{ type: 'alert.gateway', detail: { gateway: 'twilio', failure: 'transient' } }],
    },
    {
      name: 'gateway-down:telnyx',
      cause: () => failing('telnyx', 1, 'quota'),
      says: [/telnyx.*quota/, /top it up/],
      events: [{ type: 'alert.gateway', detail: { gateway: 'telnyx', failure: 'quota' } }],
    },
    {
      name: 'country-paused:DK',
      async cause() {
        await sql`
          insert into send_traffic (country, slot, sends, passes)
          values ('DK', floor(extract(epoch from ${alerting.clock()}) / 300), 60, 3)`.execute(
          alerting.db,
        )
        const key = Buffer.concat([Buffer.from([0x06]), Buffer.from('DK')]).toString('hex')
        await sentThisHour(key, 10_000_000)
      },
      says: [/Denmark/, /limits lift DK/],
      events: [],
    },
    {
      name: 'budget:hour',
      cause: () => sentThisHour('03', 80),
      says: [/^80 %/, /80 of 100.*SMS_LIMIT_GLOBAL_HOUR/],
      events: [],
    },
    {
      name: 'budget:day',
      cause: () => sent('13', 1000, 25, 3600),
      says: [/nobody is sent a code/, /SMS_LIMIT_GLOBAL_DAY/],
      events: [],
    },
    {
      name: 'lock-storm',
      async cause() {
        await recordedEvents('codes.locked', 12, {})
        await recordedEvents('password.locked', 8, {})
      },
      says: [/^20 locks/, /account unlock/],
      events: [{ type: 'alert.locks', detail: { locks: 20 } }],
    },
    {
      name: 'number-block:NO',
      cause: () => recordedEvents('alert.prefix', 2, { country: 'NO' }),
      says: [/Norway/, /limits list/],
      events: [],
    },
  ])('$name (LOG-10)', async ({ name, cause, says: [title = /^$/, help = /^$/], events }) => {
    const [one, two] = [alerting.instance({ mailTo }), alerting.instance({ mailTo })]
    const told = async () => {
      const { rows } = await sql<{ type: string; mail_to: string }>`
        select type, mail_to from alert_delivery where alert ->> 'name' = ${name} order by created_at`.execute(
        alerting.db,
      )
      return rows
    }
    const before = await alerting.recorded(...EVENTS)
    const news = async () => (await alerting.recorded(...EVENTS)).slice(before.length)
    const shown = async () => (await one.alerts.list()).find((alert) => alert.name === name)
    await cause()
    await Promise.all([one.look(), two.look(), one.look()])
    await two.look()
    expect(await told()).toEqual([{ type: 'alert.raised', mail_to: 'ops@example.com' }])
    expect(await news()).toEqual(events)
    const live = await shown()
    expect(live).toMatchObject({ endedAt: null })
    expect(live?.title).toMatch(title)
    expect(live?.whatToDo).toMatch(help)
    const [kind] = name.split(':')
    expect(await two.metrics.render()).toContain(`sallyport_alerts{kind="${kind}"} 1`)

    // Over, but so lately that it may come back: told neither that it ended nor, if it does, again.
    await empty()
    alerting.moveClock(299)
    await one.look()
    expect(await told()).toHaveLength(1)

    alerting.moveClock(3601)
    await Promise.all([one.look(), two.look()])
    await two.look()
    expect((await told()).map(({ type }) => type)).toEqual(['alert.raised', 'alert.ended'])
    expect(await news()).toEqual([...events, { type: 'alert.ended', detail: { alert: name } }])
    expect((await shown())?.endedAt).not.toBeNull()
    expect(await two.metrics.render()).not.toContain('sallyport_alerts{')
  })

  test('a gateway whose circuit opened once, or that no order names, is not down', async () => {
    const { look, alerts } = alerting.instance()
    await failing('twilio', 1, 'transient')
    await failing('vonage', 9, 'config')
    await look()
    expect((await alerts.list()).filter(({ endedAt }) => endedAt === null)).toEqual([])
    await empty()
  })
})

describe('a value that does not open (CRY-02)', () => {
  const place = { column: 'phone.hotp_secret', row: 'one' }

  test('is told of once a minute, and of its column alone, whatever is rolled back', async () => {
    const [one, two] = [alerting.instance(), alerting.instance()]
    const sealed = one.vault.seal('a secret', place)
    const fail = async ({ vault, alerts }: typeof one) => {
      const work = alerting.db.transaction().execute(async (trx) => {
        await sql`select 1`.execute(trx)
        vault.open(sealed, { ...place, row: 'two' })
      })
      await expect(work).rejects.toThrow(VaultError)
      await alerts.idle()
    }
    await Promise.all([fail(one), fail(two), fail(one)])
    expect(await alerting.recorded('alert.decrypt')).toEqual([
      { type: 'alert.decrypt', detail: { column: 'phone.hotp_secret' } },
    ])
    alerting.moveClock(61)
    await fail(alerting.instance())
    expect(await alerting.recorded('alert.decrypt')).toHaveLength(2)
    const [alert] = await one.alerts.list()
    expect(alert).toMatchObject({
      name: 'decrypt-failures:phone.hotp_secret',
      severity: 'critical',
      endedAt: null,
    })
    expect(alert?.whatToDo).toContain('ENCRYPTION_KEYS')
    alerting.moveClock(3500)
    await one.look()
    expect((await one.alerts.list())[0]?.endedAt).toBeNull()
    alerting.moveClock(101)
    await one.look()
    expect((await one.alerts.list())[0]?.endedAt).not.toBeNull()
  })
})

test('what ended goes after 30 days, and all that was sent of it', async () => {
  const { alerts } = alerting.instance()
  expect(await alerts.list()).not.toEqual([])
  alerting.moveClock(31 * 24 * 3600)
  while ((await alerts.sweep(3)) > 0);
  expect(await alerts.list()).toEqual([])
  const left = await alerting.db.selectFrom('alert_delivery').selectAll().execute()
  expect(left).toEqual([])
})
