import { codeField, type Person, type Visit, type World, wrong } from './browser.ts'
import type { Walk } from './every-page.ts'
import { addApp, addPhone, appCode } from './second-factors.ts'

/** The pages of a sign-in that are about second factors other than the one text. */
export const FACTOR_PAGES: Record<string, Walk> = {
  'add phone': {
    heading: 'Add your phone',
    async open(visit, world) {
      await toAddPhone(visit, await world.bareNewcomer())
    },
  },
  'add phone with an error': {
    heading: 'Add your phone',
    async open(visit, world) {
      await toAddPhone(visit, await world.bareNewcomer())
      await sendTo(visit, '12')
      await visit.page.getByRole('alert').waitFor()
    },
  },
  'code that proves a number': {
    heading: 'Enter your code',
    async open(visit, world) {
      const person = await world.bareNewcomer()
      await toAddPhone(visit, person)
      await sendTo(visit, person.phone)
    },
  },
  'add app': {
    heading: 'Add an authenticator app',
    async open(visit, world) {
      await toAddApp(visit, await world.bareNewcomer())
    },
  },
  'add app with an error': {
    heading: 'Add an authenticator app',
    async open(visit, world) {
      const key = await toAddApp(visit, await world.bareNewcomer())
      await visit.code(wrong(appCode(key, world.house.now())))
      await visit.page.getByRole('alert').waitFor()
    },
  },
  'backup codes': {
    heading: 'Keep these backup codes',
    open: toBackupCodes,
  },
  enrolled: {
    heading: 'One more thing',
    async open(visit, world) {
      await toBackupCodes(visit, world)
      await visit.page.goto(visit.page.url())
    },
  },
  'code of the app, with other ways': {
    heading: 'Enter the code of your app',
    async open(visit, world) {
      const { account, ...person } = await richNewcomer(world)
      await addApp(world.house, account)
      await visit.begin()
      await visit.password(person)
    },
  },
  'code with other ways': {
    heading: 'Enter your code',
    async open(visit, world) {
      const { account, ...person } = await richNewcomer(world)
      await addApp(world.house, account)
      await visit.begin()
      await visit.password(person)
      await visit.page.getByRole('button', { name: 'Text' }).first().click()
    },
  },
  'backup code': {
    heading: 'Use a backup code',
    open: toBackupCode,
  },
  'backup code with an error': {
    heading: 'Use a backup code',
    async open(visit, world) {
      await toBackupCode(visit, world)
      await useBackupCode(visit, 'BCDF-GHJK-LMNP-QRST')
      await visit.page.getByRole('alert').waitFor()
    },
  },
  'step-up': {
    heading: 'Confirm that it’s you',
    async open(visit, world) {
      await toSession(visit, await world.bareNewcomer())
      await visit.begin({ acr_values: 'https://refeds.org/profile/mfa' }, { client: 'lax' })
    },
  },
}

/** To where someone without a second factor adds one. */
export async function toAddPhone(visit: Visit, person: Person): Promise<void> {
  await visit.begin()
  await visit.password(person)
  await visit.page.getByLabel('Phone number').waitFor()
}

export async function sendTo({ page }: Visit, number: string): Promise<void> {
  await page.getByLabel('Phone number').fill(number)
  await page.getByRole('button', { name: 'Send the code' }).click()
}

/** @returns the key on the page */
export async function toAddApp(visit: Visit, person: Person): Promise<string> {
  await toAddPhone(visit, person)
  await visit.page.getByRole('button', { name: 'Use an authenticator app' }).click()
  return keyOn(visit)
}

/** The key of an app that is being added, as one would type it into the app. */
export async function keyOn({ page }: Visit): Promise<string> {
  return ((await page.locator('.secret').textContent()) ?? '').replaceAll(' ', '')
}

async function toBackupCodes(visit: Visit, world: World): Promise<void> {
  const person = await world.bareNewcomer()
  await toAddPhone(visit, person)
  await sendTo(visit, person.phone)
  await codeField(visit.page).waitFor()
  await visit.code(world.house.lastCode(person.phone))
  await visit.page.locator('[data-codes]').waitFor()
}

/** Signed in with a password alone, at an app that leaves it at that. */
export async function toSession(visit: Visit, person: Person): Promise<void> {
  await visit.begin({}, { client: 'lax' })
  await visit.password(person)
  await visit.arrival()
}

/** Someone with two phones, one of them named, and backup codes. */
export async function richNewcomer(world: World) {
  const person = await world.newcomer()
  const account = await world.house.rooms.accounts.findByUsername(person.username)
  if (!account) throw new Error('the account is gone')
  const second = person.phone.replace('+46701', '+46703')
  const id = await addPhone(world.house, account.id, second)
  await world.house.rooms.phoneChanges.label(account.id, id, 'Work')
  const codes = await world.house.rooms.backupCodes.issue(account.id)
  return { ...person, account, second, codes }
}

async function toBackupCode(visit: Visit, world: World): Promise<void> {
  await visit.toCode(await richNewcomer(world))
  await visit.page.getByRole('button', { name: 'Use a backup code' }).click()
  await visit.page.getByLabel('Backup code').waitFor()
}

export async function useBackupCode({ page }: Visit, code: string): Promise<void> {
  await page.getByLabel('Backup code').fill(code)
  await page.getByRole('button', { name: 'Continue' }).click()
}
