import { afterAll, beforeAll, expect, test } from 'vitest'
import { createBootstrap } from '../../src/admin/bootstrap.ts'
import { killChildren, startChild } from '../support/children.ts'
import { addAdmin, signInToConsole } from '../support/console.ts'
import { burst, createFlow } from '../support/flow.ts'
import { type House, PASSWORD, PHONES, startHouse } from '../support/house.ts'
import { freePort } from '../support/ports.ts'

const LINK = /\/admin\/bootstrap\/[\w-]+/

let house: House
beforeAll(async () => {
  house = await startHouse()
})
afterAll(async () => {
  await killChildren()
  await house.stop()
})

const begin = async () => {
  const phoneRules = { allowedCountries: '*' as const, defaultCountry: undefined }
  const token = await createBootstrap({ ...house, ...house.rooms, phoneRules }).begin()
  return token && `/admin/bootstrap/${token}`
}

async function open(link: string, username: string) {
  const flow = createFlow(house)
  const page = await flow.request(link)
  const token = /name="form_token" value="([^"]+)"/.exec(page.html)?.[1] ?? ''
  const send = () => flow.post(link, { form_token: token, username, email: '', password: PASSWORD })
  return { status: page.status, send }
}

async function admins(): Promise<string[]> {
  const rows = await house.db
    .selectFrom('account')
    .select('username')
    .where('role', '=', 'admin')
    .execute()
  return rows.map(({ username }) => username)
}

/** Starts the service as its operator does. @returns what it printed */
async function start(): Promise<string> {
  const port = String(await freePort())
  const child = startChild('src/main.ts', [], {
    ...house.variables,
    PORT: port,
    HOST: '127.0.0.1',
    NODE_ENV: 'production',
    SMS_ALLOWED_COUNTRIES: '*',
  })
  await child.says('"ready"')
  // Whatever it prints, it has printed when it has ended.
  child.process.kill('SIGTERM')
  await child.ended
  return child.out
}

test('nobody gets in to a fresh house by a name and password that everybody tries (ADM-02)', async () => {
  for (const name of ['admin', 'root', 'administrator', 'sallyport'])
    for (const password of [name, 'password', 'changeme', '']) {
      const flow = createFlow(house)
      const asked = await flow.request('/admin')
      await flow.arrive((await flow.request(asked.location ?? '')).location ?? '')
      expect((await flow.password(name, password)).status).not.toBe(303)
    }
  expect(await admins()).toEqual([])
})

test('the start prints a link, which makes one admin: of two at once, and only once', async () => {
  const printed = LINK.exec(await start())?.[0] ?? ''
  const other = (await begin()) ?? ''
  const late = (await begin()) ?? ''
  house.moveClock(-3590)
  const old = (await begin()) ?? ''
  house.moveClock(3590 + 20)
  expect((await open(old, 'late')).status).toBe(404)
  expect((await open('/admin/bootstrap/AAAA', 'anybody')).status).toBe(404)

  const [one, two] = await Promise.all([open(printed, 'first'), open(other, 'second')])
  expect([one.status, two.status]).toEqual([200, 200])
  const again = await open(late, 'third')
  const answers = await burst(4, (index) => [one, two, one, two][index]?.send() ?? one.send())
  expect(answers.filter(({ status }) => status === 200)).toHaveLength(1)
  expect(await admins()).toHaveLength(1)
  expect((await again.send()).status).toBe(404)
  for (const link of [printed, other, late]) expect((await open(link, 'x')).status).toBe(404)
  const rows = await house.db.selectFrom('account').select('username').execute()
  expect(rows.map(({ username }) => username)).toEqual(await admins())
  for (const line of house.logged) expect(line).not.toContain(printed)
})

test('with an admin, no link is made or printed', async () => {
  expect(await begin()).toBeUndefined()
  expect(await start()).not.toMatch(LINK)
})

test('what it made is an admin who shows a second factor like all others', async () => {
  const [username = ''] = await admins()
  await addAdmin(house, 'ada', 'admin', PHONES[1])
  const ada = await signInToConsole(house, 'ada', { phone: PHONES[1] })
  expect(await ada.text('/admin/people?show=admin')).toContain(username)
  const flow = createFlow(house)
  const asked = await flow.request('/admin')
  await flow.arrive((await flow.request(asked.location ?? '')).location ?? '')
  const after = await flow.password(username)
  expect(after.status).toBe(303)
  expect((await flow.page()).html).toContain('name="number"')
  expect((await flow.request('/admin/people')).status).not.toBe(200)
})
