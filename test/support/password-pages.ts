import type { Page } from 'playwright-core'
import type { Visit, World } from './browser.ts'
import type { Walk } from './every-page.ts'

/** The pages on which a password is chosen, or a link to do so is asked for. */
export const PASSWORD_PAGES: Record<string, Walk> = {
  'password forgotten': {
    heading: 'Forgotten your password?',
    async open(visit) {
      await visit.begin()
      await visit.page.getByRole('link', { name: 'Forgotten your password?' }).click()
    },
  },
  'password forgotten, link on its way': {
    heading: 'Look into your mail',
    async open(visit, world) {
      await askForLink(visit, world, (await world.newcomer()).username)
    },
  },
  'choose a first password, with an error': {
    heading: 'Choose your password',
    async open(visit, world) {
      await visit.page.goto((await invite(world)).link)
      await choosePassword(visit.page, 'password')
      await visit.page.getByRole('alert').waitFor()
    },
  },
  'link that can’t be used': {
    heading: 'This link can’t be used',
    async open(visit, world) {
      await visit.page.goto(`${world.house.issuer}/link/${'x'.repeat(43)}`)
    },
  },
}

export async function askForLink({ page }: Visit, world: World, username: string): Promise<void> {
  await page.goto(`${world.house.issuer}/password/forgotten`)
  await page.getByLabel('Username or e-mail address').fill(username)
  await page.getByRole('button', { name: 'Send the link' }).click()
}

export async function choosePassword(page: Page, password: string): Promise<void> {
  await page.getByLabel('New password').fill(password)
  await page.getByLabel('The same again').fill(password)
  await page.getByRole('button', { name: 'Save password' }).click()
}

let invited = 0

/** Someone who was invited, and the link they got. */
export async function invite(world: World) {
  invited += 1
  const username = `invited${invited}`
  const account = await world.house.rooms.accounts.create({ username })
  const { link } = await world.house.rooms.linkMails.invite(account.id)
  return { username, id: account.id, link, phone: `+46701${250_000 + invited}` }
}
