import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { signInToAccount } from '../support/account.ts'
import { createFlow } from '../support/flow.ts'
import { type House, startHouse } from '../support/house.ts'

const FIREFOX = 'Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0'

let house: House
let people = 0
beforeAll(async () => {
  house = await startHouse({ env: { TRUSTED_DEVICE_DAYS: '30' } })
  await house.addClient('app', { name: 'Harbour' })
})
afterAll(() => house.stop())

async function newcomer(): Promise<{ id: string; username: string }> {
  const { id, username } = await house.addAccount(`person${++people}`)
  return { id, username }
}

describe('sign-ins', () => {
  test('are listed with place and app, this one first, and ended one by one', async () => {
    const { id, username } = await newcomer()
    const elsewhere = createFlow(house, { headers: { 'user-agent': FIREFOX } })
    await elsewhere.complete(username)
    const me = await signInToAccount(house, username)
    const page = await me.text('/account/sessions')
    expect(page).toMatch(/This browser.*Firefox on Windows.*127\.0\.0\.1.*Harbour.*Sign out there/)
    const theirs = (await house.rooms.sessions.list(id)).find(({ apps }) =>
      apps.some((app) => app.id === 'app'),
    )
    const ended = await me.post(`/account/sessions/${theirs?.uid}/end`)
    expect(ended.location).toContain('done=session-ended')
    expect(await house.rooms.sessions.list(id)).toHaveLength(1)
    expect((await me.post(`/account/sessions/${theirs?.uid}/end`)).status).toBe(404)
  })

  test('are ended all but this one', async () => {
    const { id, username } = await newcomer()
    await createFlow(house).complete(username)
    await createFlow(house).complete(username)
    const me = await signInToAccount(house, username)
    await me.post('/account/sessions/end-others')
    expect(await house.rooms.sessions.list(id)).toHaveLength(1)
    expect((await me.get('/account')).status).toBe(200)
  })

  test('of somebody else aren’t there [ADM-07]', async () => {
    const [a, b] = [await newcomer(), await newcomer()]
    await createFlow(house).complete(b.username)
    const me = await signInToAccount(house, a.username)
    const [theirs] = await house.rooms.sessions.list(b.id)
    expect((await me.post(`/account/sessions/${theirs?.uid}/end`)).status).toBe(404)
    await me.post('/account/sessions/end-others')
    expect(await house.rooms.sessions.list(b.id)).toHaveLength(1)
  })
})

describe('remembered browsers', () => {
  test('are listed, forgotten one by one and all at once, and are one’s own [TRD-03]', async () => {
    const [a, b] = [await newcomer(), await newcomer()]
    const { trustedDevices } = house.rooms
    for (const browser of ['Firefox on Windows', 'Safari on iOS', 'Chrome on Android'])
      await trustedDevices.trust(a.id, browser)
    await trustedDevices.trust(b.id, 'Opera on Linux')
    const me = await signInToAccount(house, a.username)
    const page = await me.text('/account/browsers')
    expect(page).toContain('Safari on iOS')
    expect(page).not.toContain('Opera')
    const [first] = await trustedDevices.list(a.id)
    const [theirs] = await trustedDevices.list(b.id)
    await me.post(`/account/browsers/${first?.id}/forget`)
    expect(await trustedDevices.list(a.id)).toHaveLength(2)
    expect((await me.post(`/account/browsers/${theirs?.id}/forget`)).status).toBe(404)
    await me.post('/account/browsers/forget-all')
    expect(await trustedDevices.list(a.id)).toEqual([])
    expect(await trustedDevices.list(b.id)).toHaveLength(1)
  })

  test('lead to the pages without a code; once forgotten, no more', async () => {
    const { id, username } = await newcomer()
    const flow = createFlow(house)
    await flow.toCode(username)
    await flow.resume(await flow.step('code', { code: house.lastCode(), remember: 'yes' }))
    await flow.request('/account/callback')
    const [session] = await house.rooms.sessions.list(id)
    await house.rooms.sessions.end(id, session?.uid ?? '')
    const remembered = await signInToAccount(house, username, { jar: flow.jar, phone: null })
    expect(remembered.arrived.html).toContain('<h1>Your account</h1>')
    await house.rooms.trustedDevices.endAll(id)
    expect((await remembered.get('/account')).location).toContain('/auth?')
  })
})

describe('apps', () => {
  test('with access are listed with what they get, and it is taken back', async () => {
    const { id, username } = await newcomer()
    await createFlow(house).complete(username, undefined, { scope: 'openid email' })
    const me = await signInToAccount(house, username)
    expect(await me.text('/account/apps')).toMatch(/Harbour.*Your e-mail address.*Since/)
    const revoked = await me.post('/account/apps/app/revoke')
    expect(revoked.location).toContain('done=access-revoked')
    expect(await me.text('/account/apps')).toContain('No app has access')
    expect((await me.post('/account/apps/app/revoke')).status).toBe(404)
    expect((await me.get('/account')).status).toBe(200)
    expect(await house.rooms.sessions.list(id)).toHaveLength(2)
  })

  test('that aren’t ours ask anew once it is taken back, and get nothing silently until then [OIDC-40]', async () => {
    const { username } = await newcomer()
    const client = await house.addClient('guest', { name: 'Guest', firstParty: false })
    const me = await signInToAccount(house, username)
    const silently = async () => {
      const flow = createFlow(house, { client, jar: me.flow.jar })
      const answer = await flow.begin({ prompt: 'none' })
      const query = new URL(answer.location ?? '').searchParams
      return query.has('code') ? 'code' : query.get('error')
    }
    const consent = async () => {
      const flow = createFlow(house, { client, jar: me.flow.jar })
      expect((await flow.begin()).html).toContain('Guest')
      expect((await flow.resume(await flow.step('consent'))).has('code')).toBe(true)
    }
    expect(await silently()).toBe('consent_required')
    await consent()
    expect(await silently()).toBe('code')
    await me.post('/account/apps/guest/revoke')
    expect(await silently()).toBe('consent_required')

    // An admin who changes what it may ask for takes back what it was given, too.
    await consent()
    expect(await silently()).toBe('code')
    await house.rooms.clients.patch('guest', { scope: ['openid'] })
    expect(await silently()).toBe('consent_required')
  })
})

describe('the history', () => {
  test('tells what happened, newest first, with app and time, and nothing of others', async () => {
    const [a, b] = [await newcomer(), await newcomer()]
    await createFlow(house).complete(a.username)
    const me = await signInToAccount(house, a.username)
    const [phone] = await house.rooms.phones.list(a.id)
    await me.post(`/account/phones/${phone?.id}/name`, { name: 'Work' })
    await house.rooms.accounts.disable(b.id)
    const { html } = await me.get('/account/history')
    const text = html.replace(/<[^>]+>/g, ' ').replace(/\s+/g, ' ')
    expect(text).toMatch(
      /given another name.*Signed in.*Signed in Harbour.*account was made Not by you/,
    )
    expect(text).not.toContain('stopped')
    expect(html).toMatch(/<time datetime="\d{4}-\d\d-\d\dT[\d:.]+Z">[^<]+ UTC<\/time>/)
  })
})
