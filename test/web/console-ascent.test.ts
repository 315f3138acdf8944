import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { parsePhoneNumber } from '../../src/phone-number.ts'
import { signIn } from '../support/account.ts'
import { addDesk, apiWith, openApi, tokensOf } from '../support/api.ts'
import { addAdmin, addressOf, signInToConsole } from '../support/console.ts'
import { FORMS, type Route } from '../support/console-routes.ts'
import { type Answer, createFlow } from '../support/flow.ts'
import { type House, PHONES, startHouse } from '../support/house.ts'

// Ways by which somebody with a lower role, or somebody at an admin's open browser, could climb (ADM-12).

/** What only takes away, helps on, or goes with a form that was asked for fresh: nothing is shown again for it. */
const EASED = /\/(unlock|end|end-sessions|forget|forget-browsers|resend-code|test|file|cancel)$/

let house: House
let program: Awaited<ReturnType<typeof openApi>>
let desk: Awaited<ReturnType<typeof addDesk>>
let ada: Awaited<ReturnType<typeof addAdmin>>
beforeAll(async () => {
  house = await startHouse({ env: { BYPASS_CODE_CONSENT: 'required', TRUSTED_DEVICE_DAYS: '14' } })
  desk = await addDesk(house)
  ada = await addAdmin(house, 'ada', 'admin', PHONES[0])
  await addAdmin(house, 'helen', 'helpdesk', PHONES[1])
})
afterAll(() => house.stop())
beforeEach(async () => {
  house.gateway.reset()
  // Tokens are short-lived, and the clock is moved.
  program = await openApi(house)
})

describe('the help desk', () => {
  test('never sees a link by which somebody’s password is chosen', async () => {
    const paul = await house.addAccount('paul', null)
    const { access } = await tokensOf(house, desk, 'helen', { phone: PHONES[1] })
    const sent = await apiWith(house, access).post(`/accounts/${paul.id}/invitations`)
    expect(sent).toMatchObject({ status: 201, json: { link: null, mailed: true } })
    const { account: mute } = (await program.post('/accounts', { username: 'mute' })).json
    const refused = await apiWith(house, access).post(`/accounts/${mute.id}/invitations`)
    expect(refused).toMatchObject({ status: 409, json: { code: 'not_mailed' } })
  })

  test('keeps nothing of an account that is given a role: links, codes, sessions and browsers end', async () => {
    const bea = await house.addAccount('bea', PHONES[2])
    const { linkMails, links, bypassCodes, sessions, trustedDevices, accounts } = house.rooms
    const { link } = await linkMails.invite(bea.id)
    await bypassCodes.issue(bea.id)
    await trustedDevices.trust(bea.id, 'Firefox')
    const flow = createFlow(house)
    await signIn(house, flow, await flow.request('/account'), 'bea', { phone: PHONES[2] })
    expect(await sessions.list(bea.id)).toHaveLength(1)
    expect(await trustedDevices.list(bea.id)).toHaveLength(1)
    await accounts.setRole(bea.id, 'admin', { keepAdmin: true })
    expect(await links.peek(link.split('/').at(-1) ?? '')).toBeUndefined()
    expect(await bypassCodes.list(bea.id)).toEqual([])
    expect(await sessions.list(bea.id)).toEqual([])
    expect(await trustedDevices.list(bea.id)).toEqual([])
  })

  test('doesn’t approve, and no program does', async () => {
    const vic = await house.addAccount('vic', PHONES[3])
    const { access } = await tokensOf(house, desk, 'helen', { phone: PHONES[1] })
    const made = await program.post(`/accounts/${vic.id}/bypass-codes`, { reason: 'phone lost' })
    const path = `/accounts/${vic.id}/bypass-codes/${made.json.id}/approval`
    expect((await apiWith(house, access).post(path)).json.code).toBe('forbidden')
    expect((await program.post(path)).json.code).toBe('own_approval')
  })
})

describe('an admin’s browser that was left open', () => {
  test('changes nothing of others without a fresh second factor', async () => {
    const cy = await house.addAccount('cy', PHONES[2])
    const { id: webhook } = await house.rooms.webhooks.create({ url: 'https://93.184.216.34/hook' })
    const { id: app } = await house.addClient('shop')
    const [phone] = await house.rooms.phones.list(cy.id)
    const url = `/admin/people/${cy.id}`

    const console = await signInToConsole(house, 'ada')
    house.moveClock(25 * 60)
    const { id: code } = await house.rooms.bypassCodes.issue(cy.id)
    const ids = { id: cy.id, code, webhook, app, phone: phone?.id ?? '', country: 'SE' }
    const at = (route: Route) => addressOf(route, ids)
    expect((await console.get(url)).status).toBe(200)
    const refused: string[] = []
    const isRefused = ({ status, location }: Answer) =>
      status === 303 && (location ?? '').startsWith(`${house.issuer}/auth?`)
    const forms = FORMS.filter(({ path }) => !EASED.test(path))
    for (const form of forms) {
      const reason = 'they asked for it'
      const answers = [
        await console.get(at(form)),
        await console.send(`${url}/unlock`, at(form), { reason }),
      ]
      if (answers.every(isRefused)) refused.push(form.path)
    }
    expect(refused).toEqual(forms.map(({ path }) => path))
    expect(await console.get(`${url}/export`)).toSatisfy(isRefused)
    expect((await console.get(`${url}/unlock`)).status).toBe(200)
  })

  test('opens with no factor that was added beside others a moment ago', async () => {
    const dan = await addAdmin(house, 'dan', 'admin', '+46701500007')
    const added = '+46701500008'
    await house.rooms.phones.add(dan.id, number(added), true)
    const [, held] = await house.rooms.phones.list(dan.id)
    await house.db
      .updateTable('phone')
      .set({ held_until: new Date(house.now() * 1000 + 3_600_000), is_primary: false })
      .where('id', '=', held?.id ?? '')
      .execute()
    const flow = createFlow(house)
    let at = await flow.request('/admin')
    while (at.location && !at.location.includes('/interaction/'))
      at = await flow.request(at.location)
    await flow.arrive(at.location ?? '')
    await flow.password('dan')
    house.moveClock(60)
    await flow.step('phone', { phone: held?.id ?? '' })
    at = await flow.code(house.lastCode(added))
    for (let hops = 0; at.location && hops < 8; hops++) at = await flow.request(at.location)
    expect(at.status).toBe(403)
    expect(at.html).toContain('Not with this factor')
    expect((await flow.request('/admin/people')).status).not.toBe(200)
  })
})

describe('a file', () => {
  test('changes no account with a role, and no address in use', async () => {
    const begun = await program.post('/imports', { format: 'csv', update: true })
    const rows = `username,email,email_verified\nada,evil@example.org,yes\n`
    await fetch(`${house.url}/api/admin/v1/imports/${begun.json.id}/content/0`, {
      method: 'PUT',
      headers: { authorization: `Bearer ${program.token}` },
      body: rows,
    })
    await program.post(`/imports/${begun.json.id}/start`)
    await expect
      .poll(async () => (await program.get(`/imports/${begun.json.id}`)).json.state)
      .toBe('done')
    const { items } = (await program.get(`/imports/${begun.json.id}/failures`)).json
    expect(items).toEqual([{ line: 2, reason: 'This account has a role, and no file changes it.' }])
    expect((await program.get(`/accounts/${ada.id}`)).json.email).toBe('ada@example.com')
  })
})

describe('an answer that was kept for a request that may come twice', () => {
  test('isn’t given again to whoever may ask no more', async () => {
    const eve = await house.addAccount('eve', '+46701500009')
    const { access } = await tokensOf(house, desk, 'helen', { phone: PHONES[1] })
    const ask = () =>
      apiWith(house, access).post(
        `/accounts/${eve.id}/bypass-codes`,
        { reason: 'phone lost' },
        { 'idempotency-key': 'once' },
      )
    expect((await ask()).status).toBe(201)
    await house.rooms.accounts.setRole(eve.id, 'admin', { keepAdmin: true })
    expect((await ask()).json.code).toBe('higher_role')
  })

  test('texts that no database holds are refused in a sentence', async () => {
    for (const name of ['x\u0000y', '\ud800'])
      expect((await program.post('/accounts', { username: 'zoe', name })).status).toBe(400)
    expect((await program.get('/accounts?q=%00')).status).toBe(400)
  })
})

function number(text: string) {
  const parsed = parsePhoneNumber(text, '*')
  if ('fault' in parsed) throw new Error(parsed.fault)
  return parsed
}
