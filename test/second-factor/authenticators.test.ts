import { TOTP, URI } from 'otpauth'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { VaultError } from '../../src/crypto/vault.ts'
import {
  type Authenticators,
  createAuthenticators,
} from '../../src/second-factor/authenticators.ts'
import { createBackupCodes } from '../../src/second-factor/backup-codes.ts'
import { totp, totpStep } from '../../src/second-factor/totp.ts'
import { dump, writings } from '../support/dump.ts'
import { createFactors, type Factors } from '../support/factors.ts'
import { burst } from '../support/flow.ts'

const HOLD_OFF_SECONDS = 24 * 3600
/** RFC 6238 appendix B. */
const SECRET = Buffer.from('12345678901234567890')
let factors: Factors
let apps: Authenticators

beforeAll(async () => {
  factors = await createFactors()
  apps = createAuthenticators({ ...factors, holdOffSeconds: HOLD_OFF_SECONDS, brand: 'Example' })
})
afterAll(() => factors.destroy())

const rowsOf = (accountId: string) =>
  factors.db
    .selectFrom('authenticator')
    .selectAll()
    .where('account_id', '=', accountId)
    .orderBy('created_at')
    .execute()

/** An account with an app that was proven at a step. */
async function withApp(username: string, step = 1000) {
  const account = await factors.addAccount(username)
  const app = await apps.begin(account)
  expect(await factors.run(apps.useStep(app.id, step))).toHaveLength(1)
  return { account, app }
}

describe('RFC 6238', () => {
  test.each([
    [59, '94287082'],
    [1111111109, '07081804'],
    [1111111111, '14050471'],
    [1234567890, '89005924'],
    [2000000000, '69279037'],
    [20000000000, '65353130'],
  ])('appendix B at %i', (seconds, code) => {
    expect(totp(SECRET, totpStep(seconds), 8)).toBe(code)
    const sealed = factors.vault.seal(SECRET, { column: 'authenticator.secret', row: 'one' })
    const step = Math.floor(seconds / 30)
    expect(apps.judge(sealed, 'one', code.slice(2), seconds, null)).toBe(step)
  })
})

describe('a code from an app', () => {
  const sealed = () => factors.vault.seal(SECRET, { column: 'authenticator.secret', row: 'one' })
  /** in the middle of step 50 000 */
  const NOW = 50_000 * 30 + 15
  const at = (step: number) => totp(SECRET, step, 6)
  const judge = (code: string, lastStep: string | null = null) =>
    apps.judge(sealed(), 'one', code, NOW, lastStep)

  test('is right in its step, the one before and the one after', () => {
    expect([49_998, 49_999, 50_000, 50_001, 50_002].map((step) => judge(at(step)))).toEqual([
      undefined,
      49_999,
      50_000,
      50_001,
      undefined,
    ])
  })

  test('is refused in a step that was used, and in those before', () => {
    expect([49_999, 50_000, 50_001].map((step) => judge(at(step), '50000'))).toEqual([
      undefined,
      undefined,
      50_001,
    ])
  })

  test('may have spaces or one dash', () => {
    const code = at(50_000)
    const [left, right] = [code.slice(0, 3), code.slice(3)]
    expect([judge(`${left} ${right}`), judge(` ${left}-${right} `)]).toEqual([50_000, 50_000])
  })

  test.each([
    ['nothing', () => ''],
    ['its first digit', (code: string) => code.slice(0, 1)],
    ['five of its digits', (code: string) => code.slice(0, 5)],
    ['one digit more', (code: string) => `${code}0`],
    ['a digit before', (code: string) => `0${code}`],
    ['full width', (code: string) => code.replace(/\d/g, (d) => String.fromCharCode(+d + 0xff10))],
    ['Arabic', (code: string) => code.replace(/\d/g, (d) => String.fromCharCode(+d + 0x660))],
    ['a sign', (code: string) => `+${code}`],
    ['a NUL', (code: string) => `${code}\0`],
    ['a line', (code: string) => `${code}\n`],
  ])('as %s is no code (GHSA-rmmc-8cqj-hfp3, OTP-17)', (_, change) => {
    expect(judge(change(at(50_000)))).toBeUndefined()
  })

  test('needs the secret in its own place', () => {
    expect(() => apps.judge(sealed(), 'two', at(50_000), NOW, null)).toThrow(VaultError)
  })
})

describe('adding an app', () => {
  test('shows a key that other apps read', async () => {
    const account = await factors.addAccount('anna')
    const app = await apps.begin(account)
    const read = URI.parse(app.uri)
    expect(read).toBeInstanceOf(TOTP)
    expect(read).toMatchObject({ issuer: 'Example', label: 'anna', algorithm: 'SHA1', digits: 6 })
    expect(read.secret.base32).toBe(app.secret)
    expect(read.secret.bytes).toHaveLength(20)
    expect(app.uri).toContain('period=30')
    const [row] = await rowsOf(account.id)
    const code = TOTP.generate({ secret: read.secret, timestamp: 3_000_000 })
    expect(apps.judge(row?.secret ?? Buffer.alloc(0), app.id, code, 3000, null)).toBe(100)
  })

  test.each([
    ['a:b?c&d=e#f/g%h "<é', 'a-b?c&d=e#f/g%h "<é'],
    ['😀'.repeat(128), '😀'.repeat(40)],
  ])('escapes the name %j', async (username, label) => {
    const account = await factors.addAccount(username)
    const { uri } = await apps.begin(account)
    expect(URI.parse(uri)).toMatchObject({ issuer: 'Example', label })
    expect(uri).toMatch(/^[\x21-\x7e]+$/)
  })

  test('can be looked at again, for an hour', async () => {
    const account = await factors.addAccount('bert')
    expect(await apps.pending(account)).toBeUndefined()
    const app = await apps.begin(account)
    expect(await apps.pending(account)).toEqual(app)
    expect(await apps.describe(account.id)).toBeUndefined()
    factors.moveClock(3601)
    expect(await apps.pending(account)).toBeUndefined()
    expect(await factors.run(apps.useStep(app.id, 1000))).toEqual([])
    factors.moveClock(-3601)
  })

  test('begun again has another secret, and the one before is gone', async () => {
    const account = await factors.addAccount('carl')
    const first = await apps.begin(account)
    const again = await apps.begin(account)
    expect(again.secret).not.toBe(first.secret)
    expect((await rowsOf(account.id)).map(({ id }) => id)).toEqual([again.id])
    await burst(5, () => apps.begin(account))
    expect(await rowsOf(account.id)).toHaveLength(1)
  })

  test('ends with the first right code; another app is then refused', async () => {
    const { account, app } = await withApp('dora')
    expect(await apps.describe(account.id)).toEqual({
      id: app.id,
      confirmedAt: expect.any(Date),
      held: false,
    })
    expect(await apps.pending(account)).toBeUndefined()
    await expect(apps.begin(account)).rejects.toMatchObject({ code: 'authenticator_exists' })
  })

  test('beside a phone, leads to one that is held for a day, however often it is used', async () => {
    const account = await factors.addAccount('emil')
    await factors.addPhone(account.id)
    const app = await apps.begin(account)
    await factors.run(apps.useStep(app.id, 1000))
    expect(await apps.describe(account.id)).toMatchObject({ held: true })
    await factors.run(apps.useStep(app.id, 1001))
    expect(await apps.describe(account.id)).toMatchObject({ held: true })
    factors.moveClock(HOLD_OFF_SECONDS + 1)
    expect(await apps.describe(account.id)).toMatchObject({ held: false })
    await factors.run(apps.useStep(app.id, 1002))
    expect(await apps.describe(account.id)).toMatchObject({ held: false })
    factors.moveClock(-HOLD_OFF_SECONDS - 1)
  })
})

describe('using a code', () => {
  test('works once for a step, and never for an earlier one', async () => {
    const { app } = await withApp('finn', 1000)
    const use = (step: number) => factors.run(apps.useStep(app.id, step))
    expect((await burst(20, () => use(1001))).filter((rows) => rows.length > 0)).toHaveLength(1)
    expect([await use(1001), await use(1000)]).toEqual([[], []])
    expect(await use(1002)).toHaveLength(1)
  })

  test('finds its row by index', async () => {
    expect(await factors.unindexed([apps.useStep('a', 1000)])).toEqual([])
  })
})

describe('removing an app', () => {
  test('is told of, and takes backup codes along that stand for nothing else', async () => {
    const { account } = await withApp('gina')
    const codes = createBackupCodes(factors)
    await codes.issue(account.id, { enrolling: true })
    factors.changes.length = 0
    expect(await apps.remove(account.id, { sessionUid: 'here' })).toBe(true)
    expect(factors.changes).toEqual([
      { type: 'authenticator.removed', accountId: account.id, sessionUid: 'here' },
    ])
    expect(await rowsOf(account.id)).toEqual([])
    expect(await codes.count(account.id)).toMatchObject({ total: 0 })
    expect(await apps.remove(account.id)).toBe(false)
    expect(factors.changes).toHaveLength(1)
  })

  test('leaves the codes where a phone is left', async () => {
    const { account } = await withApp('hugo')
    await factors.addPhone(account.id)
    const codes = createBackupCodes(factors)
    await codes.issue(account.id, { enrolling: true })
    await apps.remove(account.id)
    expect(await codes.count(account.id)).toMatchObject({ left: 10 })
  })

  test('is undone when what follows from it fails', async () => {
    const { account } = await withApp('ida')
    factors.failOnChange(new Error('no notice'))
    await expect(apps.remove(account.id)).rejects.toThrow('no notice')
    factors.failOnChange()
    expect(await apps.describe(account.id)).toBeDefined()
  })
})

test('a stolen dump holds no secret', async () => {
  const account = await factors.addAccount('jens')
  const { secret, uri } = await apps.begin(account)
  const bytes = Buffer.from(URI.parse(uri).secret.bytes)
  const stolen = await dump(factors.db)
  expect(stolen).toContain('jens')
  const forms = [bytes.toString('hex'), bytes.toString('base64url'), bytes.toString('latin1')]
  for (const form of [...writings(secret), ...forms]) expect(stolen.includes(form)).toBe(false)
})
