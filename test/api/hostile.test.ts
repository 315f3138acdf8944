import { Agent, request } from 'node:http'
import { sql } from 'kysely'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Api, addDesk, apiWith, openApi, tokensOf } from '../support/api.ts'
import { type Contract, type Operation, readContract } from '../support/conformity.ts'
import { addAdmin } from '../support/console.ts'
import { createFlow } from '../support/flow.ts'
import { type House, PHONES, startHouse } from '../support/house.ts'

let house: House
let contract: Contract
let api: Api
let desk: { id: string; secret: string }
let app: { id: string; secret: string }
let paul: { id: string; username: string }
let mary: { id: string }

beforeAll(async () => {
  house = await startHouse({ env: { TRUSTED_DEVICE_DAYS: '30' } })
  contract = await readContract(house)
  api = await openApi(house)
  desk = await addDesk(house)
  app = await house.addClient()
  paul = await house.addAccount('paul', PHONES[0])
  mary = await house.addAccount('mary', PHONES[1])
  await furnish(paul, PHONES[0])
})
afterAll(() => house.stop())

/** Gives somebody one of everything that paths have ids for. */
async function furnish({ id, username }: { id: string; username: string }, phone: string) {
  const flow = createFlow(house, { client: app })
  await flow.toCode(username)
  await flow.resume(await flow.step('code', { code: house.lastCode(phone), remember: 'yes' }))
  await api.post(`/accounts/${id}/bypass-codes`, { reason: 'phone at home' })
}

/** What somebody has, by the names that paths have for it. */
async function idsOf({ id }: { id: string }): Promise<Record<string, string>> {
  async function first(what: string): Promise<string> {
    const [one] = (await api.get(`/accounts/${id}/${what}`)).json.items
    if (!one) throw new Error(`${id} has no ${what}`)
    return one.id
  }
  return {
    id,
    phoneId: await first('phones'),
    sessionId: await first('sessions'),
    browserId: await first('trusted-browsers'),
    codeId: await first('bypass-codes'),
  }
}

const pathOf = ({ path }: Operation, ids: Record<string, string>) =>
  path.replace(/\{(\w+)\}/g, (_, name) => ids[name] ?? 'none')

/** A body that an operation takes. */
const BODIES: Record<string, unknown> = {
  patchAccount: { name: 'Changed' },
  setRole: { role: 'auditor', reason: 'because' },
  addPhone: { number: PHONES[3] },
  checkPhoneCode: { code: '123456' },
}
const bodyOf = ({ id, body, parameters }: Operation) => ({
  body: body ? (BODIES[id] ?? { reason: 'because' }) : undefined,
  query: parameters.some(({ name }) => name === 'reason') ? '?reason=because' : '',
})

/** Everything that is kept of accounts, as one text. */
async function everything(): Promise<string> {
  const tables = [
    'account',
    'phone',
    'backup_code',
    'bypass_code',
    'second_factor',
    'trusted_device',
    'oidc_record',
  ] as const
  const rows = await Promise.all(
    tables.map((table) => sql`select * from ${sql.table(table)} order by 1, 2`.execute(house.db)),
  )
  return JSON.stringify(rows.map((each) => each.rows))
}

describe('whom a lower role can’t touch', () => {
  test('an admin, nor themselves, by any operation (ADM-12)', async () => {
    const boss = await addAdmin(house, 'boss', 'admin', '+46701500001')
    const helen = await addAdmin(house, 'helen', 'helpdesk', '+46701500002')
    await furnish(boss, '+46701500001')
    await furnish(helen, '+46701500002')
    const { access } = await tokensOf(house, desk, 'helen', { phone: '+46701500002' })
    const help = apiWith(house, access)
    const before = await everything()
    for (const account of [boss, helen]) {
      const ids = await idsOf(account)
      const told = account === boss ? 'higher_role' : 'own_account'
      for (const operation of contract.operations) {
        if (operation.method === 'GET' || !operation.path.startsWith('/accounts/{id}')) continue
        const { body, query } = bodyOf(operation)
        const answer = await help.call(operation.method, pathOf(operation, ids) + query, body)
        const expected = operation.roles.includes('helpdesk') ? told : 'forbidden'
        expect(`${answer.status} ${answer.json?.code}`, operation.id).toBe(`403 ${expected}`)
      }
    }
    expect(await everything()).toBe(before)
  })
})

describe('ids and members that aren’t theirs (ADM-07)', () => {
  test('another account’s phone, session, code or browser is none', async () => {
    await createFlow(house, { client: app }).toCode('mary')
    const others = { ...(await idsOf(paul)), id: mary.id }
    const before = await everything()
    for (const operation of contract.operations) {
      // What only people do is refused to programs before anything is looked for.
      if (!/\{(?!id\})/.test(operation.path) || operation.id === 'approveBypassCode') continue
      const { body, query } = bodyOf(operation)
      const answer = await api.call(operation.method, pathOf(operation, others) + query, body)
      expect(answer.status, operation.id).toBe(404)
    }
    expect(await everything()).toBe(before)
  })

  const changes: ReadonlyArray<readonly [string, unknown]> = [
    ['members of another’s making (input 97)', { role: 'admin', verified: true, counter: 0 }],
    ['one beside a right one', { name: 'Paul', role: 'admin' }],
    ['an id', { id: 'other' }],
    ['nothing', {}],
    ['null', null],
    ['a list', [{ name: 'Paul' }]],
    ['a text', 'name'],
    ['a number for a text', { name: 5 }],
    ['an object for a text', { name: { $gt: '' } }],
    ['a character that isn’t one', { username: 'a\0b' }],
  ]
  test.each(changes)('an account isn’t changed by %s', async (_, body) => {
    const before = await everything()
    const { status } = await api.patch(`/accounts/${paul.id}`, JSON.stringify(body))
    expect(status).toBe(400)
    expect(await everything()).toBe(before)
  })

  test('an id that is a list, an object or a path is nobody’s (input 98)', async () => {
    for (const id of [
      '[]',
      '%5B%22a%22%5D',
      '{}',
      '..%2f..',
      "'%20or%201=1",
      '%00',
      'a'.repeat(500),
    ])
      expect((await api.get(`/accounts/${id}`)).status, id).toBe(404)
    expect((await api.get('/accounts?role[]=admin')).status).toBe(400)
    expect((await api.get('/accounts?role=admin&role=auditor')).status).toBe(400)
  })
})

describe('bodies that are no request', () => {
  const post = (body: string | Uint8Array<ArrayBuffer>, type = 'application/json', more = {}) =>
    fetch(`${house.url}/api/admin/v1/accounts`, {
      method: 'POST',
      headers: { authorization: `Bearer ${api.token}`, 'content-type': type, ...more },
      body,
    })
  const right = JSON.stringify({ username: 'nobody' })
  const deep = `${'{"a":'.repeat(20_000)}1${'}'.repeat(20_000)}`

  const bodies: ReadonlyArray<readonly [string, string | Uint8Array<ArrayBuffer>, number]> = [
    ['nothing', '', 400],
    ['half of one', right.slice(0, -1), 400],
    ['one and more', `${right} ${right}`, 400],
    ['bytes that are no UTF-8', new Uint8Array([123, 34, 0xc3, 0x28, 34, 58, 49, 125]), 400],
    ['too much', JSON.stringify({ username: 'x'.repeat(70_000) }), 413],
    ['20 000 in one another', deep, 413],
    ['5 000 in one another', `${'['.repeat(5000)}${']'.repeat(5000)}`, 400],
    ['__proto__ (input 105)', '{"username":"nobody","__proto__":{"role":"admin"}}', 400],
    [
      'constructor within',
      '{"username":"nobody","name":{"constructor":{"prototype":{"x":1}}}}',
      400,
    ],
    ['a member twice', '{"username":"nobody","username":"someone"}', 400],
  ]
  test.each(bodies)('%s', async (_, body, status) => {
    const answer = await post(body)
    expect(answer.status).toBe(status)
    expect(answer.headers.get('content-type')).toBe('application/problem+json')
    expect(Object.hasOwn(Object.prototype, 'role') || Object.hasOwn(Object.prototype, 'x')).toBe(
      false,
    )
    expect(await house.rooms.accounts.findByUsername('nobody')).toBeUndefined()
  })

  test('another format, or a packed one', async () => {
    for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data'])
      expect((await post(right, type)).status, type).toBe(415)
    expect((await post(right, 'application/json', { 'content-encoding': 'gzip' })).status).toBe(415)
  })
})

describe('what is longer than may be', () => {
  const endless = 'x'.repeat(3_000_000)
  const form = 'application/x-www-form-urlencoded'

  /** A request that says nothing of its length, as the only one at a time on its connection. */
  function send(agent: Agent, method: string, path: string, type: string, body: string) {
    return new Promise<number | undefined>((resolve, reject) => {
      const headers = { authorization: `Bearer ${api.token}`, 'content-type': type }
      const sent = request(`${house.url}${path}`, { agent, method, headers }, (answer) => {
        answer.resume()
        answer.once('end', () => resolve(answer.statusCode))
      })
      sent.once('error', reject)
      for (let at = 0; at < body.length; at += 50_000) sent.write(body.slice(at, at + 50_000))
      sent.end()
    })
  }

  test('is refused, and holds up nothing that comes after it on the same connection', async () => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    for (const [method, path, type, status] of [
      ['POST', '/api/admin/v1/accounts', 'application/json', 413],
      ['PUT', '/api/admin/v1/imports/none/content/0', 'text/csv', 413],
      ['POST', '/webhooks/gateways/textbee', 'application/json', 413],
      ['POST', '/token', form, 400],
    ] as const) {
      const began = performance.now()
      expect(await send(agent, method, path, type, endless), path).toBe(status)
      expect(await send(agent, 'GET', '/healthz', form, ''), path).toBe(200)
      // The server would have ended a connection that stood still in five seconds.
      expect(performance.now() - began, path).toBeLessThan(4000)
    }
    agent.destroy()
  })
})
