import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Api, addDesk, apiWith, openApi, tokensOf } from '../support/api.ts'
import { addAdmin } from '../support/console.ts'
import { burst } from '../support/flow.ts'
import { type House, PHONES, startHouse } from '../support/house.ts'

let house: House
let beside: House
let api: Api
let people = 0

beforeAll(async () => {
  house = await startHouse()
  beside = await startHouse({ beside: house })
  api = await openApi(house)
})
afterAll(async () => {
  await beside.stop()
  await house.stop()
})

/** The same caller at another instance. */
const atOther = () => apiWith(beside, api.token)
const newcomer = () => `newcomer${++people}`
const key = (value: string) => ({ 'idempotency-key': value })

async function count(username: string): Promise<number> {
  const rows = await house.db
    .selectFrom('account')
    .select('id')
    .where('username_key', '=', username)
    .execute()
  return rows.length
}

describe('two changes at once', () => {
  test('of one account: the second is refused, and nothing is lost (ADM-17)', async () => {
    const { id } = await house.addAccount(newcomer(), null)
    const path = `/accounts/${id}`
    const match = { 'if-match': (await api.get(path)).headers.get('etag') ?? '' }
    const answers = await burst(2, (index) =>
      (index === 0 ? api : atOther()).patch(path, { name: `Name ${index}` }, match),
    )
    expect(answers.map(({ status }) => status).toSorted()).toEqual([200, 412])
    const won = answers.find(({ status }) => status === 200)
    const now = await api.get(path)
    expect(now.json).toEqual(won?.json)
    expect(now.headers.get('etag')).toBe(won?.headers.get('etag'))
    for (const stale of ['"1"', '"x"', 'W/"2"', '"99"'])
      expect((await api.patch(path, { name: 'Late' }, { 'if-match': stale })).status, stale).toBe(
        412,
      )
    expect((await api.patch(path, { name: 'Any' }, { 'if-match': '*' })).status).toBe(200)
    const tag = (await api.get(path)).headers.get('etag') ?? ''
    expect((await api.get(path, { 'if-none-match': tag })).status).toBe(304)
  })
})

describe('a request that comes twice', () => {
  test('makes one account, and is answered alike', async () => {
    const username = newcomer()
    const first = await api.post('/accounts', { username }, key('k1'))
    const second = await atOther().post('/accounts', { username }, key('k1'))
    expect([first.status, second.status]).toEqual([201, 201])
    expect(second.json).toEqual(first.json)
    expect(second.headers.get('location')).toBe(first.headers.get('location'))
    expect(await count(username)).toBe(1)
    const sealed = await house.db.selectFrom('idempotency_key').selectAll().execute()
    expect(
      JSON.stringify(sealed.map(({ response }) => response?.toString('latin1'))),
    ).not.toContain('/link/')
  })

  test('with another body is another request, and refused', async () => {
    const username = newcomer()
    await api.post('/accounts', { username }, key('k2'))
    const other = await api.post('/accounts', { username: newcomer() }, key('k2'))
    expect([other.status, other.json.code]).toEqual([422, 'idempotency_key_reused'])
  })

  test('at once, makes one account', async () => {
    const username = newcomer()
    const answers = await burst(6, (index) =>
      (index % 2 ? api : atOther()).post('/accounts', { username }, key('k3')),
    )
    const made = answers.filter(({ status }) => status === 201)
    expect(made.length).toBeGreaterThan(0)
    expect(new Set(made.map(({ json }) => json.account.id)).size).toBe(1)
    for (const { status, json } of answers)
      expect(status === 201 || (status === 409 && json.code === 'idempotency_key_busy')).toBe(true)
    expect(await count(username)).toBe(1)
  })

  test('by somebody else, or for something else, is no repetition', async () => {
    await addAdmin(house, 'ada', 'admin')
    const ada = apiWith(house, (await tokensOf(house, await addDesk(house), 'ada')).access)
    const [one, two] = [newcomer(), newcomer()]
    const mine = await api.post('/accounts', { username: one }, key('k4'))
    const hers = await ada.post('/accounts', { username: two }, key('k4'))
    expect([mine.status, hers.status]).toEqual([201, 201])
    expect(hers.json.account.id).not.toBe(mine.json.account.id)
    const path = `/accounts/${mine.json.account.id}/phones`
    expect((await api.post(path, { number: PHONES[1] }, key('k4'))).status).toBe(201)
  })

  test('after a refusal is carried out', async () => {
    const username = newcomer()
    const taken = await house.addAccount(username, null)
    expect((await api.post('/accounts', { username }, key('k5'))).status).toBe(409)
    await house.rooms.accounts.remove(taken.id)
    expect((await api.post('/accounts', { username }, key('k5'))).status).toBe(201)
  })

  test('with a key that is none is refused', async () => {
    for (const each of ['x'.repeat(256), 'a b'])
      expect((await api.post('/accounts', { username: newcomer() }, key(each))).status).toBe(400)
  })
})

describe('the last admin', () => {
  test('stays one, whoever asks and however many at once', async () => {
    const { accounts } = house.rooms
    const first = await accounts.findByUsername('ada')
    const eve = await addAdmin(house, 'eve', 'admin', PHONES[2])
    const desk = {
      id: 'desk2',
      secret:
        (
          await house.rooms.clients.create({
            id: 'desk2',
            redirectUris: ['https://rp.example/cb'],
            firstParty: true,
            scope: ['openid', 'admin:write'],
          })
        ).secret ?? '',
    }
    const ada = apiWith(house, (await tokensOf(house, desk, 'ada')).access)
    const other = apiWith(beside, (await tokensOf(house, desk, 'eve', { phone: PHONES[2] })).access)
    const demote = (by: Api, id: string) =>
      by.put(`/accounts/${id}/role`, { role: null, reason: 'at once' })
    // Each takes the other's role away at the same moment.
    const [one, two] = await Promise.all([demote(ada, eve.id), demote(other, first?.id ?? '')])
    expect([one?.status, two?.status].filter((status) => status === 200)).toHaveLength(1)
    const left = await house.db
      .selectFrom('account')
      .select('id')
      .where('role', '=', 'admin')
      .execute()
    expect(left).toHaveLength(1)

    const id = left[0]?.id ?? ''
    const ways = await Promise.all([
      demote(api, id),
      api.post(`/accounts/${id}/disable`, { reason: 'at once' }),
      api.delete(`/accounts/${id}?reason=at%20once`),
    ])
    expect(ways.map(({ status, json }) => [status, json.code])).toEqual(
      Array(3).fill([409, 'last_admin']),
    )
  })

  test('of two is left, when all three ways go at both at once', async () => {
    const admins = await house.db
      .selectFrom('account')
      .select('id')
      .where('role', '=', 'admin')
      .execute()
    const mia = await addAdmin(house, 'mia', 'admin', PHONES[3])
    const ids = [...admins.map(({ id }) => id), mia.id]
    await Promise.all(
      ids.flatMap((id, index) => {
        const by = index === 0 ? api : atOther()
        return [
          by.post(`/accounts/${id}/disable`, { reason: 'at once' }),
          by.put(`/accounts/${id}/role`, { role: 'auditor', reason: 'at once' }),
          by.delete(`/accounts/${id}?reason=at%20once`),
        ]
      }),
    )
    const left = await house.db
      .selectFrom('account')
      .select('id')
      .where('role', '=', 'admin')
      .where('disabled_at', 'is', null)
      .execute()
    expect(left).toHaveLength(1)
  })
})
