import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { EventType } from '../../src/audit/event.ts'
import { parsePhoneNumber } from '../../src/phone-number.ts'
import { createTestRooms, type TestRooms } from '../support/rooms.ts'
import { createPlace, type Place } from './command-line.ts'

let rooms: TestRooms
let place: Place

beforeAll(async () => {
  place = createPlace()
  Object.assign(place.env, { TRUSTED_DEVICE_DAYS: '30' })
  rooms = await createTestRooms(place.env)
  Object.assign(place.env, { DATABASE_URL: rooms.database.url })
})
afterAll(async () => {
  place.remove()
  await rooms.database.destroy()
})

/** What the trail says of an account by events of a type, oldest first. */
async function told(accountId: string, type: EventType) {
  const events = await rooms.audit.history(accountId, [type], 9)
  return events.toReversed().map(({ actor, detail }) => ({ actor, detail }))
}

const by = (detail: object) => ({ actor: 'command-line', detail })

describe.concurrent('account', { timeout: 90_000 }, () => {
  test('a role is given when an account is made, or later, and taken away, the last admin’s too', async () => {
    const args = ['account', 'create', '--username', 'chief', '--role', 'admin']
    const { id } = await place.json(args)
    expect(await rooms.accounts.record(id)).toMatchObject({ role: 'admin' })
    expect(await told(id, 'account.created')).toEqual([by({ role: 'admin' })])
    for (const role of ['helpdesk', 'none']) {
      const now = role === 'none' ? null : role
      expect(await place.json(['account', 'role', 'CHIEF', role])).toMatchObject({ id, role: now })
      expect(await rooms.accounts.record(id)).toMatchObject({ role: now })
    }
    expect(await told(id, 'account.role-changed')).toEqual([
      by({ from: 'admin', to: 'helpdesk' }),
      by({ from: 'helpdesk', to: 'none' }),
    ])
  })

  test('list --role has those of one role alone', async () => {
    for (const role of ['auditor', 'helpdesk', undefined] as const)
      await rooms.accounts.create({ username: `listed-${role}`, role })
    const auditors = await place.json(['account', 'list', '--role', 'auditor'])
    expect(auditors).toMatchObject([{ username: 'listed-auditor', role: 'auditor' }])
  })

  test('reset-second-factor takes every factor away, and keeps why', async () => {
    const { id } = await rooms.accounts.create({ username: 'lost' })
    const phone = parsePhoneNumber('+46701234567', '*')
    if ('fault' in phone) throw new Error(phone.fault)
    await rooms.phoneChanges.add(id, phone, true)
    await rooms.backupCodes.issue(id)
    const args = ['account', 'reset-second-factor', 'lost']
    expect(await place.json([...args, '--reason', 'phone lost'])).toMatchObject({ id, phones: [] })
    expect(await rooms.phones.list(id)).toEqual([])
    expect(await rooms.backupCodes.count(id)).toMatchObject({ left: 0 })
    await place.json(args)
    expect(await told(id, 'factors.reset')).toEqual([
      by({ reason: 'phone lost' }),
      by({ reason: 'not given' }),
    ])
  })

  test('forget-browsers ends all that are remembered', async () => {
    const { id } = await rooms.accounts.create({ username: 'roaming' })
    await rooms.trustedDevices.trust(id, 'Firefox on Windows')
    await rooms.trustedDevices.trust(id, 'Safari on iOS')
    const browsers = (await rooms.trustedDevices.list(id)).map((browser) => browser.id)
    const args = ['account', 'forget-browsers', 'roaming']
    expect(await place.json(args)).toEqual({ username: 'roaming', browsers: 2 })
    expect(await rooms.trustedDevices.list(id)).toEqual([])
    const ended = await told(id, 'trusted-browser.ended')
    expect(ended).toHaveLength(2)
    for (const trustedBrowser of browsers) expect(ended).toContainEqual(by({ trustedBrowser }))
  })
})
