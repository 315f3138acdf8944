import type { Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createBootstrap } from '../../src/admin/bootstrap.ts'
import { TOO_WIDE, UNFOLD, violations } from '../support/accessible.ts'
import { DESKTOP, openWorld, PHONE, type World } from '../support/browser.ts'
import { addAdmin } from '../support/console.ts'
import { PASSWORD } from '../support/house.ts'

/** Sizes change where things are, schemes their colours, and neither the other. */
const SCREENS = [
  { width: 390, colorScheme: 'light' },
  { width: 1280, colorScheme: 'dark' },
] as const
/** Without a place to break: nothing else shows what a narrow page does with names. */
const LONG = `mira.${'long'.repeat(12)}`

let world: World
let page: Page
let miraUrl: string

beforeAll(async () => {
  world = await openWorld({ TRUSTED_DEVICE_DAYS: '30', WEBHOOK_ALLOWED_HOSTS: '127.0.0.1' })
  const { house } = world
  const { rooms } = house
  await house.addAccount('paul', null)
  const mira = await house.addAccount(LONG, '+46701234571')
  miraUrl = `/admin/people/${mira.id}`
  await rooms.trustedDevices.trust(mira.id, 'Firefox 140 on Windows')
  await rooms.bypassCodes.issue(mira.id)
  // Not as a mobile: there the window grows with what is too wide for it, and nothing would be seen.
  page = (await world.visit({ ...DESKTOP, reducedMotion: 'reduce' })).page
})
afterAll(() => world.stop())

/** A webhook that a test event is on its way to. @returns its id */
async function addWebhook(): Promise<string> {
  const { webhooks } = world.house.rooms
  const { id } = await webhooks.create({ url: `https://127.0.0.1/${'hook'.repeat(20)}` })
  await webhooks.test(id)
  return id
}

/** An import that is over, of which one row was refused. @returns its id */
async function addImport(): Promise<string> {
  const { imports } = world.house.rooms
  const id = await imports.begin({ format: 'csv', dryRun: true, update: false })
  await imports.append(id, 0, Buffer.from('username,email\r\nnora,\r\nolof,not-an-address\r\n'))
  await imports.start(id)
  await imports.workOff()
  await expect.poll(async () => (await imports.job(id)).state).toBe('done')
  return id
}

async function go(path: string): Promise<void> {
  await page.goto(world.house.issuer + path)
}

/** What is wrong with the page that is open, on a phone in light colours and on a desk in dark ones. */
async function faults(): Promise<string[]> {
  const found: string[] = []
  const title = await page.title()
  await page.evaluate(UNFOLD)
  for (const { width, colorScheme } of SCREENS) {
    await page.setViewportSize({ width, height: 844 })
    await page.emulateMedia({ colorScheme })
    const tooWide = await page.evaluate(TOO_WIDE)
    const said = await violations(page)
    if (tooWide) said.push(`${tooWide} pixels too wide`)
    found.push(...said.map((fault) => `${title} at ${width}, ${colorScheme}: ${fault}`))
  }
  return found
}

describe('the console in a browser', () => {
  test('its first page, behind the link that makes the first admin, can be used by everyone', async () => {
    const { house } = world
    const phoneRules = { allowedCountries: '*' as const, defaultCountry: undefined }
    const token = await createBootstrap({ ...house, ...house.rooms, phoneRules }).begin()
    await go(`/admin/bootstrap/${token}`)
    await page.getByRole('heading', { level: 1, name: 'first admin' }).waitFor()
    expect(await faults()).toEqual([])
  })

  test('its pages can be used by everyone, on any screen [WEB-18]', async () => {
    await addAdmin(world.house, 'ada', 'admin')
    const [webhook, job] = await Promise.all([addWebhook(), addImport()])
    await go('/admin/people')
    await page.getByLabel('Username').fill('ada')
    await page.getByLabel('Password').fill(PASSWORD)
    await page.getByRole('button', { name: 'Continue' }).click()
    await page.getByRole('textbox', { name: '6-digit code' }).waitFor()
    await page.getByRole('textbox', { name: '6-digit code' }).fill(world.house.lastCode())
    await page.getByRole('button', { name: 'Continue' }).click()
    await page.getByRole('heading', { level: 1, name: 'People' }).waitFor()

    const found: string[] = []
    for (const [path, heading] of [
      ['/admin/people', 'People'],
      ['/admin/people/new', 'New account'],
      [miraUrl, LONG],
      [`${miraUrl}/erase`, `Erase ${LONG}`],
      ['/admin/people/import', 'Import'],
      [`/admin/people/import/${job}`, 'Dry run'],
      ['/admin/apps', 'Apps'],
      ['/admin/apps/app', 'Harbour'],
      ['/admin/apps/new', 'Register an app'],
      ['/admin/audit', 'Audit'],
      ['/admin/keys', 'keys'],
      ['/admin/settings', 'Settings'],
      [`/admin/alerts/webhooks/${webhook}`, 'Webhook'],
    ] as const) {
      await go(path)
      await page.getByRole('heading', { level: 1, name: heading }).waitFor()
      found.push(...(await faults()))
    }
    expect(found).toEqual([])
  })

  test('what is shown once can be read by everyone', async () => {
    await go(`${miraUrl}/backup-codes`)
    await page.getByLabel('Reason').fill('the phone is lost')
    await page.getByRole('button', { name: 'Make ten codes' }).click()
    await page.getByText('Code 10').waitFor()
    expect(await faults()).toEqual([])
  })

  test('without JavaScript somebody is found, and disabled with a reason', async () => {
    const storageState = await page.context().storageState()
    const visit = await world.visit({ ...PHONE, storageState, javaScriptEnabled: false })
    await visit.page.goto(`${world.house.issuer}/admin`)
    await visit.page.getByRole('link', { name: 'People' }).click()
    await visit.page.getByLabel('Name, e-mail address').fill('pau')
    await visit.page.getByRole('button', { name: 'Find' }).click()
    await visit.page.getByRole('link', { name: 'paul' }).click()
    await visit.page.getByRole('link', { name: 'Disable' }).click()
    await visit.page.getByLabel('Reason').fill('left the company')
    await visit.page.getByRole('button', { name: 'Disable the account' }).click()
    await visit.page.getByText('The account is disabled').waitFor()
    await visit.page.getByRole('link', { name: 'Audit', exact: true }).click()
    await visit.page.getByText('left the company').first().waitFor()
    expect((await world.house.rooms.accounts.findByUsername('paul'))?.disabled).toBe(true)
    expect(await world.leave(), 'errors in the console').toEqual([])
  })
})
