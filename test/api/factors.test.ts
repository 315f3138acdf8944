import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Api, type ApiAnswer, addDesk, apiWith, tokensOf, traceOf } from '../support/api.ts'
import { addAdmin } from '../support/console.ts'
import { createFlow, type Flow } from '../support/flow.ts'
import { isSignedIn, otherThan } from '../support/guesses.ts'
import { type House, PHONES, startHouse } from '../support/house.ts'
import { addApp, addPhone, MFA, noticesOf } from '../support/second-factors.ts'

const NONE = { passwordsUntil: null, codesUntil: null, codesDisabled: false }

let house: House
let app: { id: string; secret: string }
let ada: Api
/** how the trail names her */
let by: string
let people = 0

beforeAll(async () => {
  house = await startHouse({ env: { TRUSTED_DEVICE_DAYS: '14', OTP_RESEND_SECONDS: '30' } })
  app = await house.addClient()
  by = `admin:${(await addAdmin(house, 'ada', 'admin')).id}`
  ada = apiWith(house, (await tokensOf(house, await addDesk(house), 'ada')).access)
})
afterAll(() => house.stop())

async function newcomer() {
  people += 1
  const phone = `+46701${500_000 + people}`
  const { id, username } = await house.addAccount(`person${people}`, phone)
  const path = `/accounts/${id}`
  const items = async (what: string) => (await ada.get(`${path}/${what}`)).json.items

  return {
    id,
    username,
    phone,
    path,
    items,
    idsOf: async (what: string): Promise<string[]> =>
      (await items(what)).map((item: { id: string }) => item.id),

    /** Signs in with both factors, in a browser that is remembered. */
    async signIn(): Promise<Flow> {
      const flow = createFlow(house, { client: app })
      await flow.toCode(username)
      await flow.resume(await flow.step('code', { code: house.lastCode(phone), remember: 'yes' }))
      expect(await isSignedIn(flow)).toBe(true)
      return flow
    },

    /** Types a wrong code, as if so many had been typed before. */
    async guessWrong(before: number): Promise<void> {
      const flow = createFlow(house, { client: app })
      await flow.toCode(username)
      const { db } = house
      await db
        .updateTable('second_factor')
        .set({ failures: before })
        .where('account_id', '=', id)
        .execute()
      await flow.code(otherThan(house.lastCode(phone)))
    },

    trace: (act: () => Promise<ApiAnswer>) => traceOf(house, id, act),
  }
}

describe('all factors of an account, by the API', () => {
  test('are reset: they are gone, its owner is told, and so are trail and log (ADM-10)', async () => {
    const person = await newcomer()
    const flow = await person.signIn()
    await addPhone(house, person.id, PHONES[1])
    await addApp(house, person)
    await house.rooms.backupCodes.issue(person.id)
    expect(await person.items('phones')).toHaveLength(2)
    expect((await ada.get(`${person.path}/factors`)).json).toEqual({
      authenticator: { addedAt: expect.any(String) },
      backupCodes: { left: 10, total: 10, issuedAt: expect.any(String) },
    })

    const reason = 'lost everything'
    const done = await person.trace(() => ada.post(`${person.path}/factors/reset`, { reason }))
    expect(done.status).toBe(204)
    expect(done.events).toContainEqual(['factors.reset', by, reason])
    expect(await person.items('phones')).toEqual([])
    expect((await ada.get(`${person.path}/factors`)).json).toEqual({
      authenticator: null,
      backupCodes: { left: 0, total: 0, issuedAt: null },
    })
    expect(await person.items('sessions')).toEqual([])
    expect(await person.items('trusted-browsers')).toEqual([])
    expect(await isSignedIn(flow)).toBe(false)
    expect(await noticesOf(house, person.id)).toContain('factors.reset')
    const line = house.logged.find((each) => each.includes(`${person.path}/factors/reset`)) ?? '{}'
    expect(JSON.parse(line)).toMatchObject({ msg: 'request', status: 204, actor: by })
  })
})

describe('a phone, by the API', () => {
  test('becomes the primary one, and the next one does when it is removed', async () => {
    const person = await newcomer()
    const [first = ''] = await person.idsOf('phones')
    const second = await addPhone(house, person.id, PHONES[2])
    const third = await addPhone(house, person.id, PHONES[3])
    const primary = async () =>
      (await person.items('phones')).filter((phone: { primary: boolean }) => phone.primary)
    const reason = 'it rings'
    const made = await person.trace(() =>
      ada.post(`${person.path}/phones/${second}/primary`, { reason }),
    )
    expect(made).toMatchObject({ status: 200, json: { id: second, primary: true } })
    expect(made.events).toEqual([['phone.made-primary', by, reason]])
    expect(await primary()).toMatchObject([{ id: second }])

    const removed = await person.trace(() =>
      ada.delete(`${person.path}/phones/${second}?reason=it%20broke`),
    )
    expect(removed).toMatchObject({ status: 204, events: [['phone.removed', by, 'it broke']] })
    expect((await person.idsOf('phones')).toSorted()).toEqual([first, third].toSorted())
    expect(await primary()).toMatchObject([{ id: first, number: person.phone }])
  })

  test('is sent a code again only after a while, which the refusal tells', async () => {
    const person = await newcomer()
    const phone = await addPhone(house, person.id, PHONES[2], false)
    const send = () => ada.post(`${person.path}/phones/${phone}/verification`)
    expect((await send()).status).toBe(202)
    const early = await send()
    expect([early.status, early.json.code]).toEqual([429, 'too_soon'])
    const wait = Number(early.headers.get('retry-after'))
    expect(wait).toBeGreaterThan(20)
    expect(wait).toBeLessThanOrEqual(30)
    house.moveClock(wait)
    expect((await send()).status).toBe(202)
  })
})

describe('what is shut, by the API', () => {
  test('codes are taken again after ten wrong ones, and after a hundred', async () => {
    const person = await newcomer()
    const locks = async () => (await ada.get(`${person.path}/locks`)).json
    expect(await locks()).toEqual(NONE)
    // Whoever has no lock isn't told of any, nor is the trail.
    expect((await ada.post(`${person.path}/unlock`, { reason: 'by mistake' })).json).toEqual({
      passwords: false,
      locked: false,
      disabled: false,
    })
    for (const [failures, shut, lifted] of [
      [9, { codesUntil: expect.any(String), codesDisabled: false }, { locked: true }],
      [99, { codesDisabled: true }, { disabled: true }],
    ] as const) {
      await person.guessWrong(failures)
      expect(await locks()).toMatchObject(shut)
      const done = await person.trace(() =>
        ada.post(`${person.path}/unlock`, { reason: 'it was them' }),
      )
      expect(done).toMatchObject({ status: 200, json: lifted })
      expect(done.events).toEqual([['account.unlocked', by, 'it was them']])
      expect(await locks()).toEqual(NONE)
    }
    await person.signIn()
  })

  test('an account is enabled, and nothing comes back that ended with it (ADM-19)', async () => {
    const person = await newcomer()
    const flow = await person.signIn()
    const set = (verb: string) =>
      person.trace(() => ada.post(`${person.path}/${verb}`, { reason: 'a mistake' }))
    const ended = await set('disable')
    expect(ended).toMatchObject({ status: 200, json: { disabled: true } })
    expect(ended.events).toContainEqual(['account.disabled', by, 'a mistake'])
    expect(await isSignedIn(flow)).toBe(false)
    expect(await set('enable')).toMatchObject({
      status: 200,
      json: { disabled: false },
      events: [['account.enabled', by, 'a mistake']],
    })
    expect(await isSignedIn(flow)).toBe(false)
    for (const what of ['sessions', 'trusted-browsers'])
      expect(await person.items(what), what).toEqual([])
    await person.signIn()
  })
})

describe('what is open in somebody’s name, by the API', () => {
  test('is listed, and ends one by one or all at once', async () => {
    const person = await newcomer()
    const flows = [await person.signIn(), await person.signIn(), await person.signIn()]
    const stillIn = async () => Promise.all(flows.map(isSignedIn))
    expect(await person.items('sessions')).toContainEqual({
      id: expect.any(String),
      signedInAt: expect.any(String),
      acr: MFA,
      amr: ['pwd', 'otp', 'sms', 'mfa'],
      browser: expect.any(String),
      address: expect.any(String),
      apps: [{ id: 'app', name: null }],
    })
    expect(await person.items('apps')).toEqual([
      { clientId: 'app', name: null, scopes: ['openid'], since: expect.any(String) },
    ])
    const [browser] = await person.items('trusted-browsers')
    expect(browser).toMatchObject({ browser: expect.any(String), expiresAt: expect.any(String) })

    for (const [what, type] of [
      ['trusted-browsers', 'trusted-browser.ended'],
      ['sessions', 'session.ended'],
    ] as const) {
      const [one, ...others] = await person.idsOf(what)
      const path = `${person.path}/${what}`
      expect(others, what).toHaveLength(2)
      const single = await person.trace(() => ada.delete(`${path}/${one}`))
      expect(single).toMatchObject({ status: 204, events: [[type, by, null]] })
      expect((await person.idsOf(what)).toSorted()).toEqual(others.toSorted())
      if (what === 'sessions') expect((await stillIn()).toSorted()).toEqual([false, true, true])
      const all = await person.trace(() => ada.delete(`${path}?reason=stolen`))
      expect(all).toMatchObject({ status: 200, json: { ended: 2 } })
      expect(all.events).toEqual(Array(2).fill([type, by, 'stolen']))
      expect(await person.items(what)).toEqual([])
    }
    expect(await stillIn()).toEqual([false, false, false])
    expect(await person.items('apps')).toEqual([])
  })

  test('a bypass code ends, and opens nothing then', async () => {
    const person = await newcomer()
    const path = `${person.path}/bypass-codes`
    const { id, code } = (await ada.post(path, { reason: 'phone at home' })).json
    expect(await person.items('bypass-codes')).toMatchObject([{ id, createdBy: by }])
    const ended = await person.trace(() => ada.delete(`${path}/${id}`))
    expect(ended).toMatchObject({ status: 204, events: [['bypass-code.ended', by, null]] })
    expect(await person.items('bypass-codes')).toEqual([])
    const flow = createFlow(house, { client: app })
    await flow.toCode(person.username)
    expect((await flow.step('backup-code', { code })).status).toBe(400)
  })
})
