import type { BrowserContextOptions, Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { TOO_WIDE, UNFOLD, violations } from '../support/accessible.ts'
import { DESKTOP, openWorld, PHONE, type World } from '../support/browser.ts'
import { addAdmin } from '../support/console.ts'
import { addTraffic, pauseCountry, useBudget } from '../support/traffic.ts'

/** Sizes change where things are, schemes their colours, and neither the other. */
const SCREENS = [
  ['', 390, 'light'],
  ['', 1280, 'dark'],
  ['/messages', 390, 'dark'],
  ['/limits', 1280, 'light'],
  ['/alerts', 390, 'light'],
] as const

/** How many colours a canvas shows; one that is blank has one. */
const COLOURS = `[...document.querySelectorAll('canvas')].map((canvas) => {
  const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height)
  return new Set(new Uint32Array(data.buffer)).size
})`
const FIRST_BAR = `(() => {
  const chart = Chart.getChart(document.querySelector('canvas'))
  return chart.data.datasets[0].backgroundColor[0]
})()`

let world: World
beforeAll(async () => {
  world = await openWorld({ SMS_PRICES: '*=0.05', SMS_LIMIT_PREFIX_UNANSWERED: '4' })
  const { house } = world
  await addAdmin(house, 'ada', 'admin')
  await addTraffic(house, 140, 40)
  await pauseCountry(house, 'PL')
  await useBudget(house, 90_000)
  await house.rooms.alerts.settle([
    { kind: 'country-paused', subject: 'PL', detail: { until: '2030-01-01T12:00:00.000Z' } },
    { kind: 'gateway-down', subject: 'twilio', detail: { failure: 'quota' } },
  ])
})
afterEach(async () => {
  expect(await world.leave(), 'errors in the console').toEqual([])
})
afterAll(() => world.stop())

async function atConsole(options: BrowserContextOptions): Promise<Page> {
  const visit = await world.visit({ reducedMotion: 'reduce', ...options })
  await visit.page.goto(`${world.house.issuer}/admin`)
  await visit.password({ username: 'ada', phone: '' })
  await visit.page.getByRole('textbox', { name: '6-digit code' }).waitFor()
  await visit.code(world.house.lastCode())
  await visit.page.getByRole('heading', { name: 'Overview', level: 1 }).waitFor()
  return visit.page
}

describe('the dashboard', () => {
  test('draws charts from the tables behind them, in the colours of the scheme', async () => {
    const page = await atConsole({ ...DESKTOP, colorScheme: 'light' })
    await page.getByRole('link', { name: 'hour', exact: true }).click()
    await page.waitForURL(/range=hour/)
    await expect.poll(() => page.locator('canvas').count()).toBe(6)
    for (const colours of (await page.evaluate(COLOURS)) as number[])
      expect(colours).toBeGreaterThan(20)

    const table = page.getByRole('region', { name: 'Sign-ins' })
    expect(await table.isVisible()).toBe(false)
    await page.getByText('As a table: Sign-ins').click()
    const cells = await table.locator('td').allTextContents()
    const drawn = await page.evaluate(
      `Chart.getChart(document.querySelector('canvas')).data.datasets[0].data`,
    )
    expect(cells.map(Number)).toEqual(drawn)

    const light = await page.evaluate(FIRST_BAR)
    await page.emulateMedia({ colorScheme: 'dark' })
    await expect.poll(() => page.evaluate(FIRST_BAR)).not.toBe(light)
  })

  test('asks nobody else for anything, the chart library included', async () => {
    const page = await atConsole(DESKTOP)
    const asked: URL[] = []
    page.on('request', (request) => void asked.push(new URL(request.url())))
    await page.reload({ waitUntil: 'networkidle' })
    expect(new Set(asked.map(({ origin }) => origin))).toEqual(new Set([world.house.issuer]))
    expect(asked.map(({ pathname }) => pathname)).toContainEqual(
      expect.stringMatching(/^\/assets\/.*chart\..*js$/),
    )
    expect(await page.evaluate('typeof Chart')).toBe('function')
  })

  test('and the pages beside it can be used by everyone, on any screen [WEB-18]', async () => {
    // A phone's window grows with what is too wide for it, and nothing would be seen.
    const page = await atConsole(DESKTOP)
    for (const [path, width, colorScheme] of SCREENS) {
      await page.setViewportSize({ width, height: 844 })
      await page.emulateMedia({ colorScheme })
      await page.goto(`${world.house.issuer}/admin${path}`)
      await page.evaluate(UNFOLD)
      expect(await violations(page), `${path} at ${width}, ${colorScheme}`).toEqual([])
      await page.setViewportSize({ width: 320, height: 640 })
      // The charts follow the window a moment later.
      const message = `${path}: pixels wider than 320`
      await expect.poll(() => page.evaluate(TOO_WIDE), { message }).toBe(0)
    }
  })

  test('without JavaScript there are the tables, and a pause is lifted', async () => {
    const page = await atConsole({ ...PHONE, javaScriptEnabled: false })
    expect(await page.getByRole('region', { name: 'Failures by cause' }).isVisible()).toBe(true)
    expect(await page.locator('canvas').first().isVisible()).toBe(false)
    await page.getByRole('link', { name: 'Lift the pause' }).click()
    await page.getByLabel('Reason').fill('our own campaign')
    await page.getByRole('button', { name: 'Lift the pause' }).click()
    await page.getByText('The country gets texts again.').waitFor()
  })
})
