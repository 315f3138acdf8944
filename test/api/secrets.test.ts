import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { sql } from 'kysely'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { type Api, addDesk, apiWith, openApi, tokensOf } from '../support/api.ts'
import { readContract } from '../support/conformity.ts'
import { addAdmin } from '../support/console.ts'
import { createFlow } from '../support/flow.ts'
import { type House, PHONES, startHouse } from '../support/house.ts'

const FIREBASE_USERS = join(import.meta.dirname, '../transfer/fixtures/firebase-users.json')

let house: House
let api: Api
let app: { id: string; secret: string }
let paul: { id: string }
beforeAll(async () => {
  house = await startHouse()
  api = await openApi(house)
  app = await house.addClient()
  paul = await house.addAccount('paul', PHONES[0])
})
afterAll(() => house.stop())

const pathOf = (path: string, ids: Record<string, string>) =>
  path.replace(/\{(\w+)\}/g, (_, name) => ids[name] ?? 'none')

/** Values that only the database may hold, in every writing an answer could have them in. */
async function secrets(): Promise<string[]> {
  const { rows } = await sql<{ name: string }>`
    select table_name as name from information_schema.tables
    where table_schema = 'public' and table_type = 'BASE TABLE'`.execute(house.db)
  const found = await Promise.all(
    rows.map(({ name }) =>
      sql<Record<string, unknown>>`select * from ${sql.table(name)}`.execute(house.db),
    ),
  )
  return found
    .flatMap((table) => table.rows.flatMap((row) => Object.entries(row)))
    .flatMap(([name, value]) => {
      if (Buffer.isBuffer(value) && value.length >= 8)
        return (['hex', 'base64', 'base64url'] as const).map((way) => value.toString(way))
      return name.includes('hash') && typeof value === 'string' ? [value] : []
    })
}

function expectNothingOf(canaries: readonly string[], answered: string, text: string): void {
  expect(
    canaries.filter((canary) => text.includes(canary)),
    answered,
  ).toEqual([])
  expect(text, answered).not.toMatch(/"\w*(secret|counter|hash|fingerprint)s?":(?!null)/i)
}

describe('what nobody is shown', () => {
  test('hash, secret, counter, code: in no answer (ADM-06)', async () => {
    const flow = createFlow(house, { client: app })
    await flow.complete('paul')
    await createFlow(house, { client: app }).toCode('paul')
    const codes = [
      house.lastCode(PHONES[0]),
      (await api.post(`/accounts/${paul.id}/bypass-codes`, { reason: 'phone at home' })).json.code,
      ...(await api.post(`/accounts/${paul.id}/backup-codes`, { reason: 'phone at home' })).json
        .codes,
    ]
    const hook = await api.post('/webhooks', { url: 'https://8.8.8.8/alerts' })
    await house.rooms.apis.create({
      id: 'orders',
      resource: 'https://orders.example',
      name: 'Orders',
      scopes: ['orders.read'],
    })
    const canaries = [...codes, hook.json.secret, ...(await secrets())]
    expect(canaries.length).toBeGreaterThan(50)
    const [phone] = (await api.get(`/accounts/${paul.id}/phones`)).json.items
    const owners: Record<string, string> = {
      accounts: paul.id,
      clients: 'app',
      apis: 'orders',
      webhooks: hook.json.webhook.id,
    }
    const { operations } = await readContract(house)
    for (const operation of operations.filter(({ method }) => method === 'GET')) {
      const [, kind = ''] = operation.path.split('/')
      const path = pathOf(operation.path, { phoneId: phone.id, id: owners[kind] ?? 'none' })
      const { status, json } = await api.get(path)
      expect(status, path).toBe(kind === 'imports' && path !== '/imports' ? 404 : 200)
      const text = JSON.stringify(json)
      expectNothingOf(canaries, operation.id, text)
    }
    // Nothing is to be sent there.
    await api.delete(`/webhooks/${hook.json.webhook.id}?reason=looked%20at`)
  })

  test('nor in what is answered to changes (ADM-06)', async () => {
    const { id } = await house.addAccount('petra', PHONES[1])
    await createFlow(house, { client: app }).complete('petra', PHONES[1])
    await house.rooms.backupCodes.issue(id)
    const before = await secrets()
    const told = new Map<string, string>()
    async function tell(method: string, path: string, body?: unknown, status = 200) {
      const answer = await api.call(method, path, body)
      expect(answer.status, path).toBe(status)
      told.set(`${method} ${path}`, JSON.stringify(answer.json) ?? '')
      return answer.json
    }
    const person = `/accounts/${id}`
    const why = { reason: 'looked at' }
    await tell('PATCH', person, { name: 'Petra' })
    await tell('PUT', `${person}/role`, { role: 'auditor', ...why })
    await tell('POST', `${person}/disable`, why)
    await tell('POST', `${person}/enable`, why)
    await tell('POST', `${person}/unlock`, why)
    const added = await tell('POST', `${person}/phones`, { number: PHONES[3] }, 201)
    const phone = `${person}/phones/${added.id}`
    await tell('POST', `${phone}/verification`, undefined, 202)
    const code = house.lastCode(PHONES[3])
    await tell('POST', `${phone}/verification/check`, { code: `${code}0` }, 422)
    await tell('POST', `${phone}/verification/check`, { code })
    await tell('POST', `${phone}/primary`, why)
    const between = await secrets()
    await tell('POST', `${person}/factors/reset`, why, 204)

    const signerKey = Buffer.from('the key that a project signs with').toString('base64')
    const firebase = `base64_signer_key: ${signerKey}, base64_salt_separator: Bw==, rounds: 8, mem_cost: 14`
    const users = readFileSync(FIREBASE_USERS, 'utf8')
    const hashes = [...users.matchAll(/"(?:passwordHash|salt)": "([^"]+)"/g)].map(([, one]) => one)
    expect(hashes).toHaveLength(2)
    const begun = await tell('POST', '/imports', { format: 'firebase', firebase }, 201)
    const one = `/imports/${begun.id}`
    await api.call('PUT', `${one}/content/0`, users, { 'content-type': 'text/plain' })
    await tell('POST', `${one}/start`, undefined, 202)
    await vi.waitFor(async () => expect((await tell('GET', one)).state).toBe('done'), 5000)
    await tell('POST', `${one}/cancel`)
    await tell('GET', `${one}/failures`)

    const canaries = [code, signerKey, ...hashes, ...before, ...between, ...(await secrets())]
    const known = canaries.filter((canary) => canary !== undefined)
    for (const [what, text] of told) expectNothingOf(known, what, text)
  })

  test('whole numbers, to the help desk and auditors', async () => {
    const desk = await addDesk(house)
    const number = PHONES[0]
    const [phone] = (await api.get(`/accounts/${paul.id}/phones`)).json.items
    const paths = ['', '/phones', `/phones/${phone.id}`].map(
      (each) => `/accounts/${paul.id}${each}`,
    )
    const shown = async (by: Api) =>
      JSON.stringify(await Promise.all(paths.map(async (path) => (await by.get(path)).json)))
    for (const [role, own] of [
      ['admin', '+46701500001'],
      ['helpdesk', '+46701500002'],
      ['auditor', '+46701500003'],
    ] as const) {
      await addAdmin(house, role, role, own)
      const { access } = await tokensOf(house, desk, role, { phone: own })
      const text = await shown(apiWith(house, access))
      if (role === 'admin') expect(text.split(number)).toHaveLength(3)
      else expect(text, role).not.toContain(number.slice(4, 9))
    }
    for (const scope of ['admin:read', 'admin:write'] as const)
      expect((await shown(await openApi(house, scope))).split(number), scope).toHaveLength(3)
  })
})
