import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Api, openApi } from '../support/api.ts'
import { readContract } from '../support/conformity.ts'
import { type House, PHONES, startHouse } from '../support/house.ts'
import { pauseCountry } from '../support/traffic.ts'

let house: House
let api: Api
/** ids of what is there to be changed, by the first part of a path */
let ids: Record<string, string>
let phoneId: string

beforeAll(async () => {
  house = await startHouse({ env: { WEBHOOK_ALLOWED_HOSTS: '127.0.0.1' } })
  api = await openApi(house)
  await house.addClient('shop')
  await pauseCountry(house, 'PL')
  const { id } = await house.addAccount('paul', PHONES[0])
  const hook = await api.post('/webhooks', { url: 'http://127.0.0.1:9/hook' })
  const resource = 'https://books.example/api'
  await api.post('/apis', { id: 'books', resource, name: 'Books', scopes: ['books.read'] })
  ids = { accounts: id, clients: 'shop', apis: 'books', webhooks: hook.json.webhook.id }
  phoneId = (await api.get(`/accounts/${id}/phones`)).json.items[0].id
})
afterAll(() => house.stop())

const CHANGES: ReadonlyArray<readonly [string, string, string, object]> = [
  ['setRole', 'PUT', '/accounts/{id}/role', { role: 'admin' }],
  ['disableAccount', 'POST', '/accounts/{id}/disable', {}],
  ['enableAccount', 'POST', '/accounts/{id}/enable', {}],
  ['deleteAccount', 'DELETE', '/accounts/{id}', {}],
  ['removePhone', 'DELETE', '/accounts/{id}/phones/{phoneId}', {}],
  ['resetFactors', 'POST', '/accounts/{id}/factors/reset', {}],
  ['issueBackupCodes', 'POST', '/accounts/{id}/backup-codes', {}],
  ['issueBypassCode', 'POST', '/accounts/{id}/bypass-codes', {}],
  ['deleteClient', 'DELETE', '/clients/{id}', {}],
  ['deleteApi', 'DELETE', '/apis/{id}', {}],
  ['rotateClientSecret', 'POST', '/clients/{id}/secret', {}],
  ['rotateSigningKeys', 'POST', '/signing-keys/rotation', { now: true }],
  ['liftPause', 'POST', '/limits/pauses/PL/lift', {}],
  ['deleteWebhook', 'DELETE', '/webhooks/{id}', {}],
]

/** Whatever is changed leaves an event. */
const trail = () =>
  house.db.selectFrom('audit_event').select(['id', 'type']).orderBy('id').execute()

test.each(CHANGES)(
  '%s takes a reason, and changes nothing without',
  async (_, method, place, body) => {
    const [, kind = ''] = place.split('/')
    const path = place.replace('{id}', ids[kind] ?? 'none').replace('{phoneId}', phoneId)
    const before = await trail()
    // Neither none, nor one that is no word, nor one of blanks.
    for (const reason of [undefined, 'so', '     ', 'x'.repeat(201)]) {
      const inQuery = method === 'DELETE' && reason !== undefined
      const query = inQuery ? `?${new URLSearchParams({ reason })}` : ''
      const given = method === 'DELETE' ? undefined : { ...body, reason }
      const { status, headers, json } = await api.call(method, path + query, given)
      expect([status, headers.get('content-type')]).toEqual([400, 'application/problem+json'])
      expect(json).toMatchObject({
        type: 'about:blank',
        title: 'Bad Request',
        status: 400,
        code: 'invalid_request',
        request: headers.get('x-request-id'),
      })
      expect(json.errors.map((fault: { path: string }) => fault.path)).toEqual(['reason'])
      expect(json.errors[0].message).not.toBe('')
    }
    expect(await trail()).toEqual(before)
  },
)

test('those are all that the document says take one', async () => {
  const { operations } = await readContract(house)
  const requiring = operations.filter(
    ({ body, parameters }) =>
      body?.required?.includes('reason') ||
      parameters.some(({ name, required }) => name === 'reason' && required),
  )
  const known = CHANGES.map(([id]) => id)
  expect(requiring.map(({ id }) => id).toSorted()).toEqual(known.toSorted())
})

test('a fault is told with the place it is at', async () => {
  const faults = async (path: string, body: unknown) =>
    (await api.post(path, body)).json.errors.map((fault: { path: string }) => fault.path)
  expect(await faults('/accounts', { username: '', email: 'nobody' })).toEqual([
    'username',
    'email',
  ])
  const redirectUris = ['https://shop.example.com/callback', 5]
  expect(await faults('/clients', { id: 'other', redirectUris })).toEqual(['redirectUris.1'])
  const { json } = await api.get('/accounts?limit=0')
  expect(json.errors[0].path).toBe('limit')
})
