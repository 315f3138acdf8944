import { parse } from 'node-html-parser'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { addAdmin, signInToConsole, traceOf } from '../support/console.ts'
import { createFlow } from '../support/flow.ts'
import { type House, PHONES, startHouse } from '../support/house.ts'
import { addApp } from '../support/second-factors.ts'

const FIREFOX = 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0'

let house: House
let ada: Awaited<ReturnType<typeof signInToConsole>>
/** how the trail names her */
let by: string

beforeAll(async () => {
  house = await startHouse({ env: { TRUSTED_DEVICE_DAYS: '14' } })
  by = `admin:${(await addAdmin(house, 'ada', 'admin')).id}`
  ada = await signInToConsole(house, 'ada')
})
afterAll(() => house.stop())

/** Fills in one of the forms about a person. */
function fillIn(id: string, form: string, fields: Record<string, string>) {
  return traceOf(house, id, () => ada.submit(`/admin/people/${id}/${form}`, fields))
}

describe('at the console, a person', () => {
  test('is edited', async () => {
    const { id } = await house.rooms.accounts.create({ username: 'anna' })
    const fields = { username: 'anna.b', name: 'Anna B', email: 'b@example.com', reason: 'married' }
    expect(await fillIn(id, 'edit', fields)).toEqual({
      to: `/${id}?done=changed`,
      events: [
        ['account.email-changed', by, 'married'],
        ['account.changed', by, 'married'],
      ],
    })
    const { reason: _, ...said } = fields
    expect(await house.rooms.accounts.findById(id)).toMatchObject(said)
  })

  test('isn’t edited by a form from before somebody else’s change', async () => {
    const { id } = await house.rooms.accounts.create({ username: 'bo', name: 'Bo' })
    await house.rooms.accounts.patch(id, { email: 'bo@example.com' })
    const now = await house.rooms.accounts.record(id)
    const fields = { username: 'bobo', name: 'Bo', email: '', version: '1' }
    const late = await ada.submit(`/admin/people/${id}/edit`, fields)
    expect(late.status).toBe(412)
    expect(late.html).toContain('role="alert"')
    expect(await house.rooms.accounts.record(id)).toEqual(now)
  })

  test('is given a role, and has it taken away', async () => {
    const { id } = await house.rooms.accounts.create({ username: 'cleo' })
    for (const [role, kept] of [
      ['auditor', 'auditor'],
      ['none', null],
    ] as const) {
      expect(await fillIn(id, 'role', { role, reason: 'new task' })).toEqual({
        to: `/${id}?done=role-changed`,
        events: [['account.role-changed', by, 'new task']],
      })
      expect(await house.rooms.accounts.findById(id)).toMatchObject({ role: kept })
    }
  })

  test('is disabled, and enabled again', async () => {
    const { id } = await house.rooms.accounts.create({ username: 'dina' })
    for (const [form, done, disabled] of [
      ['disable', 'disabled', true],
      ['enable', 'enabled', false],
    ] as const) {
      expect(await fillIn(id, form, { reason: 'on leave' })).toEqual({
        to: `/${id}?done=${done}`,
        events: [[`account.${done}`, by, 'on leave']],
      })
      expect(await house.rooms.accounts.findById(id)).toMatchObject({ disabled })
    }
  })

  test('is erased', async () => {
    const { id } = await house.rooms.accounts.create({ username: 'emil' })
    expect(await fillIn(id, 'erase', { reason: 'asked for it' })).toEqual({
      to: '?done=erased',
      events: [['account.deleted', by, 'asked for it']],
    })
    expect(await house.rooms.accounts.findById(id)).toBeUndefined()
    expect((await ada.get(`/admin/people/${id}`)).status).toBe(404)
  })

  test('is unlocked', async () => {
    const fia = await house.rooms.accounts.create({ username: 'fia' })
    await house.db
      .insertInto('second_factor')
      .values({ account_id: fia.id, failures: 100, disabled_at: new Date() })
      .execute()
    expect(await ada.text(`/admin/people/${fia.id}`)).toContain('After a hundred wrong codes')
    expect(await fillIn(fia.id, 'unlock', { reason: 'it was her' })).toEqual({
      to: `/${fia.id}?done=unlocked`,
      events: [['account.unlocked', by, 'it was her']],
    })
    expect((await house.rooms.locks.look(fia)).codesDisabled).toBe(false)
  })
})

describe('a person’s page', () => {
  test('has everything about them, and messages are shown of them alone', async () => {
    const gus = await house.addAccount('gus', PHONES[1])
    const { rooms } = house
    const client = await house.addClient('harbour', { name: 'Harbour café' })
    const flow = createFlow(house, { client, headers: { 'user-agent': FIREFOX } })
    await flow.redeem((await flow.complete('gus', PHONES[1])).get('code') ?? '')
    await addApp(house, gus)
    await rooms.backupCodes.issue(gus.id)
    await rooms.trustedDevices.trust(gus.id, 'Opera on Haiku')

    const page = parse((await ada.get(`/admin/people/${gus.id}`)).html)
    const section = (name: string) =>
      page.querySelector(`[aria-labelledby=${name}]`)?.textContent.replace(/\s+/g, ' ')
    expect(section('who')).toMatch(/Person gus .*gus@example\.com unverified/)
    expect(section('factors')).toMatch(/•• 68.* primary verified.*appsince .*10 left, made /)
    expect(section('sessions')).toMatch(/Firefox on Linux.* pwd .*Harbour café/)
    expect(section('browsers')).toMatch(/Opera on Haiku.* used .*, until /)
    expect(section('apps')).toMatch(/Harbour cafésince .* openid/)
    expect(section('events')).toMatch(/backup-codes\.issued by .*session\.started by self/)

    const messages = async (query: string) => {
      const { html } = await ada.get(`/admin/messages${query}`)
      return new Set(html.match(/(?<=class="message-person" href="\/admin\/people\/)[^"]+/g))
    }
    expect((await messages('')).size).toBe(2)
    expect(await messages(`?account=${gus.id}`)).toEqual(new Set([gus.id]))
  })
})

describe('people are found', () => {
  beforeAll(() => house.addAccount('hilda', PHONES[2]))

  test.each([
    ['a whole number', '+46 70 123 45 69', true],
    ['an address', 'hilda@example.com', true],
    ['the beginning of a name', 'hild', true],
    ['a number’s beginning', '+46 70 123 45', false],
    ['a number’s end', '4569', false],
    ['another’s number', PHONES[3], false],
  ])('by what is theirs: %s', async (_, q, found) => {
    const { html } = await ada.get(`/admin/people?${new URLSearchParams({ q })}`)
    const rows = parse(html).querySelectorAll('a.row .row-title')
    expect(rows.map(({ textContent }) => textContent)).toEqual(found ? ['hilda'] : [])
    expect(html.includes('Nobody is called that')).toBe(!found)
  })
})
