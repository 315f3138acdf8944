import { sql } from 'kysely'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { inCircumstances } from '../../src/audit/circumstances.ts'
import { Refusal } from '../../src/errors.ts'
import { createBackupCodes, parseBackupCode } from '../../src/second-factor/backup-codes.ts'
import { hasBypassCode } from '../../src/second-factor/bypass-code-parts.ts'
import { type BypassCodes, createBypassCodes } from '../../src/second-factor/bypass-codes.ts'
import { createStandIns, type StandIns } from '../../src/second-factor/stand-ins.ts'
import { dump, writings } from '../support/dump.ts'
import { createFactors, type Factors } from '../support/factors.ts'
import { burst } from '../support/flow.ts'

const MINUTES = 15
let factors: Factors
let codes: BypassCodes
let consented: BypassCodes
let standIns: StandIns
let people = 0

beforeAll(async () => {
  factors = await createFactors()
  codes = createBypassCodes({ ...factors, minutes: MINUTES, consent: 'off' })
  consented = createBypassCodes({ ...factors, minutes: MINUTES, consent: 'required' })
  standIns = createStandIns({
    ...factors,
    backupCodes: createBackupCodes(factors),
    bypassCodes: codes,
  })
})
afterAll(() => factors.destroy())

/** Somebody with a phone. */
async function newcomer(): Promise<string> {
  const { id } = await factors.addAccount(`person${++people}`)
  await factors.addPhone(id)
  return id
}

const by = <T>(actor: string, work: () => Promise<T>) =>
  inCircumstances({ actor, requestId: null, address: null }, work)

/** How an attempt ended: `done`, or the code and status of its refusal. */
async function outcomeOf(work: Promise<unknown>): Promise<string> {
  try {
    await work
    return 'done'
  } catch (error) {
    if (error instanceof Refusal) return `${error.code} ${error.status}`
    throw error
  }
}

async function isUsable(accountId: string): Promise<boolean> {
  const { rows } = await sql<{ usable: boolean }>`
    select ${hasBypassCode(sql`${accountId}`, factors.clock())} as usable`.execute(factors.db)
  return rows[0]?.usable ?? false
}

/** Uses a code as a guess does. @returns whether it was good */
async function spend(accountId: string, code: string): Promise<boolean> {
  const standIn = await standIns.find(accountId, parseBackupCode(code) ?? '')
  const rows = await factors.run(standIn.spend(sql`true`))
  return standIn.factor === 'bypass-code' && rows.length === 1
}

describe('a code of the help desk', () => {
  test('looks like a backup code, is shown once, and told of', async () => {
    const id = await newcomer()
    factors.changes.length = 0
    const issued = await by('helpdesk:h1', () => codes.issue(id))
    expect(issued.code).toMatch(/^[BCDFGHJKLMNPQRSTVWXZ]{4}(-[BCDFGHJKLMNPQRSTVWXZ]{4}){3}$/)
    const listed = await codes.list(id)
    expect(listed).toEqual([
      {
        id: issued.id,
        createdAt: new Date(issued.expiresAt.getTime() - MINUTES * 60_000),
        expiresAt: issued.expiresAt,
        createdBy: 'helpdesk:h1',
        approvedBy: null,
        needsApproval: false,
      },
    ])
    const detail = { bypassCode: issued.id }
    expect(factors.changes).toEqual([{ type: 'bypass-code.issued', accountId: id, detail }])
    expect([await isUsable(id), await spend(id, issued.code)]).toEqual([true, true])
    expect([await isUsable(id), await codes.list(id)]).toEqual([false, []])
  })

  test('works once in a burst, and for its account alone', async () => {
    const [id, other] = [await newcomer(), await newcomer()]
    const { code } = await codes.issue(id)
    expect(await spend(other, code)).toBe(false)
    const good = await burst(20, () => spend(id, code))
    expect(good.filter(Boolean)).toHaveLength(1)
  })

  test('ends the one before it; of several made at once one is left', async () => {
    const id = await newcomer()
    const older = await codes.issue(id)
    const made = await burst(5, () => codes.issue(id))
    expect(await spend(id, older.code)).toBe(false)
    const [left, ...more] = await codes.list(id)
    expect(more).toEqual([])
    const good: string[] = []
    for (const each of made) if (await spend(id, each.code)) good.push(each.id)
    expect(good).toEqual([left?.id])
    expect(await factors.eventsOf(id)).toEqual(Array(5).fill('bypass-code.ended'))
  })

  test('lasts for its minutes, and is then swept away', async () => {
    const [id, later] = [await newcomer(), await newcomer()]
    const { code } = await codes.issue(id)
    factors.moveClock(MINUTES * 60 - 1)
    expect(await isUsable(id)).toBe(true)
    await codes.issue(later)
    factors.moveClock(1)
    expect([await isUsable(id), await codes.list(id), await spend(id, code)]).toEqual([
      false,
      [],
      false,
    ])
    await codes.sweep(500)
    const kept = await factors.db.selectFrom('bypass_code').select('account_id').execute()
    expect(kept.map(({ account_id }) => account_id)).toContain(later)
    expect(kept.map(({ account_id }) => account_id)).not.toContain(id)
  })

  test('is ended by hand once', async () => {
    const id = await newcomer()
    const { id: codeId, code } = await codes.issue(id)
    expect(await outcomeOf(codes.end(await newcomer(), codeId))).toBe('no_bypass_code 404')
    expect(await outcomeOf(codes.end(id, codeId))).toBe('done')
    expect(await outcomeOf(codes.end(id, codeId))).toBe('no_bypass_code 404')
    expect(await spend(id, code)).toBe(false)
    expect(await factors.eventsOf(id)).toEqual(['bypass-code.ended'])
  })

  test('isn’t made where it would let nobody in', async () => {
    const { id: bare } = await factors.addAccount('bare')
    expect(await outcomeOf(codes.issue(bare))).toBe('no_factor 409')
    const id = await newcomer()
    const { code } = await codes.issue(id)
    await sql`update account set disabled_at = now() where id = ${id}`.execute(factors.db)
    expect(await outcomeOf(codes.issue(id))).toBe('account_disabled 409')
    // What was refused changed nothing.
    expect(await spend(id, code)).toBe(true)
  })

  test('isn’t made, nor the older one ended, when what follows from it fails', async () => {
    const id = await newcomer()
    const { id: older } = await codes.issue(id)
    factors.failOnChange(new Error('no notice'))
    await expect(codes.issue(id)).rejects.toThrow('no notice')
    factors.failOnChange()
    expect((await codes.list(id)).map((each) => each.id)).toEqual([older])
  })
})

describe('a second admin’s consent', () => {
  const HELPER = 'helpdesk:h1'
  const issue = (id: string) => by(HELPER, () => consented.issue(id))
  const approve = (actor: string, id: string, codeId: string) =>
    outcomeOf(by(actor, () => consented.approve(id, codeId)))

  test('makes a code good, which counts as none until then', async () => {
    const id = await newcomer()
    const { id: codeId, code, needsApproval } = await issue(id)
    expect(needsApproval).toBe(true)
    expect([await isUsable(id), await spend(id, code)]).toEqual([false, false])
    expect(await approve('admin:a1', id, codeId)).toBe('done')
    expect(await consented.list(id)).toMatchObject([
      { createdBy: HELPER, approvedBy: 'admin:a1', needsApproval: true },
    ])
    expect([await isUsable(id), await spend(id, code)]).toEqual([true, true])
    expect(await factors.eventsOf(id)).toEqual(['bypass-code.approved'])
  })

  test('is somebody else’s: not of who made it, in whichever role, nor of whom it lets in', async () => {
    const id = await newcomer()
    const { id: codeId } = await issue(id)
    for (const actor of [HELPER, 'admin:h1', `admin:${id}`])
      expect(await approve(actor, id, codeId), actor).toBe('own_approval 403')
    expect(await isUsable(id)).toBe(false)
    const own = await by('command-line', () => consented.issue(id))
    expect(await approve('command-line', id, own.id)).toBe('own_approval 403')
    expect(await factors.eventsOf(id)).toEqual(['bypass-code.ended'])
  })

  test('is given once, also by several at once', async () => {
    const id = await newcomer()
    const { id: codeId } = await issue(id)
    const outcomes = await burst(5, (index) => approve(`admin:a${index}`, id, codeId))
    expect(outcomes.toSorted()).toEqual([...Array(4).fill('already_approved 409'), 'done'])
    expect(await factors.eventsOf(id)).toEqual(['bypass-code.approved'])
  })

  test('isn’t given to what needs none, or is gone', async () => {
    const id = await newcomer()
    const free = await codes.issue(id)
    expect(await approve('admin:a1', id, free.id)).toBe('already_approved 409')
    const replaced = await issue(id)
    const { id: codeId } = await issue(id)
    expect(await approve('admin:a1', id, replaced.id)).toBe('no_bypass_code 404')
    expect(await approve('admin:a1', await newcomer(), codeId)).toBe('no_bypass_code 404')
    factors.moveClock(MINUTES * 60)
    expect(await approve('admin:a1', id, codeId)).toBe('no_bypass_code 404')
  })
})

test('is found by index, however many there are', async () => {
  const seen = sql`select ${hasBypassCode(sql`'a'`, factors.clock())}`
  const standIn = { ...(await standIns.find('a', 'B'.repeat(16))) }
  expect(await factors.unindexed([seen, standIn.spend(sql`true`)])).toEqual([])
})

test('a stolen dump holds no code (BKP-02)', async () => {
  const id = await newcomer()
  const { code } = await codes.issue(id)
  const stolen = await dump(factors.db)
  expect(stolen).toContain(id)
  for (const writing of [code, parseBackupCode(code) ?? ''].flatMap(writings))
    expect(stolen.includes(writing)).toBe(false)
})
