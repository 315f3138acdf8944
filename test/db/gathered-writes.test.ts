import { randomBytes } from 'node:crypto'
import { sql } from 'kysely'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { inCircumstances } from '../../src/audit/circumstances.ts'
import { createFingerprints } from '../../src/crypto/fingerprints.ts'
import { createVault } from '../../src/crypto/vault.ts'
import { type OpenDatabase, openDatabase } from '../../src/db/client.ts'
import { databaseClock } from '../../src/db/clock.ts'
import { gatheredWrites } from '../../src/db/gathered-writes.ts'
import { createLog } from '../../src/log.ts'
import { keepApart, recordsOf } from '../../src/oidc/apart.ts'
import { type Batch, NOTHING } from '../../src/oidc/batch.ts'
import { createRecords, type Records } from '../../src/oidc/records.ts'
import { recordKey, type StoredPayload } from '../../src/oidc/sealed-records.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'

let database: TestDatabase
let opened: OpenDatabase
let records: Records
const statements: string[] = []

const open = (onStatement: (text: string) => void = () => {}) =>
  openDatabase(
    { url: database.url, dataDir: '', poolSize: 8, onStatement },
    createLog('silent', false),
  )

const vault = createVault([randomBytes(32)])
const recordsAt = ({ db }: OpenDatabase) =>
  createRecords({
    db,
    vault,
    clock: databaseClock,
    fingerprint: createFingerprints(randomBytes(32)),
  })

beforeAll(async () => {
  database = await createTestDatabase()
})
beforeEach(async () => {
  opened = await open((text) => void statements.push(text))
  records = recordsAt(opened)
})
afterEach(async () => {
  await sql`truncate oidc_record`.execute(database.db)
  await opened.close()
})
afterAll(() => database.destroy())

function record(model: string, name: string, payload: StoredPayload = {}, expiresIn = 60) {
  const key = recordKey(model, name)
  return { key, model, payload, expiresIn, givenIn: undefined, userCodeKey: undefined }
}
const keyOf = (name: string) => recordKey('AuthorizationCode', name)

async function lay(names: readonly string[], expiresIn = 60): Promise<void> {
  const upserts = names.map((name) => record('AuthorizationCode', name, {}, expiresIn))
  await records.write({ ...NOTHING, upserts })
  statements.length = 0
}

const writeAll = (batches: ReadonlyArray<Partial<Batch>>, by = records) =>
  Promise.all(batches.map((batch) => by.write({ ...NOTHING, ...batch })))

/** A token for a code that is used up. */
const redeem = (name: string, token = name): Partial<Batch> => ({
  consumed: [keyOf(name)],
  upserts: [record('AccessToken', token)],
})

const stored = async (model: string, names: readonly string[]) => {
  const { rows } = await sql<{ key: Buffer }>`
    select key from oidc_record where model = ${model}`.execute(database.db)
  return names.filter((name) => rows.some(({ key }) => key.equals(recordKey(model, name))))
}

describe('writes that are made at once', () => {
  test('go as one statement, each decided for itself; whoever it can’t store is asked for alone', async () => {
    const names = ['fresh', 'used', 'old', 'gone', 'resumed']
    await lay(['fresh', 'used', 'resumed', 'kept'])
    await lay(['old'], -1)
    await writeAll([redeem('used', 'first')])
    statements.length = 0
    const outcomes = await writeAll([
      redeem('fresh'),
      redeem('used'),
      redeem('old'),
      { required: [keyOf('gone')], upserts: [record('AccessToken', 'gone')] },
      {
        required: [keyOf('resumed')],
        destroyed: [keyOf('resumed')],
        upserts: [record('AccessToken', 'resumed')],
      },
    ])
    expect(outcomes).toEqual(['stored', 'used', 'used', 'changed', 'stored'])
    expect(await stored('AccessToken', [...names, 'first'])).toEqual(['fresh', 'resumed', 'first'])
    expect(await stored('AuthorizationCode', [...names, 'kept'])).toEqual([
      'fresh',
      'used',
      'old',
      'kept',
    ])
    const { rows } = await sql<{ key: Buffer }>`
      select key from oidc_record where consumed_at is not null order by consumed_at`.execute(
      database.db,
    )
    expect(rows.map(({ key }) => key)).toEqual([keyOf('used'), keyOf('fresh')])
    // One for all, and for each of three that it left out one that waits for nobody and one that does.
    expect(statements.filter((text) => text.includes('skip locked'))).toHaveLength(1)
    expect(statements.length).toBeLessThanOrEqual(7)
  })

  test('go sixteen at a time, however much each of them holds', async () => {
    const parts = ['a', 'b', 'c', 'd', 'e', 'f']
    const names = Array.from({ length: 20 }, (_, i) => `many${i}`)
    const codes = names.flatMap((name) => parts.map((part) => name + part))
    await lay(codes)
    const outcomes = await writeAll(
      names.map((name) => ({
        consumed: parts.map((part) => keyOf(name + part)),
        upserts: [record('AccessToken', name)],
      })),
    )
    expect(new Set(outcomes)).toEqual(new Set(['stored']))
    expect(statements).toHaveLength(2)
    const { rows } = await sql`select from oidc_record where consumed_at is not null`.execute(
      database.db,
    )
    expect(rows).toHaveLength(codes.length)
  })

  test('of a record that two of them share, are made one after the other', async () => {
    await lay(['shared', 'other'])
    const session = record('Session', 'of both')
    await records.write({ ...NOTHING, upserts: [session] })
    const both = [
      { ...redeem('shared'), required: [session.key], upserts: [session] },
      { ...redeem('other'), required: [session.key], upserts: [session] },
      redeem('shared', 'again'),
    ]
    const [one, two, again] = await writeAll(both)
    expect([one, two]).toContain('stored')
    expect([one, again].toSorted()).toEqual(['stored', 'used'])
    expect(await stored('AccessToken', ['again'])).toEqual(again === 'stored' ? ['again'] : [])
  })

  test('use one code once, though they are asked for in one turn', async () => {
    await lay(['twice', 'once'])
    const outcomes = await writeAll([
      redeem('twice', 'first'),
      redeem('once'),
      redeem('twice', 'second'),
    ])
    expect(outcomes).toEqual(['stored', 'stored', 'used'])
    expect(await stored('AccessToken', ['first', 'once', 'second'])).toEqual(['first', 'once'])
  })

  test('are recorded each in its own circumstances', async () => {
    await lay(['here', 'there'])
    const from = (requestId: string, name: string) =>
      inCircumstances({ actor: 'self', requestId, address: `at ${requestId}` }, () =>
        records.write({
          ...NOTHING,
          ...redeem(name),
          events: [{ type: 'token.issued', accountId: name, detail: { of: name } }],
        }),
      )
    await Promise.all([from('1', 'here'), from('2', 'there')])
    expect(statements).toHaveLength(1)
    const { rows } = await sql`
      select account_id, request_id, address, detail from audit_event order by request_id`.execute(
      database.db,
    )
    expect(rows).toEqual([
      { account_id: 'here', request_id: '1', address: 'at 1', detail: { of: 'here' } },
      { account_id: 'there', request_id: '2', address: 'at 2', detail: { of: 'there' } },
    ])
  })
})

describe('beside somebody else', () => {
  test('only those wait whose rows are held', async () => {
    await lay(['held', 'free', 'as free'])
    await database.db
      .transaction()
      .execute(async (trx) => {
        await sql`select from oidc_record where key = ${keyOf('held')} for update`.execute(trx)
        const [held, ...others] = ['held', 'free', 'as free'].map((name) =>
          records.write({ ...NOTHING, ...redeem(name) }),
        )
        expect(await Promise.all(others)).toEqual(['stored', 'stored'])
        expect(await stored('AccessToken', ['held'])).toEqual([])
        await sql`update oidc_record set consumed_at = now() where key = ${keyOf('held')}`.execute(
          trx,
        )
        return { held }
      })
      .then(async ({ held }) => expect(await held).toBe('used'))
    expect(await stored('AccessToken', ['held', 'free', 'as free'])).toEqual(['free', 'as free'])
  })

  test('only those wait whose records somebody ends, and store nothing of what has ended', async () => {
    await lay(['ending', 'staying'])
    const session = (name: string) => record('Session', name, { accountId: name, uid: name })
    await records.write({ ...NOTHING, upserts: ['ending', 'staying'].map(session) })
    const renew = (name: string) =>
      records.write({
        ...NOTHING,
        required: [recordKey('Session', name), keyOf(name)],
        upserts: [session(name)],
      })
    await database.db
      .transaction()
      .execute(async (trx) => {
        await keepApart(trx, recordsOf.account('ending'))
        const [ending, staying] = [renew('ending'), renew('staying')]
        expect(await staying).toBe('stored')
        await sql`delete from oidc_record where account_id = 'ending'`.execute(trx)
        return { ending }
      })
      .then(async ({ ending }) => expect(await ending).toBe('changed'))
    expect(await stored('Session', ['ending', 'staying'])).toEqual(['staying'])
  })

  test('who can’t be stored fails alone', async () => {
    await lay(['odd', 'even'])
    const device = { ...record('DeviceCode', 'first'), userCodeKey: Buffer.alloc(32) }
    await records.write({ ...NOTHING, upserts: [device] })
    const [odd, even] = await Promise.allSettled([
      records.write({
        ...NOTHING,
        ...redeem('odd'),
        upserts: [{ ...device, key: recordKey('DeviceCode', 'second') }],
      }),
      records.write({ ...NOTHING, ...redeem('even') }),
    ])
    expect(odd).toMatchObject({ status: 'rejected', reason: { code: '23505' } })
    expect(even).toEqual({ status: 'fulfilled', value: 'stored' })
  })

  test('of those who use one code at the same time, at either of two instances, one wins', async () => {
    const instances = [await open(), await open()]
    const both = instances.map(recordsAt)
    const names = Array.from({ length: 120 }, (_, i) => `raced ${i}`)
    await lay(names)
    // Each instance has the same codes in the statements that it sends at the same time.
    const tries = [0, 1].flatMap((turn) =>
      names.flatMap((name) => both.map((by, at) => ({ name, by, token: `${name} ${turn}${at}` }))),
    )
    const outcomes = await Promise.all(
      tries.map(({ name, by, token }) => by.write({ ...NOTHING, ...redeem(name, token) })),
    )
    for (const name of names) {
      const own = outcomes.filter((_, index) => tries[index]?.name === name)
      expect(own.toSorted()).toEqual(['stored', 'used', 'used', 'used'])
    }
    const won = tries.filter((_, index) => outcomes[index] === 'stored')
    const tokens = tries.map(({ token }) => token)
    expect(await stored('AccessToken', tokens)).toEqual(won.map(({ token }) => token))
    for (const instance of instances) await instance.close()
  })
})

test.each(['ENETUNREACH', 'ECONNRESET', 'ERR_SSL_BAD_RECORD', 'XX000', 'made up'])(
  'of a statement whose end nobody knows, as after %s, nothing is asked again',
  async (code) => {
    const asked: number[] = []
    const write = gatheredWrites<number, 'stored'>({
      named: 'insert into oidc_record',
      keysOf: (value) => [Buffer.from([value])],
      alone: async (value) => {
        asked.push(value)
        return 'stored'
      },
      together: () => Promise.reject(Object.assign(new Error('no answer'), { code })),
    })
    const outcomes = await Promise.allSettled([1, 2, 3].map(write))
    expect(outcomes.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected'])
    expect(asked).toEqual([])
  },
)
