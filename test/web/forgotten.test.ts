import { setTimeout as pause } from 'node:timers/promises'
import { sql } from 'kysely'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Answer, burst, createFlow } from '../support/flow.ts'
import { type House, startHouse } from '../support/house.ts'
import { askForLink, formTokenOf, mailedLink, newBrowser } from '../support/links.ts'

let house: House

beforeAll(async () => {
  house = await startHouse({ env: { TRUST_PROXY: '1' } })
  await house.addClient('app')
})
afterAll(() => house.stop())

let addresses = 0
const newAddress = () => `198.51.100.${++addresses}`

async function linksOf(accountId: string) {
  return house.db
    .selectFrom('one_time_link')
    .selectAll()
    .where('account_id', '=', accountId)
    .execute()
}

/** Gives everything that was asked for before time to be done: whoever comes last is served last. */
async function settled(name: string): Promise<void> {
  const { id } = await house.addAccount(name, null)
  await askForLink(newBrowser(house, newAddress()), name)
  await mailedLink(house, id)
  await pause(50)
}

describe('asking for a new password', () => {
  test('is answered alike for every name, and before it is looked up (ENU-05)', async () => {
    await house.addAccount('known1')
    const { id: banned } = await house.addAccount('banned1')
    await house.rooms.accounts.disable(banned)
    await house.rooms.accounts.create({ username: 'unmailed1', password: 'correct horse battery' })
    const face = async (name: string) => {
      const browser = newBrowser(house, newAddress())
      const page = await browser.request('/password/forgotten')
      const token = formTokenOf(page)
      const answer = await browser.post('/password/forgotten', {
        form_token: token,
        username: name,
      })
      const next = await browser.request(answer.location ?? '')
      return [page, answer, next].map((one) => dull(one, token))
    }
    const unknown = await face('nobody1')
    expect(unknown.map(({ status }) => status)).toEqual([200, 303, 200])
    expect(unknown[2]?.html).toContain('If there is an account')
    // Were the answer to wait for what is done for an account, it would fail here.
    await house.db.transaction().execute(async (trx) => {
      await sql`lock table one_time_link in access exclusive mode`.execute(trx)
      for (const name of ['known1', 'banned1', 'unmailed1', 'known1@example.com'])
        expect(await face(name), name).toEqual(unknown)
    })
  })

  test('mails a link to the address that is kept, whoever’s letters were typed', async () => {
    const { id } = await house.addAccount('kelvin')
    const answer = await askForLink(newBrowser(house, newAddress()), ' \u212Aelvin@Example.com ')
    expect(answer.status).toBe(303)
    const link = await mailedLink(house, id)
    expect(new URL(link).origin).toBe(house.issuer)
    expect((await newBrowser(house).request(link)).html).toContain('autocomplete="new-password"')
  })

  test('mails everyone who shares an address, each their own link', async () => {
    const shared = await Promise.all(
      ['twin1', 'twin2'].map((username) =>
        house.rooms.accounts.create({
          username,
          password: 'correct horse battery',
          email: 'Twins@Example.com',
        }),
      ),
    )
    await askForLink(newBrowser(house, newAddress()), 'twins@example.com')
    for (const { id } of shared) await expect.poll(() => linksOf(id)).toHaveLength(1)
  })

  test('mails nobody who is disabled', async () => {
    const { id } = await house.addAccount('banned2')
    await house.rooms.accounts.disable(id)
    await askForLink(newBrowser(house, newAddress()), 'banned2')
    await settled('after-banned')
    expect(await linksOf(id)).toEqual([])
  })

  test('fills no mailbox: one link in two minutes, whatever is typed', async () => {
    const { id } = await house.addAccount('flooded')
    for (const name of ['flooded', 'FLOODED', 'flooded@example.com', 'Flooded@example.com'])
      expect((await askForLink(newBrowser(house, newAddress()), name)).status).toBe(303)
    await settled('after-flood')
    const first = await linksOf(id)
    expect(first).toHaveLength(1)
    const mails = () =>
      house.db.selectFrom('notice').select('id').where('account_id', '=', id).execute()
    expect(await mails()).toHaveLength(1)
    house.moveClock(121)
    await askForLink(newBrowser(house, newAddress()), 'flooded')
    await expect.poll(mails).toHaveLength(2)
    const second = await linksOf(id)
    expect(second).toHaveLength(1)
    expect(second[0]?.token_hash).not.toEqual(first[0]?.token_hash)
  })

  test('is limited for a name, known or not, and for an address', async () => {
    await house.addAccount('limited')
    const statuses = []
    for (const name of ['limited', 'nobody-limited']) {
      const answers = []
      for (let i = 0; i < 5; i++)
        answers.push((await askForLink(newBrowser(house, newAddress()), name)).status)
      statuses.push(answers)
    }
    expect(statuses).toEqual(statuses.map(() => [303, 303, 303, 429, 429]))
    house.moveClock(301)
    expect((await askForLink(newBrowser(house, newAddress()), 'limited')).status).toBe(303)

    const [one, other] = [newAddress(), newAddress()]
    for (let i = 0; i < 20; i++)
      expect((await askForLink(newBrowser(house, one), `name-${i}`)).status).toBe(303)
    const limited = await askForLink(newBrowser(house, one), 'name-20')
    expect(limited.status).toBe(429)
    expect(Number(limited.headers.get('retry-after'))).toBeGreaterThan(0)
    expect((await askForLink(newBrowser(house, other), 'name-20')).status).toBe(303)
  })

  test('many times at once makes one link', async () => {
    const { id } = await house.addAccount('hurried')
    const browsers = await burst(8, async () => newBrowser(house, newAddress()))
    const answers = await Promise.all(browsers.map((browser) => askForLink(browser, 'hurried')))
    expect(answers.filter(({ status }) => status === 303)).toHaveLength(3)
    await expect.poll(() => linksOf(id)).toHaveLength(1)
  })

  test('is offered on the login page', async () => {
    const page = await newBrowser(house).begin()
    expect(page.html).toContain('href="/password/forgotten"')
  })
})

describe('bent input', () => {
  test.each([
    ['', 400],
    ['   ', 400],
    ['x'.repeat(257), 400],
    ['x'.repeat(2 ** 20), 413],
    ['\0', 303],
    ["'; drop table account; --", 303],
    ['\u202Enomis\u2066', 303],
    ['%_\\', 303],
  ])('%j', async (name, status) => {
    const answer = await askForLink(newBrowser(house, newAddress()), name)
    expect(answer.status).toBe(status)
  })

  test('a form without its token, with another’s, or from another site is refused (WEB-01, WEB-02)', async () => {
    const [own, other] = [newBrowser(house), newBrowser(house)]
    const path = '/password/forgotten'
    const token = formTokenOf(await own.request(path))
    const foreign = formTokenOf(await other.request(path))
    expect(token).not.toBe(foreign)
    const fields = { username: 'limited' }
    for (const form_token of ['', foreign, token.slice(0, -1)])
      expect((await own.post(path, { ...fields, form_token })).status).toBe(403)
    expect((await own.post(path, fields)).status).toBe(403)
    const stranger = newBrowser(house)
    expect((await stranger.post(path, { ...fields, form_token: token })).status).toBe(403)
    const evil = { origin: 'https://evil.example' }
    expect((await own.post(path, { ...fields, form_token: token }, evil)).status).toBe(403)
  })

  test('leaves no name and no token in the log', async () => {
    const { id } = await house.addAccount('secretive')
    await askForLink(newBrowser(house, newAddress()), 'secretive')
    const link = await mailedLink(house, id)
    await newBrowser(house).request(link)
    const log = house.logged.join('')
    expect(log).toContain('/link/:')
    expect(log).not.toContain(link.split('/').at(-1) ?? '')
    expect(log).not.toContain('secretive')
  })
})

test('without a way to send mails, the page says whom to ask, and nothing leads to it', async () => {
  const silent = await startHouse({
    env: {
      NODE_ENV: 'production',
      ISSUER: 'https://login.example.com',
      SMS_ALLOWED_COUNTRIES: 'SE',
    },
  })
  try {
    await silent.addClient('app')
    const browser = createFlow(silent, { url: silent.url })
    const page = await browser.request('/password/forgotten')
    expect(page.status).toBe(200)
    expect(page.html).toContain('Ask the people who run it')
    expect(page.html).not.toContain('<input')
    expect((await browser.begin()).html).not.toContain('/password/forgotten')
  } finally {
    await silent.stop()
  }
})

/** What an answer shows to whoever gets it, without what is random. */
function dull({ status, headers, html, location }: Answer, token: string) {
  const shown = [...headers].filter(
    ([name]) => !['date', 'x-request-id', 'set-cookie'].includes(name),
  )
  return { status, location, headers: shown, html: html.replaceAll(token, 'TOKEN') }
}
