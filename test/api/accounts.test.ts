import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Api, openApi } from '../support/api.ts'
import { type House, PHONES, startHouse } from '../support/house.ts'

let house: House
let api: Api
beforeAll(async () => {
  house = await startHouse()
  api = await openApi(house)
})
afterAll(() => house.stop())

describe('accounts by the API', () => {
  test('are made with a phone, found, edited by version, and erased', async () => {
    const made = await api.post('/accounts', {
      username: 'Anna',
      name: 'Anna Berg',
      phone: PHONES[0],
    })
    expect(made).toMatchObject({
      status: 201,
      json: { account: { username: 'Anna', version: 1, hasPassword: false, role: null } },
    })
    expect(made.json.invitation).toContain(`${house.issuer}/link/`)
    const { id } = made.json.account
    expect(made.headers.get('location')).toBe(`/api/admin/v1/accounts/${id}`)

    for (const q of ['ann', 'BERG', PHONES[0]]) {
      const found = await api.get(`/accounts?q=${encodeURIComponent(q)}`)
      expect(found.json.items, q).toMatchObject([{ id }])
    }

    const shown = await api.get(`/accounts/${id}`)
    const tag = shown.headers.get('etag') ?? ''
    const [first, second] = await Promise.all(
      ['One', 'Two'].map((name) => api.patch(`/accounts/${id}`, { name }, { 'if-match': tag })),
    )
    expect([first?.status, second?.status].toSorted()).toEqual([200, 412])

    expect((await api.delete(`/accounts/${id}?reason=left%20the%20company`)).status).toBe(204)
    expect((await api.get(`/accounts/${id}`)).status).toBe(404)
  })

  test('a number that an admin gave is verified by a code that went to it', async () => {
    const account = await house.addAccount('vera', null)
    const added = await api.post(`/accounts/${account.id}/phones`, { number: PHONES[1] })
    expect(added).toMatchObject({ status: 201, json: { verified: false, primary: true } })
    const path = `/accounts/${account.id}/phones/${added.json.id}/verification`
    expect(await api.post(path)).toMatchObject({ status: 202, json: { sent: true } })
    expect((await api.post(`${path}/check`, { code: '000000' })).status).toBe(422)
    const code = house.lastCode(PHONES[1])
    expect(await api.post(`${path}/check`, { code })).toMatchObject({
      status: 200,
      json: { verified: true },
    })
  })
})
