import type { Locator, Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { follow } from '../../examples/conformance/pages.ts'
import { codeField, DESKTOP, openWorld, PHONE, type World } from '../support/browser.ts'
import { createFlow } from '../support/flow.ts'
import { PASSWORD } from '../support/house.ts'

describe('signing in with a browser', () => {
  let world: World
  beforeAll(async () => {
    world = await openWorld()
  })
  afterEach(async () => {
    expect(await world.leave(), 'errors in the console').toEqual([])
  })
  afterAll(() => world.stop())

  for (const [size, options] of Object.entries({ 'a phone': PHONE, 'a desktop': DESKTOP })) {
    for (const javaScriptEnabled of [true, false]) {
      const how = javaScriptEnabled ? 'with' : 'without'
      test(`works on ${size} ${how} JavaScript and ends at an app on another site [WEB-06, WEB-18]`, async () => {
        const person = await world.newcomer()
        const visit = await world.visit({ ...options, javaScriptEnabled })
        const code = await visit.toCode(person)
        await visit.code(code)
        const query = await visit.arrival()
        expect(query.get('code')).toBeTruthy()
        expect(query.get('state')).toBe('a state')
        expect(query.get('iss')).toBe(world.house.issuer)
      })
    }
  }

  test('works by tap, on the buttons a thumb would find [WEB-18]', async () => {
    const person = await world.newcomer()
    const { page, ...visit } = await world.visit(PHONE)
    await visit.begin()
    await page.getByLabel('Username').tap()
    await page.keyboard.type(person.username)
    await page.getByLabel('Password').tap()
    await page.keyboard.type(PASSWORD)
    await page.getByRole('button', { name: 'Continue' }).tap()
    await codeField(page).tap()
    await page.keyboard.type(world.house.lastCode(person.phone))
    await page.getByRole('button', { name: 'Continue' }).tap()
    expect((await visit.arrival()).get('code')).toBeTruthy()
  })

  test('asks a third party’s consent on the way and comes back with it [WEB-06]', async () => {
    const person = await world.newcomer()
    const { page, ...visit } = await world.visit()
    await visit.begin({ scope: 'openid email' }, { client: 'third' })
    await visit.password(person)
    await codeField(page).waitFor()
    await visit.code(world.house.lastCode(person.phone))
    await page.getByRole('heading', { name: 'Allow Third Party to see this?' }).waitFor()
    await page.getByRole('button', { name: 'Allow', exact: true }).click()
    expect((await visit.arrival()).get('code')).toBeTruthy()
  })

  test('names the person whose data a third party asks for [WEB-06]', async () => {
    const person = await world.newcomer()
    const { page, ...visit } = await world.visit()
    await visit.begin({}, { client: 'third' })
    await visit.password(person)
    await codeField(page).waitFor()
    await visit.code(world.house.lastCode(person.phone))
    const sentence = page.getByText('You are signed in as')
    expect(await sentence.textContent()).toContain(person.username)
  })

  test('takes a request that another site posts, with the session its cookies tell of [OIDC-20]', async () => {
    const person = await world.newcomer()
    const { page, ...visit } = await world.visit()
    const flow = createFlow(world.house, { client: world.client })
    const ask = (params: Record<string, string>) => {
      const query = flow.authorizationUrl({ redirect_uri: world.app.callback, ...params })
      return { url: world.house.issuer + query, method: 'POST' }
    }
    const { username, phone } = person
    const readCode = async () => world.house.lastCode(phone)
    await follow(page, ask({ state: 'first' }), { username, password: PASSWORD, readCode })
    expect((await visit.arrival()).get('state')).toBe('first')
    // No page may be shown, so it is the session alone that answers.
    await follow(page, ask({ state: 'second', prompt: 'none' }), {
      username,
      password: PASSWORD,
      readCode,
    })
    const query = await visit.arrival()
    expect(query.get('state')).toBe('second')
    expect(query.get('code')).toBeTruthy()
  })

  test('takes a pasted “123 456” with its space [WEB-17]', async () => {
    const person = await world.newcomer()
    const { page, ...visit } = await world.visit()
    const code = await visit.toCode(person)
    await codeField(page).focus()
    await page.keyboard.insertText(`${code.slice(0, 3)} ${code.slice(3)}`)
    expect(await codeField(page).inputValue()).toBe(`${code.slice(0, 3)} ${code.slice(3)}`)
    await page.getByRole('button', { name: 'Continue' }).click()
    expect((await visit.arrival()).get('code')).toBeTruthy()
  })

  test('lets passwords be pasted and fills in by what managers look for [WEB-17]', async () => {
    const person = await world.newcomer()
    const { page, ...visit } = await world.visit()
    await visit.begin()
    await page.getByLabel('Username').fill(person.username)
    await page.getByLabel('Password').focus()
    await page.keyboard.insertText(PASSWORD)
    expect(await page.getByLabel('Password').inputValue()).toBe(PASSWORD)
    const attribute = (name: string, field: Locator) => field.getAttribute(name)
    expect(await attribute('autocomplete', page.getByLabel('Username'))).toBe('username')
    expect(await attribute('autocomplete', page.getByLabel('Password'))).toBe('current-password')
    await page.getByRole('button', { name: 'Continue' }).click()
    await codeField(page).waitFor()
    expect(await attribute('autocomplete', codeField(page))).toBe('one-time-code')
    expect(await attribute('inputmode', codeField(page))).toBe('numeric')
    expect(await attribute('type', codeField(page))).toBe('text')
    expect(await page.getByRole('textbox').count()).toBe(1)
  })

  test('needs no mouse: focus waits in the first field, Enter submits [WEB-18]', async () => {
    const person = await world.newcomer()
    const { page, ...visit } = await world.visit()
    await visit.begin()
    await page.locator('#username:focus').waitFor()
    await page.keyboard.type(person.username)
    await page.keyboard.press('Tab')
    expect(await focused(page)).toBe('password')
    await page.keyboard.type(PASSWORD)
    await page.keyboard.press('Enter')
    await page.locator('#code:focus').waitFor()
    await page.keyboard.type(world.house.lastCode(person.phone))
    await page.keyboard.press('Enter')
    expect((await visit.arrival()).get('code')).toBeTruthy()
  })

  test('has a Tab order that goes down the page, each stop visible [WEB-18]', async () => {
    const person = await world.newcomer()
    const { page, ...visit } = await world.visit()
    await visit.begin()
    await page.locator('#username:focus').waitFor()
    expect(await tabOrder(page, 4)).toEqual([
      'password',
      'Continue',
      'Forgotten your password?',
      'Cancel and go back to Harbour',
    ])
    await visit.password(person)
    await page.locator('#code:focus').waitFor()
    // “Send again” can't be used yet, so Tab passes it by.
    expect(await tabOrder(page, 3)).toEqual(['Continue', 'Use another account', 'Cancel'])
    expect(await page.evaluate<string>(OUTLINE)).toBe('solid')
    await page.keyboard.press('Shift+Tab')
    await page.keyboard.press('Shift+Tab')
    await page.keyboard.press('Shift+Tab')
    await page.keyboard.type(world.house.lastCode(person.phone))
    await page.keyboard.press('Tab')
    await page.keyboard.press('Space')
    expect((await visit.arrival()).get('code')).toBeTruthy()
  })

  test('signs in to a second app without a page [SES-01]', async () => {
    const person = await world.newcomer()
    const visit = await world.visit()
    await visit.code(await visit.toCode(person))
    await visit.arrival()
    await visit.begin()
    expect((await visit.arrival()).get('code')).toBeTruthy()
  })
})

const OUTLINE = 'getComputedStyle(document.activeElement).outlineStyle'

function focused(page: Page): Promise<string> {
  return page.evaluate<string>(
    'document.activeElement.id || document.activeElement.innerText.trim()',
  )
}

async function tabOrder(page: Page, stops: number): Promise<string[]> {
  const order: string[] = []
  for (let stop = 0; stop < stops; stop += 1) {
    await page.keyboard.press('Tab')
    order.push(await focused(page))
  }
  return order
}
