import { randomBytes } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import { sql } from 'kysely'
import { Client } from 'pg'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { readConfig } from '../src/config/config.ts'
import { completeSecrets } from '../src/config/development-keys.ts'
import { createVault } from '../src/crypto/vault.ts'
import { SEALED_KEYRING } from '../src/db/keyring.ts'
import { createRooms } from '../src/rooms.ts'
import { SEALED_TABLES } from '../src/sealed-tables.ts'
import { type ApiAnswer, openApi } from './support/api.ts'
import { killChildren, startChild } from './support/children.ts'
import { createFlow } from './support/flow.ts'
import { type House, PHONES, startHouse } from './support/house.ts'
import { addApp, appCode, codeTexts } from './support/second-factors.ts'

const [old, fresh] = [randomBytes(32), randomBytes(32)]
const ring = (...keys: Buffer[]) => keys.map((key) => key.toString('base64')).join()
const [nameOfOld = '', nameOfFresh = ''] = createVault([old, fresh]).keyNames
const DECLARED = [...SEALED_TABLES, SEALED_KEYRING]

/** Columns of bytes that hold hashes and fingerprints, which nobody has to open. */
const HASHES = [
  'backup_code.hash',
  'bootstrap_link.token_hash',
  'bypass_code.hash',
  'challenge.browser',
  'challenge.interaction',
  'console_session.session_key',
  'console_session.token_hash',
  'device_poll.key',
  'gateway_report.key',
  'idempotency_key.key',
  'idempotency_key.request',
  'oidc_record.grant_key',
  'oidc_record.key',
  'oidc_record.session_uid_key',
  'oidc_record.uid_key',
  'oidc_record.user_code_key',
  'oidc_replay.key',
  'one_time_link.token_hash',
  'phone.number_fingerprint',
  'phone.prefix_fingerprint',
  'registration_token.key',
  'send_limit.key',
  'sign_in_attempt.key',
  'sign_in_attempt.name_key',
  'trusted_device.token_hash',
  'user_code_try.key',
]

let house: House
let others: House[] = []
let app: { id: string; secret: string }
let key: string
/** an answer that is given again */
let made: ApiAnswer

/** Each has a phone of their own, so that their texts are told from one another's. */
const PEOPLE = [
  ['alex', PHONES[0]],
  ['bo', PHONES[1]],
] as const

beforeAll(async () => {
  // The first step of the way: every instance can open what the new key seals, and none seals with it yet.
  house = await startHouse({
    env: { ENCRYPTION_KEYS: ring(old, fresh), WEBHOOK_ALLOWED_HOSTS: '127.0.0.1' },
  })
  app = await house.addClient('app', { grants: ['authorization_code', 'refresh_token'] })
  for (const [username, phone] of PEOPLE) await house.addAccount(username, phone)
})
afterAll(async () => {
  await killChildren()
  for (const other of others) await other.stop()
  await house.stop()
})

async function signIn(instance: House, username: string, phone: string): Promise<void> {
  const flow = createFlow(house, { client: app, url: instance.url })
  const texts = () => codeTexts(house).filter(({ to }) => to === phone)
  const before = texts().length
  await flow.toCode(username)
  // A text may come after the page that asks for its code.
  await vi.waitFor(() => expect(texts().length).toBeGreaterThan(before), { timeout: 10_000 })
  const query = await flow.resume(await flow.code(house.lastCode(phone)))
  const { status } = await flow.redeem(query.get('code') ?? '')
  if (status !== 200) throw new Error(`no token for ${username}: ${status}`)
}

/** How many values of each column each key has sealed. */
async function census(): Promise<Record<string, Record<string, number>>> {
  const found: Record<string, Record<string, number>> = {}
  for (const { table, columns } of DECLARED)
    for (const column of columns) {
      const { rows } = await sql<{ key: string; values: number }>`
        select encode(substring(${sql.ref(column)} from 2 for 4), 'hex') as key, count(*)::int as values
        from ${sql.table(table)} where ${sql.ref(column)} is not null group by 1`.execute(house.db)
      found[`${table}.${column}`] = Object.fromEntries(rows.map((row) => [row.key, row.values]))
    }
  return found
}

/** Columns that have something sealed with a key. */
const columnsOf = (found: Record<string, Record<string, number>>, name: string) =>
  Object.keys(found).filter((column) => found[column]?.[name])

const roomsWith = (keys: string) => {
  const { config, secrets } = readConfig({ ...house.variables, ENCRYPTION_KEYS: keys })
  return createRooms(
    house.db,
    house.clock,
    config,
    completeSecrets(config, secrets, () => {}),
  )
}

/** What a start with other keys comes to. */
const startWith = (keys: string) =>
  roomsWith(keys).then(
    () => 'it starts',
    (error: Error) => error.message,
  )

/** Puts something into every sealed column there is. */
async function fillEveryColumn(): Promise<void> {
  const { rooms } = house
  for (const [username, phone] of PEOPLE) await signIn(house, username, phone)
  const carl = await house.addAccount('carl', null)
  key = await addApp(house, carl)
  await house.addClient('other')
  await rooms.clients.rotateSecret('other')
  const { id } = await rooms.webhooks.create({ url: 'https://127.0.0.1/hook' })
  await rooms.webhooks.rotateSecret(id)
  await house.db.transaction().execute(async (trx) => {
    await rooms.notices.queue(trx, {
      accountId: carl.id,
      kind: 'password.changed',
      language: null,
      recipients: [{ medium: 'mail', to: 'carl@example.com' }],
    })
    // It waits, as one does whose mail server is away.
    await sql`update notice set next_try_at = now() + interval '1 hour'`.execute(trx)
  })
  const api = await openApi(house)
  made = await api.post('/accounts', { username: 'dora' }, { 'idempotency-key': 'one' })
  const job = await rooms.imports.begin({ format: 'csv', dryRun: false, update: false })
  for (const seq of [0, 1]) await rooms.imports.append(job, seq, randomBytes(5000))
}

test('every column that holds bytes is declared to be sealed, or known to hold hashes', async () => {
  const { rows } = await sql<{ name: string }>`
    select table_name || '.' || column_name as name from information_schema.columns
    where table_schema = 'public' and data_type = 'bytea' order by 1`.execute(house.db)
  const declared = DECLARED.flatMap(({ table, columns }) =>
    columns.map((column) => `${table}.${column}`),
  )
  expect(rows.map(({ name }) => name)).toEqual([...declared, ...HASHES].toSorted())
})

test('encryption keys rotate under load: the job is killed and goes on, and no sign-in fails (CRY-04)', async () => {
  await fillEveryColumn()
  const before = await census()
  expect(columnsOf(before, nameOfOld)).toEqual(Object.keys(before))
  expect(columnsOf(before, nameOfFresh)).toEqual([])

  // The second step: they seal with the new one. One flow goes through instances of both steps.
  const env = { ENCRYPTION_KEYS: ring(fresh, old) }
  others = [await startHouse({ beside: house, env }), await startHouse({ beside: house, env })]
  const [first = house, second = house] = others
  const flow = createFlow(house, { client: app, url: first.url })
  await flow.begin()
  flow.url = house.url
  await flow.password('alex')
  flow.url = second.url
  const query = await flow.resume(await flow.code(house.lastCode()))
  flow.url = house.url
  expect((await flow.redeem(query.get('code') ?? '')).status).toBe(200)
  // Nothing is sealed anew before somebody says so.
  expect(columnsOf(await census(), nameOfOld)).toEqual(Object.keys(before))

  // People sign in all the while.
  let going = true
  let signedIn = 0
  const load = PEOPLE.map(async ([username, phone], turn) => {
    for (let round = turn; going; round++) {
      await signIn(round % 2 === 0 ? first : second, username, phone)
      signedIn++
      await pause(100)
    }
  })

  // Somebody holds a table in the middle, so that the command is killed amid its work.
  const holder = new Client({ connectionString: house.database.url })
  await holder.connect()
  await holder.query('begin; lock table import_chunk in share mode')
  const { variables } = first
  const killed = startChild('src/cli/main.ts', ['keys', 'reencrypt'], variables)
  await vi.waitFor(
    async () => {
      const { rows } = await sql`
        select from pg_stat_activity where wait_event_type = 'Lock' and query like '%with fresh as%'`.execute(
        house.db,
      )
      expect(rows.length).toBeGreaterThan(0)
    },
    { timeout: 40_000, interval: 20 },
  )
  killed.process.kill('SIGKILL')
  await killed.ended
  const amid = await census()
  expect(amid['client.secret']).not.toHaveProperty(nameOfOld)
  expect(amid['import_chunk.content']).not.toHaveProperty(nameOfFresh)
  // The old key is still needed, and nothing starts without it, although much has the new one already.
  expect(await startWith(ring(fresh))).toContain('ENCRYPTION_KEYS does not fit this database')
  await holder.query('rollback')
  await holder.end()

  // An instance that finds it left goes on with it by itself.
  others.push(await startHouse({ beside: house, env, keyPollMs: 50 }))
  await vi.waitFor(async () => expect(columnsOf(await census(), nameOfOld)).toEqual([]), {
    timeout: 20_000,
    interval: 100,
  })
  const soFar = signedIn
  await vi.waitFor(() => expect(signedIn).toBeGreaterThan(soFar + 1), { timeout: 10_000 })
  going = false
  await Promise.all(load)

  const after = await census()
  for (const column of Object.keys(before))
    expect(after[column], column).toHaveProperty(nameOfFresh)
  const again = startChild('src/cli/main.ts', ['keys', 'reencrypt', '--json'], variables)
  expect([await again.ended, again.err]).toEqual([0, ''])
  expect(JSON.parse(again.out)).toEqual({
    key: nameOfFresh,
    resealed: 0,
    left: 0,
    lost: 0,
    finished: true,
  })
}, 90_000)

test('then the old key can go: everything opens without it, and it alone starts nothing', async () => {
  expect(await startWith(ring(old))).toContain('ENCRYPTION_KEYS does not fit this database')
  const rooms = await roomsWith(ring(fresh))
  const [used, ...rest] = await rooms.reencryption.keys()
  expect([used, rest]).toEqual([
    { name: nameOfFresh, state: 'seals', values: expect.any(Number) },
    [],
  ])

  const alone = await startHouse({ beside: house, env: { ENCRYPTION_KEYS: ring(fresh) } })
  others.push(alone)
  for (const [username, phone] of PEOPLE) await signIn(alone, username, phone)
  const flow = createFlow(house, { client: app, url: alone.url })
  await flow.toCode('carl')
  const answer = await flow.code(appCode(key, house.now()))
  expect((await flow.resume(answer)).get('code')).toBeTruthy()
  const api = await openApi(alone)
  const same = await api.post('/accounts', { username: 'dora' }, { 'idempotency-key': 'one' })
  expect([same.status, same.json]).toEqual([201, made.json])
  expect((await rooms.webhooks.list()).map(({ url }) => url)).toEqual(['https://127.0.0.1/hook'])

  const events = await house.db
    .selectFrom('audit_event')
    .select('detail')
    .where('type', '=', 'keys.reencrypted')
    .execute()
  expect(events.length).toBeGreaterThan(0)
  for (const { detail } of events) expect(detail.key).toBe(nameOfFresh)
})

test('a value that no key opens is told, and the rest is sealed all the same', async () => {
  const next = randomBytes(32)
  await sql`update client set secret = set_byte(secret, 30, get_byte(secret, 30) # 1) where id = 'other'`.execute(
    house.db,
  )
  const rooms = await roomsWith(ring(next, fresh))
  expect(await rooms.reencryption.run()).toMatchObject({ left: 0, lost: 1, finished: true })
  const keys = await rooms.reencryption.keys()
  expect(keys.map(({ state, values }) => [state, values])).toEqual([
    ['seals', expect.any(Number)],
    ['opens', 1],
  ])
  const child = startChild('src/cli/main.ts', ['keys', 'encryption', '--json'], {
    ...house.variables,
    ENCRYPTION_KEYS: ring(next),
  })
  expect(await child.ended).toBe(1)
  expect(JSON.parse(child.out)).toContainEqual({ key: nameOfFresh, state: 'missing', values: 1 })
  await rooms.alerts.idle()
})
