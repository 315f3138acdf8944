import { ACCOUNT_PAGES } from './account-pages.ts'
import { codeField, type Visit, type World, wrong } from './browser.ts'
import { DEVICE_PAGES } from './device-pages.ts'
import { FACTOR_PAGES } from './factor-pages.ts'
import { PASSWORD_PAGES } from './password-pages.ts'

/** Leads a fresh browser to a page, and tells by which heading it is known. */
export interface Walk {
  heading: string
  open: (visit: Visit, world: World) => Promise<void>
}

/** Every page people can meet outside development. Clocks are moved on the way, so one walk is over before the next begins. */
export const EVERY_PAGE: Record<string, Walk> = {
  login: {
    heading: 'Sign in',
    open: (visit) => visit.begin(),
  },
  'login with an error': {
    heading: 'Sign in',
    async open(visit, world) {
      await visit.begin()
      await visit.password(await world.newcomer(), 'not the password')
      await visit.page.getByRole('alert').waitFor()
    },
  },
  code: {
    heading: 'Enter your code',
    async open(visit, world) {
      await visit.toCode(await world.newcomer())
    },
  },
  'code with an error': {
    heading: 'Enter your code',
    async open(visit, world) {
      await visit.code(wrong(await visit.toCode(await world.newcomer())))
      await visit.page.getByRole('alert').waitFor()
    },
  },
  'code that could not be sent': {
    heading: 'Enter your code',
    async open(visit, world) {
      await visit.begin()
      world.house.gateway.mode = '5xx'
      await visit.password(await world.newcomer())
      await visit.page.getByRole('button', { name: 'Try again' }).waitFor()
      world.house.gateway.mode = 'ok'
    },
  },
  'code that was not delivered': {
    heading: 'Enter your code',
    async open(visit, world) {
      await visit.toCode(await world.newcomer())
      await world.house.db.updateTable('message').set({ state: 'failed' }).execute()
      await visit.page.reload()
      await visit.page.getByRole('alert').waitFor()
    },
  },
  'number that takes no texts': {
    heading: 'We can’t text your number',
    async open(visit, world) {
      const { username } = await world.newcomer()
      await world.house.db
        .updateTable('phone')
        .set({ fault: 'opted-out', fault_until: new Date(Date.now() + 86_400_000 * 9) })
        .where('account_id', 'in', (query) =>
          query.selectFrom('account').select('id').where('username', '=', username),
        )
        .execute()
      await visit.begin()
      await visit.password({ username, phone: '' })
      await visit.page.getByRole('button', { name: /Call/ }).waitFor()
    },
  },
  'code that no more texts are sent for': {
    heading: 'Enter your code',
    async open(visit, world) {
      await visit.toCode(await world.newcomer())
      for (let sends = 1; sends < world.house.config.otp.maxSends; sends += 1) {
        world.house.moveClock(world.house.config.otp.resendSeconds * 2 ** (sends - 1) + 1)
        await visit.page.reload()
        const loaded = visit.page.waitForEvent('load')
        await visit.page.getByRole('button', { name: 'Send again' }).click()
        await loaded
      }
      await visit.page.getByText('No more texts can be sent').waitFor()
    },
  },
  'code expired': {
    heading: 'That code has expired',
    async open(visit, world) {
      await visit.toCode(await world.newcomer())
      world.house.moveClock(world.house.config.otp.ttlSeconds + 1)
      await visit.page.reload()
    },
  },
  'too many wrong codes': {
    heading: 'Too many wrong codes',
    async open(visit, world) {
      const code = await visit.toCode(await world.newcomer())
      await guessWrong(visit, world, code)
    },
  },
  'account locked': {
    heading: 'Too many wrong codes',
    async open(visit, world) {
      const person = await world.newcomer()
      await guessWrong(visit, world, await visit.toCode(person))
      await visit.page.getByRole('button', { name: 'Start again' }).click()
      await visit.password(person)
      await codeField(visit.page).waitFor()
      await guessWrong(visit, world, world.house.lastCode(person.phone))
      await visit.page.getByText('You can try again in about').waitFor()
    },
  },
  consent: {
    heading: 'Allow Third Party to see this?',
    open: toConsent,
  },
  logout: {
    heading: 'Sign out?',
    async open(visit, world) {
      await visit.code(await visit.toCode(await world.newcomer()))
      await visit.arrival()
      await visit.page.goto(`${world.house.issuer}/session/end`)
    },
  },
  'logged out': {
    heading: 'You are signed out',
    async open(visit, world) {
      await EVERY_PAGE.logout?.open(visit, world)
      await visit.page.getByRole('button', { name: 'Sign out' }).click()
    },
  },
  'sign-in expired': {
    heading: 'This sign-in has ended',
    async open(visit, world) {
      await visit.begin()
      world.house.moveClock(16 * 60)
      await visit.page.reload()
    },
  },
  'unknown app': {
    heading: 'That didn’t work',
    open: (visit) => visit.begin({}, { client: 'unheard-of' }),
  },
  'not found': {
    heading: 'Not found',
    async open({ page }, { house }) {
      await page.goto(`${house.issuer}/nothing/here`)
    },
  },
  home: {
    heading: 'This is a sign-in service',
    async open({ page }, { house }) {
      await page.goto(house.issuer)
    },
  },
  ...DEVICE_PAGES,
  ...FACTOR_PAGES,
  ...PASSWORD_PAGES,
  ...ACCOUNT_PAGES,
}

async function toConsent(visit: Visit, world: World): Promise<void> {
  const person = await world.newcomer()
  await visit.begin({ scope: 'openid profile email phone' }, { client: 'third' })
  await visit.password(person)
  await codeField(visit.page).waitFor()
  await visit.code(world.house.lastCode(person.phone))
}

async function guessWrong({ page, ...visit }: Visit, world: World, code: string): Promise<void> {
  for (let tries = world.house.config.otp.maxAttempts; tries > 0; tries -= 1) {
    const loaded = page.waitForEvent('load')
    await visit.code(wrong(code))
    await loaded
  }
}
