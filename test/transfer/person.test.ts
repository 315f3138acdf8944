import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { usernameKey } from '../../src/accounts/account.ts'
import { parsePhoneNumber } from '../../src/phone-number.ts'
import { openApi } from '../support/api.ts'
import { dump, writings } from '../support/dump.ts'
import { createFlow } from '../support/flow.ts'
import { type House, PASSWORD, startHouse } from '../support/house.ts'
import { addApp, arrive } from '../support/second-factors.ts'

const PHONES = ['+46701600001', '+46701600002'] as const
let house: House
let id: string
const secrets = new Map<string, string>()

/** Someone with all that an account can have. */
beforeAll(async () => {
  house = await startHouse({ env: { TRUSTED_DEVICE_DAYS: '30' } })
  const app = await house.addClient('app', { grants: ['authorization_code', 'refresh_token'] })
  ;({ id } = await house.addAccount('Unmistakable.Person', PHONES[0]))
  const second = parsePhoneNumber(PHONES[1], '*')
  if ('fault' in second) throw new Error(second.fault)
  await house.rooms.phoneChanges.add(id, second, false)
  const codes = await house.rooms.backupCodes.issue(id)
  await house.rooms.linkMails.invite(id)
  const flow = createFlow(house, { client: app })
  await flow.begin()
  await flow.password('Unmistakable.Person', 'not the password at all')
  await flow.toCode('Unmistakable.Person', { prompt: 'login' })
  const code = house.lastCode(PHONES[0])
  await arrive(flow, await flow.step('code', { code, remember: 'yes' }))
  await addApp(house, { id, username: 'Unmistakable.Person' })
  for (const [index, one] of codes.entries()) secrets.set(`backup code ${index}`, one)
  for (const { key, value } of (await flow.jar.serialize()).cookies)
    secrets.set(`cookie ${key}`, String(value))
  secrets.set('password', PASSWORD)
  const { db } = house
  const columns = [
    db.selectFrom('account').select('password_hash as value').where('id', '=', id),
    db.selectFrom('phone').select('hotp_secret as value').where('account_id', '=', id),
    db.selectFrom('authenticator').select('secret as value').where('account_id', '=', id),
    db.selectFrom('backup_code').select('hash as value').where('account_id', '=', id),
    db.selectFrom('trusted_device').select('token_hash as value').where('account_id', '=', id),
    db.selectFrom('one_time_link').select('token_hash as value').where('account_id', '=', id),
  ]
  for (const [index, column] of columns.entries()) {
    const held = (await column.execute()).flatMap(({ value }) => (value === null ? [] : [value]))
    expect(held.length, `column ${index}`).toBeGreaterThan(0)
    for (const [row, value] of held.entries())
      secrets.set(`column ${index}, row ${row}`, value.toString('base64url'))
  }
})
afterAll(() => house.stop())

describe('all about one person', () => {
  test('is all that is kept, and no secret', async () => {
    const all = await house.rooms.exportPerson(id)
    expect(all).toMatchObject({
      account: { id, username: 'Unmistakable.Person', password: true, wrongCodes: 0 },
      phones: [
        { number: PHONES[0], verified: true, primary: true },
        { number: PHONES[1], verified: false },
      ],
      authenticator: { held: expect.any(Boolean) },
      backupCodes: { left: 10, total: 10 },
      rememberedBrowsers: [{ browser: expect.any(String) }],
      sessions: [{ amr: expect.arrayContaining(['pwd', 'otp']) }],
      apps: [{ clientId: 'app' }],
      links: [{ purpose: 'invitation' }],
    })
    expect(all.messages.map(({ channel, country }) => [channel, country])).toContainEqual([
      'sms',
      'SE',
    ])
    expect(all.notices.map(({ kind }) => kind)).toContain('phone.added')
    const types = new Set(all.events.map(({ type }) => type))
    for (const type of ['account.created', 'password.wrong', 'code.right', 'session.started'])
      expect(types).toContain(type)
    const text = JSON.stringify(all)
    expect(secrets.size).toBeGreaterThan(15)
    for (const [name, secret] of secrets) expect(text.includes(secret), name).toBe(false)
  })

  test('every table that has something of a person is in it, or is told of here why not', async () => {
    const tables = await house.db.introspection.getTables()
    const own = tables
      .filter(({ columns }) => columns.some(({ name }) => name === 'account_id'))
      .map(({ name }) => name)
    expect(own.toSorted()).toEqual([
      'audit_event',
      'authenticator',
      'backup_code',
      'bypass_code',
      // Open for minutes, and told of by its events.
      'challenge',
      'console_session',
      // That apps are still to be told of the end of a session: there for seconds.
      'logout_delivery',
      'notice',
      'oidc_record',
      'one_time_link',
      'phone',
      'second_factor',
      'trusted_device',
    ])
  })

  test('taken by API, alone or with all others, is in the audit trail', async () => {
    const api = await openApi(house)
    expect((await api.get(`/accounts/${id}/export`)).json).toMatchObject({ account: { id } })
    expect((await api.get('/exports/accounts')).json).toContain(id)
    const rows = await house.db
      .selectFrom('audit_event')
      .select(['account_id', 'detail'])
      .where('type', '=', 'account.exported')
      .where('actor', '=', 'client:program-write')
      .orderBy('id')
      .execute()
    expect(rows).toEqual([
      { account_id: id, detail: {} },
      { account_id: null, detail: { all: true, hashes: false } },
    ])
  })

  test('of nobody is refused', async () => {
    await expect(house.rooms.exportPerson('nobody')).rejects.toThrow('no such account')
  })
})

test('what is deleted is nowhere any more, but in events that lead to nobody', async () => {
  const { fingerprint } = house.rooms
  // Tries that come to nothing leave their count under the name.
  await house.rooms.accounts.authenticate('unmistakable.person', 'wrong once more')
  const traces = [
    id,
    'Unmistakable',
    'unmistakable',
    ...PHONES.flatMap((phone) => writings(phone)),
    fingerprint('name', usernameKey('Unmistakable.Person')).toString('hex'),
  ]
  const before = await dump(house.db)
  for (const trace of [id, 'Unmistakable', traces.at(-1) ?? '']) expect(before).toContain(trace)
  await house.rooms.accounts.remove(id)
  const { rows: events } = await house.rooms.audit
    .history(id, ['account.deleted', 'session.started'], 9)
    .then((rows) => ({ rows }))
  expect(events.map(({ type }) => type).toSorted()).toEqual(['account.deleted', 'session.started'])
  const after = await dump(house.db)
  const withoutEvents = after.replaceAll(/\{"id":"\d+","at":"[^"]*","type":"[^{]*\{[^}]*\}\}/g, '')
  for (const trace of traces) expect(withoutEvents.includes(trace), trace).toBe(false)
  // The events themselves know the id and nothing else.
  for (const trace of traces.slice(1)) expect(after.includes(trace), trace).toBe(false)
})
