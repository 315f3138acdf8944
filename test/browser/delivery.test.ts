import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { codeField, openWorld, PHONE, type World } from '../support/browser.ts'
import { startSmstools } from '../support/gateways.ts'
import { reportFromTextbee, TEXTBEE_WEBHOOK } from '../support/reports.ts'

let world: World
beforeAll(async () => {
  world = await openWorld({
    TEXTBEE_WEBHOOK_SECRET: TEXTBEE_WEBHOOK,
    VOICE_GATEWAYS: 'outbox',
    OTP_RESEND_SECONDS: '2',
    SMS_DELIVERY_WAIT_SECONDS: '300',
  })
})
afterEach(async () => {
  expect(await world.leave(), 'errors in the console').toEqual([])
})
afterAll(() => world.stop())

describe('the page that waits for a text', () => {
  test('tells by itself that it was delivered, and keeps what was typed', async () => {
    const person = await world.newcomer()
    const { page, ...visit } = await world.visit(PHONE)
    await visit.toCode(person)
    await page.getByText('We texted a code to').waitFor()
    await page.getByLabel('6-digit code').fill('12')
    await reportFromTextbee(world.house, 'delivered')
    await page.getByText('The code was delivered to').waitFor()
    expect(await page.getByLabel('6-digit code').inputValue()).toBe('12')
    expect(await page.getByText('We texted a code to').count()).toBe(0)
  })

  test('tells by itself that it was not, and a call is offered that says the same code', async () => {
    const person = await world.newcomer()
    const { page, ...visit } = await world.visit(PHONE)
    const code = await visit.toCode(person)
    await reportFromTextbee(world.house, 'failed')
    await page.getByRole('alert').getByText('didn’t reach').waitFor()
    const call = page.getByRole('button', { name: 'Call me instead' })
    await expect.poll(() => call.isEnabled()).toBe(true)
    await call.click()
    await page.getByText('We are calling').waitFor()
    const outbox = await (await fetch(`${world.house.url}/dev/outbox.json`)).text()
    expect(outbox).toContain(`"to":"${person.phone}"`)
    expect(outbox).toContain([...code].join(', '))
    await visit.code(code)
    expect((await visit.arrival()).get('code')).toBeTruthy()
  })

  test('without JavaScript tells it at the next load', async () => {
    const person = await world.newcomer()
    const { page, ...visit } = await world.visit({ ...PHONE, javaScriptEnabled: false })
    await visit.toCode(person)
    await reportFromTextbee(world.house, 'failed')
    await page.reload()
    await page.getByText('didn’t reach').waitFor()
    world.house.moveClock(3)
    await page.getByRole('button', { name: 'Call me instead' }).click()
    await page.getByText('We are calling').waitFor()
  })
})

describe('the page that waits for a text that is late', () => {
  test('tells by itself that it comes by another route, and the same code lets in', async () => {
    const { fake: smstools, env } = await startSmstools()
    const late = await openWorld({
      ...env,
      SMS_GATEWAYS: 'textbee,smstools',
      SMS_DELIVERY_WAIT_SECONDS: '1',
    })
    try {
      late.house.gateway.mode = 'accept-never-deliver'
      const person = await late.newcomer()
      const { page, ...visit } = await late.visit(PHONE)
      await visit.begin()
      await visit.password(person)
      await codeField(page).fill('12')
      await page.getByText('by another route').waitFor()
      expect(await codeField(page).inputValue()).toBe('12')
      expect(await page.getByText('We texted a code to').count()).toBe(0)
      const [first, second] = [late.house.gateway.requests, smstools.messages].map((texts) =>
        texts.map(({ to, text }) => [to, /#(\d+)$/.exec(text)?.[1] ?? '']),
      )
      expect(second).toEqual(first)
      expect(second).toHaveLength(1)
      await visit.code(second?.[0]?.[1] ?? '')
      expect((await visit.arrival()).get('code')).toBeTruthy()
      expect(await late.leave(), 'errors in the console').toEqual([])
    } finally {
      await late.stop()
      await smstools.close()
    }
  })
})
