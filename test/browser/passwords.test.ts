import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { openWorld, PHONE, type World } from '../support/browser.ts'
import { mailedLink } from '../support/links.ts'
import { askForLink, choosePassword, invite } from '../support/password-pages.ts'

const NEW = 'a lighthouse behind seven harbours'

describe('passwords at a browser', () => {
  let world: World
  beforeAll(async () => {
    world = await openWorld()
  })
  afterEach(async () => {
    expect(await world.leave(), 'errors in the console').toEqual([])
  })
  afterAll(() => world.stop())

  test.each([true, false])(
    'a forgotten one is replaced by a mailed link, and the code is still asked for (scripts: %s) [ADM-09]',
    async (javaScriptEnabled) => {
      const person = await world.newcomer()
      const account = await world.house.rooms.accounts.findByUsername(person.username)
      const visit = await world.visit({ ...PHONE, javaScriptEnabled })
      await askForLink(visit, world, person.username)
      await visit.page.getByRole('heading', { name: 'Look into your mail' }).waitFor()
      await visit.page.goto(await mailedLink(world.house, account?.id ?? ''))
      await choosePassword(visit.page, NEW)
      await visit.page.getByRole('heading', { name: 'Your new password is set' }).waitFor()
      await visit.begin()
      await visit.password(person, NEW)
      await visit.code(await codeOf(visit.page, person.phone))
      expect((await visit.arrival()).get('code')).toBeTruthy()
    },
  )

  test('an invitation leads to a password, and from there through enrolment to the account', async () => {
    const { username, link, phone } = await invite(world)
    const visit = await world.visit(PHONE)
    const { page } = visit
    await page.goto(link)
    await choosePassword(page, NEW)
    await page.getByRole('heading', { name: 'Your password is set' }).waitFor()
    await page.getByRole('button', { name: 'Go on' }).click()
    await visit.password({ username, phone }, NEW)
    await page.getByLabel('Phone number').fill(phone)
    await page.getByRole('button', { name: 'Send the code' }).click()
    await visit.code(await codeOf(page, phone))
    await page.getByRole('button', { name: 'I have kept them' }).click()
    await page.getByRole('heading', { name: 'Your account', level: 1 }).waitFor()
    await page.goto(link)
    await page.getByRole('heading', { name: 'This link can’t be used' }).waitFor()
  })

  async function codeOf(page: Awaited<ReturnType<World['visit']>>['page'], phone: string) {
    await page.getByRole('textbox', { name: '6-digit code' }).waitFor()
    return world.house.lastCode(phone)
  }
})
