import { afterAll, beforeAll, expect, test } from 'vitest'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { createPlace, type Place } from './command-line.ts'

let database: TestDatabase
let place: Place

beforeAll(async () => {
  database = await createTestDatabase()
  place = createPlace(database.url)
})

afterAll(async () => {
  place.remove()
  await database.destroy()
})

const stateOf = ({ algorithm, state }: { algorithm: string; state: string }) =>
  `${algorithm} ${state}`

test('keys are listed and rotated, once at a time unless one is in wrong hands', async () => {
  const { cli, json } = place
  expect(await json(['keys', 'list'])).toEqual([])
  const rotated = await json(['keys', 'rotate'])
  const active = ['ES256 active', 'EdDSA active', 'RS256 active']
  const next = ['ES256 next', 'EdDSA next', 'RS256 next']
  expect(rotated.map(stateOf).toSorted()).toEqual([...active, ...next].toSorted())
  expect(Object.keys(rotated[0])).toEqual([
    ...['kid', 'algorithm', 'state', 'created_at', 'activates_at', 'retires_at', 'rotates_at'],
  ])
  const again = await cli(['keys', 'rotate'])
  expect(again).toMatchObject({ code: 1, out: '' })
  expect(again.err).toContain(`the next one can begin at ${rotated[0].retires_at}`)
  const listed = await cli(['keys', 'list'])
  expect(listed.out).toMatch(/^kid +algorithm +state +signs from +verifies until +next one made\n/)
  for (const { kid } of rotated) expect(listed.out).toContain(kid)
  const replaced = await json(['keys', 'rotate', '--now'])
  expect(replaced.map(stateOf).toSorted()).toEqual(active)
  const before = rotated.map(({ kid }: { kid: string }) => kid)
  for (const { kid } of replaced) expect(before).not.toContain(kid)
}, 90_000)
