import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { dump, writings } from '../support/dump.ts'
import { burst } from '../support/flow.ts'
import { type House, startHouse } from '../support/house.ts'

const HOUR = 3600

let house: House
const rotate = (id: string, overlapSeconds?: number) =>
  house.rooms.clients.rotateSecret(id, { overlapSeconds })

beforeAll(async () => {
  house = await startHouse()
})
afterAll(() => house.stop())

const machine = (id: string) =>
  house.addClient(id, { grants: ['client_credentials'], redirectUris: [] })

const basic = (id: string, secret: string) => ({
  authorization: `Basic ${btoa(`${id}:${secret}`)}`,
})

async function post(path: string, fields: Record<string, string>, headers = {}): Promise<number> {
  const body = new URLSearchParams(fields)
  const answer = await fetch(house.url + path, { method: 'POST', headers, body })
  await answer.text()
  return answer.status
}

/** What each way of showing a secret comes to. */
function shown(id: string, secret: string): Promise<number[]> {
  const own = { grant_type: 'client_credentials' }
  return Promise.all([
    post('/token', own, basic(id, secret)),
    post('/token', { ...own, client_id: id, client_secret: secret }),
    post('/token/introspection', { token: 'x' }, basic(id, secret)),
  ])
}

const GOOD = [200, 200, 200]
const BAD = [401, 401, 401]

describe('a rotated secret (ADM-15)', () => {
  test('is good beside the one before until that ends, which is then wiped', async () => {
    const { id, secret: old } = await machine('rotated')
    const { secret, previousUntil } = await rotate(id, 48 * HOUR)
    expect(secret).toMatch(/^[\w-]{43}$/)
    expect(previousUntil?.getTime()).toBeCloseTo((house.now() + 48 * HOUR) * 1000, -4)
    expect(await house.rooms.clients.show(id)).toMatchObject({
      version: 2,
      previousSecretUntil: previousUntil,
    })
    const stolen = await dump(house.db)
    for (const writing of [old, secret].flatMap(writings)) expect(stolen).not.toContain(writing)

    house.moveClock(48 * HOUR - 60)
    expect(await shown(id, secret)).toEqual(GOOD)
    expect(await shown(id, old)).toEqual(GOOD)
    expect(await house.rooms.clients.sweep(10)).toBe(0)

    house.moveClock(120)
    expect(await shown(id, secret)).toEqual(GOOD)
    expect(await shown(id, old)).toEqual(BAD)
    expect(await house.rooms.clients.show(id)).toMatchObject({ previousSecretUntil: null })
    expect(await house.rooms.clients.sweep(10)).toBe(1)
    const row = house.db.selectFrom('client').select('previous_secret').where('id', '=', id)
    expect(await row.execute()).toEqual([{ previous_secret: null }])
  })

  test('leaves the newest two when it is rotated again, also twice at once', async () => {
    const { id, secret: first } = await machine('often')
    const { secret: second } = await rotate(id)
    const { secret: third } = await rotate(id)
    expect(await shown(id, first)).toEqual(BAD)
    for (const secret of [second, third]) expect(await shown(id, secret)).toEqual(GOOD)
    const made = await burst(2, () => rotate(id))
    for (const { secret } of made) expect(await shown(id, secret)).toEqual(GOOD)
    for (const secret of [second, third]) expect(await shown(id, secret)).toEqual(BAD)
  })

  test('ends the one before at once when there is to be no overlap', async () => {
    const { id, secret: old } = await machine('leaked')
    await rotate(id)
    const { secret, previousUntil } = await rotate(id, 0)
    expect(previousUntil).toBeNull()
    expect(await shown(id, old)).toEqual(BAD)
    expect(await shown(id, secret)).toEqual(GOOD)
  })

  test('is no other client’s, moved in the table or not (CRY-02)', async () => {
    const [a, b] = [await machine('a'), await machine('b')]
    await rotate('a')
    expect(await shown('b', a.secret)).toEqual(BAD)
    const row = await house.db
      .selectFrom('client')
      .select(['previous_secret', 'previous_secret_until'])
      .where('id', '=', 'a')
      .executeTakeFirstOrThrow()
    await house.db.updateTable('client').set(row).where('id', '=', 'b').execute()
    for (const secret of [a.secret, b.secret])
      expect(await shown('b', secret)).toEqual([500, 500, 500])
  })

  test.each([
    ['that there is none of a public client', 'page', HOUR, 'no_secret', 409],
    ['an unknown client', 'nobody', HOUR, 'no_client', 404],
    ['a client of the house', 'sallyport-account', HOUR, 'reserved_id', 400],
    ['more than 30 days', 'refusing', 30 * 24 * HOUR + 1, 'client', 400],
    ['less than nothing', 'refusing', -1, 'client', 400],
  ])('refuses %s', async (_what, id, overlap, code, status) => {
    if (id === 'page') await house.addClient('page', { public: true })
    await expect(rotate(id, overlap)).rejects.toMatchObject({ code, status })
  })

  test('is recorded, and no secret with it', async () => {
    const { id } = await machine('recorded')
    await rotate(id, HOUR)
    const events = await house.db
      .selectFrom('audit_event')
      .select(['type', 'detail'])
      .where('client_id', '=', id)
      .orderBy('id')
      .execute()
    expect(events).toEqual([
      { type: 'client.created', detail: {} },
      { type: 'client.secret-rotated', detail: { overlapSeconds: HOUR } },
    ])
  })
})
