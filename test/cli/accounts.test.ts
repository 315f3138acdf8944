import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { createPlace, type Place } from './command-line.ts'

let database: TestDatabase
let place: Place
let cli: Place['cli']
let json: Place['json']

beforeAll(async () => {
  database = await createTestDatabase()
  place = createPlace(database.url)
  ;({ cli, json } = place)
})

afterAll(async () => {
  place.remove()
  await database.destroy()
})

const PASSWORD = 'correct horse battery'

function create(username: string, ...more: string[]) {
  return json(['account', 'create', '--username', username, '--password-stdin', ...more], PASSWORD)
}

describe.concurrent('account create', { timeout: 90_000 }, () => {
  test('prints id, username and phones, and show has the whole', async () => {
    const made = await create(
      'Anna',
      ...['--email', 'anna@example.com', '--name', 'Anna Ørsted'],
      ...['--phone', '+45 20 12 34 56', '--phone-verified'],
    )
    const phone = { id: expect.any(String), number: '+4520123456', verified: true, primary: true }
    expect(made).toEqual({ id: expect.any(String), username: 'Anna', phones: [phone] })
    expect(await json(['account', 'show', 'ANNA'])).toEqual({
      ...made,
      name: 'Anna Ørsted',
      email: 'anna@example.com',
      emailVerified: false,
      role: null,
      disabled: false,
    })
    const { out } = await cli(['account', 'show', 'anna'])
    expect(out).toMatch(/^username {2}Anna$/m)
    expect(out).toMatch(/^phones {4}\+4520123456 \(verified, primary\)$/m)
    expect(out).not.toMatch(/argon2/)
  })

  test('takes one newline off the password and nothing else', async () => {
    const args = ['account', 'create', '--password-stdin', '--username']
    let made = 0
    const eight = (input: string) => cli([...args, `n${++made}`], input)
    const [exact, oneNewline, twoNewlines, spaces, crlf] = await Promise.all([
      eight('k3mf9wq\n'),
      eight('k3mf9wqa\n'),
      eight('k3mf9wq\n\n'),
      eight('   k3m9 \n'),
      eight('k3mf9wq\r\n'),
    ])
    expect(exact).toMatchObject({ code: 1, err: expect.stringContaining('8 to 256') })
    expect([oneNewline.code, twoNewlines.code, spaces.code, crlf.code]).toEqual([0, 0, 0, 1])
  })

  test('refuses bad values with a sentence and leaves nothing behind', async () => {
    const args = ['account', 'create', '--username', 'bad', '--password-stdin']
    const refused = await Promise.all([
      cli(args, 'short'),
      cli(args, 'x'.repeat(257)),
      cli(args, 'x'.repeat(100_000)),
      cli(args, ''),
      cli(args, 'P@ssw0rd'),
      cli(args, 'bad-2024'),
      cli(args, Buffer.from([0xff, 0xfe, 1, 2, 3, 4, 5, 6, 7, 8])),
      cli([...args, '--email', 'not an address'], PASSWORD),
      cli([...args, '--phone', '+19005551234'], PASSWORD),
    ])
    const sentences = [
      'A password has from 8 to 256 characters; this one is too short.\n',
      'A password has from 8 to 256 characters; this one is too long.\n',
      'A password has from 8 to 256 characters; this one is too long.\n',
      'A password has from 8 to 256 characters; this one is too short.\n',
      expect.stringContaining('on the lists of those that were stolen'),
      expect.stringContaining('made of your name'),
      'The password on standard input is not UTF-8 text.\n',
      'An e-mail address looks like anna@example.com.\n',
      "+19005551234 can't receive texts (landline, premium or special number).\n",
    ]
    expect(refused).toEqual(sentences.map((err) => ({ code: 1, out: '', err })))
    expect(await cli(['account', 'show', 'bad'])).toEqual({
      code: 1,
      out: '',
      err: 'There is no account bad.\n',
    })
  })

  test('refuses a second account of the same name', async () => {
    await create('double')
    const args = ['account', 'create', '--username', ' DOUBLE', '--password-stdin']
    const again = await cli([...args, '--phone', '+4520999999'], PASSWORD)
    expect(again).toEqual({ code: 1, out: '', err: 'There is an account DOUBLE already.\n' })
    expect(await json(['phone', 'list', 'double'])).toEqual([])
  })
})

describe.concurrent('account list', { timeout: 90_000 }, () => {
  test('lists all or those that match, and says when it is cut short', async () => {
    const crowd = await createTestDatabase()
    const there = createPlace(crowd.url)
    try {
      expect(await there.json(['account', 'list'])).toEqual([])
      expect((await there.cli(['account', 'list'])).out).toBe('No accounts.\n')
      await crowd.db
        .insertInto('account')
        .values(
          Array.from({ length: 1001 }, (_, i) => ({
            id: `id-${i}`,
            username: `user${i}`,
            username_key: `user${i}`,
            name: i === 7 ? 'Bell\u0007\u001b[31m' : null,
          })),
        )
        .execute()
      const all = await there.cli(['account', 'list', '--json'])
      expect(JSON.parse(all.out)).toHaveLength(1000)
      expect(all).toMatchObject({ code: 0, err: expect.stringContaining('first 1000') })
      const some = await there.cli(['account', 'list', '--query', 'USER99', '--json'])
      expect(JSON.parse(some.out)).toHaveLength(11)
      expect(some.err).toBe('')
      const bell = await there.cli(['account', 'list', '--query', 'bell'])
      expect(bell.out).toBe(
        'username  name        e-mail  role  disabled  id\nuser7     Bell\uFFFD\uFFFD[31m  -       -     no        id-7\n',
      )
    } finally {
      there.remove()
      await crowd.destroy()
    }
  })
})

describe.concurrent('phone', { timeout: 90_000 }, () => {
  test('reads every spelling as one number', async () => {
    await create('spelling')
    const first = await json(['phone', 'add', 'spelling', '+45 20-65 43 21', '--verified'])
    expect(first).toEqual({
      id: expect.any(String),
      number: '+4520654321',
      verified: true,
      primary: true,
    })
    const again = await Promise.all([
      cli(['phone', 'add', 'spelling', '+4520654321']),
      cli(['phone', 'add', 'spelling', ' +45 (20) 65.43.21 ']),
      cli(['phone', 'add', 'spelling', '20 65 43 21'], '', { DEFAULT_COUNTRY: 'DK' }),
    ])
    for (const { code, err } of again) {
      expect({ code, err }).toEqual({ code: 1, err: expect.stringContaining('already') })
    }
    expect(await json(['phone', 'list', 'spelling'])).toEqual([first])
    const { rows } = await countPhones('spelling')
    expect(rows).toBe(1)
  })

  test('refuses numbers that texts should not go to, in words', async () => {
    await create('refused')
    const add = (number: string, env = {}) => cli(['phone', 'add', 'refused', number], '', env)
    const notTextable = "can't receive texts (landline, premium or special number)."
    const refused = await Promise.all([
      add('+979123456789'),
      add('+19002345678'),
      add('+442079460958'),
      add('+881612345678'),
      add('+4520123456', { SMS_ALLOWED_COUNTRIES: 'SE,NO' }),
      add('20123456'),
      add('hello'),
    ])
    expect(refused.map(({ err }) => err.trim())).toEqual([
      `+979123456789 ${notTextable}`,
      `+19002345678 ${notTextable}`,
      `+442079460958 ${notTextable}`,
      expect.stringMatching(/^\+881612345678 belongs to no country/),
      "+4520123456 is in a country that SMS_ALLOWED_COUNTRIES doesn't allow.",
      expect.stringMatching(/^20123456 is not a phone number\./),
      expect.stringMatching(/^hello is not a phone number\./),
    ])
    expect(refused.map(({ code, out }) => ({ code, out }))).toEqual(
      refused.map(() => ({ code: 1, out: '' })),
    )
    expect((await cli(['phone', 'list', 'refused'])).out).toBe('No phones.\n')
  })

  test('is removed in any spelling, also once its country is no longer allowed', async () => {
    await create('removal', '--phone', '+4520111111')
    const second = await json(['phone', 'add', 'removal', '+46701234567'])
    expect(second).toMatchObject({ verified: false, primary: false })
    const { out } = await cli(['phone', 'list', 'removal'])
    expect(out).toMatch(/^number {8}verified {2}primary {2}id\n\+4520111111 {3}no {8}yes {6}\S+\n/)
    const args = ['phone', 'remove', 'removal', '+45 20 11 11 11', '--json']
    const gone = await cli(args, '', { SMS_ALLOWED_COUNTRIES: 'SE' })
    expect(gone.code).toBe(0)
    expect(JSON.parse(gone.out)).toMatchObject({ number: '+4520111111', primary: true })
    expect(await json(['phone', 'list', 'removal'])).toEqual([{ ...second, primary: true }])
    expect(await cli(args)).toEqual({
      code: 1,
      out: '',
      err: 'removal has no phone +45 20 11 11 11.\n',
    })
  })

  test('of an account that is not there is refused', async () => {
    const err = 'There is no account nobody.\n'
    const answers = await Promise.all([
      cli(['phone', 'list', 'nobody']),
      cli(['phone', 'add', 'nobody', '+4520123456']),
      cli(['phone', 'remove', 'nobody', '+4520123456']),
    ])
    expect(answers).toEqual(answers.map(() => ({ code: 1, out: '', err })))
  })
})

async function countPhones(username: string): Promise<{ rows: number }> {
  const found = await database.db
    .selectFrom('phone')
    .innerJoin('account', 'account.id', 'phone.account_id')
    .select('phone.id')
    .where('account.username', '=', username)
    .execute()
  return { rows: found.length }
}

test('account unlock takes codes again, and says so when they were off for good', async () => {
  const { id } = await create('locked', '--phone', '+4520123499')
  await database.db
    .updateTable('second_factor')
    .set({ failures: 100, locked_until: new Date(Date.now() + 60_000), disabled_at: new Date() })
    .where('account_id', '=', String(id))
    .execute()
  const first = await cli(['account', 'unlock', 'Locked', '--json'])
  expect(JSON.parse(first.out)).toMatchObject({ id, username: 'locked' })
  expect(first.err).toContain('hundred wrong codes')
  const row = await database.db
    .selectFrom('second_factor')
    .selectAll()
    .where('account_id', '=', String(id))
    .executeTakeFirst()
  expect(row).toMatchObject({ failures: 0, locked_until: null, disabled_at: null })
  expect((await cli(['account', 'unlock', 'Locked'])).err).toBe('')
  expect((await cli(['account', 'unlock', 'nobody'])).code).toBe(1)
})
