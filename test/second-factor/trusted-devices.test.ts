import { setTimeout as pause } from 'node:timers/promises'
import { sql } from 'kysely'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import {
  createTrustedDevices,
  type Recognition,
  type TrustedDevices,
} from '../../src/second-factor/trusted-devices.ts'
import { dump, writings } from '../support/dump.ts'
import { createFactors, type Factors } from '../support/factors.ts'
import { burst } from '../support/flow.ts'

const DAY = 24 * 3600
const FIREFOX = 'Firefox on Windows'
const UNKNOWN = { outcome: 'unknown' }
const COPIED = { outcome: 'copied' }
let factors: Factors
let devices: TrustedDevices
let people = 0

beforeAll(async () => {
  factors = await createFactors()
  devices = withDays(30)
})
afterAll(() => factors.destroy())
beforeEach(() => {
  factors.changes.length = 0
})

const withDays = (days: number) => createTrustedDevices({ ...factors, days })

/** Someone new, whose browser is remembered. */
async function remembered(): Promise<{ id: string; token: string }> {
  const { id } = await factors.addAccount(`person${people++}`)
  return { id, token: await trust(id) }
}

/** Remembers one more browser, later than those before. */
async function trust(accountId: string): Promise<string> {
  factors.moveClock(1)
  const token = await devices.trust(accountId, FIREFOX)
  if (!token) throw new Error('no browsers are remembered')
  return token
}

/** Uses a token that must be good. */
async function use(token: string, accountId: string): Promise<string> {
  const recognition = await devices.recognise(token, accountId)
  if (recognition.outcome !== 'trusted') throw new Error(recognition.outcome)
  return recognition.token
}

/** Does work some time from now. */
async function later<T>(seconds: number, work: () => Promise<T>): Promise<T> {
  factors.moveClock(seconds)
  try {
    return await work()
  } finally {
    factors.moveClock(-seconds)
  }
}

async function waitingForLocks(): Promise<number> {
  const { rows } = await sql<{ n: number }>`
    select count(*)::int as n from pg_stat_activity
    where datname = current_database() and wait_event_type = 'Lock'`.execute(factors.db)
  return rows[0]?.n ?? 0
}

const listed = async (accountId: string) => (await devices.list(accountId)).length

describe('a remembered browser', () => {
  test('is recognised, with another token after each use (TRD-07)', async () => {
    const { id, token } = await remembered()
    expect(await devices.isTrusted(token, id)).toBe(true)
    const second = await use(token, id)
    const third = await use(second, id)
    expect(new Set([token, second, third]).size).toBe(3)
    expect(await devices.isTrusted(second, id)).toBe(false)
    expect(await devices.isTrusted(third, id)).toBe(true)
    expect(await factors.eventsOf(id)).toEqual([
      'trusted-browser.added',
      'trusted-browser.used',
      'trusted-browser.used',
    ])
  })

  test('is looked at without being used', async () => {
    const { id, token } = await remembered()
    await burst(5, () => devices.isTrusted(token, id))
    await use(token, id)
    expect(await factors.eventsOf(id)).toEqual(['trusted-browser.added', 'trusted-browser.used'])
  })

  test('is remembered for one account only (TRD-01)', async () => {
    const [mine, other] = [await remembered(), await remembered()]
    expect(await devices.isTrusted(mine.token, other.id)).toBe(false)
    expect(await devices.recognise(mine.token, other.id)).toEqual(UNKNOWN)
    await use(mine.token, mine.id)
  })

  test('is told from others by a token of 128 random bits or more (TRD-01)', async () => {
    const { id } = await factors.addAccount(`person${people++}`)
    const tokens = await burst(10, () => trust(id))
    expect(new Set(tokens).size).toBe(10)
    for (const token of tokens) {
      const [, secret = ''] = token.split('.')
      expect(Buffer.from(secret, 'base64url').length * 8).toBe(256)
    }
  })

  test.each([
    ['empty', () => ''],
    ['without its secret', (token: string) => token.split('.')[0] ?? ''],
    ['with an empty secret', (token: string) => `${token.split('.')[0]}.`],
    ['with more behind it', (token: string) => `${token}.x`],
    ['in another case', (token: string) => token.toUpperCase().replace('.', '')],
    ['with a NUL', (token: string) => `${token.slice(0, -1)}\0`],
    ['of another kind', () => 'eyJhbGciOiJub25lIn0.eyJzdWIiOiJhbm5hIn0.'],
  ])('isn’t recognised by a token %s (TRD-01)', async (_, change) => {
    const { id, token } = await remembered()
    const forged = change(token)
    expect(await devices.isTrusted(forged, id)).toBe(false)
    expect((await devices.recognise(forged, id)).outcome).not.toBe('trusted')
    await use(token, id)
  })

  test('isn’t recognised by its id with another secret (TRD-01)', async () => {
    const [mine, other] = [await remembered(), await remembered()]
    const forged = `${mine.token.split('.')[0]}.${other.token.split('.')[1]}`
    expect(await devices.isTrusted(forged, mine.id)).toBe(false)
    expect((await devices.recognise(forged, mine.id)).outcome).not.toBe('trusted')
  })
})

test.each([
  ['locked', sql`locked_until = ${'2100-01-01'}::timestamptz`],
  ['disabled', sql`disabled_at = now()`],
])(
  'an account whose codes are %s isn’t entered by a remembered browser either (TRD-08)',
  async (_, state) => {
    const { id, token } = await remembered()
    await sql`update second_factor set ${state} where account_id = ${id}`.execute(factors.db)
    expect(await devices.isTrusted(token, id)).toBe(false)
    expect(await devices.recognise(token, id)).toEqual(UNKNOWN)
    expect(await listed(id)).toBe(1)
    await sql`
    update second_factor set locked_until = null, disabled_at = null where account_id = ${id}`.execute(
      factors.db,
    )
    expect(await devices.isTrusted(token, id)).toBe(true)
    await use(token, id)
  },
)

describe('a remembered browser is forgotten', () => {
  test('after its days, however much it is used (TRD-02)', async () => {
    let { id, token } = await remembered()
    for (const days of [10, 20, 29]) token = await later(days * DAY, () => use(token, id))
    await later(30 * DAY + 1, async () => {
      expect(await devices.isTrusted(token, id)).toBe(false)
      expect(await devices.recognise(token, id)).toEqual(UNKNOWN)
      expect(await listed(id)).toBe(0)
    })
  })

  test('after 14 days without use (TRD-02)', async () => {
    let { id, token } = await remembered()
    token = await later(14 * DAY - 1, () => use(token, id))
    await later(28 * DAY, async () => {
      expect(await devices.isTrusted(token, id)).toBe(false)
      expect(await devices.recognise(token, id)).toEqual(UNKNOWN)
    })
  })

  test('after the days it was remembered for, even if more are configured since', async () => {
    const { id } = await remembered()
    const token = (await withDays(5).trust(id, FIREFOX)) ?? ''
    expect(await later(4 * DAY, () => devices.isTrusted(token, id))).toBe(true)
    expect(await later(5 * DAY, () => devices.isTrusted(token, id))).toBe(false)
  })

  test('when fewer days are configured than have passed, or none (TRD-03)', async () => {
    const { id, token } = await remembered()
    await later(5 * DAY, async () => {
      expect(await withDays(6).isTrusted(token, id)).toBe(true)
      expect(await withDays(4).isTrusted(token, id)).toBe(false)
    })
    expect(await withDays(0).recognise(token, id)).toEqual(UNKNOWN)
    expect(await withDays(0).list(id)).toEqual([])
  })

  test('by itself, and with all of the account’s, but not with another’s (TRD-03)', async () => {
    const [{ id, token }, other] = [await remembered(), await remembered()]
    const [second, third] = [await trust(id), await trust(id)]
    const [newest] = await devices.list(id)
    expect(await devices.end(other.id, newest?.id ?? '')).toBe(false)
    expect(await devices.end(id, newest?.id ?? '')).toBe(true)
    expect(await devices.end(id, newest?.id ?? '')).toBe(false)
    expect(await devices.recognise(third, id)).toEqual(UNKNOWN)
    expect(await devices.endAll(id)).toBe(2)
    for (const gone of [token, second]) expect(await devices.recognise(gone, id)).toEqual(UNKNOWN)
    const events = await factors.eventsOf(id)
    expect(events.filter((type) => type === 'trusted-browser.ended')).toHaveLength(3)
    await use(other.token, other.id)
  })

  test('in the transaction of the change it doesn’t outlive (TRD-03)', async () => {
    const { id, token } = await remembered()
    const undone = factors.db.transaction().execute(async (trx) => {
      expect(await devices.endAll(id, trx)).toBe(1)
      throw new Error('undone')
    })
    await expect(undone).rejects.toThrow('undone')
    await use(token, id)
  })

  test('when the account has twenty newer ones', async () => {
    const { id, token } = await remembered()
    await burst(20, () => trust(id))
    expect(await listed(id)).toBe(20)
    expect(await devices.recognise(token, id)).toEqual(UNKNOWN)
    expect(await factors.eventsOf(id)).toContain('trusted-browser.ended')
  })
})

describe('a token that was used already', () => {
  test('is taken for a second tab within ten seconds, and no longer (CHL-14)', async () => {
    const { id, token } = await remembered()
    const next = await use(token, id)
    expect(await later(9.9, () => devices.recognise(token, id))).toEqual(UNKNOWN)
    expect(factors.changes).toEqual([])
    expect(await devices.isTrusted(next, id)).toBe(true)
    expect(await later(10, () => devices.recognise(token, id))).toEqual(COPIED)
  })

  test('shown to many at once is good for one of them', async () => {
    const { id, token } = await remembered()
    const seen = await burst(20, () => devices.recognise(token, id))
    expect(seen.filter(({ outcome }) => outcome === 'trusted')).toHaveLength(1)
    expect(seen.filter(({ outcome }) => outcome === 'unknown')).toHaveLength(19)
    expect(await factors.eventsOf(id)).toEqual(['trusted-browser.added', 'trusted-browser.used'])
    for (const recognition of seen)
      if (recognition.outcome === 'trusted') await use(recognition.token, id)
  })

  test('is good for one even of those that were held up at the same lock', async () => {
    const { id, token } = await remembered()
    let recognitions: Promise<Recognition[]> | undefined
    await factors.db.transaction().execute(async (trx) => {
      await trx.selectFrom('trusted_device').select('id').forUpdate().execute()
      recognitions = burst(3, () => devices.recognise(token, id))
      while ((await waitingForLocks()) < 3) await pause(10)
    })
    const seen = (await recognitions) ?? []
    expect(seen.map(({ outcome }) => outcome).sort()).toEqual(['trusted', 'unknown', 'unknown'])
  })

  test('later is a copy: the browser is forgotten and its owner told, once (TRD-07)', async () => {
    const { id, token } = await remembered()
    const next = await use(token, id)
    await later(60, async () => {
      expect(await devices.recognise(token, id)).toEqual(COPIED)
      expect(await devices.recognise(next, id)).toEqual(UNKNOWN)
      expect(await devices.recognise(token, id)).toEqual(UNKNOWN)
    })
    expect(factors.changes).toEqual([{ type: 'trusted-browser.copied', accountId: id }])
  })

  test('is a copy also when others were used since, as by a thief (TRD-07)', async () => {
    const { id, token } = await remembered()
    let stolen = token
    for (let n = 0; n < 3; n++) stolen = await use(stolen, id)
    expect(await later(60, () => devices.recognise(token, id))).toEqual(COPIED)
    expect(await devices.recognise(stolen, id)).toEqual(UNKNOWN)
  })

  test('is told of once when it comes many times at once', async () => {
    const { id, token } = await remembered()
    await use(token, id)
    await later(60, () => burst(10, () => devices.recognise(token, id)))
    expect(factors.changes).toHaveLength(1)
  })

  test('is no way in when what follows from it fails, and is found out again', async () => {
    const { id, token } = await remembered()
    await use(token, id)
    await later(60, async () => {
      factors.failOnChange(new Error('no notice'))
      await expect(devices.recognise(token, id)).rejects.toThrow('no notice')
      factors.failOnChange()
      expect(await devices.recognise(token, id)).toEqual(COPIED)
    })
  })
})

test('nothing is remembered where it isn’t offered (TRD-04)', async () => {
  const { id } = await factors.addAccount(`person${people++}`)
  expect([withDays(0).offered, withDays(1).offered]).toEqual([false, true])
  expect(await withDays(0).trust(id, FIREFOX)).toBeUndefined()
  expect(await listed(id)).toBe(0)
})

test('a list tells what they are and how long they are remembered', async () => {
  const { id, token } = await remembered()
  const other = await devices.trust(id, 'Safari on iOS')
  await later(20, () => use(token, id))
  expect(other).toBeDefined()
  const list = await devices.list(id)
  expect(list.map(({ browser }) => browser)).toEqual([FIREFOX, 'Safari on iOS'])
  for (const { usedAt, createdAt, expiresAt } of list) {
    expect(createdAt <= usedAt).toBe(true)
    expect(expiresAt.getTime() - usedAt.getTime()).toBe(14 * DAY * 1000)
  }
})

test('sweeping takes those past their days, in batches, and no others', async () => {
  const { id, token } = await remembered()
  await sql`
    insert into trusted_device (id, account_id, token_hash, browser, created_at, rotated_at, expires_at)
    select 'old' || i, ${id}, sha256(int4send(i)), 'x', ${factors.clock()}, ${factors.clock()}, ${factors.clock()}
    from generate_series(1, 12) i`.execute(factors.db)
  expect([await devices.sweep(10), await devices.sweep(10), await devices.sweep(10)]).toEqual([
    10, 2, 0,
  ])
  await use(token, id)
})

test('every statement finds its rows by index', async () => {
  const { db } = factors
  const { id, token } = await remembered()
  const sent: Array<ReturnType<typeof sql>> = []
  const watched = createTrustedDevices({
    ...factors,
    days: 30,
    db: db.withPlugin({
      transformQuery({ node }) {
        sent.push(sql`${{ toOperationNode: () => node }}`)
        return node
      },
      transformResult: async ({ result }) => result,
    }),
  })
  await watched.isTrusted(token, id)
  await watched.recognise(token, id)
  await watched.list(id)
  await watched.end(id, 'none')
  await watched.trust(id, FIREFOX)
  await watched.endAll(id)
  await watched.sweep(10)
  expect(sent.length).toBeGreaterThanOrEqual(7)
  expect(await factors.unindexed(sent)).toEqual([])
})

test('a stolen dump holds no token', async () => {
  const { id, token } = await remembered()
  const next = await use(token, id)
  const stolen = await dump(factors.db)
  expect(stolen).toContain(FIREFOX)
  for (const each of [token, next])
    for (const part of [each, each.split('.')[1] ?? ''])
      for (const writing of writings(part)) expect(stolen.includes(writing)).toBe(false)
})
