import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { addAdmin, signInToConsole } from '../support/console.ts'
import { type House, startHouse } from '../support/house.ts'

const MINUTE = 60
const FORM = '/admin/people/new'

let house: House
let ada: { id: string }
beforeAll(async () => {
  house = await startHouse()
  ada = await addAdmin(house, 'ada', 'admin')
})
afterAll(() => house.stop())

type Console = Awaited<ReturnType<typeof signInToConsole>>

/** Whether the console shows a page; a form does nothing, and says so, where it doesn't. */
async function isOpen(console: Console, token: string): Promise<boolean> {
  const page = await console.get('/admin/people')
  if (page.status === 200) return true
  expect(page.location).toContain('/auth?client_id=')
  const form = await console.flow.post(FORM, { form_token: token, username: 'too-late' })
  expect(form).toMatchObject({ status: 403, html: expect.stringContaining('You are signed out') })
  expect(await house.rooms.accounts.findByUsername('too-late')).toBeUndefined()
  return false
}

/** At the console in a browser of one's own, with the token of its forms. */
async function enter() {
  const console = await signInToConsole(house, 'ada')
  const { html } = await console.get(FORM)
  const token = /name="form_token" value="([^"]+)"/.exec(html)?.[1] ?? ''
  return { ...console, isOpen: () => isOpen(console, token) }
}

/** Says yes to the provider's question whether to sign out. @returns the page it goes on to */
async function confirmSignOut({ flow, get }: Console, html: string) {
  const xsrf = /name="xsrf" value="(\w+)"/.exec(html)?.[1] ?? ''
  const { location } = await flow.post('/session/end/confirm', { xsrf, logout: 'yes' })
  return get(location ?? '')
}

describe('the console’s session', () => {
  test('ends after half an hour of rest', async () => {
    const console = await enter()
    for (let uses = 0; uses < 2; uses++) {
      house.moveClock(29 * MINUTE)
      expect(await console.isOpen()).toBe(true)
    }
    house.moveClock(31 * MINUTE)
    expect(await console.isOpen()).toBe(false)
  })

  test('ends after eight hours, however busy', async () => {
    const console = await enter()
    for (let minutes = 0; minutes < 7.5 * 60; minutes += 25) {
      house.moveClock(25 * MINUTE)
      expect(await console.isOpen(), `after ${minutes + 25} minutes`).toBe(true)
    }
    house.moveClock(20 * MINUTE)
    expect(await console.isOpen()).toBe(true)
    house.moveClock(15 * MINUTE)
    expect(await console.isOpen()).toBe(false)
    // It isn't the provider's session that ended.
    expect(await house.rooms.sessions.list(ada.id)).not.toEqual([])
  })

  test('ends with the provider’s session, wherever that is ended', async () => {
    const [here, there] = [await enter(), await enter()]
    await confirmSignOut(here, (await here.get('/session/end')).html)
    expect(await here.isOpen()).toBe(false)
    expect(await there.isOpen()).toBe(true)
    await house.rooms.sessions.endAllOf(ada.id)
    expect(await there.isOpen()).toBe(false)
  })

  test('ends by signing out, which asks first and says so in the end', async () => {
    const console = await enter()
    const { location = '' } = await console.get('/admin/sign-out')
    expect(new URL(location).pathname).toBe('/session/end')
    const question = await console.get(location)
    expect(await console.isOpen()).toBe(true)
    const left = await confirmSignOut(console, question.html)
    expect(left).toMatchObject({ status: 200, html: expect.stringContaining('You have left') })
    expect(left.html).toContain('href="/admin"')
    expect(await console.isOpen()).toBe(false)
  })
})
