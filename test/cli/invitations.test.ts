import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type House, startHouse } from '../support/house.ts'
import { choosePassword, mailedLink, newBrowser } from '../support/links.ts'
import { createPlace, type Place } from './command-line.ts'

let house: House
let place: Place

beforeAll(async () => {
  house = await startHouse()
  await house.addClient('app')
  place = createPlace()
  Object.assign(place.env, house.variables)
})
afterAll(async () => {
  place.remove()
  await house.stop()
})

const PASSWORD = 'seven purple tractors'

async function events(accountId: string): Promise<string[]> {
  const rows = await house.db
    .selectFrom('audit_event')
    .select(['type', 'actor'])
    .where('account_id', '=', accountId)
    .orderBy('id')
    .execute()
  return rows.map(({ type, actor }) => `${type} by ${actor}`)
}

describe('an account without a password', { timeout: 90_000 }, () => {
  test('is made with a one-time link, which is mailed too', async () => {
    const args = ['account', 'create', '--username', 'Guest', '--email', 'guest@example.com']
    const { id, invitation, ...rest } = await place.json(args)
    expect(rest).toEqual({ username: 'Guest', phones: [] })
    expect(new URL(invitation).origin).toBe(house.issuer)
    expect(await mailedLink(house, id)).toBe(invitation)
    const answer = await choosePassword(newBrowser(house), invitation, PASSWORD)
    expect(answer.location).toContain('/password/welcome')
    expect(await place.json(['account', 'show', 'guest'])).not.toHaveProperty('invitation')
  })

  test('can be invited again, unless it is disabled', async () => {
    const made = await place.json(['account', 'create', '--username', 'second'])
    const again = await place.cli(['account', 'invite', 'second'])
    expect(again.out).toContain(`${house.issuer}/link/`)
    expect(again.err).toContain('hand it to nobody else')
    expect((await newBrowser(house).request(made.invitation)).status).toBe(410)
    await place.json(['account', 'disable', 'second'])
    expect(await place.cli(['account', 'invite', 'second'])).toMatchObject({ code: 1, out: '' })
  })
})

describe('account disable, enable and delete', { timeout: 90_000 }, () => {
  test('end what is open, let in again, and leave nothing but the audit trail', async () => {
    const { id } = await house.addAccount('Coming')
    const flow = newBrowser(house)
    await flow.complete('coming')
    const silent = async () => {
      const { location = '' } = await flow.request(flow.authorizationUrl({ prompt: 'none' }))
      return new URL(location).searchParams.get('error')
    }
    expect(await silent()).toBeNull()

    expect(await place.json(['account', 'disable', 'COMING'])).toMatchObject({ id, disabled: true })
    expect(await silent()).toBe('login_required')
    expect(await place.json(['account', 'disable', 'coming'])).toMatchObject({ disabled: true })
    expect(await place.json(['account', 'enable', 'coming'])).toMatchObject({ disabled: false })
    expect(await silent()).toBe('login_required')
    await flow.complete('coming')
    expect(await silent()).toBeNull()

    expect(await place.json(['account', 'delete', 'coming'])).toMatchObject({ id })
    expect(await silent()).toBe('login_required')
    expect(await place.cli(['account', 'show', 'coming'])).toMatchObject({ code: 1 })
    expect(await place.cli(['account', 'delete', 'coming'])).toMatchObject({ code: 1 })
    const told = (await events(id)).filter((event) => event.startsWith('account.'))
    expect(told.slice(1)).toEqual([
      'account.disabled by command-line',
      'account.enabled by command-line',
      'account.deleted by command-line',
    ])
  })
})
