import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { CHUNK_BYTES } from '../../src/transfer/uploads.ts'
import { type Api, addDesk, apiWith, openApi, tokensOf, traceOf } from '../support/api.ts'
import { addAdmin } from '../support/console.ts'
import { type House, startHouse } from '../support/house.ts'

const FIREBASE_USERS = join(import.meta.dirname, '../transfer/fixtures/firebase-users.json')
const FIREBASE_PROJECT = `hash_config {
  algorithm: SCRYPT,
  base64_signer_key: jxspr8Ki0RYycVU8zykbdLGjFQ3McFUH0uiiTvC8pVMXAn210wjLNmdZJzxUECKbm0QsEmYUSDzZvpjeJ9WmXA==,
  base64_salt_separator: Bw==,
  rounds: 8,
  mem_cost: 14,
}`

let house: House
let api: Api
beforeAll(async () => {
  house = await startHouse()
  api = await openApi(house)
})
afterAll(() => house.stop())

/** Begins an import and hands over its content. @returns its path */
async function upload(content: string, wanted: Record<string, unknown> = {}): Promise<string> {
  const begun = await api.post('/imports', { format: 'csv', ...wanted })
  expect(begun).toMatchObject({ status: 201, json: { state: 'uploading', bytesTotal: 0 } })
  const path = `/imports/${begun.json.id}`
  expect((await put(path, 0, content)).status).toBe(204)
  return path
}

const put = (path: string, piece: number, content: string) =>
  api.call('PUT', `${path}/content/${piece}`, content, { 'content-type': 'text/plain' })

/** Starts an import. @returns it, once it is worked off */
async function run(path: string) {
  expect((await api.post(`${path}/start`)).status).toBe(202)
  await vi.waitFor(async () => expect((await api.get(path)).json.state).toBe('done'), 10_000)
  return (await api.get(path)).json
}

async function events(type: string) {
  return house.db
    .selectFrom('audit_event')
    .select(['actor', 'account_id', 'detail'])
    .where('type', '=', type)
    .orderBy('id')
    .execute()
}

describe('imports by the API', () => {
  test('with a project’s parameters take its passwords', async () => {
    const begun = { format: 'firebase', firebase: 'hash_config { rounds: 8 }' }
    expect(await api.post('/imports', begun)).toMatchObject({
      status: 400,
      json: { code: 'firebase' },
    })
    const users = readFileSync(FIREBASE_USERS, 'utf8')
    const path = await upload(users, { format: 'firebase', firebase: FIREBASE_PROJECT })
    expect(await run(path)).toMatchObject({ created: 2, failed: 0, error: null })
    const attempt = await house.rooms.accounts.authenticate('fire@example.com', 'user1password')
    await attempt.conclude(attempt.account !== undefined)
    expect(attempt.account?.username).toBe('fire@example.com')
  })

  test('tell what was wrong with which row, page by page', async () => {
    const rows = ['username,email', 'right,', 'one,no', 'two,no', 'three,no', 'four,no', 'five,no']
    const path = await upload(rows.join('\n'))
    expect(await run(path)).toMatchObject({ created: 1, failed: 5 })
    const pages: number[][] = []
    for (let after = 0; pages.length < 4; after = pages.at(-1)?.at(-1) ?? after) {
      const { items } = (await api.get(`${path}/failures?after=${after}&limit=2`)).json
      pages.push(items.map(({ line }: { line: number }) => line))
    }
    expect(pages).toEqual([[3, 4], [5, 6], [7], []])
    const [first] = (await api.get(`${path}/failures`)).json.items
    expect(first.reason).toBe('An e-mail address looks like anna@example.com.')
  })

  test('take no piece that is too long, out of turn or empty', async () => {
    const path = await upload('username\n')
    expect(await put(path, 1, 'x'.repeat(CHUNK_BYTES + 1))).toMatchObject({
      status: 413,
      json: { code: 'body_too_long' },
    })
    expect((await put(path, 1, '')).status).toBe(413)
    expect(await put(path, 2, 'x')).toMatchObject({ status: 409, json: { code: 'out_of_order' } })
    expect((await put(path, 0, 'username\n')).status).toBe(204)
    expect((await put(path, 1, 'x'.repeat(CHUNK_BYTES))).status).toBe(204)
    expect((await api.get(path)).json.bytesTotal).toBe('username\n'.length + CHUNK_BYTES)
  })

  test('are cancelled: nothing is kept of what was handed over, and nothing comes of it', async () => {
    const path = await upload('username\nnever\n')
    const id = path.split('/').at(-1) ?? ''
    const held = () =>
      house.db.selectFrom('import_chunk').select('seq').where('job_id', '=', id).execute()
    expect(await held()).toHaveLength(1)
    expect(await api.post(`${path}/cancel`)).toMatchObject({
      status: 200,
      json: { id, state: 'cancelled' },
    })
    expect(await held()).toEqual([])
    for (const refused of [await api.post(`${path}/start`), await put(path, 1, 'late\n')])
      expect(refused).toMatchObject({ status: 409, json: { code: 'not_uploading' } })
    expect((await api.get(path)).json.state).toBe('cancelled')
    expect(await house.rooms.accounts.findByUsername('never')).toBeUndefined()
    expect(await events('import.cancelled')).toMatchObject([
      { actor: 'client:program-write', detail: { import: id } },
    ])
  })
})

test('exports by the API leave a trace: of whom, or that it was all, and by whom', async () => {
  const { id: ada } = await addAdmin(house, 'ada', 'admin')
  const person = apiWith(house, (await tokensOf(house, await addDesk(house), 'ada')).access)
  const { id } = await house.addAccount('paul', null)
  const one = await traceOf(house, id, () => person.get(`/accounts/${id}/export`))
  expect(one).toMatchObject({ status: 200, json: { account: { id, username: 'paul' } } })
  expect(one.events).toEqual([['account.exported', `admin:${ada}`, null]])

  const all = await api.get('/exports/accounts')
  expect(all.headers.get('content-disposition')).toBe('attachment; filename="accounts.jsonl"')
  const names = String(all.json)
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line).username)
  expect(names).toEqual(expect.arrayContaining(['ada', 'paul']))
  expect(await events('account.exported')).toMatchObject([
    { account_id: id },
    { actor: 'client:program-write', account_id: null, detail: { all: true, hashes: false } },
  ])
})
