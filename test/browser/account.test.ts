import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { totp, totpStep } from '../../src/second-factor/totp.ts'
import { signInToAccount } from '../support/account.ts'
import { enter } from '../support/account-pages.ts'
import { bytesOf } from '../support/base32.ts'
import {
  codeField,
  openWorld,
  type Person,
  PHONE,
  type Visit,
  type World,
} from '../support/browser.ts'
import { PASSWORD } from '../support/house.ts'

const NEW = '+46701234590'
const BETTER = 'four words nobody guesses'
const TOO_LATE = 20 * 60 + 1

describe('one’s own pages, in a browser', () => {
  let world: World
  let moved = 0
  beforeAll(async () => {
    world = await openWorld({ TRUSTED_DEVICE_DAYS: '30' })
  })
  afterEach(async () => {
    expect(await world.leave(), 'errors in the console').toEqual([])
  })
  afterAll(() => world.stop())

  /** Types what the sign-in asks for, wherever it was come from. */
  async function signIn(visit: Visit, person: Person): Promise<void> {
    await visit.password(person)
    await codeField(visit.page).waitFor()
    await visit.code(world.house.lastCode(person.phone))
  }

  const heading = ({ page }: Visit, name: string) =>
    page.getByRole('heading', { level: 1, name }).waitFor()
  const follow = ({ page }: Visit, name: string | RegExp) =>
    page.getByRole('link', { name }).click()
  const press = ({ page }: Visit, name: string) =>
    page.getByRole('button', { name, exact: true }).click()
  const told = ({ page }: Visit, what: string) => page.getByRole('status').getByText(what).waitFor()

  async function addPhone(visit: Visit, number: string): Promise<void> {
    await follow(visit, 'Add a phone')
    await visit.page.getByLabel('Phone number').fill(number)
    await press(visit, 'Send the code')
    await codeField(visit.page).waitFor()
    await visit.code(world.house.lastCode(number))
    await told(visit, 'The phone was added')
  }

  for (const javaScriptEnabled of [true, false]) {
    const how = javaScriptEnabled ? 'with' : 'without'
    test(`phones are added, named and removed on a phone, ${how} JavaScript`, async () => {
      const person = await world.newcomer()
      const visit = await world.visit({ ...PHONE, javaScriptEnabled })
      await visit.page.goto(`${world.house.issuer}/account`)
      await signIn(visit, person)
      await heading(visit, 'Your account')
      await follow(visit, /^Phones/)
      await addPhone(visit, NEW)
      await follow(visit, /ending in 90/)
      await visit.page.getByLabel('Your name for it').fill('Work')
      await press(visit, 'Save name')
      await told(visit, 'The name was saved')
      await follow(visit, 'Make it the main phone')
      await press(visit, 'Make it the main phone')
      await told(visit, 'Codes go to another phone first')
      await follow(visit, /Work/)
      await follow(visit, 'Remove this phone')
      await press(visit, 'Remove this phone')
      await told(visit, 'The phone was removed')
      const { id = '' } = (await world.house.rooms.accounts.findByUsername(person.username)) ?? {}
      expect(await world.house.rooms.phones.list(id)).toMatchObject([{ number: person.phone }])
      // Back to what was just done: nothing is there to be done once more.
      await visit.page.goBack()
      await heading(visit, 'There is no such thing here')
      await press(visit, 'Back to your account')
      await heading(visit, 'Your account')
    })
  }

  test('an app is added by its code, and backup codes are made, copied from the page and used up', async () => {
    const visit = await world.visit()
    const { open, username } = await enter(visit, world)
    await open('/app')
    await follow(visit, 'Add an app')
    await press(visit, 'Continue')
    const secret = await visit.page.locator('.secret').innerText()
    const step = totpStep(Math.floor(Date.now() / 1000) + moved)
    await visit.code(totp(bytesOf(secret), step, 6))
    await told(visit, 'The authenticator app was added')
    await open('/backup-codes')
    await follow(visit, 'Make new codes')
    // A double click makes them once, and shows them.
    await visit.page.getByRole('button', { name: 'Make new codes' }).dblclick()
    await heading(visit, 'Keep these backup codes')
    expect(await visit.page.locator('.backup-codes li').count()).toBe(10)
    const [code = ''] = await visit.page.locator('.backup-codes code').allInnerTexts()
    await press(visit, 'I have kept them')
    await visit.page.getByText('10 left').waitFor()
    const lost = await signInToAccount(world.house, username, { backupCode: code })
    expect(await lost.text('/account/backup-codes')).toContain('9 left')
  })

  test('a password is changed after the form was left too long, which asks for a code first', async () => {
    const visit = await world.visit()
    const { open, ...person } = await enter(visit, world)
    const elsewhere = await signInToAccount(world.house, person.username, { phone: person.phone })
    await open('/password')
    const fill = async () => {
      await visit.page.getByLabel('Password until now').fill(PASSWORD)
      await visit.page.getByLabel('New password').fill(BETTER)
      await visit.page.getByLabel('The same again').fill(BETTER)
      await press(visit, 'Save password')
    }
    world.house.moveClock(TOO_LATE)
    moved += TOO_LATE
    await fill()
    await heading(visit, 'Sign in')
    expect(await visit.page.getByLabel('Username').inputValue()).toBe(person.username)
    await signIn(visit, person)
    await heading(visit, 'Change your password')
    await fill()
    await told(visit, 'Your password was changed')
    expect((await elsewhere.get('/account')).status).toBe(303)
  })

  test('sign-ins, remembered browsers and apps are ended, and the history tells it', async () => {
    const visit = await world.visit()
    const person = await world.newcomer()
    await visit.begin({}, { client: 'third' })
    await visit.password(person)
    await codeField(visit.page).waitFor()
    await visit.page.getByRole('checkbox').check()
    await visit.code(world.house.lastCode(person.phone))
    await press(visit, 'Allow')
    await visit.arrival()
    const elsewhere = await signInToAccount(world.house, person.username, { phone: person.phone })
    await visit.page.goto(`${world.house.issuer}/account`)
    await follow(visit, /^Signed-in browsers/)
    await press(visit, 'Sign out everywhere else')
    await told(visit, 'signed out everywhere else')
    expect((await elsewhere.get('/account')).status).toBe(303)
    await follow(visit, 'Your account')
    await follow(visit, /^Remembered browsers/)
    await press(visit, 'Forget it')
    await told(visit, 'The browser was forgotten')
    await follow(visit, 'Your account')
    await follow(visit, /^Apps with access/)
    await press(visit, 'Take access back')
    await told(visit, 'no access any more')
    await follow(visit, 'Your account')
    await follow(visit, /^History/)
    await visit.page.getByText('Access of an app was taken back').waitFor()
    // In the reader's own zone, which a script knows.
    expect(await visit.page.locator('time').first().innerText()).not.toContain('UTC')
    await press(visit, 'Sign out')
    await heading(visit, 'Sign out?')
    await press(visit, 'Sign out')
    await heading(visit, 'You are signed out')
  })

  test('a session that ended in the middle of a form is said to have, and the way back in is short', async () => {
    const visit = await world.visit()
    const { open, ...person } = await enter(visit, world)
    await open('/phones/add')
    const { id = '' } = (await world.house.rooms.accounts.findByUsername(person.username)) ?? {}
    await world.house.rooms.sessions.endAll(world.house.db, id)
    await visit.page.getByLabel('Phone number').fill(NEW)
    await press(visit, 'Send the code')
    await heading(visit, 'You are not signed in')
    await press(visit, 'Sign in')
    await signIn(visit, person)
    await heading(visit, 'Your account')
  })
})
