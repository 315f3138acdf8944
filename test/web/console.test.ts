import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { signIn } from '../support/account.ts'
import { addAdmin, signInToConsole } from '../support/console.ts'
import { createFlow } from '../support/flow.ts'
import { type House, PHONES, startHouse } from '../support/house.ts'

let house: House
beforeAll(async () => {
  house = await startHouse({ env: { SECOND_FACTOR: 'optional' } })
  await addAdmin(house, 'ada', 'admin')
  await addAdmin(house, 'helen', 'helpdesk', PHONES[1])
  await addAdmin(house, 'otto', 'auditor', PHONES[2])
})
afterAll(() => house.stop())

describe('the console’s door', () => {
  test('lets an admin in by password and code, and shows people', async () => {
    const console = await signInToConsole(house, 'ada')
    expect(console.arrived.status).toBe(200)
    expect(await console.text('/admin/people')).toContain('helen')
  })

  test('turns people without a role away, with cookies and headers of any kind', async () => {
    await house.addAccount('paul', PHONES[3])
    const flow = createFlow(house, { headers: { 'x-user-id': 'admin' } })
    const arrived = await signIn(house, flow, await flow.request('/admin'), 'paul', {
      phone: PHONES[3],
    })
    expect(arrived.status).toBe(403)
    expect((await flow.request('/admin/people')).status).toBe(403)
    expect((await flow.request('/api/admin/v1/accounts')).status).toBe(403)
  })

  test('makes an account, and shows the invitation once', async () => {
    const console = await signInToConsole(house, 'ada')
    const made = await console.submit('/admin/people/new', {
      username: 'newcomer',
      name: 'New <b>',
    })
    expect(made.status).toBe(200)
    expect(made.html).toContain(`${house.issuer}/link/`)
    const found = await house.rooms.accounts.findByUsername('newcomer')
    const page = await console.get(`/admin/people/${found?.id}`)
    expect(page.status).toBe(200)
    expect(page.html).toContain('New &lt;b&gt;')
  })
})
