import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ACCOUNT_CLIENT_ID } from '../../src/oidc/built-in.ts'
import { recordKey } from '../../src/oidc/sealed-records.ts'
import { follow, signIn, signInToAccount } from '../support/account.ts'
import { createFlow, type Flow } from '../support/flow.ts'
import { type House, PASSWORD, PHONES, startHouse } from '../support/house.ts'

/** Every form there is; `x` stands for any id. */
const FORMS = [
  'phones/add',
  'phones/prove',
  'phones/prove/resend',
  'phones/prove/again',
  'phones/prove/cancel',
  'phones/x/name',
  'phones/x/up',
  'phones/x/primary',
  'phones/x/remove',
  'app/add',
  'app/prove',
  'app/remove',
  'backup-codes/new',
  'backup-codes/kept',
  'password',
  'browsers/x/forget',
  'browsers/forget-all',
  'sessions/x/end',
  'sessions/end-others',
  'apps/x/revoke',
].map((path) => `/account/${path}`)

let house: House
let people = 0
beforeAll(async () => {
  house = await startHouse({ env: { TRUSTED_DEVICE_DAYS: '30' } })
  await house.addClient('app')
})
afterAll(() => house.stop())

async function newcomer(): Promise<{ username: string; id: string }> {
  const { id, username } = await house.addAccount(`person${++people}`)
  return { id, username }
}

/** To the provider's page that is due. */
async function toInteraction(flow: Flow, path = '/account'): Promise<URL> {
  const sent = await flow.request(path)
  const asked = new URL(sent.location ?? '')
  await flow.arrive((await flow.request(asked.href)).location ?? '')
  return asked
}

describe('getting in', () => {
  test('goes through the provider, as with any app, and leads to the page that was wanted', async () => {
    const { username } = await newcomer()
    const flow = createFlow(house)
    const asked = await toInteraction(flow, '/account/history?to=https://evil.example')
    expect(asked.pathname).toBe('/auth')
    expect(Object.fromEntries(asked.searchParams)).toMatchObject({
      client_id: ACCOUNT_CLIENT_ID,
      redirect_uri: `${house.issuer}/account/callback`,
      code_challenge_method: 'S256',
      response_type: 'code',
    })
    expect(asked.searchParams.get('state')).toMatch(/^[\w-]{22}$/)
    await flow.password(username)
    const passed = await flow.code(house.lastCode())
    const back = await flow.request(passed.location ?? '')
    expect(back.location).toContain('/account/callback?code=')
    const arrived = await flow.request(back.location ?? '')
    expect(arrived).toMatchObject({ status: 303, location: `${house.issuer}/account/history` })

    const code = new URL(back.location ?? '').searchParams.get('code') ?? ''
    const used = await house.db
      .selectFrom('oidc_record')
      .select('consumed_at')
      .where('key', '=', recordKey('AuthorizationCode', code))
      .executeTakeFirst()
    expect(used?.consumed_at).toBeInstanceOf(Date)
  })

  test('needs no page of the provider for whoever is signed in already', async () => {
    const { username } = await newcomer()
    const flow = createFlow(house)
    await flow.complete(username)
    const sent = await flow.request('/account')
    expect(sent.location).toContain('/auth?')
    const page = await follow(flow, sent)
    expect(page.html).toContain('<h1>Your account</h1>')
  })

  test('takes no code that was given to another browser, and none without its state', async () => {
    const { username } = await newcomer()
    const thief = createFlow(house)
    await toInteraction(thief)
    await thief.password(username)
    const passed = await thief.code(house.lastCode())
    const callback = new URL((await thief.request(passed.location ?? '')).location ?? '')

    const { flow } = await signInToAccount(house, (await newcomer()).username)
    const none = await flow.request(callback.href)
    expect(none.location).toBe(`${house.issuer}/account`)
    const asked = new URL((await flow.request('/account/phones/add?again=yes')).location ?? '')
    const wrongState = await flow.request(callback.href)
    expect(wrongState.location).toBe(`${house.issuer}/account`)

    const again = new URL((await flow.request('/account/phones/add?again=yes')).location ?? '')
    expect(again.searchParams.get('state')).not.toBe(asked.searchParams.get('state'))
    callback.searchParams.set('state', again.searchParams.get('state') ?? '')
    expect((await flow.request(callback.href)).status).toBe(400)
  })

  test('that is cancelled ends at a page that says so', async () => {
    const flow = createFlow(house)
    await toInteraction(flow)
    const page = await follow(flow, await flow.step('cancel'))
    expect(page.status).toBe(403)
    expect(page.html).toContain('You are not signed in')
  })

  test('needs a second factor where the house does, whatever another app made do with', async () => {
    await house.addClient('easy', { secondFactor: 'optional' })
    const { id, username } = await house.addAccount(`person${++people}`, null)
    const flow = createFlow(house, { client: { id: 'easy', secret: '' } })
    await flow.begin()
    await flow.resume(await flow.password(username))
    const asked = await flow.request('/account')
    expect(asked.location).toContain('/auth?')
    const due = await flow.request(asked.location ?? '')
    expect(due.location).toContain('/interaction/')
    expect(await house.rooms.phones.list(id)).toEqual([])
  })
})

describe('the client behind it', () => {
  test('is part of the house: nobody makes, deletes, sees or takes anything from it', async () => {
    const { clients, consents, sessions } = house.rooms
    const made = clients.create({ id: 'sallyport-else', redirectUris: ['https://rp.example/'] })
    await expect(made).rejects.toMatchObject({ code: 'reserved_id' })
    await expect(clients.remove(ACCOUNT_CLIENT_ID)).rejects.toMatchObject({ code: 'reserved_id' })
    const { id, username } = await newcomer()
    const me = await signInToAccount(house, username)
    expect(await consents.list(id)).toHaveLength(1)
    expect(await me.text('/account/apps')).toContain('No app has access')
    expect(await me.text('/account/sessions')).not.toContain('sallyport-account')
    expect((await me.post(`/account/apps/${ACCOUNT_CLIENT_ID}/revoke`)).status).toBe(404)
    expect(await sessions.list(id)).toHaveLength(1)
  })
})

describe('a form', () => {
  test.each(FORMS)(
    '%s does nothing with only the password done [ADM-04, input 94]',
    async (path) => {
      const { id, username } = await newcomer()
      const flow = createFlow(house)
      await toInteraction(flow)
      await flow.password(username)
      const fields = {
        form_token: flow.formToken,
        number: PHONES[1],
        country: '',
        current: PASSWORD,
      }
      const answer = await flow.post(path, fields)
      expect(answer.status).toBe(403)
      expect(answer.html).toContain('You are not signed in')
      expect(await house.rooms.phones.list(id)).toHaveLength(1)
      expect(await house.rooms.backupCodes.count(id)).toMatchObject({ total: 0 })
    },
  )

  test('is refused without its token, with another session’s, and from another site [WEB-01]', async () => {
    const [mine, other] = await Promise.all([newcomer(), newcomer()])
    const me = await signInToAccount(house, mine.username)
    const they = await signInToAccount(house, other.username)
    const [phone] = await house.rooms.phones.list(mine.id)
    const path = `/account/phones/${phone?.id}/name`
    for (const form_token of ['', they.token])
      expect((await me.flow.post(path, { form_token, name: 'x' })).status).toBe(403)
    const foreign = { origin: 'https://evil.example' }
    const sent = await me.flow.post(path, { form_token: me.token, name: 'x' }, foreign)
    expect(sent.status).toBe(403)
    expect((await house.rooms.phones.list(mine.id))[0]?.label).toBeNull()
  })

  test.each([
    ['a field that isn’t ours', 'name=x&role=admin'],
    ['a field twice', 'name=x&name=y'],
    ['an array', 'name[]=x'],
    ['an object', 'name[a]=x'],
    ['no field', ''],
    ['verified, counter and secret', 'name=x&verified=true&counter=0&secret=a'],
  ])('with %s is malformed, and changes nothing [ADM-07, inputs 97 and 98]', async (_, fields) => {
    const { id, username } = await newcomer()
    const me = await signInToAccount(house, username)
    const [phone] = await house.rooms.phones.list(id)
    const body = new URLSearchParams(`${fields}&form_token=${me.token}`)
    expect((await me.flow.post(`/account/phones/${phone?.id}/name`, body)).status).toBe(400)
    expect(await house.rooms.phones.list(id)).toEqual([phone])
  })
})

describe('the end', () => {
  test('of the account is the end here, at once [SES-06]', async () => {
    const { id, username } = await newcomer()
    const me = await signInToAccount(house, username)
    await house.rooms.accounts.disable(id)
    expect((await me.get('/account')).location).toContain('/auth?')
    expect((await me.post('/account/sessions/end-others')).status).toBe(403)
    await house.rooms.accounts.enable(id)
    expect((await me.get('/account')).location).toContain('/auth?')
  })

  test('of the session shows in the middle of a form, and the way back in', async () => {
    const { id, username } = await newcomer()
    const me = await signInToAccount(house, username)
    const [session] = await house.rooms.sessions.list(id)
    await house.rooms.sessions.end(id, session?.uid ?? '')
    const answer = await me.post('/account/phones/add', { number: PHONES[1], country: '' })
    expect(answer.status).toBe(403)
    expect(answer.html).toMatch(/action="\/account"/)
    const page = await signIn(house, me.flow, await me.get('/account/phones'), username)
    expect(page.html).toContain('<h1>Phones</h1>')
  })

  test('by the button goes through the provider and says so', async () => {
    const { username } = await newcomer()
    const me = await signInToAccount(house, username)
    const ask = await follow(me.flow, await me.get('/account/sign-out'))
    const xsrf = /name="xsrf" value="([^"]+)"/.exec(ask.html)?.[1] ?? ''
    const confirmed = await me.flow.post('/session/end/confirm', { xsrf, logout: 'yes' })
    expect((await follow(me.flow, confirmed)).html).toContain('You are signed out')
    expect((await me.get('/account')).location).toContain('/auth?')
  })

  test('that was not confirmed leaves everything as it was', async () => {
    const { username } = await newcomer()
    const me = await signInToAccount(house, username)
    const ask = await follow(me.flow, await me.get('/account/sign-out'))
    const xsrf = /name="xsrf" value="([^"]+)"/.exec(ask.html)?.[1] ?? ''
    const stayed = await follow(me.flow, await me.flow.post('/session/end/confirm', { xsrf }))
    expect(stayed.html).toContain('<h1>Your account</h1>')
  })
})
