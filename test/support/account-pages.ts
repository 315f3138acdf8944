import { signInToAccount } from './account.ts'
import type { Person, Visit, World } from './browser.ts'
import type { Walk } from './every-page.ts'
import { PHONES } from './house.ts'

/** Brings a browser to one's own pages; the sign-in itself is walked through elsewhere. */
export async function enter(visit: Visit, world: World, person?: Person) {
  const who = person ?? (await world.newcomer())
  const me = await signInToAccount(world.house, who.username, { phone: who.phone })
  const cookies = await me.flow.jar.getCookies(world.house.issuer)
  await visit.context.addCookies(
    cookies.map(({ key, value }) => ({ name: key, value, url: world.house.issuer })),
  )
  return {
    me,
    ...who,
    open: (path = '') => visit.page.goto(`${world.house.issuer}/account${path}`),
  }
}

/** A page that takes nothing but its address. */
const at = (path: string, heading: string): Walk => ({
  heading,
  async open(visit, world) {
    await (await enter(visit, world)).open(path)
  },
})

/** The pages under `/account`. */
export const ACCOUNT_PAGES: Record<string, Walk> = {
  'your account': at('', 'Your account'),
  'your phones': {
    heading: 'Phones',
    async open(visit, world) {
      const { me, open } = await enter(visit, world)
      await me.addPhone(PHONES[1])
      await open('/phones?done=phone-added')
    },
  },
  'one of your phones': {
    heading: 'One of your phones',
    async open(visit, world) {
      const { open } = await enter(visit, world)
      await open('/phones')
      await visit.page.locator('a.row').click()
    },
  },
  'a change to confirm': {
    heading: 'Remove this phone?',
    async open(visit, world) {
      const { open } = await enter(visit, world)
      await open('/phones')
      await visit.page.locator('a.row').click()
      await visit.page.locator('a.danger').click()
      await visit.page.locator('button.main').click()
      await visit.page.getByRole('alert').waitFor()
    },
  },
  'a phone to add, with an error': {
    heading: 'Add your phone',
    async open(visit, world) {
      const { open } = await enter(visit, world)
      await open('/phones/add')
      await visit.page.locator('#number').fill('12')
      await visit.page.locator('button.main').click()
      await visit.page.getByRole('alert').waitFor()
    },
  },
  'a phone to prove': {
    heading: 'Enter your code',
    async open(visit, world) {
      const { me, open } = await enter(visit, world)
      await me.post('/account/phones/add', { number: PHONES[1], country: '' })
      await open('/phones/prove')
    },
  },
  'no authenticator app': at('/app', 'Authenticator app'),
  'an app to add': {
    heading: 'Add an authenticator app',
    async open(visit, world) {
      const { me, open } = await enter(visit, world)
      await me.post('/account/app/add')
      await open('/app/prove')
    },
  },
  'no backup codes': at('/backup-codes', 'Backup codes'),
  'backup codes, shown': {
    heading: 'Keep these backup codes',
    async open(visit, world) {
      const { open } = await enter(visit, world)
      await open('/backup-codes/new')
      await visit.page.locator('button.main').click()
    },
  },
  'a new password, with an error': {
    heading: 'Change your password',
    async open(visit, world) {
      const { open } = await enter(visit, world)
      await open('/password')
      for (const field of ['current', 'password', 'again'])
        await visit.page.locator(`#${field}`).fill('something')
      await visit.page.locator('button.main').click()
      await visit.page.getByRole('alert').waitFor()
    },
  },
  'remembered browsers': at('/browsers', 'Remembered browsers'),
  'signed-in browsers': {
    heading: 'Signed-in browsers',
    async open(visit, world) {
      const { username, phone, open } = await enter(visit, world)
      await signInToAccount(world.house, username, { phone })
      await open('/sessions')
    },
  },
  'apps with access': at('/apps', 'Apps with access'),
  history: at('/history', 'History'),
  'a proof that is too new': {
    heading: 'Not with this one yet',
    async open(visit, world) {
      const { me, open } = await enter(visit, world)
      await me.addPhone(PHONES[1])
      // As if the number that was there had not been shown.
      await world.house.db.deleteFrom('challenge').where('purpose', '=', 'sign-in').execute()
      await open('/password')
    },
  },
  'signed out of your account': {
    heading: 'You are not signed in',
    async open(visit, world) {
      await visit.page.goto(`${world.house.issuer}/account/callback`)
    },
  },
}
