import { sql } from 'kysely'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  type BackupCodes,
  createBackupCodes,
  parseBackupCode,
  randomBackupCode,
} from '../../src/second-factor/backup-codes.ts'
import { dump, writings } from '../support/dump.ts'
import { createFactors, type Factors } from '../support/factors.ts'
import { burst } from '../support/flow.ts'

const ALWAYS = sql`true`
let factors: Factors
let codes: BackupCodes

beforeAll(async () => {
  factors = await createFactors()
  codes = createBackupCodes(factors)
})
afterAll(() => factors.destroy())

async function spend(accountId: string, code: string, condition = ALWAYS): Promise<number> {
  const bare = codes.parse(code)
  if (!bare) throw new Error('not a code')
  return (await factors.run(codes.spend(accountId, codes.hash(accountId, bare), condition))).length
}

describe('a backup code', () => {
  test('has 64 bits or more, of letters that look like nothing else (BKP-01)', () => {
    const made = Array.from({ length: 100_000 }, randomBackupCode)
    expect(new Set(made).size).toBe(made.length)
    expect(new Set(made.map((code) => code.length))).toEqual(new Set([16]))
    const letters = new Set(made.flatMap((code) => [...code]))
    expect(16 * Math.log2(letters.size)).toBeGreaterThan(64)
    for (const lookAlike of ['0OQ', '1IL', '2Z', '5S', '6G', '8B', 'UV'])
      expect([...lookAlike].filter((one) => letters.has(one)).length).toBeLessThanOrEqual(1)
  })

  test.each([
    'BCDF-GHJK-LMNP-QRST',
    'bcdf-ghjk-lmnp-qrst',
    'BCDF GHJK LMNP QRST',
    '  bcdfghjklmnpqrst\t',
    'BcDf–GhJk—LmNp‑QrSt',
  ])('may be typed as %j (BKP-09)', (input) => {
    expect(parseBackupCode(input)).toBe('BCDFGHJKLMNPQRST')
  })

  test.each([
    '',
    'BCDF-GHJK-LMNP-QRS',
    'BCDF-GHJK-LMNP-QRSTV',
    'BCDF-GHJK-LMNP-QRSA',
    'BCDF-GHJK-LMNP-QRS5',
    'BCDF-GHJK-LMNP-QRſT',
    'BCDF-GHJ\u212A-LMNP-QRST',
    'ВCDF-GHJK-LMNP-QRST',
    'ＢＣＤＦ-ＧＨＪＫ-ＬＭＮＰ-ＱＲＳＴ',
    'BCDF-GHJK-LMNP-QRST\0',
    'BCDF_GHJK_LMNP_QRST',
    `BCDF-GHJK-LMNP-QRST${' '.repeat(100)}`,
    '123456',
  ])('is not %j', (input) => {
    expect(parseBackupCode(input)).toBeUndefined()
  })
})

describe('the codes of an account', () => {
  test('are ten, shown in groups of four, and counted', async () => {
    const { id } = await factors.addAccount('anna')
    expect(await codes.count(id)).toEqual({ left: 0, total: 0, createdAt: null })
    const issued = await codes.issue(id)
    expect(issued).toHaveLength(10)
    for (const code of issued)
      expect(code).toMatch(/^[BCDFGHJKLMNPQRSTVWXZ]{4}(-[BCDFGHJKLMNPQRSTVWXZ]{4}){3}$/)
    await spend(id, issued[0] ?? '')
    expect(await codes.count(id)).toEqual({ left: 9, total: 10, createdAt: expect.any(Date) })
  })

  test('are replaced as a whole, used or not (BKP-05, BKP-06)', async () => {
    const { id } = await factors.addAccount('bert')
    const [used = '', unused = ''] = await codes.issue(id)
    expect(await spend(id, used)).toBe(1)
    const [fresh = ''] = await codes.issue(id)
    expect(await codes.count(id)).toMatchObject({ left: 10, total: 10 })
    expect([await spend(id, used), await spend(id, unused), await spend(id, fresh)]).toEqual([
      0, 0, 1,
    ])
  })

  test('made at the same time leave ten, all of one set', async () => {
    const { id } = await factors.addAccount('carl')
    const sets = await burst(5, () => codes.issue(id))
    expect(await codes.count(id)).toMatchObject({ left: 10, total: 10 })
    const good = await Promise.all(sets.map(([first = '']) => spend(id, first)))
    expect(good.filter((rows) => rows === 1)).toHaveLength(1)
  })

  test('are told of when they change, and only recorded when they are the first', async () => {
    const { id } = await factors.addAccount('dora')
    factors.changes.length = 0
    await codes.issue(id, { enrolling: true })
    expect(factors.changes).toEqual([])
    expect(await factors.eventsOf(id)).toEqual(['backup-codes.issued'])
    await codes.issue(id, { sessionUid: 'here' })
    expect(factors.changes).toEqual([
      { type: 'backup-codes.issued', accountId: id, sessionUid: 'here' },
    ])
  })

  test('stay as they were when what follows from a change fails', async () => {
    const { id } = await factors.addAccount('emil')
    const [old = ''] = await codes.issue(id)
    factors.failOnChange(new Error('no notice'))
    await expect(codes.issue(id)).rejects.toThrow('no notice')
    factors.failOnChange()
    expect(await spend(id, old)).toBe(1)
  })

  test('belong to the transaction they are made in', async () => {
    const { id } = await factors.addAccount('finn')
    const undone = factors.db.transaction().execute(async (trx) => {
      await codes.issue(id, { on: trx })
      throw new Error('undone')
    })
    await expect(undone).rejects.toThrow('undone')
    expect(await codes.count(id)).toMatchObject({ total: 0 })
  })
})

describe('using a code', () => {
  test('works once (BKP-03)', async () => {
    const { id } = await factors.addAccount('gina')
    const [code = ''] = await codes.issue(id)
    expect([await spend(id, code), await spend(id, code)]).toEqual([1, 0])
  })

  test('works once in a burst (BKP-03)', async () => {
    const { id } = await factors.addAccount('hugo')
    const [code = ''] = await codes.issue(id)
    const rows = await burst(20, () => spend(id, code))
    expect(rows.filter((count) => count === 1)).toHaveLength(1)
    expect(await codes.count(id)).toMatchObject({ left: 9 })
  })

  test('needs the account it was made for', async () => {
    const [{ id }, other] = [await factors.addAccount('ida'), await factors.addAccount('jens')]
    const [code = ''] = await codes.issue(id)
    await codes.issue(other.id)
    expect(await spend(other.id, code)).toBe(0)
    const hash = codes.hash(id, codes.parse(code) ?? '')
    expect(await factors.run(codes.spend(other.id, hash, ALWAYS))).toEqual([])
    expect(await spend(id, code)).toBe(1)
  })

  test('uses nothing up where another condition fails', async () => {
    const { id } = await factors.addAccount('karl')
    const [code = ''] = await codes.issue(id)
    expect(await spend(id, code, sql`false`)).toBe(0)
    expect(await spend(id, code)).toBe(1)
  })

  test('looks one row up, by index, however many codes there are (BKP-08)', async () => {
    expect(
      await factors.unindexed([codes.spend('a', codes.hash('a', 'B'.repeat(16)), ALWAYS)]),
    ).toEqual([])
  })
})

test('a stolen dump holds no code (BKP-02)', async () => {
  const { id } = await factors.addAccount('lena')
  const issued = await codes.issue(id)
  const stolen = await dump(factors.db)
  expect(stolen).toContain('lena')
  for (const code of issued)
    for (const writing of [code, parseBackupCode(code) ?? ''].flatMap(writings))
      expect(stolen.includes(writing)).toBe(false)
})
