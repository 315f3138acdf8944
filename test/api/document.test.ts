import { createConfig, lintFromString } from '@redocly/openapi-core'
import fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Api, openApi } from '../support/api.ts'
import { type Contract, type Operation, readContract, type Schema } from '../support/conformity.ts'
import { type House, startHouse } from '../support/house.ts'

/** Requests to each operation. */
const RUNS = 5
const SEED = 105

let house: House
let api: Api
let contract: Contract
beforeAll(async () => {
  house = await startHouse({ env: { BYPASS_CODE_CONSENT: 'required' } })
  api = await openApi(house)
  contract = await readContract(house)
})
afterAll(() => house.stop())

/** All there are: whoever adds one looks here at what it lets do, and that none acts as somebody else (ADM-18). */
const OPERATIONS = `
  listAccounts createAccount getAccount patchAccount deleteAccount setRole disableAccount enableAccount
  getLocks unlockAccount inviteAccount
  listPhones addPhone getPhone removePhone makePhonePrimary sendPhoneCode checkPhoneCode
  getOtherFactors resetFactors issueBackupCodes
  listSessions endSessions endSession listAppsOfAccount
  listTrustedBrowsers forgetTrustedBrowsers forgetTrustedBrowser
  listClients createClient getClient changeClient deleteClient rotateClientSecret
  listApis createApi getApi deleteApi
  listSigningKeys rotateSigningKeys
  getStatistics listMessages getLimits liftPause listAlerts
  listWebhooks createWebhook getWebhook patchWebhook deleteWebhook rotateWebhookSecret testWebhook listDeliveries
  listImports beginImport putImportPiece startImport getImport listImportFailures cancelImport
  exportAccounts exportAccount
  listBypassCodes issueBypassCode approveBypassCode endBypassCode getOpenSignIn resendCode
  listAuditEvents exportAuditEvents`

test('the operations are those that were looked at, each of a name of its own', () => {
  const ids = contract.operations.map(({ id }) => id)
  expect(ids.toSorted()).toEqual(OPERATIONS.trim().split(/\s+/).toSorted())
})

test('whatever is asked, each operation answers as its document says', async () => {
  for (const operation of contract.operations) {
    const ids = operation.path.startsWith('/accounts/{id}') ? await somebody() : {}
    const asked = fc.asyncProperty(requestTo(operation, ids), async ({ path, body }) => {
      const answer = await api.call(operation.method, path, body)
      expect(answer.status, JSON.stringify(answer.json)).toBeLessThan(500)
      expect(contract.faultOf(operation, answer), operation.id).toBeUndefined()
    })
    await fc.assert(asked, { numRuns: RUNS, seed: SEED, endOnFailure: true })
  }
}, 60_000)

// At the end: the linter holds up the loop that the server runs in, too, and idle connections end meanwhile.
test('the document keeps the rules of its kind, and its schemas can be used', async () => {
  const config = await createConfig({ extends: ['recommended'] })
  const problems = await lintFromString({
    source: JSON.stringify(contract.document),
    absoluteRef: '/openapi.json',
    config,
  })
  expect(problems.map(({ ruleId, message }) => `${ruleId}: ${message}`)).toEqual([])
  expect(contract.compileAll()).toBeGreaterThan(100)
})

let people = 0

/** Somebody with a phone and a code of the help desk; their ids, by the names that paths have for them. */
async function somebody(): Promise<Record<string, string>> {
  people += 1
  const phone = `+4670150${String(people).padStart(4, '0')}`
  const made = await api.post('/accounts', { username: `somebody ${people}`, phone })
  const { id } = made.json.account
  const [phones, code] = await Promise.all([
    api.get(`/accounts/${id}/phones`),
    api.post(`/accounts/${id}/bypass-codes`, { reason: 'phone at home' }),
  ])
  return { id, phoneId: phones.json.items[0].id, codeId: code.json.id ?? 'none' }
}

/** What no schema asks for. */
const JUNK: fc.Arbitrary<unknown> = fc.oneof(
  fc.constantFrom(
    null,
    -1,
    1e308,
    '',
    '\0',
    '\ud800',
    "'; drop table account; --",
    '=HYPERLINK("x")',
    'x'.repeat(5000),
    [],
    {},
    [[]],
    { id: ['a'] },
    { toString: 1 },
    true,
    '٣',
    '0000-01-01',
    '2026-02-31T25:00:00Z',
    '+999999-01-01T00:00:00Z',
  ),
  fc.string({ unit: 'binary', maxLength: 40 }),
  fc.jsonValue({ maxDepth: 2 }),
)

function requestTo(
  operation: Operation,
  ids: Record<string, string>,
): fc.Arbitrary<{ path: string; body: unknown }> {
  return fc.oneof(
    { weight: 2, arbitrary: madeBy(operation, ids, (right) => right) },
    { weight: 1, arbitrary: madeBy(operation, ids, sometimesWrong) },
  )
}

const sometimesWrong: Bend = (right) =>
  fc.oneof({ weight: 4, arbitrary: right }, { weight: 1, arbitrary: JUNK })

/** What is done with each part of a request. */
type Bend = (right: fc.Arbitrary<unknown>) => fc.Arbitrary<unknown>

function madeBy({ path, parameters, body }: Operation, ids: Record<string, string>, bend: Bend) {
  const query = parameters.filter((each) => each.in === 'query')
  const unknown = bend(fc.constant(undefined)).map((more) => (more === undefined ? {} : { more }))
  const asked = fc.record(
    Object.fromEntries(query.map(({ name, schema }) => [name, bend(fitting(schema, bend, name))])),
    { requiredKeys: query.filter(({ required }) => required).map(({ name }) => name) },
  )
  const ways = parameters.filter((each) => each.in === 'path')
  const given = fc.record(
    Object.fromEntries(ways.map(({ name }) => [name, bend(fc.constant(ids[name] ?? 'none'))])),
  )
  return fc.record({
    path: fc.tuple(given, asked, unknown).map(([names, members, more]) => {
      const place = path.replace(/\{(\w+)\}/g, (_, name) => encodeURIComponent(textOf(names[name])))
      const pairs = Object.entries({ ...members, ...more }).flatMap(([name, value]) =>
        (value === '' ? [] : [value].flat()).map((each): [string, string] => [name, textOf(each)]),
      )
      return `${place}?${new URLSearchParams(pairs)}`
    }),
    body: body ? bend(fitting(body, bend)) : fc.constant(undefined),
  })
}

function textOf(value: unknown): string {
  return (typeof value === 'string' ? value : JSON.stringify(value)).toWellFormed()
}

const phone = fc.integer({ min: 0, max: 9999 }).map((n) => `+4670160${String(n).padStart(4, '0')}`)
const word = fc.stringMatching(/^[a-z]{1,12}$/)

/** Of some members, more must be true than their schema can say. */
const KNOWN: Record<string, fc.Arbitrary<unknown>> = {
  cursor: fc.constant(''),
  number: phone,
  phone,
  email: fc.tuple(word, word).map(([name, host]) => `${name}@${host}.example`),
  password: fc.uuid(),
  username: fc.uuid(),
}

/** What a schema lets through; each member bent. */
function fitting(given: Schema, bend: Bend, name = ''): fc.Arbitrary<unknown> {
  if (KNOWN[name]) return KNOWN[name]
  const schema = contract.resolve(given)
  const { type, properties = {}, required = [], minLength = 0, maxLength = 40 } = schema
  if (schema.const !== undefined) return fc.constant(schema.const)
  if (schema.enum) return fc.constantFrom(...schema.enum)
  if (schema.anyOf) return fc.oneof(...schema.anyOf.map((one: Schema) => fitting(one, bend)))
  if (type === 'array') return fc.array(fitting(schema.items, bend), { maxLength: 3 })
  if (type === 'boolean') return fc.boolean()
  if (type === 'null') return fc.constant(null)
  if (type === 'integer' || type === 'number')
    return fc.integer({ min: schema.minimum ?? -10, max: schema.maximum ?? 1000 })
  if (type === 'object') {
    const members = Object.entries<Schema>(properties).map(([name, part]) => [
      name,
      bend(fitting(part, bend, name)),
    ])
    return fc.record(Object.fromEntries(members), { requiredKeys: required })
  }
  if (schema.format === 'date-time')
    return fc
      .date({ min: new Date(0), max: new Date('2100-01-01'), noInvalidDate: true })
      .map((date) => date.toISOString())
  if (schema.format === 'date') return fc.constantFrom('2026-01-31', '9999-12-29')
  if (schema.pattern) return fc.stringMatching(new RegExp(schema.pattern))
  return fc.string({ minLength, maxLength: Math.min(maxLength, 200), unit: 'grapheme' })
}
