import { readdirSync } from 'node:fs'
import { hash } from '@node-rs/bcrypt'
import { sql } from 'kysely'
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest'
import { signInToAccount } from '../support/account.ts'
import { apiWith, openApi } from '../support/api.ts'
import { killChildren } from '../support/children.ts'
import { readContract } from '../support/conformity.ts'
import { addAdmin, signInToConsole } from '../support/console.ts'
import { FORMS } from '../support/console-routes.ts'
import { burst, createFlow } from '../support/flow.ts'
import { type House, PASSWORD, PHONES, startHouse } from '../support/house.ts'
import { startInstance } from '../support/instance.ts'
import type { Instance } from '../support/killing.ts'
import { postTo } from '../support/proofs.ts'
import { sendJson } from '../support/send-json.ts'
import { holdOpen } from '../support/slow-sockets.ts'
import { startTcpProxy, type TcpProxy } from '../support/tcp-proxy.ts'

let house: House
let client: { id: string; secret: string }
/** A process of its own, which two thousand connections are held open to all the while. */
let instance: Instance
let sockets: Awaited<ReturnType<typeof holdOpen>>
let proxy: TcpProxy
/** One whose database takes its time. */
let slow: House
let late: ReturnType<typeof askSlowly>

beforeAll(async () => {
  house = await startHouse({ env: { DYNAMIC_REGISTRATION: 'token' } })
  client = await house.addClient('app', { grants: ['authorization_code', 'refresh_token'] })
  await house.addAccount('alex')
  await house.addAccount('late', PHONES[1])
  proxy = await startTcpProxy(Number(new URL(inject('postgresUrl')).port))
  const DATABASE_URL = proxy.url(house.database.url)
  ;[instance, slow] = await Promise.all([
    startInstance(house),
    startHouse({ beside: house, env: { DATABASE_URL } }),
  ])
  sockets = await holdOpen(instance.url, 2000)
  late = askSlowly()
})
afterAll(async () => {
  proxy.delay(0)
  await slow.stop()
  await proxy.stop()
  await killChildren()
  await house.stop()
})

const newFlow = () => createFlow(house, { client })

/** Takes each step of a sign-in, and changes something in a transaction, where every answer of the database is late. */
async function askSlowly() {
  const [visitor, atPassword, atCode] = [newFlow(), newFlow(), newFlow()]
  await atPassword.begin()
  await atCode.toCode('late')
  for (const flow of [visitor, atPassword, atCode]) flow.url = slow.url
  const { token } = await openApi(house)
  const api = apiWith(slow, token)
  const { id } = await house.addAccount('leaving', null)
  const code = house.lastCode(PHONES[1])
  // As many connections as it takes are there before.
  await burst(8, () => fetch(`${slow.url}/readyz`))
  proxy.delay(1800)
  const began = performance.now()
  const timed = async <T>(request: Promise<T>) => {
    const answer = await request
    return { answer, seconds: (performance.now() - began) / 1000 }
  }
  const change = timed(api.post(`/accounts/${id}/disable`, { reason: 'gone for good' }))
  const steps = Promise.all(
    [
      visitor.request(visitor.authorizationUrl()),
      atPassword.page(),
      atPassword.password('late'),
      atCode.code(code),
    ].map(timed),
  )
  const changed = await change
  const { rows: open } = await sql`select query from pg_stat_activity
    where datname = current_database() and state like 'idle in transaction%'`.execute(house.db)
  const stepped = await steps
  proxy.delay(0)
  return { stepped, flow: atPassword, changed, open }
}

/** The figure of a metric, of an instance. */
async function metric(name: string): Promise<number> {
  const text = await (await fetch(`${instance.url}/metrics`)).text()
  return Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(text)?.[1])
}

describe('an instance with two thousand connections that never come to an end', () => {
  test('serves everybody else (AVL-16)', async () => {
    expect(sockets.held()).toBeGreaterThan(1900)
    const flow = createFlow(house, { client, url: instance.url })
    const query = await flow.complete('alex')
    expect((await flow.redeem(query.get('code') ?? '')).status).toBe(200)
  })

  test('and with sign-ins, goes on from one request to the next without a long halt (AVL-15)', async () => {
    await metric('nodejs_eventloop_lag_p99_seconds')
    await burst(4, async () => {
      for (let round = 0; round < 3; round++) {
        const flow = createFlow(house, { client, url: instance.url })
        await flow.begin()
        expect((await flow.password('alex')).status).toBe(303)
      }
    })
    const lag = await metric('nodejs_eventloop_lag_p99_seconds')
    expect(lag).toBeGreaterThan(0)
    expect(lag).toBeLessThan(0.25)
  })

  test('answers others while it hashes (AVL-15)', async () => {
    const { id } = await house.addAccount('costly', PHONES[2])
    // Each takes over a tenth of a second of a core.
    const costly = { password_hash: await hash(PASSWORD, 11) }
    await house.db.updateTable('account').set(costly).where('id', '=', id).execute()
    const flows = await burst(4, async () => {
      const flow = createFlow(house, { client, url: instance.url })
      await flow.begin()
      return flow
    })
    let hashing = true
    const logins = Promise.all(flows.map((flow) => flow.password('costly')))
    const over = logins.finally(() => {
      hashing = false
    })
    let answered = 0
    while (hashing) {
      expect((await fetch(`${instance.url}/healthz`)).status).toBe(200)
      if (hashing) answered++
    }
    await over
    // One between two of them, if they were done where requests are.
    expect(answered).toBeGreaterThan(8)
  })
})

describe('100 kB in any field (AVL-17)', () => {
  const LONG: Record<string, string> = {
    digits: '1'.repeat(100_000),
    spaces: `${' '.repeat(100_000)}x`,
    'an address that goes on': `a@${'a.'.repeat(50_000)}`,
    'a number that goes on': `+${'(46)-'.repeat(20_000)}`,
  }
  const TOO_LONG = [400, 413, 414, 431]

  test.each(Object.keys(LONG))('of %s is refused before anything looks into it', async (name) => {
    const long = LONG[name] ?? ''
    const flow = createFlow(house, { client })
    await flow.toCode('alex')
    const me = await signInToAccount(house, 'alex')
    const before = house.statements.length
    const forms: Array<[string, Record<string, string>]> = [
      ...['username', 'password'].map((field): [string, Record<string, string>] => [
        `${flow.path}/login`,
        { username: 'alex', password: 'x', [field]: long },
      ]),
      ...['code', 'backup-code', 'enrol-phone', 'enrol-app', 'phone', 'resend', 'consent'].map(
        (step): [string, Record<string, string>] => [
          `${flow.path}/${step}`,
          { code: long, number: long, phone: long },
        ],
      ),
      ['/password/forgotten', { username: long }],
      ['/account/phones/add', { number: long, country: long }],
      ['/account/phones/prove', { code: long }],
      ['/account/password', { current: long, password: long, again: long }],
      ['/session/end/confirm', { xsrf: long, logout: long }],
      ['/device', { user_code: long, xsrf: long }],
      ['/language', { language: long, to: long }],
    ]
    for (const [path, fields] of forms) {
      const browser = path.startsWith('/account') ? me.flow : flow
      const token = path.startsWith('/account') ? me.token : flow.formToken
      const answer = await browser.post(path, { form_token: token, ...fields })
      expect(TOO_LONG, `${path}: ${answer.status}`).toContain(answer.status)
    }
    const fields = [
      ...['client_id', 'redirect_uri', 'scope', 'state', 'nonce', 'login_hint', 'ui_locales'],
      ...['acr_values', 'claims', 'prompt', 'max_age', 'id_token_hint', 'code_challenge'],
    ]
    const basic = { authorization: `Basic ${btoa(`${client.id}:${client.secret}`)}` }
    for (const field of fields) {
      const { status } = await flow.request(flow.authorizationUrl({ [field]: long }))
      expect(TOO_LONG, `authorization, ${field}: ${status}`).toContain(status)
      const pushed = await postTo(house.url, '/request', { [field]: long }, basic)
      expect(TOO_LONG, `pushed, ${field}: ${pushed.status}`).toContain(pushed.status)
    }
    for (const field of ['code', 'redirect_uri', 'code_verifier', 'refresh_token', 'scope'])
      expect(TOO_LONG, field).toContain((await flow.redeem('x', { [field]: long })).status)
    for (const path of ['/device/auth', '/token/introspection', '/token/revocation']) {
      const { status } = await postTo(house.url, path, { token: long, scope: long }, basic)
      expect(TOO_LONG, `${path}: ${status}`).toContain(status)
    }
    const asked = house.statements.slice(before).filter((statement) => !/^select/i.test(statement))
    expect(asked).toEqual([])
    const back = await flow.back()
    expect(back.location ?? '').not.toContain('code=')
  })

  test('of the console, the API and what apps say of themselves, too', async () => {
    const { id } = await addAdmin(house, 'ada', 'admin')
    const console = await signInToConsole(house, 'ada')
    const api = await openApi(house)
    const { token } = await house.rooms.registrationTokens.create()
    const { operations } = await readContract(house)
    const long = '1'.repeat(100_000)
    for (const { path } of FORMS) {
      // A file has an end of its own.
      if (path.endsWith('/file')) continue
      const to = path.replace(/:\w+/g, id)
      const { status } = await console.flow.post(to, { form_token: long, reason: long })
      expect([...TOO_LONG, 415], `${to}: ${status}`).toContain(status)
    }
    for (const { method, path, body } of operations) {
      const to = path.replace(/\{\w+\}/g, id)
      const query = `${to}?${new URLSearchParams({ q: long, cursor: long, reason: long })}`
      expect((await api.call(method, query)).status, `${method} ${path}`).toBe(431)
      if (!body) continue
      const { status } = await api.call(method, to, { username: long, reason: long })
      expect(TOO_LONG, `${method} ${path}: ${status}`).toContain(status)
    }
    const said = { client_name: long, redirect_uris: [long] }
    const registered = await sendJson('POST', `${house.url}/reg`, token, said)
    expect(TOO_LONG).toContain(registered.status)
  })
})

test('where every answer of the database is late, nobody waits for ten seconds, and nothing opens (AVL-23)', async () => {
  const { stepped, flow, changed, open } = await late
  for (const { answer } of stepped) expect([200, 303, 503]).toContain(answer.status)
  const back = await flow.back()
  expect(back.location ?? '').not.toContain('code=')
  expect((await flow.page()).status).toBe(200)
  // Given up amid its transaction, which is no longer open.
  expect(changed.answer.status).toBe(503)
  expect(Number(changed.answer.headers.get('retry-after'))).toBeGreaterThan(0)
  for (const { seconds } of [changed, ...stepped]) expect(seconds).toBeLessThan(10)
  expect(open).toEqual([])
})

test('two thousand connections are cut off in the end, and their descriptors free again (AVL-16)', async () => {
  await sockets.allClosed
  const descriptors = () => readdirSync(`/proc/${instance.process.pid}/fd`).length
  if (process.platform === 'linux') await expect.poll(descriptors).toBeLessThan(200)
  expect((await fetch(`${instance.url}/healthz`)).status).toBe(200)
})
