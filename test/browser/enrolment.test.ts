import type { Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import {
  codeField,
  DESKTOP,
  openWorld,
  PHONE,
  type Visit,
  type World,
  wrong,
} from '../support/browser.ts'
import { keyOn, sendTo, toAddApp, toAddPhone, toSession } from '../support/factor-pages.ts'
import { appCode, MFA } from '../support/second-factors.ts'

const KEEP_CODES = 'Keep these backup codes'

let world: World
beforeAll(async () => {
  world = await openWorld({ DEFAULT_COUNTRY: 'SE' })
})
afterEach(async () => {
  expect(await world.leave(), 'errors in the console').toEqual([])
})
afterAll(() => world.stop())

const heading = (page: Page, name: string) =>
  page.getByRole('heading', { name, level: 1 }).waitFor()

const codesOn = (page: Page) => page.locator('[data-codes] code').allTextContents()

/** To the code that proves a number. */
async function toProof(visit: Visit) {
  const person = await world.bareNewcomer()
  await toAddPhone(visit, person)
  await sendTo(visit, person.phone)
  await codeField(visit.page).waitFor()
  return { ...person, code: world.house.lastCode(person.phone) }
}

async function toBackupCodes(visit: Visit) {
  const person = await toProof(visit)
  await visit.code(person.code)
  await heading(visit.page, KEEP_CODES)
  return person
}

for (const javaScriptEnabled of [true, false]) {
  const how = javaScriptEnabled ? 'with' : 'without'

  test(`a first phone is added ${how} JavaScript, on the way to the app`, async () => {
    const visit = await world.visit({ ...PHONE, javaScriptEnabled })
    const { page } = visit
    const person = await world.bareNewcomer()
    await toAddPhone(visit, person)
    expect(await page.getByLabel('Country').inputValue()).toBe('SE')
    await sendTo(visit, `0${person.phone.slice(3, 5)}-${person.phone.slice(5)}`)
    await codeField(page).waitFor()
    await visit.code(world.house.lastCode(person.phone))
    await heading(page, KEEP_CODES)
    expect(await codesOn(page)).toHaveLength(10)
    // They need scripts, so without them they aren't there.
    for (const tool of ['Copy', 'Print', 'Download'])
      expect(await page.getByRole('button', { name: tool }).isVisible()).toBe(javaScriptEnabled)
    await page.getByRole('button', { name: 'I have kept them' }).click()
    expect((await visit.arrival()).get('code')).toBeTruthy()
  })

  test(`an authenticator app is added ${how} JavaScript, by the key on the page`, async () => {
    const visit = await world.visit({ ...DESKTOP, javaScriptEnabled })
    const { page } = visit
    const key = await toAddApp(visit, await world.bareNewcomer())
    await page.getByRole('img', { name: 'QR code for your authenticator app' }).waitFor()
    await visit.code(wrong(appCode(key, world.house.now())))
    await page.getByRole('alert').waitFor()
    expect(await keyOn(visit)).toBe(key)
    await visit.code(appCode(key, world.house.now()))
    await heading(page, KEEP_CODES)
    await page.getByRole('button', { name: 'I have kept them' }).click()
    expect((await visit.arrival()).get('code')).toBeTruthy()
  })
}

test('a wrong number is announced, and leaves what was typed and chosen', async () => {
  const visit = await world.visit()
  const { page } = visit
  await toAddPhone(visit, await world.bareNewcomer())
  await page.getByLabel('Country').selectOption('DK')
  await sendTo(visit, '12 34')
  const alert = page.locator('[role="alert"]:focus')
  await alert.waitFor()
  expect(await alert.textContent()).toContain('That is not a phone number.')
  expect(await page.title()).toMatch(/^Error: /)
  expect(await page.getByLabel('Country').inputValue()).toBe('DK')
  const field = page.getByLabel('Phone number')
  expect(await field.inputValue()).toBe('12 34')
  expect(await field.getAttribute('aria-invalid')).toBe('true')
  expect([await field.getAttribute('type'), await field.getAttribute('autocomplete')]).toEqual([
    'tel',
    'tel',
  ])
})

describe('backup codes', () => {
  test('can be copied, saved and printed as text, with what they are for', async () => {
    const visit = await world.visit()
    const { page, context } = visit
    await context.grantPermissions(['clipboard-read', 'clipboard-write'])
    await page.addInitScript('window.print = () => { window.printed = true }')
    await toBackupCodes(visit)
    const codes = await codesOn(page)
    await page.getByRole('button', { name: 'Copy' }).click()
    await page.getByRole('button', { name: 'Copied' }).waitFor()
    const copied = await page.evaluate<string>('navigator.clipboard.readText()')
    const [download] = await Promise.all([
      page.waitForEvent('download'),
      page.getByRole('button', { name: 'Download' }).click(),
    ])
    expect(download.suggestedFilename()).toBe('backup-codes.txt')
    const saved: Buffer[] = []
    for await (const piece of await download.createReadStream()) saved.push(Buffer.from(piece))
    for (const text of [copied, Buffer.concat(saved).toString()]) {
      const [title, , ...lines] = text.trim().split(/\r?\n/)
      expect(title).toBe('Backup codes of Sallyport. Each works once.')
      expect(lines).toEqual(codes)
    }
    await page.getByRole('button', { name: 'Print' }).click()
    expect(await page.evaluate('window.printed')).toBe(true)
  })

  test('are printed without what is for the screen', async () => {
    const visit = await world.visit()
    await toBackupCodes(visit)
    await visit.page.emulateMedia({ media: 'print' })
    expect(await visit.page.getByRole('button').count()).toBe(0)
    expect(await visit.page.locator('[data-codes]').isVisible()).toBe(true)
  })

  test('are shown once: reloading leads to a page that offers new ones', async () => {
    const visit = await world.visit()
    const { page } = visit
    await toBackupCodes(visit)
    const first = await codesOn(page)
    await page.reload()
    await heading(page, 'One more thing')
    expect(await codesOn(page)).toEqual([])
    await page.reload()
    await page.getByRole('button', { name: 'Show backup codes' }).click()
    await heading(page, KEEP_CODES)
    const second = await codesOn(page)
    expect(new Set([...first, ...second]).size).toBe(20)
    await page.getByRole('button', { name: 'I have kept them' }).click()
    expect((await visit.arrival()).get('code')).toBeTruthy()
  })

  test('aren’t seen again by going back from the app (BKP-05)', async () => {
    const visit = await world.visit()
    const { page, context } = visit
    await toBackupCodes(visit)
    const at = page.url()
    await page.getByRole('button', { name: 'I have kept them' }).click()
    await visit.arrival()
    // The page was the answer to a form, and isn't kept: a browser asks before it sends that again.
    await expect(page.goBack()).rejects.toThrow('ERR_CACHE_MISS')
    const other = await context.newPage()
    await other.goto(at)
    await other.getByText('Go back to your app and sign in again.').waitFor()
    expect(await codesOn(page)).toEqual([])
  })
})

describe('nobody is lost', () => {
  test('who reloads any page of it (CHL-14)', async () => {
    const visit = await world.visit()
    const { page } = visit
    const person = await world.bareNewcomer()
    await toAddPhone(visit, person)
    await page.reload()
    await page.getByRole('button', { name: 'Use an authenticator app' }).click()
    const key = await keyOn(visit)
    await page.reload()
    expect(await keyOn(visit)).toBe(key)
    await page.getByRole('button', { name: 'Use a phone instead' }).click()
    await page.getByLabel('Phone number').waitFor()
    const sent = world.house.gateway.requests.length
    await sendTo(visit, person.phone)
    await codeField(page).waitFor()
    await page.reload()
    await page.reload()
    expect(world.house.gateway.requests.length).toBe(sent + 1)
    await visit.code(world.house.lastCode(person.phone))
    await heading(page, KEEP_CODES)
  })

  test('who goes back from the code, and forward again (CHL-14)', async () => {
    const visit = await world.visit()
    const { page } = visit
    const { code } = await toProof(visit)
    await page.goBack()
    await page.goForward()
    await codeField(page).waitFor()
    await visit.code(code)
    await heading(page, KEEP_CODES)
  })

  test('who uses another number by its button', async () => {
    const visit = await world.visit()
    await toProof(visit)
    await visit.page.getByRole('button', { name: 'Use another number' }).click()
    const { phone } = await world.bareNewcomer()
    await sendTo(visit, phone)
    await visit.code(world.house.lastCode(phone))
    await heading(visit.page, KEEP_CODES)
  })

  for (const javaScriptEnabled of [true, false]) {
    const how = javaScriptEnabled ? 'with' : 'without'
    test(`who double-clicks ${how} JavaScript, from the number to the end (CHL-21)`, async () => {
      const visit = await world.visit({ javaScriptEnabled })
      const { page } = visit
      const person = await world.bareNewcomer()
      await toAddPhone(visit, person)
      await page.getByLabel('Phone number').fill(person.phone)
      await page.getByRole('button', { name: 'Send the code' }).dblclick()
      await codeField(page).waitFor()
      await codeField(page).fill(world.house.lastCode(person.phone))
      await page.getByRole('button', { name: 'Continue' }).dblclick()
      // The second click may come to a page that the first one's codes are not on: it offers them anew.
      const on = page.getByRole('button', { name: /I have kept them|Go on without them/ })
      await on.waitFor()
      await on.dblclick()
      await heading(page, 'Back at the app')
      expect((await visit.arrival()).get('code')).toBeTruthy()
    })
  }

  test('whose code has expired, or whose sign-in has (CHL-24)', async () => {
    const visit = await world.visit()
    const { page } = visit
    const person = await toProof(visit)
    world.house.moveClock(world.house.config.otp.ttlSeconds + 1)
    await visit.code(person.code)
    await heading(page, 'That code has expired')
    await page.getByRole('button', { name: 'Start again' }).click()
    await visit.password(person)
    await sendTo(visit, person.phone)
    await visit.code(world.house.lastCode(person.phone))
    await heading(page, KEEP_CODES)
    world.house.moveClock(16 * 60)
    await page.getByRole('button', { name: 'I have kept them' }).click()
    await page.getByText('Go back to your app and sign in again.').waitFor()
    // What was added stays, and is what the next sign-in asks for.
    await visit.begin()
    await visit.password(person)
    await codeField(page).waitFor()
    await visit.code(world.house.lastCode(person.phone))
    expect((await visit.arrival()).get('code')).toBeTruthy()
  })

  test('who has two tabs: the one left behind says so and can start again (CHL-23)', async () => {
    const visit = await world.visit()
    const { page, context } = visit
    const other = await context.newPage()
    const person = await toProof(visit)
    await visit.begin({ state: 'other' }, { tab: other })
    await visit.password(person, undefined, other)
    await other.getByRole('button', { name: 'Use an authenticator app' }).click()
    const key = ((await other.locator('.secret').textContent()) ?? '').replaceAll(' ', '')
    await visit.code(appCode(key, world.house.now()), other)
    await heading(other, KEEP_CODES)
    await visit.code(person.code)
    await heading(page, 'This code can’t be used any more')
    await page.getByRole('button', { name: 'Start again' }).click()
    await visit.password(person)
    await heading(page, 'Enter the code of your app')
    await other.getByRole('button', { name: 'I have kept them' }).click()
    expect((await visit.arrival(other)).get('state')).toBe('other')
  })

  test('who cancels: the app is told', async () => {
    const visit = await world.visit()
    await toAddPhone(visit, await world.bareNewcomer())
    await visit.page.getByRole('button', { name: 'Cancel' }).click()
    expect((await visit.arrival()).get('error')).toBe('access_denied')
  })
})

test('someone signed in with a password alone is asked to confirm, and adds what is missing', async () => {
  const visit = await world.visit()
  const { page } = visit
  const person = await world.bareNewcomer()
  await toSession(visit, person)
  await visit.begin({ acr_values: MFA }, { client: 'lax' })
  await heading(page, 'Confirm that it’s you')
  expect(await page.locator('main').textContent()).toContain(person.username)
  await page.reload()
  await page.getByRole('button', { name: 'Continue' }).click()
  await sendTo(visit, person.phone)
  await visit.code(world.house.lastCode(person.phone))
  await page.getByRole('button', { name: 'I have kept them' }).click()
  expect((await visit.arrival()).get('code')).toBeTruthy()
})
