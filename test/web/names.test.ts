import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { createFlow, type Flow } from '../support/flow.ts'
import { type House, PASSWORD, startHouse } from '../support/house.ts'

let house: House

beforeAll(async () => {
  house = await startHouse()
  await house.addClient('app')
  await house.addAccount('alex')
})
afterAll(() => house.stop())

beforeEach(async () => {
  house.gateway.reset()
  await house.db.deleteFrom('sign_in_attempt').execute()
})

async function atLogin(): Promise<Flow> {
  const flow = createFlow(house)
  await flow.begin()
  return flow
}

describe('a name', () => {
  test.each(['ALEX', 'Alex', ' alex', 'alex  ', 'ａｌｅｘ', '\u00a0alex\t'])(
    'is the same whatever its case, width and the spaces around it: %j (input 33)',
    async (name) => {
      const flow = await atLogin()
      expect((await flow.password(name)).status).toBe(303)
      expect(house.codeTexts()).toHaveLength(1)
    },
  )

  test.each(['ALEX', ' alex ', 'ａｌｅｘ', 'aleX\u00a0'])(
    'can’t be taken a second time in another spelling: %j (input 33)',
    async (name) => {
      const again = house.rooms.accounts.create({ username: name, password: PASSWORD })
      await expect(again).rejects.toMatchObject({ code: 'username_taken' })
    },
  )

  test.each(['al\u200bex', 'alex\u200d', '\u2060alex', 'al\u00adex', 'al\u202eex', 'al\0ex'])(
    'with a character that can’t be seen is no account’s and can’t become one: %j (input 33)',
    async (name) => {
      const flow = await atLogin()
      expect((await flow.password(name)).status).toBe(401)
      expect(house.codeTexts()).toEqual([])
      const creating = house.rooms.accounts.create({ username: name, password: PASSWORD })
      await expect(creating).rejects.toMatchObject({ code: 'username' })
    },
  )

  test.each([
    "' or 1=1--",
    "alex'--",
    "alex'; drop table account; --",
    'alex\\',
    '$1',
    '%',
    'al_x',
  ])('with SQL in it is a plain wrong login: %s (input 34)', async (text) => {
    for (const [name, password] of [
      [text, PASSWORD],
      ['alex', text],
    ]) {
      const flow = await atLogin()
      expect((await flow.password(name ?? '', password)).status).toBe(401)
    }
    expect(house.codeTexts()).toEqual([])
    expect(await house.rooms.accounts.findByUsername('alex')).toBeDefined()
  })

  test.each(['\0', 'alex\0', 'al\0ex', '\uFFFD', '\uD800', '😀'.repeat(60)])(
    'with a character no name has is a plain wrong login: %j (input 33)',
    async (name) => {
      const flow = await atLogin()
      expect((await flow.password(name)).status).toBe(401)
      expect((await flow.password('alex', `${PASSWORD}${name}`)).status).toBe(401)
      expect(house.codeTexts()).toEqual([])
    },
  )
})
