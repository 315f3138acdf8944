import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Api, openApi } from '../support/api.ts'
import { type House, startHouse } from '../support/house.ts'

let house: House
let api: Api
let reader: Api
beforeAll(async () => {
  house = await startHouse()
  api = await openApi(house)
  reader = await openApi(house, 'admin:read')
})
afterAll(() => house.stop())

const redirectUris = ['https://shop.example.com/callback']

/** Whether the token endpoint takes a program's secret. */
async function opens(id: string, secret: string): Promise<boolean> {
  const { status } = await fetch(`${house.url}/token`, {
    method: 'POST',
    headers: { authorization: `Basic ${Buffer.from(`${id}:${secret}`).toString('base64')}` },
    body: new URLSearchParams({ grant_type: 'client_credentials' }),
  })
  return status === 200
}

async function events(type: string) {
  return house.db
    .selectFrom('audit_event')
    .select(['actor', 'client_id', 'detail'])
    .where('type', '=', type)
    .orderBy('id', 'desc')
    .execute()
}

describe('clients by the API', () => {
  test('are registered with a secret that no other answer shows, changed by version, and deleted', async () => {
    const body = { id: 'shop', name: 'Shop', redirectUris }
    const key = { 'idempotency-key': 'one' }
    const made = await api.post('/clients', body, key)
    expect(made).toMatchObject({
      status: 201,
      json: { client: { id: 'shop', version: 1, public: false }, secret: expect.any(String) },
    })
    expect(made.headers.get('location')).toBe('/api/admin/v1/clients/shop')
    expect((await api.post('/clients', body, key)).json).toEqual(made.json)
    expect((await api.post('/clients', body)).json).toMatchObject({ code: 'client_exists' })

    const shown = await api.get('/clients/shop')
    expect(JSON.stringify(shown.json)).not.toContain(made.json.secret)
    expect(Object.keys(shown.json)).not.toContain('secret')
    const match = { 'if-match': shown.headers.get('etag') ?? '' }
    const both = await Promise.all(
      ['One', 'Two'].map((name) => api.patch('/clients/shop', { name }, match)),
    )
    expect(both.map(({ status }) => status).toSorted()).toEqual([200, 412])

    expect((await api.delete('/clients/shop')).status).toBe(400)
    expect((await api.delete('/clients/shop?reason=closed%20down')).status).toBe(204)
    expect((await api.get('/clients/shop')).status).toBe(404)
    expect(await events('client.deleted')).toMatchObject([
      { actor: 'client:program-write', client_id: 'shop', detail: { reason: 'closed down' } },
    ])
  })

  test('come in pages by signed cursors, without those that are part of the service', async () => {
    for (const id of ['page-1', 'page-2', 'page-3']) await house.addClient(id)
    const ids: string[] = []
    let next: string | null = ''
    while (next !== null) {
      const cursor: string = next && `&cursor=${next}`
      const page = await reader.get(`/clients?limit=2${cursor}`)
      ids.push(...page.json.items.map(({ id }: { id: string }) => id))
      next = page.json.next
    }
    expect(ids).toEqual(['page-1', 'page-2', 'page-3', 'program-read', 'program-write'])
    const accounts = await reader.get('/accounts?limit=1')
    expect((await reader.get(`/clients?cursor=${accounts.json.next ?? 'x'}`)).status).toBe(400)
    for (const id of ['sallyport-console', 'sallyport-account']) {
      expect((await api.get(`/clients/${id}`)).status).toBe(404)
      expect((await api.patch(`/clients/${id}`, { name: 'Mine' })).status).toBe(404)
      expect((await api.post(`/clients/${id}/secret`, { reason: 'no reason' })).status).toBe(404)
      expect((await api.delete(`/clients/${id}?reason=no%20reason`)).status).toBe(404)
      expect((await api.post('/clients', { id, redirectUris })).json.code).toBe('reserved_id')
    }
  })

  test('have two good secrets for as long as was said', async () => {
    const made = await api.post('/clients', { id: 'batch', grants: ['client_credentials'] })
    const rotate = { overlapSeconds: 600, reason: 'once a year' }
    const rotated = await api.post('/clients/batch/secret', rotate)
    expect(rotated).toMatchObject({
      status: 201,
      json: { secret: expect.any(String), previousSecretUntil: expect.any(String) },
    })
    expect(await opens('batch', made.json.secret)).toBe(true)
    expect(await opens('batch', rotated.json.secret)).toBe(true)
    expect(await events('client.secret-rotated')).toMatchObject([
      { actor: 'client:program-write', detail: { overlapSeconds: 600, reason: 'once a year' } },
    ])
    house.moveClock(601)
    expect(await opens('batch', made.json.secret)).toBe(false)
    expect(await opens('batch', rotated.json.secret)).toBe(true)
    house.moveClock(-601)
    await api.post('/clients', { id: 'page', public: true, redirectUris })
    expect((await api.post('/clients/page/secret', { reason: 'once a year' })).status).toBe(409)
  })

  test('take no members that aren’t theirs to change, and no redirect that isn’t safe', async () => {
    await house.addClient('fixed')
    const refused = [
      { public: true },
      { id: 'other' },
      { secret: 'mine' },
      { version: 9 },
      { nonsense: 1 },
      { scope: [] },
      { redirectUris: ['https://shop.example.com/*'] },
      { redirectUris: [] },
      {},
    ]
    for (const body of refused) {
      const { status } = await api.patch('/clients/fixed', body)
      expect(status, JSON.stringify(body)).toBe(400)
    }
    const bad = { id: 'bad', redirectUris: ['javascript:alert(1)'] }
    expect((await api.post('/clients', bad)).json.detail).toContain('javascript:alert(1)')
    expect((await api.post('/clients', { id: 'x', redirectUris, createdAt: 'now' })).status).toBe(
      400,
    )
    expect((await api.get('/clients/fixed')).json.version).toBe(1)
  })

  test('leave nothing behind for one of the same id that comes later', async () => {
    const { id } = await house.addClient('again')
    await house.db
      .insertInto('oidc_record')
      .values({
        key: Buffer.from('a'),
        model: 'RefreshToken',
        payload: Buffer.from('a'),
        client_id: id,
        expires_at: house.clock(),
      })
      .execute()
    await api.delete('/clients/again?reason=test%20is%20over')
    const left = house.db.selectFrom('oidc_record').where('client_id', '=', id)
    expect(await left.select('model').execute()).toEqual([])
  })

  test('are for readers to read', async () => {
    await house.addClient('seen')
    expect((await reader.get('/clients/seen')).status).toBe(200)
    const tries = await Promise.all([
      reader.post('/clients', { id: 'mine', redirectUris }),
      reader.patch('/clients/seen', { name: 'Mine' }),
      reader.post('/clients/seen/secret', { reason: 'because' }),
      reader.delete('/clients/seen?reason=because'),
      reader.post('/signing-keys/rotation', { reason: 'because' }),
    ])
    expect(tries.map(({ status }) => status)).toEqual([403, 403, 403, 403, 403])
  })
})

describe('APIs by the API', () => {
  test('are registered, asked for by clients with their scopes, and deleted with a reason', async () => {
    const body = {
      id: 'orders',
      resource: 'https://orders.example',
      name: 'Orders',
      scopes: ['orders.read'],
    }
    const made = await api.post('/apis', body)
    expect(made).toMatchObject({
      status: 201,
      json: { ...body, lifetimeSeconds: 600, algorithm: 'RS256', createdAt: expect.any(String) },
    })
    expect(made.headers.get('location')).toBe('/api/admin/v1/apis/orders')
    expect((await api.post('/apis', body)).json).toMatchObject({ code: 'api_exists' })
    expect((await api.post('/apis', { ...body, lifetimeSeconds: 5 })).status).toBe(400)
    expect((await reader.get('/apis')).json).toEqual({ items: [made.json] })
    expect((await reader.get('/apis/orders')).json).toEqual(made.json)
    expect((await reader.post('/apis', body)).status).toBe(403)
    const asking = { id: 'asking', redirectUris, apiScopes: ['orders.read'] }
    expect((await api.post('/clients', asking)).json.client.apiScopes).toEqual(['orders.read'])
    const gone = '/apis/orders?reason=closed'
    expect((await api.delete(gone)).json).toMatchObject({ code: 'api_in_use' })
    await api.patch('/clients/asking', { apiScopes: [] })
    expect((await api.delete('/apis/orders')).status).toBe(400)
    expect((await api.delete(gone)).status).toBe(204)
    expect((await api.get('/apis/orders')).status).toBe(404)
    expect(await events('api.deleted')).toMatchObject([
      { actor: 'client:program-write', detail: { id: 'orders', reason: 'closed' } },
    ])
  })
})

describe('signing keys by the API', () => {
  test('are listed without private parts, and rotated', async () => {
    const listed = await reader.get('/signing-keys')
    expect(listed.json.items.map(({ state }: { state: string }) => state)).toEqual([
      'active',
      'active',
      'active',
    ])
    expect(JSON.stringify(listed.json)).not.toMatch(/"(d|p|q|private\w*)"/)
    expect((await api.post('/signing-keys/rotation', {})).status).toBe(400)
    const rotated = await api.post('/signing-keys/rotation', { reason: 'once a year' })
    expect(rotated.status).toBe(201)
    expect(rotated.json.items).toHaveLength(6)
    expect((await api.post('/signing-keys/rotation', { reason: 'again' })).status).toBe(409)
    const now = await api.post('/signing-keys/rotation', { reason: 'leaked', now: true })
    expect(now.json.items).toHaveLength(3)
    expect(await events('keys.rotated')).toMatchObject([
      { actor: 'client:program-write', detail: { immediate: true, reason: 'leaked' } },
      { detail: { immediate: false } },
    ])
  })
})
