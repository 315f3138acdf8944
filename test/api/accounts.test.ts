import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { type Api, openApi } from '../support/api.ts'
import { claimsOf, createFlow, type Flow } from '../support/flow.ts'
import { type House, PHONES, startHouse } from '../support/house.ts'
import { addApp, addPhone, appCode, eventsOf } from '../support/second-factors.ts'

let house: House
let api: Api
beforeAll(async () => {
  house = await startHouse()
  api = await openApi(house)
})
afterAll(() => house.stop())

describe('accounts by the API', () => {
  test('are made with a phone, found, edited by version, and erased', async () => {
    const made = await api.post('/accounts', {
      username: 'Anna',
      name: 'Anna Berg',
      email: 'berg@post.example',
      phone: PHONES[0],
    })
    expect(made).toMatchObject({
      status: 201,
      json: { account: { username: 'Anna', version: 1, hasPassword: false, role: null } },
    })
    expect(made.json.invitation).toContain(`${house.issuer}/link/`)
    const { id } = made.json.account
    expect(made.headers.get('location')).toBe(`/api/admin/v1/accounts/${id}`)

    await house.addAccount('hannah', PHONES[3])
    const found = async (query: Record<string, string>) =>
      (await api.get(`/accounts?${new URLSearchParams(query)}`)).json.items
    for (const q of ['ann', 'BERG', 'anna ber', 'berg@post.example', 'berg@post', PHONES[0]])
      expect(await found({ q }), q).toMatchObject([{ id }])
    // A number is found by who has the whole of it, or the numbers of all could be guessed at.
    for (const q of [PHONES[0].slice(0, -1), PHONES[0].slice(-4), '4670', 'nna', '%', 'a_n'])
      expect(await found({ q }), q).toEqual([])

    const shown = await api.get(`/accounts/${id}`)
    const tag = shown.headers.get('etag') ?? ''
    const [first, second] = await Promise.all(
      ['One', 'Two'].map((name) => api.patch(`/accounts/${id}`, { name }, { 'if-match': tag })),
    )
    expect([first?.status, second?.status].toSorted()).toEqual([200, 412])

    expect((await api.delete(`/accounts/${id}?reason=left%20the%20company`)).status).toBe(204)
    expect((await api.get(`/accounts/${id}`)).status).toBe(404)
  })

  test('are found by whether they are disabled, and by their role', async () => {
    const [ola, pia] = [await house.addAccount('ola', null), await house.addAccount('pia', null)]
    await house.rooms.accounts.disable(ola.id)
    await house.rooms.accounts.setRole(pia.id, 'auditor', { keepAdmin: false })
    const found = async (query: string): Promise<string[]> =>
      (await api.get(`/accounts?${query}`)).json.items.map(
        ({ username }: { username: string }) => username,
      )
    expect(await found('disabled=true')).toEqual(['ola'])
    expect(await found('disabled=false')).toContain('pia')
    expect(await found('disabled=false')).not.toContain('ola')
    expect(await found('disabled=false&q=ola')).toEqual([])
    for (const role of ['auditor', 'any']) expect(await found(`role=${role}`)).toEqual(['pia'])
    expect(await found('role=admin')).toEqual([])
  })

  test('a number that an admin gave is verified by a code that went to it', async () => {
    const account = await house.addAccount('vera', null)
    const added = await api.post(`/accounts/${account.id}/phones`, { number: PHONES[1] })
    expect(added).toMatchObject({ status: 201, json: { verified: false, primary: true } })
    const path = `/accounts/${account.id}/phones/${added.json.id}/verification`
    expect(await api.post(path)).toMatchObject({ status: 202, json: { sent: true } })
    expect((await api.post(`${path}/check`, { code: '000000' })).status).toBe(422)
    const code = house.lastCode(PHONES[1])
    // It is read out, which the text of a sign-in warns of.
    const { text } = house.gateway.messages.at(-1) ?? {}
    expect(text).toContain(`${code} confirms your number. Only read it out to support`)
    expect(text).not.toContain('sign-in')
    expect(await api.post(`${path}/check`, { code })).toMatchObject({
      status: 200,
      json: { verified: true },
    })
  })
})

describe('what apps are told of an account', () => {
  /** Where a password is enough for those who have nothing else. */
  let app: { id: string; secret: string }
  beforeAll(async () => {
    app = await house.addClient('lax', { secondFactor: 'optional' })
  })

  async function redeem(flow: Flow, query: URLSearchParams) {
    const { body } = await flow.redeem(query.get('code') ?? '')
    const about = async () => {
      const headers = { authorization: `Bearer ${body.access_token}` }
      const told: Record<string, unknown> = JSON.parse(
        await (await fetch(`${house.url}/me`, { headers })).text(),
      )
      return told
    }
    return { sub: claimsOf(body).sub, about }
  }

  test('of a number that an admin typed is that nobody has proven it, until a code is right [OIDC-29]', async () => {
    const typed = await house.addAccount('typed', null)
    const key = await addApp(house, typed)
    const added = await api.post(`/accounts/${typed.id}/phones`, { number: PHONES[2] })
    expect(added).toMatchObject({ status: 201, json: { verified: false } })
    const params = { scope: 'openid phone' }
    const first = createFlow(house, { client: app })
    await first.toCode('typed', params)
    const byApp = await first.resume(await first.code(appCode(key, house.now())))
    const { about } = await redeem(first, byApp)
    const claims = { phone_number: PHONES[2] }
    expect(await about()).toMatchObject({ ...claims, phone_number_verified: false })

    const second = createFlow(house, { client: app })
    await second.toCode('typed', params)
    await second.step('phone', { phone: added.json.id })
    expect(await about()).toMatchObject({ ...claims, phone_number_verified: false })
    const byText = await second.resume(await second.code(house.lastCode(PHONES[2])))
    const later = await redeem(second, byText)
    expect(await later.about()).toMatchObject({ ...claims, phone_number_verified: true })
    // Nor is it told to an app that didn't ask.
    const third = createFlow(house, { client: app, jar: second.jar })
    const plain = await redeem(third, await third.resume(await third.begin()))
    expect(Object.keys(await plain.about()).join()).not.toContain('phone')
  })

  test('is another sub for whoever has the name of one that was erased [OIDC-13]', async () => {
    const subOf = async () => {
      const flow = createFlow(house, { client: app })
      await flow.begin()
      return (await redeem(flow, await flow.resume(await flow.password('yves')))).sub
    }
    const { id } = await house.addAccount('yves', null)
    const before = await subOf()
    expect(await subOf()).toBe(before)
    expect((await api.delete(`/accounts/${id}?reason=left`)).status).toBe(204)
    await house.addAccount('yves', null)
    expect(await subOf()).toEqual(expect.any(String))
    expect(await subOf()).not.toBe(before)
  })
})

describe('another e-mail address', () => {
  const OLD = 'wilma@example.com'
  const NEW = 'someone.else@example.com'
  const UNPROVEN = PHONES[2]

  const noticesTo = async (accountId: string) => {
    const rows = await house.db
      .selectFrom('notice')
      .select(['kind', 'medium', 'state'])
      .where('account_id', '=', accountId)
      .orderBy('medium')
      .execute()
    return rows.map(({ kind, medium, state }) => `${kind} ${medium} ${state}`)
  }

  test('is told to the owner at the one before and by text, and nothing else is [ADM-05]', async () => {
    const { id } = await house.addAccount('wilma')
    await addPhone(house, id, UNPROVEN, false)
    await house.addAccount('yngve', null)
    // Neither what stays as it was, nor what is refused.
    for (const [body, status] of [
      [{ name: 'Wilma' }, 200],
      [{ email: OLD }, 200],
      [{ email: NEW, username: 'YNGVE' }, 409],
    ] as const)
      expect(await api.patch(`/accounts/${id}`, body)).toMatchObject({ status })
    const stale = { 'if-match': '"1"' }
    expect((await api.patch(`/accounts/${id}`, { email: NEW }, stale)).status).toBe(412)
    expect(await noticesTo(id)).toEqual([])
    expect(await eventsOf(house, id)).not.toContain('account.email-changed')

    // Of two at once, the second finds it done.
    const both = [1, 2].map(() => api.patch(`/accounts/${id}`, { email: NEW }))
    for (const answer of await Promise.all(both))
      expect(answer).toMatchObject({ status: 200, json: { email: NEW, emailVerified: false } })
    const told = (await eventsOf(house, id)).filter((type) => type === 'account.email-changed')
    expect(told).toHaveLength(1)
    const sent = ['email.changed mail sent', 'email.changed sms sent']
    await vi.waitFor(async () => expect(await noticesTo(id)).toEqual(sent), 15_000)
    const texts = house.gateway.messages.filter(({ text }) => text.includes('e-mail address of'))
    expect(texts.map(({ to }) => to)).toEqual([PHONES[0]])
    const outbox = await fetch(`${house.issuer}/dev/outbox.json`)
    const mails: Array<{ to: string; text: string }> = JSON.parse(await outbox.text())
    expect(mails.find(({ to }) => to === OLD)?.text).toContain('e-mail address of your account was')
    expect(mails.map(({ to }) => to)).not.toContain(NEW)
  })

  test('where there was none, is told by text alone', async () => {
    const { id } = await house.addAccount('xenia')
    await house.db.updateTable('account').set({ email: null }).where('id', '=', id).execute()
    expect((await api.patch(`/accounts/${id}`, { email: NEW })).status).toBe(200)
    expect(await noticesTo(id)).toEqual([expect.stringMatching(/^email\.changed sms/)])
  })
})
