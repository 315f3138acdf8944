import type { Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { codeField, DESKTOP, openWorld, PHONE, type World, wrong } from '../support/browser.ts'
import { richNewcomer, toSession, useBackupCode } from '../support/factor-pages.ts'
import { addApp, addPhone, appCode, MFA } from '../support/second-factors.ts'

const APP = 'Enter the code of your app'

let world: World
beforeAll(async () => {
  world = await openWorld({ TRUSTED_DEVICE_DAYS: '30' })
})
afterEach(async () => {
  expect(await world.leave(), 'errors in the console').toEqual([])
})
afterAll(() => world.stop())

const heading = (page: Page, name: string) =>
  page.getByRole('heading', { name, level: 1 }).waitFor()

for (const javaScriptEnabled of [true, false]) {
  const how = javaScriptEnabled ? 'with' : 'without'

  test(`the other phone is chosen ${how} JavaScript, by its name and last digits`, async () => {
    const person = await richNewcomer(world)
    const visit = await world.visit({ ...PHONE, javaScriptEnabled })
    await visit.toCode(person)
    await visit.page
      .getByRole('button', { name: `Text Work, your number ending in ${person.second.slice(-2)}` })
      .click()
    await visit.page.getByRole('button', { name: 'Text your number ending in' }).waitFor()
    await visit.code(world.house.lastCode(person.second))
    expect((await visit.arrival()).get('code')).toBeTruthy()
  })

  test(`a backup code lets in ${how} JavaScript, however it is typed`, async () => {
    const person = await richNewcomer(world)
    const visit = await world.visit({ ...DESKTOP, javaScriptEnabled })
    const { page } = visit
    await visit.toCode(person)
    await page.getByRole('button', { name: 'Use a backup code' }).click()
    await useBackupCode(visit, 'bcdf ghjk')
    await page.getByText('A backup code has 16 letters').waitFor()
    await useBackupCode(visit, person.codes[0]?.toLowerCase().replaceAll('-', ' ') ?? '')
    expect((await visit.arrival()).get('code')).toBeTruthy()
  })

  test(`a browser is remembered ${how} JavaScript, and isn’t asked when it comes back`, async () => {
    const person = await world.newcomer()
    const visit = await world.visit({ ...PHONE, javaScriptEnabled })
    const { page, context } = visit
    const code = await visit.toCode(person)
    const box = page.getByRole('checkbox', {
      name: 'Don’t ask for a code in this browser for 30 days',
    })
    expect(await box.isChecked()).toBe(false)
    await box.check()
    await visit.code(code)
    await visit.arrival()
    await context.clearCookies({ name: /session/ })
    await visit.begin()
    await visit.password(person)
    expect((await visit.arrival()).get('code')).toBeTruthy()
    const other = await world.visit()
    await other.toCode(person)
  })
}

test('the app is asked first; a phone can stand in for it, and back', async () => {
  const person = await world.newcomer()
  const account = await world.house.rooms.accounts.findByUsername(person.username)
  const key = account ? await addApp(world.house, account) : ''
  const visit = await world.visit()
  const { page } = visit
  await visit.begin()
  await visit.password(person)
  await heading(page, APP)
  await page.getByRole('button', { name: 'Text your number' }).click()
  await heading(page, 'Enter your code')
  await page.getByRole('button', { name: 'Use your authenticator app' }).click()
  await heading(page, APP)
  const code = appCode(key, world.house.now())
  await visit.code(wrong(code))
  await page.locator('[role="alert"]:focus').waitFor()
  await visit.code(code)
  expect((await visit.arrival()).get('code')).toBeTruthy()
})

describe('nobody is lost', () => {
  test('who goes to and fro between the pages (CHL-14)', async () => {
    const person = await richNewcomer(world)
    const visit = await world.visit()
    const { page } = visit
    await visit.toCode(person)
    await page.getByRole('button', { name: 'Use a backup code' }).click()
    await page.reload()
    await heading(page, 'Use a backup code')
    await page.goBack()
    await codeField(page).waitFor()
    await page.goForward()
    await heading(page, 'Use a backup code')
    await page.getByRole('button', { name: 'Use the usual code instead' }).click()
    await visit.code(world.house.lastCode(person.phone))
    expect((await visit.arrival()).get('code')).toBeTruthy()
  })

  test('whose other tab went on with another phone: its code page is the one that is due (CHL-23)', async () => {
    const person = await richNewcomer(world)
    const visit = await world.visit()
    const { page, context } = visit
    const old = await visit.toCode(person)
    const other = await context.newPage()
    await other.goto(page.url())
    await other.getByRole('button', { name: 'Text Work' }).click()
    await other.getByRole('button', { name: 'Text your number ending in' }).waitFor()
    const code = world.house.lastCode(person.second)
    if (old !== code) {
      await visit.code(old)
      await page.getByRole('alert').waitFor()
      await page.getByText('ending in', { exact: false }).first().waitFor()
    }
    await visit.code(code)
    expect((await visit.arrival()).get('code')).toBeTruthy()
  })

  for (const javaScriptEnabled of [true, false]) {
    const how = javaScriptEnabled ? 'with' : 'without'
    test(`who double-clicks ${how} JavaScript, on the other phone and with a backup code (CHL-21)`, async () => {
      const person = await richNewcomer(world)
      const visit = await world.visit({ javaScriptEnabled })
      const { page } = visit
      await visit.toCode(person)
      await page.getByRole('button', { name: 'Text Work' }).dblclick()
      await page.getByRole('button', { name: 'Text your number ending in' }).first().waitFor()
      await page.getByRole('button', { name: 'Use a backup code' }).click()
      await page.getByLabel('Backup code').fill(person.codes[0] ?? '')
      await page.getByRole('button', { name: 'Continue' }).dblclick()
      await heading(page, 'Back at the app')
      expect((await visit.arrival()).get('code')).toBeTruthy()
    })
  }

  test('whose sign-in has expired at the page of backup codes (CHL-24)', async () => {
    const person = await richNewcomer(world)
    const visit = await world.visit()
    await visit.toCode(person)
    await visit.page.getByRole('button', { name: 'Use a backup code' }).click()
    world.house.moveClock(world.house.config.otp.ttlSeconds + 1)
    await useBackupCode(visit, person.codes[0] ?? '')
    await heading(visit.page, 'That code has expired')
    await visit.page.getByRole('button', { name: 'Start again' }).click()
    await visit.password(person)
    await visit.page.getByRole('button', { name: 'Use a backup code' }).click()
    await useBackupCode(visit, person.codes[0] ?? '')
    expect((await visit.arrival()).get('code')).toBeTruthy()
  })

  test('who is asked to step up: by the code, by the password instead, or by going back to the app', async () => {
    const person = await world.bareNewcomer()
    const visit = await world.visit()
    const { page } = visit
    await toSession(visit, person)
    const account = await world.house.rooms.accounts.findByUsername(person.username)
    await addPhone(world.house, account?.id ?? '', person.phone)
    const stepUp = () => visit.begin({ acr_values: MFA }, { client: 'lax' })
    await stepUp()
    await page.getByRole('button', { name: 'Cancel and go back to Corner shop' }).click()
    expect((await visit.arrival()).get('error')).toBe('access_denied')
    await stepUp()
    await page.getByRole('button', { name: 'Sign in with the password instead' }).click()
    await heading(page, 'Sign in')
    await page.goBack()
    await heading(page, 'Confirm that it’s you')
    await page.getByRole('button', { name: 'Continue' }).dblclick()
    await codeField(page).waitFor()
    await page.reload()
    await visit.code(world.house.lastCode(person.phone))
    expect((await visit.arrival()).get('code')).toBeTruthy()
    // Now it is a session with both factors: nothing more is asked.
    await stepUp()
    expect((await visit.arrival()).get('code')).toBeTruthy()
  })
})
