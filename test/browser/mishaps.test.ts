import type { Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { codeField, openWorld, type World, wrong } from '../support/browser.ts'
import { PASSWORD } from '../support/house.ts'

describe('when something goes wrong at a browser', () => {
  let world: World
  beforeAll(async () => {
    world = await openWorld()
  })
  afterEach(async () => {
    expect(await world.leave(), 'errors in the console').toEqual([])
  })
  afterAll(() => world.stop())

  for (const javaScriptEnabled of [true, false]) {
    const how = javaScriptEnabled ? 'with' : 'without'

    test(`a wrong code is announced ${how} JavaScript, with the tries left, and the right one still works [WEB-18]`, async () => {
      const { page, ...visit } = await world.visit({ javaScriptEnabled })
      const code = await visit.toCode(await world.newcomer())
      await visit.code(wrong(code))
      await expectAnnounced(page, 'That code isn’t right.')
      expect(await page.title()).toMatch(/^Error: /)
      expect(await codeField(page).getAttribute('aria-invalid')).toBe('true')
      expect(await descriptionOf(page, '#code')).toContain('That code isn’t right.')
      await page.getByText('You have 4 tries left.').waitFor()
      await page.keyboard.press('Tab')
      await page.locator('#code:focus').waitFor()
      await visit.code(code)
      expect((await visit.arrival()).get('code')).toBeTruthy()
    })

    test(`a wrong password is announced ${how} JavaScript and leaves the name where it was [WEB-18]`, async () => {
      const person = await world.newcomer()
      const { page, ...visit } = await world.visit({ javaScriptEnabled })
      await visit.begin()
      await visit.password(person, 'not the password')
      await expectAnnounced(page, 'don’t match')
      expect(await page.title()).toMatch(/^Error: /)
      for (const field of ['#username', '#password']) {
        expect(await page.locator(field).getAttribute('aria-invalid')).toBe('true')
        expect(await descriptionOf(page, field)).toContain('don’t match')
      }
      expect(await page.getByLabel('Username').inputValue()).toBe(person.username)
      expect(await page.getByLabel('Password').inputValue()).toBe('')
      await page.getByLabel('Password').fill(PASSWORD)
      await page.keyboard.press('Enter')
      await codeField(page).waitFor()
    })
  }

  test('letters in place of a code cost no try [WEB-18]', async () => {
    const { page, ...visit } = await world.visit()
    await visit.toCode(await world.newcomer())
    await visit.code('abcdef')
    await expectAnnounced(page, 'The code has 6 digits')
    expect(await page.getByText('tries left').count()).toBe(0)
  })

  test('cancelling at either door brings the person back to the app with access_denied [CHL-26]', async () => {
    const person = await world.newcomer()
    const { page, ...visit } = await world.visit()
    await visit.begin()
    await page.getByRole('button', { name: 'Cancel and go back to Harbour' }).click()
    expect((await visit.arrival()).get('error')).toBe('access_denied')
    await visit.toCode(person)
    await page.getByRole('button', { name: 'Cancel' }).click()
    const query = await visit.arrival()
    expect(query.get('error')).toBe('access_denied')
    expect(query.get('state')).toBe('a state')
    expect(query.get('iss')).toBe(world.house.issuer)
  })

  test('another account can be used from the code page, and the old code is dead [CHL-14]', async () => {
    const [first, second] = [await world.newcomer(), await world.newcomer()]
    const { page, ...visit } = await world.visit()
    const old = await visit.toCode(first)
    await page.getByRole('button', { name: 'Use another account' }).click()
    await page.getByRole('heading', { name: 'Sign in' }).waitFor()
    expect(await page.getByLabel('Username').inputValue()).toBe('')
    await visit.password(second)
    await codeField(page).waitFor()
    const code = world.house.lastCode(second.phone)
    if (old !== code) {
      await visit.code(old)
      await expectAnnounced(page, 'That code isn’t right.')
    }
    await visit.code(code)
    expect((await visit.arrival()).get('code')).toBeTruthy()
  })

  test('going back after success shows what to do and no form that can’t work [CHL-14]', async () => {
    const { page, ...visit } = await world.visit()
    await visit.code(await visit.toCode(await world.newcomer()))
    await visit.arrival()
    await page.goBack()
    await page.getByText('Go back to your app and sign in again.').waitFor()
    expect(await page.getByRole('textbox').count()).toBe(0)
    await page.goForward()
    await visit.arrival()
  })

  test('reloading the code page sends no text and keeps the code good [WEB-03]', async () => {
    const { page, ...visit } = await world.visit()
    const code = await visit.toCode(await world.newcomer())
    const sent = world.house.gateway.requests.length
    for (let times = 0; times < 3; times += 1) await page.reload()
    expect(world.house.gateway.requests.length).toBe(sent)
    await visit.code(code)
    expect((await visit.arrival()).get('code')).toBeTruthy()
  })

  for (const javaScriptEnabled of [true, false]) {
    const how = javaScriptEnabled ? 'with' : 'without'
    test(`a double click with the right code ends at the app ${how} JavaScript [CHL-21]`, async () => {
      const { page, ...visit } = await world.visit({ javaScriptEnabled })
      const code = await visit.toCode(await world.newcomer())
      const first = await holdFirstAnswer(page)
      await codeField(page).fill(code)
      // A mouse of its own, since `click` would wait for the page that the first click leads to.
      const box = await page.getByRole('button', { name: 'Continue' }).boundingBox()
      const click = () => page.mouse.click((box?.x ?? 0) + 20, (box?.y ?? 0) + 20)
      await click()
      await first.answered
      await click()
      if (!javaScriptEnabled) await expect.poll(first.posts).toBe(2)
      first.release()
      expect((await visit.arrival()).get('code')).toBeTruthy()
      expect(first.posts()).toBe(javaScriptEnabled ? 1 : 2)
    })
  }

  test('two tabs of one browser, two people: each finishes their own sign-in [CHL-23]', async () => {
    const [one, two] = [await world.newcomer(), await world.newcomer()]
    const { page, context, ...visit } = await world.visit()
    const other = await context.newPage()
    const code = await visit.toCode(one)
    const otherCode = await visit.toCode(two, { state: 'other' }, other)
    await visit.code(otherCode, other)
    expect((await visit.arrival(other)).get('state')).toBe('other')
    await visit.code(code)
    const query = await visit.arrival(page)
    expect([query.get('state'), query.has('code')]).toEqual(['a state', true])
  })

  test('two tabs of one browser, one person: the tab that was left behind says so and can start again [CHL-23]', async () => {
    const person = await world.newcomer()
    const { page, context, ...visit } = await world.visit()
    const other = await context.newPage()
    const code = await visit.toCode(person)
    const otherCode = await visit.toCode(person, { state: 'other' }, other)
    await visit.code(otherCode, other)
    expect((await visit.arrival(other)).get('state')).toBe('other')
    await visit.code(code)
    await page.getByRole('heading', { name: 'This code can’t be used any more' }).waitFor()
    await page.getByRole('button', { name: 'Start again' }).click()
    await visit.password(person)
    await codeField(page).waitFor()
    await visit.code(world.house.lastCode(person.phone))
    const query = await visit.arrival()
    expect([query.get('state'), query.has('code')]).toEqual(['a state', true])
  })

  test('two browsers of one person get in with their own codes and not with each other’s [CHL-23]', async () => {
    const person = await world.newcomer()
    const [one, two] = [await world.visit(), await world.visit()]
    const [first, second] = [await one.toCode(person), await two.toCode(person)]
    expect(first).not.toBe(second)
    await one.code(second)
    await two.code(first)
    await expectAnnounced(one.page, 'That code isn’t right.')
    await expectAnnounced(two.page, 'That code isn’t right.')
    await one.code(first)
    await two.code(second)
    expect((await one.arrival()).get('code')).toBeTruthy()
    expect((await two.arrival()).get('code')).toBeTruthy()
  })

  // “Start again” doesn't close a challenge that has expired, and so comes back to the same page.
  test('a code left lying expires with a way to start again [CHL-24]', async () => {
    const person = await world.newcomer()
    const { page, ...visit } = await world.visit()
    const code = await visit.toCode(person)
    world.house.moveClock(world.house.config.otp.ttlSeconds + 1)
    await visit.code(code)
    await page.getByRole('heading', { name: 'That code has expired' }).waitFor()
    await page.getByRole('button', { name: 'Start again' }).click()
    await visit.password(person)
    await codeField(page).waitFor()
    await visit.code(world.house.lastCode(person.phone))
    expect((await visit.arrival()).get('code')).toBeTruthy()
  })

  test('a sign-in left lying says that it is over and what to do, whatever is pressed [CHL-24]', async () => {
    const [login, code] = [await world.visit(), await world.visit()]
    await login.begin()
    const late = await code.toCode(await world.newcomer())
    world.house.moveClock(16 * 60)
    await login.password(await world.newcomer())
    await code.code(late)
    for (const { page } of [login, code]) {
      await page.getByRole('heading', { level: 1 }).waitFor()
      const said = await page.locator('main').textContent()
      expect(said).toMatch(/expired/)
      expect(said).toMatch(/Go back to your app|Start again/)
    }
    await code.page.getByRole('button', { name: 'Start again' }).click()
    await code.page.getByText('Go back to your app and sign in again.').waitFor()
  })
})

/** Read out at once, and focused so that the next Tab leads to what it is about. */
async function expectAnnounced(page: Page, words: string): Promise<void> {
  const alert = page.locator('[role="alert"]:focus')
  await alert.waitFor()
  expect(await alert.textContent()).toContain(words)
}

function descriptionOf(page: Page, field: string): Promise<string> {
  return page.evaluate<string>(
    `document.querySelector('${field}').getAttribute('aria-describedby').split(' ')
      .map((id) => document.getElementById(id).textContent).join(' ')`,
  )
}

/** A slow way back: the house has judged the first code, and its answer isn't in the browser yet. */
async function holdFirstAnswer(page: Page) {
  const answered = Promise.withResolvers<void>()
  const released = Promise.withResolvers<void>()
  let posts = 0
  await page.route('**/code', async (route) => {
    posts += 1
    if (posts > 1) return route.continue()
    const response = await route.fetch({ maxRedirects: 0 })
    answered.resolve()
    await released.promise
    // A browser that asked again has no use for it any more.
    await route.fulfill({ response }).catch(() => {})
  })
  return { answered: answered.promise, release: released.resolve, posts: () => posts }
}
