import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { PASSWORD_ALONE } from '../../src/oidc/acr.ts'
import { type Answer, claimsOf, createFlow, type Flow } from '../support/flow.ts'
import { type House, startHouse } from '../support/house.ts'
import { conclude, now } from '../support/interactions.ts'

let house: House
let alex: { id: string }

beforeAll(async () => {
  house = await startHouse()
  alex = await house.addAccount('alex', null)
})
afterAll(() => house.stop())

const claims = JSON.stringify({ id_token: { email: null } })

describe('an app that was registered for less, and then for more', () => {
  test.each([
    ['first-party', true],
    ['third-party', false],
  ])(
    'gets the claims it asks for by name, though they were refused before: %s',
    async (id, firstParty) => {
      const more = { secondFactor: 'optional' as const, firstParty }
      const before = await house.addClient(id, { ...more, scope: ['openid'] })
      const first = createFlow(house, { client: before })
      await first.begin({ claims })
      const login = { accountId: alex.id, ts: now(), ...PASSWORD_ALONE }
      const refused = await arrive(first, await conclude(house, first, login))
      expect(refused).not.toHaveProperty('email')

      await house.rooms.clients.remove(id)
      const client = await house.addClient(id, { ...more, scope: ['openid', 'email'] })
      const second = createFlow(house, { client, jar: first.jar })
      const given = await arrive(second, await second.request(second.authorizationUrl({ claims })))
      expect(given).toMatchObject({ email: 'alex@example.com' })
    },
  )
})

/** The claims an app gets in the end, with the consent page on the way where there is one. */
async function arrive(flow: Flow, answer: Answer): Promise<Record<string, unknown>> {
  let at = answer
  if (at.location?.includes('/interaction/')) {
    await flow.arrive(at.location)
    at = await flow.step('consent')
  }
  const query = await flow.resume(at)
  return claimsOf((await flow.redeem(query.get('code') ?? '')).body)
}
