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

  test('says whether an invitation goes out by mail', async () => {
    const console = await signInToConsole(house, 'ada')
    const unmailed = await console.submit('/admin/people/new', { username: 'no-address' })
    expect(unmailed.html).toContain('isn’t mailed')
    const email = 'mailed@example.com'
    const made = await console.submit('/admin/people/new', { username: 'mailed', email })
    expect(made.html).toContain(`It is mailed to ${email}`)
    const found = await house.rooms.accounts.findByUsername('mailed')
    const again = await console.submit(`/admin/people/${found?.id}/invite`, {})
    expect(again.html).toContain(`It is mailed to ${email}`)
  })

  test.each([
    ['username', ' ', 'A username has 1 to 128 visible characters.'],
    ['username', 'n'.repeat(129), 'A username has 1 to 128 visible characters.'],
    ['name', 'n'.repeat(201), 'A full name has at most 200 characters, all of them visible.'],
    ['name', 'An\u200dna', 'A full name has at most 200 characters, all of them visible.'],
    ['email', 'abc', 'An e-mail address looks like anna@example.com.'],
    ['email', `${'a'.repeat(250)}@b.se`, 'An e-mail address looks like anna@example.com.'],
  ])(
    'refuses a %s that isn’t one, for a new account and an old one',
    async (field, value, says) => {
      const console = await signInToConsole(house, 'ada')
      const fields = { username: 'nobody', [field]: value }
      const made = await console.submit('/admin/people/new', fields)
      expect([made.status, made.html.includes(says)]).toEqual([400, true])
      expect(await house.rooms.accounts.findByUsername('nobody')).toBeUndefined()
      const helen = await house.rooms.accounts.findByUsername('helen')
      const { html } = await console.get(`/admin/people/${helen?.id}/edit`)
      const version = /name="version"[^>]*value="(\d+)"/.exec(html)?.[1] ?? ''
      const edited = { username: 'helen', name: '', email: '', version, [field]: value }
      const refused = await console.submit(`/admin/people/${helen?.id}/edit`, edited)
      expect([refused.status, refused.html.includes(says)]).toEqual([400, true])
      expect(await house.rooms.accounts.findByUsername('helen')).toEqual(helen)
    },
  )
})
