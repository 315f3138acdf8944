import type { Page } from 'playwright-core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Spa, startSpa } from '../../examples/spa/spa.ts'
import { codeField, openWorld, type Person, type Visit, type World } from '../support/browser.ts'
import { PASSWORD } from '../support/house.ts'
import { freePort } from '../support/ports.ts'

let world: World
let spa: Spa

beforeAll(async () => {
  world = await openWorld()
  const port = await freePort()
  spa = await startSpa({ issuer: world.house.issuer, clientId: 'page', port })
  await world.house.addClient('page', {
    name: 'Page',
    public: true,
    grants: ['authorization_code', 'refresh_token'],
    redirectUris: [`${spa.url}/callback`],
    postLogoutRedirectUris: [`${spa.url}/`],
  })
})
afterAll(async () => {
  expect(await world.leave(), 'errors in the console').toEqual([])
  await spa.close()
  await world.stop()
})

async function bothFactors(visit: Visit, person: Person, tab: Page): Promise<void> {
  await visit.password(person, PASSWORD, tab)
  await codeField(tab).waitFor()
  await visit.code(world.house.lastCode(person.phone), tab)
}

const press = (page: Page, name: string) => page.getByRole('button', { name, exact: true }).click()

test('a page in the browser alone signs in, gets new tokens and signs out with a real library', async () => {
  const person = await world.newcomer()
  const visit = await world.visit()
  const { page } = visit
  await page.goto(spa.url)
  await press(page, 'Sign in')
  await bothFactors(visit, person, page)
  await page.getByRole('heading', { name: `Hello, Person ${person.username}` }).waitFor()
  expect(JSON.parse(await page.locator('#claims').innerText())).toMatchObject({
    preferred_username: person.username,
    email: `${person.username}@example.com`,
    acr: 'https://refeds.org/profile/mfa',
    amr: ['pwd', 'otp', 'sms', 'mfa'],
  })
  expect(page.url()).toBe(`${spa.url}/`)

  const kept = () => page.evaluate<string>('JSON.stringify({ ...sessionStorage })')
  const before = await kept()
  await press(page, 'Get new tokens')
  await page.getByText('New tokens are here.').waitFor()
  expect(await kept()).not.toBe(before)

  await press(page, 'Sign out')
  await press(page, 'Sign out')
  await page.getByRole('heading', { name: 'Nobody is signed in' }).waitFor()
  expect(page.url()).toBe(`${spa.url}/`)
  await press(page, 'Sign in')
  await page.getByLabel('Password').waitFor()
})

test('a new window signs in, although our pages let go of the window that opened them', async () => {
  const person = await world.newcomer()
  const visit = await world.visit()
  const { page } = visit
  await page.goto(spa.url)
  const opened = visit.context.waitForEvent('page')
  await press(page, 'Sign in in a new window')
  const popup = await opened
  await popup.getByLabel('Password').waitFor()
  expect(await popup.evaluate('window.opener')).toBeNull()
  await bothFactors(visit, person, popup)
  await page.getByRole('heading', { name: `Hello, Person ${person.username}` }).waitFor()
})
