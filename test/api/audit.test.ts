import { afterAll, beforeAll, expect, test } from 'vitest'
import { inCircumstances } from '../../src/audit/circumstances.ts'
import { type Api, openApi } from '../support/api.ts'
import { type House, REDIRECT_URI, startHouse } from '../support/house.ts'

let house: House
let api: Api
let paul: { id: string }
beforeAll(async () => {
  house = await startHouse()
  api = await openApi(house, 'admin:read')
  paul = await house.addAccount('paul', null)
  // A name that a spreadsheet would take for a formula.
  await inCircumstances(
    { actor: 'admin:a1', requestId: null, address: null, reason: 'say "no", please' },
    async () => {
      await house.rooms.clients.create({ id: '-1~cmd', redirectUris: [REDIRECT_URI] })
      await house.rooms.accounts.disable(paul.id)
    },
  )
})
afterAll(() => house.stop())

const found = async (query: string): Promise<string[]> =>
  (await api.get(`/audit-events?${query}`)).json.items.map(({ type }: { type: string }) => type)

test('events are found by what, who, whom, which app and when, the newest first', async () => {
  const all = await found('limit=200')
  expect(all.slice(0, 3)).toEqual(['account.disabled', 'client.created', 'account.created'])
  expect(await found('type=account.disabled&type=account.created')).toEqual([
    'account.disabled',
    'account.created',
  ])
  expect(await found('actor=admin:a1')).toEqual(['account.disabled', 'client.created'])
  expect(await found(`account=${paul.id}`)).toEqual(['account.disabled', 'account.created'])
  expect(await found('client=-1~cmd&type=client.created')).toEqual(['client.created'])
  const [, second] = (await api.get('/audit-events?actor=admin:a1')).json.items
  const at = encodeURIComponent(second.at)
  expect(await found(`actor=admin:a1&until=${at}`)).toEqual([])
  expect(await found(`actor=admin:a1&since=${at}`)).toEqual(['account.disabled', 'client.created'])
  expect(await found('since=9999-01-01')).toEqual([])
})

test('pages meet without a gap, also among events of one moment', async () => {
  const all = (await api.get('/audit-events?limit=200')).json.items
  const seen: unknown[] = []
  let cursor = ''
  do {
    const { items, next } = (await api.get(`/audit-events?limit=1${cursor}`)).json
    seen.push(...items)
    cursor = next === null ? '' : `&cursor=${next}`
  } while (cursor)
  expect(seen).toEqual(all)
})

test('the export is the command line’s, in lines or with cells that stay text (ADM-13)', async () => {
  const lines: string = (await api.get('/audit-events/export?actor=admin:a1')).json
  expect(
    lines
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line)),
  ).toMatchObject([
    { type: 'client.created', client_id: '-1~cmd', account_id: null },
    { type: 'account.disabled', account_id: paul.id, detail: { reason: 'say "no", please' } },
  ])
  const answer = await api.get('/audit-events/export?actor=admin:a1&format=csv')
  expect(answer.headers.get('content-disposition')).toBe('attachment; filename="audit.csv"')
  const [head, first, second] = String(answer.json).split('\r\n')
  expect(head).toBe('id,at,type,actor,account_id,client_id,request_id,address,detail')
  expect(first).toContain(",admin:a1,,'-1~cmd,")
  expect(second).toContain('"{""reason"":""say \\""no\\"", please""}"')
})

test('an export of more than is held at once comes whole', async () => {
  await house.db
    .insertInto('audit_event')
    .columns(['at', 'type', 'actor'])
    .expression((eb) =>
      eb
        .selectFrom(eb.fn('generate_series', [eb.lit(1), eb.lit(2500)]).as('n'))
        .select([
          house.clock().as('at'),
          eb.val('phone.added').as('type'),
          eb.val('bulk').as('actor'),
        ]),
    )
    .execute()
  const lines: string = (await api.get('/audit-events/export?actor=bulk')).json
  const ids = lines
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line).id)
  expect(new Set(ids).size).toBe(2500)
})
