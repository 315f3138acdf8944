import { randomBytes } from 'node:crypto'
import { sql } from 'kysely'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createAccounts } from '../../src/accounts/accounts.ts'
import { createLinks } from '../../src/accounts/links.ts'
import { createPasswordQuality } from '../../src/accounts/password-quality.ts'
import { createPasswords } from '../../src/accounts/passwords.ts'
import { createThrottle } from '../../src/accounts/throttle.ts'
import type { SecurityChange } from '../../src/audit/change.ts'
import { createFingerprints } from '../../src/crypto/fingerprints.ts'
import { secondFactorState } from '../../src/second-factor/enrolled.ts'
import { movedClock } from '../support/clock.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { burst } from '../support/flow.ts'
import { LEAST_COST } from '../support/hash-cost.ts'
import { PASSWORD } from '../support/house.ts'

const WRONG = 'not the password at all'
const TRIES = 10

let database: TestDatabase
let accounts: ReturnType<typeof createAccounts>
const changes: SecurityChange[] = []
let seconds = 0
const clock = movedClock(() => seconds)

beforeAll(async () => {
  database = await createTestDatabase()
  const { db } = database
  accounts = createAccounts({
    db,
    clock,
    // As cheap as it gets: what is tested is what stands around it.
    passwords: createPasswords(LEAST_COST),
    quality: createPasswordQuality({ brand: 'Sallyport' }),
    throttle: createThrottle({ db, clock }),
    fingerprint: createFingerprints(randomBytes(32)),
    links: createLinks({ db, clock }),
    onChange: async (_on, change) => {
      changes.push(change)
    },
    secondFactorOf: secondFactorState(clock),
  })
})
afterAll(() => database.destroy())

async function tryPassword(name: string, password: string, language?: string) {
  const attempt = await accounts.authenticate(name, password)
  await attempt.conclude(attempt.account !== undefined, language)
  return attempt.account !== undefined
}

let seen = 0
/** The events since it was last asked. */
async function newEvents() {
  const rows = await database.db
    .selectFrom('audit_event')
    .select([sql<number>`id::int`.as('id'), 'type', 'account_id', 'detail'])
    .where('id', '>', String(seen))
    .orderBy('id')
    .execute()
  seen = rows.at(-1)?.id ?? seen
  return rows.map(({ type, account_id, detail }) => [type, account_id, detail])
}

describe('a try at the login page', () => {
  test('is recorded: right, wrong, and for nobody without a name', async () => {
    const { id } = await accounts.create({ username: 'anna', password: PASSWORD })
    expect(await newEvents()).toEqual([['account.created', id, {}]])
    await tryPassword('anna', WRONG)
    await tryPassword('nobody-at-all', WRONG)
    await tryPassword('Anna', PASSWORD)
    expect(await newEvents()).toEqual([
      ['password.wrong', id, {}],
      ['password.wrong', null, {}],
      ['password.right', id, {}],
    ])
  })

  test('that was right but may not go on is not called wrong', async () => {
    const { id } = await accounts.create({ username: 'held', password: PASSWORD })
    await newEvents()
    const { conclude } = await accounts.authenticate('held', PASSWORD)
    await conclude(false)
    expect(await newEvents()).toEqual([['password.right', id, { refused: true }]])
  })

  test.each(['known', 'unknown'])(
    'tells once that a name is locked, and leaves no trace while it is: %s',
    async (name) => {
      const made =
        name === 'known' ? await accounts.create({ username: name, password: PASSWORD }) : null
      const id = made?.id ?? null
      await newEvents()
      for (let i = 0; i < TRIES + 5; i++) await tryPassword(name, WRONG)
      const wrong = Array.from({ length: TRIES }, () => ['password.wrong', id, {}])
      const events = await newEvents()
      expect(events.toSorted()).toEqual([...wrong, ['password.locked', id, {}]].toSorted())
      seconds += 61
      await tryPassword(name, WRONG)
      expect((await newEvents()).map(([type]) => type).toSorted()).toEqual([
        'password.locked',
        'password.wrong',
      ])
    },
  )

  test('tells once of a lock that many at once brought about', async () => {
    await accounts.create({ username: 'burst', password: PASSWORD })
    await newEvents()
    await burst(30, () => tryPassword('burst', WRONG))
    const types = (await newEvents()).map(([type]) => type)
    expect(types.filter((type) => type === 'password.locked')).toHaveLength(1)
    expect(types.filter((type) => type === 'password.wrong')).toHaveLength(TRIES)
  })

  test('that is right as the last one before the lock tells of none', async () => {
    await accounts.create({ username: 'close', password: PASSWORD })
    await newEvents()
    for (let i = 0; i < TRIES - 1; i++) await tryPassword('close', WRONG)
    expect(await tryPassword('close', PASSWORD)).toBe(true)
    const types = (await newEvents()).map(([type]) => type)
    expect(types).not.toContain('password.locked')
    expect(types.at(-1)).toBe('password.right')
    expect(await tryPassword('close', PASSWORD)).toBe(true)
  })

  test('that is right is let in, however many come at once, and none of them stays counted', async () => {
    await accounts.create({ username: 'crowd', password: PASSWORD })
    await database.db.deleteFrom('sign_in_attempt').execute()
    const tries = await burst(60, (i) => tryPassword('crowd', PASSWORD, i % 2 ? 'da' : 'fr'))
    expect(new Set(tries)).toEqual(new Set([true]))
    expect(await database.db.selectFrom('sign_in_attempt').selectAll().execute()).toEqual([])
  })

  test('keeps the language of the pages, when there is one', async () => {
    const { id } = await accounts.create({ username: 'polyglot', password: PASSWORD })
    const language = async () => {
      const row = await database.db
        .selectFrom('account')
        .select('language')
        .where('id', '=', id)
        .executeTakeFirstOrThrow()
      return row.language
    }
    await tryPassword('polyglot', PASSWORD)
    expect(await language()).toBeNull()
    await tryPassword('polyglot', PASSWORD, 'da')
    expect(await language()).toBe('da')
    await tryPassword('polyglot', WRONG, 'fr')
    await tryPassword('polyglot', PASSWORD)
    expect(await language()).toBe('da')
  })
})

describe('wrong passwords', () => {
  const inKnown = (name: string) => accounts.authenticate(name, PASSWORD, 'a known browser')

  test('are forgotten in every browser at once, and no other name’s', async () => {
    for (const name of ['several', 'beside']) {
      await accounts.create({ username: name, password: PASSWORD })
      for (let i = 0; i < TRIES; i++) {
        await tryPassword(name, WRONG)
        const attempt = await accounts.authenticate(name, WRONG, 'a known browser')
        await attempt.conclude(false)
      }
      expect(await inKnown(name)).toMatchObject({ account: undefined, judged: false })
    }
    expect(await accounts.forgetTries(database.db, 'SEVERAL')).toBe(true)
    expect(await accounts.forgetTries(database.db, 'several')).toBe(false)
    expect(await inKnown('several')).toMatchObject({ account: {}, judged: true })
    expect(await tryPassword('several', PASSWORD)).toBe(true)
    expect(await inKnown('beside')).toMatchObject({ judged: false })
    expect(await tryPassword('beside', PASSWORD)).toBe(false)
  })
})

describe('what is done to an account', () => {
  test('is told of once, in its transaction', async () => {
    const { id } = await accounts.create({ username: 'state', password: PASSWORD })
    changes.length = 0
    expect(await burst(3, () => accounts.disable(id))).toEqual(expect.arrayContaining([true]))
    expect(changes).toEqual([{ type: 'account.disabled', accountId: id }])
    expect(await tryPassword('state', PASSWORD)).toBe(false)
    expect(await accounts.enable(id)).toBe(true)
    expect(await accounts.enable(id)).toBe(false)
    expect(changes.at(-1)).toEqual({ type: 'account.enabled', accountId: id })
    expect(await tryPassword('state', PASSWORD)).toBe(true)
    expect(await accounts.remove(id)).toBe(true)
    expect(await accounts.remove(id)).toBe(false)
    expect(changes.at(-1)).toEqual({ type: 'account.deleted', accountId: id })
    expect(changes).toHaveLength(3)
  })

  test('a password is changed, or said to be weak; nobody’s is nobody’s', async () => {
    const { id } = await accounts.create({ username: 'changer', password: PASSWORD })
    changes.length = 0
    const how = { how: 'changed', sessionUid: 'a session' } as const
    expect(await accounts.setPassword(id, 'changer1', how)).toMatchObject({ fault: 'about-you' })
    expect(changes).toEqual([])
    expect(await tryPassword('changer', PASSWORD)).toBe(true)
    expect(await accounts.setPassword(id, 'seven purple tractors', how)).toMatchObject({ ok: true })
    expect(changes).toEqual([{ type: 'password.changed', accountId: id, sessionUid: 'a session' }])
    expect(await tryPassword('changer', PASSWORD)).toBe(false)
    expect(await tryPassword('changer', 'seven purple tractors')).toBe(true)
    const late = { ...how, instead: 'the hash of another' }
    expect(await accounts.setPassword(id, PASSWORD, late)).toEqual({ ok: false, fault: 'replaced' })
    expect(changes).toHaveLength(1)
    await accounts.disable(id)
    for (const whose of [id, 'no such id'])
      await expect(accounts.setPassword(whose, PASSWORD, how)).rejects.toThrow('no such account')
  })
})
