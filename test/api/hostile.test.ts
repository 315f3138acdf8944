import { createHmac, randomBytes } from 'node:crypto'
import { sql } from 'kysely'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { deriveKey } from '../../src/crypto/keys.ts'
import { ACCOUNT_PLACE, createCursors } from '../../src/web/api/cursors.ts'
import { type Api, addDesk, apiWith, openApi, tokensOf } from '../support/api.ts'
import { type Contract, type Operation, readContract } from '../support/conformity.ts'
import { addAdmin } from '../support/console.ts'
import { createFlow } from '../support/flow.ts'
import { type House, PHONES, startHouse } from '../support/house.ts'

let house: House
let contract: Contract
let api: Api
let desk: { id: string; secret: string }
let paul: { id: string }
let mary: { id: string }

beforeAll(async () => {
  house = await startHouse()
  contract = await readContract(house)
  api = await openApi(house)
  desk = await addDesk(house)
  paul = await house.addAccount('paul', PHONES[0])
  mary = await house.addAccount('mary', PHONES[1])
})
afterAll(() => house.stop())

/** What somebody has, by the names that paths have for it. */
async function idsOf({ id }: { id: string }): Promise<Record<string, string>> {
  const first = async (what: string) => (await api.get(`/accounts/${id}/${what}`)).json.items[0]?.id
  return {
    id,
    phoneId: await first('phones'),
    sessionId: await first('sessions'),
    browserId: (await first('trusted-browsers')) ?? 'none',
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
  ] as const
  const rows = await Promise.all(
    tables.map((table) => sql`select * from ${sql.table(table)} order by 1, 2`.execute(house.db)),
  )
  return JSON.stringify(rows.map((each) => each.rows))
}

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

describe('what nobody is shown', () => {
  test('hash, secret, counter, code: in no answer (ADM-06)', async () => {
    const flow = createFlow(house, { client: await house.addClient() })
    await flow.complete('paul')
    await createFlow(house, { client: { id: 'app', secret: '' } }).toCode('paul')
    const codes = [
      house.lastCode(PHONES[0]),
      (await api.post(`/accounts/${paul.id}/bypass-codes`, { reason: 'phone at home' })).json.code,
      ...(await api.post(`/accounts/${paul.id}/backup-codes`, { reason: 'phone at home' })).json
        .codes,
    ]
    const hook = await api.post('/webhooks', { url: 'https://8.8.8.8/alerts' })
    const canaries = [...codes, hook.json.secret, ...(await secrets())]
    expect(canaries.length).toBeGreaterThan(50)
    const ids = await idsOf(paul)
    const owners: Record<string, string> = {
      accounts: paul.id,
      clients: 'app',
      webhooks: hook.json.webhook.id,
    }
    for (const operation of contract.operations.filter(({ method }) => method === 'GET')) {
      const [, kind = ''] = operation.path.split('/')
      const path = pathOf(operation, { ...ids, id: owners[kind] ?? 'none' })
      const { status, json } = await api.get(path)
      expect(status, path).toBe(kind === 'imports' && path !== '/imports' ? 404 : 200)
      const text = JSON.stringify(json)
      expect(
        canaries.filter((canary) => text.includes(canary)),
        operation.id,
      ).toEqual([])
      expect(text, operation.id).not.toMatch(/"\w*(secret|counter|hash|fingerprint)s?":/i)
    }
    // Nothing is to be sent there.
    await api.delete(`/webhooks/${hook.json.webhook.id}?reason=looked%20at`)
  })

  test('whole numbers, to the help desk and auditors', async () => {
    await addAdmin(house, 'otto', 'auditor', PHONES[2])
    const { access } = await tokensOf(house, desk, 'otto', { phone: PHONES[2] })
    const otto = apiWith(house, access)
    for (const path of [`/accounts/${paul.id}/phones`, `/accounts/${paul.id}`])
      expect(JSON.stringify((await otto.get(path)).json)).not.toContain(PHONES[0].slice(4, 9))
    expect((await api.get(`/accounts/${paul.id}/phones`)).json.items[0].number).toBe(PHONES[0])
  })
})

describe('whom a lower role can’t touch', () => {
  test('an admin, nor themselves, by any operation (ADM-12)', async () => {
    const boss = await addAdmin(house, 'boss', 'admin', '+46701500001')
    const helen = await addAdmin(house, 'helen', 'helpdesk', '+46701500002')
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
    await createFlow(house, { client: { id: 'app', secret: '' } }).toCode('mary')
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

describe('lists', () => {
  const lists = ['/accounts', '/audit-events']
  const queries = [
    'sort=(select%20pg_sleep(9))',
    'sort=id;drop%20table%20account',
    'sort=__proto__',
    'limit=1e9',
    'limit=0',
    'limit=-1',
    'limit=1%20or%201=1',
    'limit=NaN',
    'cursor=x',
    "cursor='%20or%201=1--",
    'cursor=',
    'type=nothing',
    'since=yesterday',
    'since=0000-01-01',
    'until=%2B275760-09-13',
    'role=root',
    'disabled=1',
    "actor='%3B--",
    'order=desc',
    '__proto__=x',
    'constructor=x',
  ]
  test.each(queries)('refuse ?%s (ADM-14, input 99)', async (query) => {
    for (const list of lists) {
      const answer = await api.get(`${list}?${query}`)
      expect([answer.status, answer.json.code], list).toEqual([
        400,
        expect.stringMatching(/^(invalid_request|cursor)$/),
      ])
    }
  })

  test('take no cursor but their own, as it was given', async () => {
    const { next } = (await api.get('/accounts?limit=1')).json
    const own = Buffer.from(next, 'base64url')
    const place = own.subarray(16)
    const key = deriveKey(randomBytes(32), 'list-cursor')
    const mac = createHmac('sha256', key).update(place).digest().subarray(0, 16)
    const elsewhere = createCursors([randomBytes(32).toString('base64')])
      .page('accounts', { limit: 1, sort: 'createdAt' }, ACCOUNT_PLACE)
      .cut([0, 0], () => ({ value: '2026-01-01', id: 'x' }))
    const flipped = Buffer.from(own)
    flipped[20] = (flipped[20] ?? 0) ^ 1
    const forged: Array<string | Buffer> = [
      next.slice(0, -4),
      flipped,
      place,
      Buffer.alloc(16),
      Buffer.concat([mac, place]),
      Buffer.concat([own.subarray(0, 16), Buffer.from('{"value":"x","id":"\' or 1=1"}')]),
      elsewhere.next ?? '',
      (await api.get('/accounts?limit=1&sort=username')).json.next,
      (await api.get('/audit-events?limit=1')).json.next,
    ]
    for (const each of forged) {
      const cursor = typeof each === 'string' ? each : each.toString('base64url')
      expect((await api.get(`/accounts?limit=1&cursor=${cursor}`)).status, cursor).toBe(400)
    }
    expect((await api.get(`/accounts?limit=1&cursor=${next}`)).status).toBe(200)
    expect(house.logged.filter((line) => line.includes('request failed'))).toEqual([])
  })

  test('page through everything once, in either direction', async () => {
    for (const sort of ['createdAt', '-createdAt', 'username', '-username']) {
      const seen: string[] = []
      let cursor: string | null = ''
      while (cursor !== null) {
        const more: string = cursor && `&cursor=${cursor}`
        const { items, next } = (await api.get(`/accounts?sort=${sort}&limit=2${more}`)).json
        seen.push(...items.map(({ id }: { id: string }) => id))
        cursor = next
      }
      const all = (await api.get(`/accounts?sort=${sort}&limit=200`)).json.items
      expect(seen, sort).toEqual(all.map(({ id }: { id: string }) => id))
    }
  })
})
