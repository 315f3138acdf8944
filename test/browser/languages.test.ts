import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { createLanguages, loadCatalogues } from '../../src/languages/languages.ts'
import { DESKTOP, openWorld, PHONE, type World } from '../support/browser.ts'

const { en, de, ...others } = loadCatalogues()
if (!en || !de) throw new Error('languages/en.json or de.json is missing')
/** Words nobody can check here, but a direction that anyone can see. */
const hebrew = {
  textParts: 1,
  messages: { ...en.messages, 'action.continue': 'המשך', 'code.title': 'הקלד את הקוד' },
}
const languages = createLanguages({ ...others, en, de, he: hebrew }, 'en')

/** What sticks out of the window or of the card it stands in. */
const STICKING_OUT = `(() => {
  const card = document.querySelector('.card').getBoundingClientRect()
  return [...document.querySelectorAll('.card *')]
    .filter((element) => !element.closest('.unseen'))
    .map((element) => [element.outerHTML.slice(0, 80), element.getBoundingClientRect()])
    .filter(([, box]) => box.width > 0 && (box.left < card.left - 1 || box.right > card.right + 1))
    .map(([html]) => html)
})()`

const DIRECTIONS = `['.phone-number', '#code'].map((selector) =>
  getComputedStyle(document.querySelector(selector)).direction)`

let world: World
beforeAll(async () => {
  world = await openWorld({}, languages)
})
afterEach(async () => {
  expect(await world.leave(), 'errors in the console').toEqual([])
})
afterAll(() => world.stop())

test.each([
  ['with scripts', true],
  ['without scripts', false],
])(
  '%s, the switch changes the page in the middle of a sign-in, and nothing else',
  async (_, javaScriptEnabled) => {
    const visit = await world.visit({ ...DESKTOP, javaScriptEnabled })
    const { page } = visit
    const person = await world.newcomer()
    const code = await visit.toCode(person)
    const sent = world.house.codeTexts().length
    await page.getByText('English', { exact: true }).first().click()
    await page.getByRole('button', { name: 'Deutsch' }).click()
    await page.getByRole('heading', { name: 'Code eingeben' }).waitFor()
    expect(world.house.codeTexts()).toHaveLength(sent)
    await page.getByRole('textbox', { name: '6-stelliger Code' }).fill(code)
    await page.getByRole('button', { name: 'Weiter' }).click()
    expect((await visit.arrival()).get('code')).toBeTruthy()

    await visit.begin({ prompt: 'login' })
    await page.getByRole('heading', { name: 'Anmelden' }).waitFor()
  },
)

test('a page that answers a form is shown anew, without its error', async () => {
  const visit = await world.visit()
  const { page } = visit
  await visit.begin()
  await visit.password(await world.newcomer(), 'not it')
  await page.getByRole('alert').waitFor()
  await page.getByText('English', { exact: true }).first().click()
  await page.getByRole('button', { name: 'Deutsch' }).click()
  await page.getByRole('heading', { name: 'Anmelden' }).waitFor()
  expect(await page.getByRole('alert').count()).toBe(0)
})

test('the switch can be used by keyboard, and says which language is on', async () => {
  const visit = await world.visit()
  const { page } = visit
  await visit.begin()
  await page.locator('summary').focus()
  await page.keyboard.press('Enter')
  expect(await page.locator('[aria-current]').innerText()).toBe('English')
  await page.getByRole('button', { name: 'Deutsch' }).focus()
  await page.keyboard.press('Enter')
  await page.getByRole('heading', { name: 'Anmelden' }).waitFor()
  expect(await page.locator('html').getAttribute('lang')).toBe('de')
})

test.each([
  ['desktop', DESKTOP],
  ['phone', PHONE],
])('a language from right to left mirrors the page on a %s', async (_, options) => {
  const visit = await world.visit({ ...options, locale: 'he-IL' })
  const { page } = visit
  await visit.begin()
  const person = await world.newcomer()
  await page.locator('#username').fill(person.username)
  await page.locator('#password').fill('correct horse battery')
  await page.getByRole('button', { name: 'המשך' }).click()
  const heading = page.getByRole('heading', { name: 'הקלד את הקוד' })
  await heading.waitFor()
  expect(await page.locator('html').getAttribute('dir')).toBe('rtl')

  const card = await page.locator('.card').boundingBox()
  const mark = await page.locator('.mark').boundingBox()
  if (!card || !mark) throw new Error('no card or no mark')
  const distance = { left: mark.x - card.x, right: card.x + card.width - mark.x - mark.width }
  expect(distance.right).toBeLessThan(distance.left)
  expect(await page.evaluate(STICKING_OUT)).toEqual([])
  // Digits keep their order, and the last ones are the last.
  expect(await page.evaluate(DIRECTIONS)).toEqual(['ltr', 'ltr'])
})
