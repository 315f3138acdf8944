import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { apiWith, openApi } from './support/api.ts'
import { createFlow } from './support/flow.ts'
import { type House, startHouse } from './support/house.ts'

const [old = '', fresh = ''] = [1, 2].map(() => randomBytes(32).toString('base64'))

let house: House
/** signs with the new key and knows the old one */
let both: House
/** knows the new key alone */
let alone: House
let app: { id: string; secret: string }

beforeAll(async () => {
  house = await startHouse({ env: { COOKIE_KEYS: old } })
  both = await startHouse({ beside: house, env: { COOKIE_KEYS: `${fresh},${old}` } })
  alone = await startHouse({ beside: house, env: { COOKIE_KEYS: fresh } })
  app = await house.addClient('app')
  await house.addClient('another')
  await house.addAccount('alex')
})
afterAll(async () => {
  await alone.stop()
  await both.stop()
  await house.stop()
})

test('a sign-in that began under the old cookie key goes on under the new, and one under the new alone doesn’t know it (CRY-11)', async () => {
  const flow = createFlow(house, { client: app })
  await flow.begin()
  // Its cookies and the token of its form are the old key's.
  flow.url = both.url
  expect((await flow.password('alex')).status).toBe(303)
  await flow.resume(await flow.code(house.lastCode()))
  const silent = () => flow.request(flow.authorizationUrl({ prompt: 'none' }))
  expect((await silent()).location).toContain('code=')

  // What was signed anew meanwhile is good without the old key.
  flow.url = alone.url
  expect((await silent()).location).toContain('code=')

  const late = createFlow(house, { client: app })
  await late.begin()
  late.url = alone.url
  expect((await late.password('alex')).status).toBeGreaterThanOrEqual(400)
  const former = createFlow(house, { client: app })
  await former.complete('alex')
  former.url = alone.url
  const asked = await former.request(former.authorizationUrl({ prompt: 'none' }))
  expect(asked.location).toContain('error=login_required')
})

test('so do cursors of lists (CRY-11)', async () => {
  const api = await openApi(house, 'admin:read')
  const { json } = await api.get('/clients?limit=1')
  const next = `/clients?limit=1&cursor=${json.next}`
  const statusAt = async (instance: House) => (await apiWith(instance, api.token).get(next)).status
  expect([await statusAt(house), await statusAt(both), await statusAt(alone)]).toEqual([
    200, 200, 400,
  ])
})
