import { sql } from 'kysely'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { addAdmin, signInToConsole, traceOf } from '../support/console.ts'
import { createFlow } from '../support/flow.ts'
import { type House, PHONES, startHouse } from '../support/house.ts'
import { addApp, addPhone } from '../support/second-factors.ts'

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
function fillIn(id: string, form: string, fields: Record<string, string> = {}) {
  return traceOf(house, id, () => ada.submit(`/admin/people/${id}/${form}`, fields))
}

/** Presses one of the buttons on a person's page. */
function press(id: string, button: string) {
  const page = `/admin/people/${id}`
  return traceOf(house, id, () => ada.send(page, `${page}/${button}`))
}

describe('at the console, a person’s phone', () => {
  test('is added, is proven by the code that is read out, becomes the primary one and is removed', async () => {
    const { id } = await house.addAccount('paul', PHONES[1])
    const phones = () => house.rooms.phones.list(id)
    expect(await fillIn(id, 'phones/add', { number: PHONES[2] })).toEqual({
      to: `/${id}?done=phone-added`,
      events: [['phone.added', by, null]],
    })
    const [first, added] = await phones()
    if (!first || !added) throw new Error('the phone wasn’t added')
    expect(added).toMatchObject({ number: PHONES[2], verified: false, primary: false })

    const one = `phones/${added.id}`
    const sent = await fillIn(id, `${one}/send-code`)
    expect(sent.to).toBe(`/${id}/${one}/verify?done=code-sent`)
    expect(sent.events).toContainEqual(['code.sent-again', by, null])
    const proven = await fillIn(id, `${one}/verify`, { code: house.lastCode(PHONES[2]) })
    expect(proven.to).toBe(`/${id}?done=phone-verified`)
    expect(proven.events).toContainEqual(['phone.proven', by, null])
    expect(await phones()).toContainEqual({ ...added, verified: true })

    expect(await fillIn(id, `${one}/primary`, { reason: 'the old one broke' })).toEqual({
      to: `/${id}?done=phone-primary`,
      events: [['phone.made-primary', by, 'the old one broke']],
    })
    expect((await phones()).find(({ primary }) => primary)?.id).toBe(added.id)
    expect(await fillIn(id, `phones/${first.id}/remove`, { reason: 'it broke' })).toEqual({
      to: `/${id}?done=phone-removed`,
      events: [['phone.removed', by, 'it broke']],
    })
    expect((await phones()).map(({ number }) => number)).toEqual([PHONES[2]])
  })
})

describe('at the console, a person’s second factor', () => {
  test('is reset, whatever it is', async () => {
    const rut = await house.addAccount('rut', PHONES[3])
    await addApp(house, rut)
    await house.rooms.backupCodes.issue(rut.id)
    expect(await fillIn(rut.id, 'reset-factors', { reason: 'lost everything' })).toEqual({
      to: `/${rut.id}?done=factors-reset`,
      events: [['factors.reset', by, 'lost everything']],
    })
    expect(await house.rooms.phones.list(rut.id)).toEqual([])
    expect(await house.rooms.authenticators.describe(rut.id)).toBeUndefined()
    expect(await house.rooms.backupCodes.count(rut.id)).toMatchObject({ left: 0 })
  })

  test('is asked for again in one browser, and in all', async () => {
    const { id } = await house.rooms.accounts.create({ username: 'siv' })
    const names = async () =>
      (await house.rooms.trustedDevices.list(id)).map(({ browser }) => browser)
    for (const name of ['Opera', 'Firefox', 'Chrome'])
      await house.rooms.trustedDevices.trust(id, name)
    const [newest] = await house.rooms.trustedDevices.list(id)
    expect(await press(id, `browsers/${newest?.id}/forget`)).toEqual({
      to: `/${id}?done=browser-forgotten`,
      events: [['trusted-browser.ended', by, null]],
    })
    expect(await names()).toEqual(['Firefox', 'Opera'])
    expect(await fillIn(id, 'forget-browsers', { reason: 'sold them' })).toEqual({
      to: `/${id}?done=browsers-forgotten`,
      events: Array(2).fill(['trusted-browser.ended', by, 'sold them']),
    })
    expect(await names()).toEqual([])
  })
})

describe('at the console, a person’s sessions', () => {
  test('end one by one, and all at once', async () => {
    const client = await house.addClient()
    const { id } = await house.addAccount('tove', '+46701234571')
    const uids = async () => (await house.rooms.sessions.list(id)).map(({ uid }) => uid)
    for (let browsers = 0; browsers < 3; browsers++)
      await createFlow(house, { client }).complete('tove', '+46701234571')
    const [ended, ...others] = await uids()
    expect(others).toHaveLength(2)
    expect(await press(id, `sessions/${ended}/end`)).toEqual({
      to: `/${id}?done=session-ended`,
      events: [['session.ended', by, null]],
    })
    expect((await uids()).toSorted()).toEqual(others.toSorted())
    expect(await fillIn(id, 'end-sessions', { reason: 'stolen laptop' })).toEqual({
      to: `/${id}?done=sessions-ended`,
      events: Array(2).fill(['session.ended', by, 'stolen laptop']),
    })
    expect(await uids()).toEqual([])
  })
})

describe('without a reason', () => {
  let ids: Record<string, string>
  beforeAll(async () => {
    const { id } = await house.addAccount('vera', '+46701234572')
    const other = await addPhone(house, id, '+46701234573')
    const { id: barred } = await house.rooms.accounts.create({ username: 'dora' })
    await house.rooms.accounts.disable(barred)
    const { id: webhook } = await house.rooms.webhooks.create({ url: 'https://93.184.216.34/hook' })
    ids = { vera: id, dora: barred, other, webhook }
  })

  /** Everything that these forms are about. */
  const kept = () =>
    Promise.all(
      ['account', 'phone', 'backup_code', 'webhook'].map(async (table) => {
        const found = sql`select * from ${sql.table(table)} t order by t::text`
        return (await found.execute(house.db)).rows
      }),
    )

  test.each<[string, Record<string, string>?]>([
    ['people/vera/role', { role: 'auditor' }],
    ['people/vera/disable'],
    ['people/dora/enable'],
    ['people/vera/erase'],
    ['people/vera/reset-factors'],
    ['people/vera/backup-codes'],
    ['people/vera/phones/other/primary'],
    ['people/vera/phones/other/remove'],
    ['alerts/webhooks/webhook/secret'],
    ['alerts/webhooks/webhook/remove'],
  ])('nothing is changed: %s', async (form, fields = {}) => {
    const path = form.replace(/vera|dora|other|webhook(?!s)/g, (name) => ids[name] ?? '')
    const before = await kept()
    const refused = await ada.submit(`/admin/${path}`, { ...fields, reason: ' ' })
    expect(refused).toMatchObject({ status: 400, html: expect.stringContaining('Say why') })
    expect(await kept()).toEqual(before)
  })
})
