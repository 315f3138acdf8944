import type { Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { createLanguages, loadCatalogues } from '../../src/languages/languages.ts'
import { OF_LOOKS, TOO_WIDE, UNFOLD, violations } from '../support/accessible.ts'
import { openWorld, type World } from '../support/browser.ts'
import { EVERY_PAGE } from '../support/every-page.ts'
import { createFlow } from '../support/flow.ts'
import { startHouse } from '../support/house.ts'
import { bracketed, untranslated } from '../support/untranslated.ts'

const { en, ...others } = loadCatalogues()
if (!en) throw new Error('languages/en.json is missing')
/** In the place of English, so that those who look for its words find them, and a little longer, as many languages are. */
const BRACKETED = createLanguages({ ...others, en: bracketed(en) }, 'en')

/** Sizes change where things are, schemes their colours, and neither the other: so each is looked at once, and the second time for nothing else. */
const SCREENS = [
  { size: 'phone', viewport: { width: 390, height: 844 }, colorScheme: 'light', rules: undefined },
  { size: 'desktop', viewport: { width: 1280, height: 800 }, colorScheme: 'dark', rules: OF_LOOKS },
] as const

/** What is lower than a finger is wide: 44 px for buttons (WCAG 2.5.5), 24 px for all else (2.5.8). */
const SMALL_TARGETS = `[...document.querySelectorAll('a, button, input:not([type=hidden], [hidden])')]
  .map((target) => ({ target, box: target.getBoundingClientRect() }))
  .filter(({ target, box }) => {
    const least = target.matches('button') ? 44 : 24
    return Math.round(box.height) < least || Math.round(box.width) < least
  })
  .map(({ target, box }) => target.outerHTML + ' is ' + box.width + ' × ' + box.height)`

const MOVING = `[...document.querySelectorAll('*')].filter((element) => {
  const { transitionDuration, animationName, scrollBehavior } = getComputedStyle(element)
  return /[1-9]/.test(transitionDuration) || animationName !== 'none' || scrollBehavior !== 'auto'
}).length`

describe('every page the house shows', () => {
  let world: World
  beforeAll(async () => {
    // The gateway comes first, so that a page which says it is down can be had; the outbox follows it.
    world = await openWorld({ TRUSTED_DEVICE_DAYS: '30', VOICE_GATEWAYS: 'outbox' }, BRACKETED)
  })
  afterEach(async () => {
    world.house.gateway.mode = 'ok'
    expect(await world.leave(), 'errors in the console').toEqual([])
  })
  afterAll(() => world.stop())

  for (const [name, { heading, open }] of Object.entries(EVERY_PAGE)) {
    test(`${name}: can be used by everyone, on any screen, in any language [WEB-18]`, async () => {
      const visit = await world.visit()
      const { page } = visit
      await open(visit, world)
      await page.getByRole('heading', { name: heading, level: 1 }).waitFor()
      expect(untranslated(await page.content()), 'said by no catalogue').toEqual([])
      await expectAccessible(page)
    })
  }

  test('the simulated phone and a login page of development: can be used by everyone [WEB-18]', async () => {
    const house = await startHouse({ env: { SMS_GATEWAYS: 'outbox' } })
    try {
      await house.addClient('app', { name: 'Harbour' })
      await house.addAccount('alex')
      const { page } = await world.visit()
      const flow = createFlow(house)
      await page.goto(house.issuer + flow.authorizationUrl())
      await expectAccessible(page)
      await flow.toCode('alex')
      await page.getByRole('link', { name: 'Open the simulated phone' }).waitFor()
      await page.goto(`${house.issuer}/dev/outbox`)
      await page.getByText('is your sign-in code').waitFor()
      await expectAccessible(page)
      // It would go on asking for messages after its house is gone.
      await page.goto('about:blank')
    } finally {
      await house.stop()
    }
  })
})

async function expectAccessible(page: Page): Promise<void> {
  await expectWellBuilt(page)
  await page.evaluate(UNFOLD)
  // Colours on their way from one scheme to the other are nobody's; at rest they are judged.
  await page.emulateMedia({ reducedMotion: 'reduce' })
  expect(await page.evaluate(MOVING), 'elements that move').toBe(0)
  for (const { size, viewport, colorScheme, rules } of SCREENS) {
    await page.setViewportSize(viewport)
    expect(await page.evaluate(SMALL_TARGETS), `targets on a ${size}`).toEqual([])
    await page.emulateMedia({ colorScheme })
    expect(await violations(page, rules), `${size}, ${colorScheme}`).toEqual([])
  }
  await page.setViewportSize({ width: 320, height: 640 })
  expect(await page.evaluate(TOO_WIDE), 'pixels wider than 320').toBe(0)
  expect(await page.evaluate(SMALL_TARGETS), 'targets at 320 pixels').toEqual([])
}

async function expectWellBuilt(page: Page): Promise<void> {
  expect(await page.locator('html').getAttribute('lang')).toBe('en')
  expect(await page.title()).toMatch(/\S – Sallyport$/)
  expect(await page.locator('h1').count(), 'level 1 headings').toBe(1)
  expect(await page.getByRole('main').count(), 'main landmarks').toBe(1)
}
