import type { Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { codeField, DESKTOP, openWorld, PHONE, type World } from '../support/browser.ts'

/** What a phone's browser offers, with a text that arrives when the test says so. */
const WEB_OTP = `
window.OTPCredential = class OTPCredential {}
navigator.credentials.get = ({ otp, signal }) => new Promise((resolve, reject) => {
  window.asked = otp
  window.receive = (code) => resolve({ code })
  signal.addEventListener('abort', () => { window.aborted = true; reject(signal.reason) })
})`

/** Stays on the page, so that one can see what happens to its field afterwards. */
const KEEP_PAGE = `document.addEventListener('submit', (event) => event.preventDefault())`

describe('texts at a browser', () => {
  let world: World
  beforeAll(async () => {
    world = await openWorld({ OTP_RESEND_SECONDS: '2' })
  })
  afterEach(async () => {
    world.house.gateway.mode = 'ok'
    expect(await world.leave(), 'errors in the console').toEqual([])
  })
  afterAll(() => world.stop())

  const sent = ({ phone }: { phone: string }) =>
    world.house.gateway.messages.filter(({ to }) => to === phone).map(({ text }) => text)

  test('“Send again” counts down, becomes usable and brings the same code [WEB-18]', async () => {
    const person = await world.newcomer()
    const { page, ...visit } = await world.visit()
    const code = await visit.toCode(person)
    const button = page.getByRole('button', { name: 'Send again' })
    expect(await button.textContent()).toMatch(/^Send again in 0:0[12]$/)
    expect(await button.isDisabled()).toBe(true)
    await page.getByRole('button', { name: 'Send again', exact: true }).waitFor()
    await page.getByText('You can send it again now.').waitFor()
    expect(await button.isEnabled()).toBe(true)
    await button.click()
    await expect.poll(() => sent(person).length).toBe(2)
    expect(world.house.lastCode(person.phone)).toBe(code)
    await page.getByRole('button', { name: /Send again in/ }).waitFor()
    await visit.code(code)
    expect((await visit.arrival()).get('code')).toBeTruthy()
  })

  test('without JavaScript “Send again” works, and asked too early it names the wait [WEB-18]', async () => {
    const person = await world.newcomer()
    const { page, ...visit } = await world.visit({ ...PHONE, javaScriptEnabled: false })
    const code = await visit.toCode(person)
    const button = page.getByRole('button', { name: 'Send again' })
    await page.getByText(/You can send it again in [12] seconds?\./).waitFor()
    await button.click()
    const alert = page.getByRole('alert')
    expect(await alert.textContent()).toMatch(/sent again in [12] seconds/)
    expect(sent(person)).toHaveLength(1)
    world.house.moveClock(3)
    await button.click()
    await expect.poll(() => sent(person).length).toBe(2)
    await alert.waitFor({ state: 'detached' })
    await visit.code(code)
    expect((await visit.arrival()).get('code')).toBeTruthy()
  })

  for (const javaScriptEnabled of [true, false]) {
    const how = javaScriptEnabled ? 'with' : 'without'
    test(`a gateway that is down is said plainly ${how} JavaScript, and “Try again” works once it is back [WEB-18]`, async () => {
      const person = await world.newcomer()
      const { page, ...visit } = await world.visit({ ...DESKTOP, javaScriptEnabled })
      world.house.gateway.mode = '5xx'
      await visit.begin()
      await visit.password(person)
      const alert = page.locator('[role="alert"]:focus')
      await alert.waitFor()
      expect(await alert.textContent()).toContain('We couldn’t send a text to')
      expect(await page.title()).toMatch(/^Error: /)
      expect(await page.getByText('We texted a code').count()).toBe(0)
      world.house.gateway.mode = 'ok'
      await page.getByRole('button', { name: 'Try again' }).click()
      await page.getByText('We texted a code to').waitFor()
      expect(await alert.count()).toBe(0)
      await visit.code(world.house.lastCode(person.phone))
      expect((await visit.arrival()).get('code')).toBeTruthy()
    })
  }

  test('a gateway that is slow holds nobody up: the page says the code is on its way [WEB-18]', async () => {
    const person = await world.newcomer()
    const { page, ...visit } = await world.visit()
    world.house.gateway.mode = 'hang'
    await visit.begin()
    await visit.password(person)
    await page.getByText('Your code is on its way to').waitFor()
  })

  test('a phone’s browser that reads the text fills the code in and sends it [WEB-19]', async () => {
    const person = await world.newcomer()
    const { page, context, ...visit } = await world.visit(PHONE)
    await context.addInitScript(WEB_OTP)
    const code = await visit.toCode(person)
    expect(await page.evaluate('window.asked')).toEqual({ transport: ['sms'] })
    await page.evaluate(`window.receive('${code}')`)
    expect((await visit.arrival()).get('code')).toBeTruthy()
  })

  test('a code that is read after the person sent theirs changes nothing [WEB-19]', async () => {
    const { page, context, ...visit } = await world.visit(PHONE)
    await context.addInitScript(WEB_OTP)
    const code = await visit.toCode(await world.newcomer())
    await page.evaluate(KEEP_PAGE)
    await visit.code(code)
    expect(await page.evaluate('window.aborted')).toBe(true)
    await page.evaluate(`window.receive('000000')`)
    expect(await codeField(page).inputValue()).toBe(code)
  })

  test('only the code page asks for texts [WEB-19]', async () => {
    const { page, context, ...visit } = await world.visit(PHONE)
    await context.addInitScript(WEB_OTP)
    await visit.begin()
    await page.waitForLoadState()
    expect(await page.evaluate('window.asked === undefined')).toBe(true)
  })

  for (const [what, script] of Object.entries({
    'doesn’t know how to read texts': 'delete window.OTPCredential',
    'refuses to read texts': `window.OTPCredential = class {}
      navigator.credentials.get = () => Promise.reject(new DOMException('no', 'NotAllowedError'))`,
  })) {
    test(`a browser that ${what} goes the same way by hand [WEB-19]`, async () => {
      const { page, context, ...visit } = await world.visit(PHONE)
      await context.addInitScript(script)
      const code = await visit.toCode(await world.newcomer())
      expect(await isEmpty(page)).toBe(true)
      await visit.code(code)
      expect((await visit.arrival()).get('code')).toBeTruthy()
    })
  }
})

async function isEmpty(page: Page): Promise<boolean> {
  return (await codeField(page).inputValue()) === ''
}
