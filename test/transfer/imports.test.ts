import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { sql } from 'kysely'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { inCircumstances } from '../../src/audit/circumstances.ts'
import { readFirebaseProject } from '../../src/transfer/firebase.ts'
import type { ImportFormat } from '../../src/transfer/formats.ts'
import { createTestRooms, type TestRooms } from '../support/rooms.ts'

const FIXTURES = join(import.meta.dirname, 'fixtures')
const directory = mkdtempSync(join(tmpdir(), 'sallyport-import-'))
let rooms: TestRooms

beforeAll(async () => {
  // With hashes as they are made outside tests.
  rooms = await createTestRooms({}, {})
})
afterAll(async () => {
  await rooms.database.destroy()
  rmSync(directory, { recursive: true, force: true })
})

let files = 0
function file(content: string | Buffer): string {
  const path = join(directory, `${++files}`)
  writeFileSync(path, content)
  return path
}

interface Wanted {
  format?: ImportFormat
  dryRun?: boolean
  update?: boolean
  resume?: boolean
  onProgress?: () => void
}

async function importFile(path: string, { onProgress, ...more }: Wanted = {}, on = rooms) {
  const wanted = { format: 'csv', dryRun: false, update: false, resume: false, ...more } as const
  const job = await on.imports.importFile(path, wanted, onProgress)
  return { job, failures: await on.imports.failures(job.id, { after: 0, limit: 100 }) }
}

async function accountOf(username: string, on = rooms) {
  const account = await on.accounts.findByUsername(username)
  if (!account) throw new Error(`there is no ${username}`)
  const phones = await on.phones.list(account.id)
  return { ...account, phones: phones.map(({ number, verified }) => ({ number, verified })) }
}

async function countAccounts(): Promise<number> {
  return (await rooms.db.selectFrom('account').select('id').execute()).length
}

async function hashOf(id: string): Promise<string | null> {
  const row = await rooms.db
    .selectFrom('account')
    .select('password_hash')
    .where('id', '=', id)
    .executeTakeFirstOrThrow()
  return row.password_hash
}

async function signsIn(username: string, password: string): Promise<boolean> {
  const attempt = await rooms.accounts.authenticate(username, password)
  await attempt.conclude(attempt.account !== undefined)
  return attempt.account !== undefined
}

const BCRYPT = '$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW'

describe('a CSV file', () => {
  test('makes accounts with all that stands in it, and says what is wrong with the other rows', async () => {
    const before = await countAccounts()
    const { job, failures } = await importFile(
      file(
        [
          '\ufeffusername;email;email_verified;name;phone;phone_verified;phone2;password_hash;disabled',
          `Csv-Anna;anna@example.com;yes;"Anna ""A"" ; Berg";+46 70 123 45 01;true;+46701234502;${BCRYPT};`,
          'csv-bo;;;Bo;;;;;true',
          'CSV-ANNA;;;;;;;;',
          ';;;;;;;;',
          'csv-nomail;nobody;;;;;;;',
          'csv-landline;;;;+4681234567;;;;',
          'csv-fewcells;;;',
          'csv-flag;;perhaps;;;;;;',
          'csv-hash;;;;;;;secret-in-the-clear;',
          'csv-last;;;;;;;;',
        ].join('\r\n'),
      ),
    )
    expect(job).toMatchObject({ state: 'done', created: 3, updated: 0, failed: 7, error: null })
    expect(job.bytesDone).toBe(job.bytesTotal)
    expect(await countAccounts()).toBe(before + 3)
    expect(failures).toEqual([
      { line: 4, reason: 'There is an account of this name already.' },
      { line: 5, reason: 'There is no username.' },
      { line: 6, reason: 'An e-mail address looks like anna@example.com.' },
      { line: 7, reason: "The phone can't receive texts (landline, premium or special number)." },
      { line: 8, reason: 'The row has 4 cells, and the header 9.' },
      { line: 9, reason: 'email_verified is neither true nor false.' },
      { line: 10, reason: 'The password hash is of no kind that is known here.' },
    ])
    const anna = await accountOf('csv-anna')
    expect(anna).toMatchObject({
      username: 'Csv-Anna',
      email: 'anna@example.com',
      emailVerified: true,
      name: 'Anna "A" ; Berg',
      disabled: false,
      phones: [
        { number: '+46701234501', verified: true },
        { number: '+46701234502', verified: false },
      ],
    })
    expect(await accountOf('csv-bo')).toMatchObject({ disabled: true, email: null, phones: [] })
    const events = (await rooms.audit.history(anna.id, ['account.created', 'phone.added'], 9)).map(
      ({ type, detail }) => [type, detail.import],
    )
    expect(events.toSorted()).toEqual([
      ['account.created', job.id],
      ['phone.added', job.id],
      ['phone.added', job.id],
    ])
  })

  test('has its hashes replaced at the first right sign-in', async () => {
    const { id } = await accountOf('csv-anna')
    expect(await signsIn('csv-anna', 'U*V')).toBe(false)
    expect(await hashOf(id)).toBe(BCRYPT)
    expect(await signsIn('csv-anna', 'U*U')).toBe(true)
    expect(await hashOf(id)).toMatch(/^\$argon2id\$v=19\$m=19456,t=2,p=1\$/)
    expect(await signsIn('csv-anna', 'U*U')).toBe(true)
    expect(await signsIn('csv-anna', 'U*V')).toBe(false)
  })

  test.each([
    ['a column of roles', 'username,role\na,admin\n', 'unknown here: role'],
    ['plain passwords', 'username,password\na,b\n', 'unknown here: password'],
    ['no header', `hans,hans@example.com,${BCRYPT}\n`, 'no column username'],
    ['a column twice', 'username,email,email\n', 'a column twice'],
    ['nothing', '', 'is empty'],
    ['UTF-16', Buffer.from('\ufeffusername\na\n', 'utf16le'), 'UTF-16'],
  ])('with %s is refused as a whole', async (_what, content, why) => {
    const { job, failures } = await importFile(file(content))
    expect(job).toMatchObject({ state: 'failed', created: 0, failed: 0 })
    expect(job.error).toContain(why)
    expect(job.error).not.toContain('hans')
    expect(failures).toEqual([])
  })
})

test('a dry run says the same and writes nothing', async () => {
  const path = file('username,phone\ndry,+46701234511\ndry,\nDRY,\nwet,12\n')
  const before = await countAccounts()
  const dry = await importFile(path, { dryRun: true })
  expect(dry.job).toMatchObject({ state: 'done', dryRun: true, created: 1, failed: 3 })
  expect(await countAccounts()).toBe(before)
  const events = await rooms.db
    .selectFrom('audit_event')
    .select('detail')
    .where('type', 'like', 'import.%')
    .execute()
  expect(events.filter(({ detail }) => detail.import === dry.job.id)).toEqual([])
  const real = await importFile(path)
  expect(real.job).toMatchObject({ dryRun: false, created: 1, failed: 3 })
  expect(real.failures).toEqual(dry.failures)
})

describe('accounts that are there', () => {
  test('are written to with update alone, and never disabled or given another password', async () => {
    const { id } = await rooms.accounts.create({
      username: 'there',
      password: 'seven purple tractors',
      email: 'there@example.com',
    })
    const own = await hashOf(id)
    const row = `username,email,name,disabled,password_hash,phone\nThere,new@example.com,New,true,${BCRYPT},+46701234521\n`
    expect((await importFile(file(row))).job).toMatchObject({ created: 0, updated: 0, failed: 1 })
    expect(await accountOf('there')).toMatchObject({ email: 'there@example.com', phones: [] })
    for (const round of [1, 2]) {
      const { job } = await importFile(file(row), { update: true })
      expect(job, `round ${round}`).toMatchObject({ created: 0, updated: 1, failed: 0 })
    }
    // The address of an account in use stays: by it a password can be reset.
    expect(await accountOf('there')).toMatchObject({
      email: 'there@example.com',
      name: 'New',
      disabled: false,
      phones: [{ number: '+46701234521', verified: false }],
    })
    expect(await hashOf(id)).toBe(own)
    const types = ['account.imported', 'phone.added'] as const
    expect((await rooms.audit.history(id, types, 9)).map(({ type }) => type).toSorted()).toEqual([
      'account.imported',
      'account.imported',
      'phone.added',
    ])
  })

  test('take a newer hash as long as the older one came from elsewhere, too', async () => {
    const rows = (hash: string) => file(`username,password_hash\nrefreshed,${hash}\n`)
    await importFile(rows('$2a$04$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW'))
    const { job } = await importFile(rows(BCRYPT), { update: true })
    expect(job).toMatchObject({ updated: 1 })
    expect(await signsIn('refreshed', 'U*U')).toBe(true)
  })
})

test('a number that others have is refused where numbers are not shared', async () => {
  const strict = await createTestRooms({ PHONE_SHARING: 'refuse' })
  try {
    const path = file('username,phone\na,+46701234531\nb,+46701234531\nc,+46701234532\n')
    const first = await importFile(path, {}, strict)
    const taken = { line: 3, reason: 'Another account has this number.' }
    expect(first.job).toMatchObject({ created: 2, failed: 1 })
    expect(first.failures).toEqual([taken])
    const second = await importFile(file('username,phone\nd,+46701234532\n'), {}, strict)
    expect(second.failures).toEqual([{ ...taken, line: 2 }])
  } finally {
    await strict.database.destroy()
  }
})

describe('exports of other systems', () => {
  test('Keycloak: a realm with its users', async () => {
    const path = join(FIXTURES, 'keycloak-realm.json')
    const { job, failures } = await importFile(path, { format: 'keycloak' })
    expect(job).toMatchObject({ state: 'done', created: 2, failed: 2 })
    expect(failures.map(({ line }) => line)).toEqual([3, 4])
    expect(JSON.stringify(failures)).not.toContain('a plain password')
    expect(await accountOf('jane.doe')).toMatchObject({
      name: 'Jane Doe',
      email: 'jane@example.com',
      emailVerified: true,
      disabled: false,
      phones: [{ number: '+46701234567', verified: true }],
    })
    expect(await signsIn('jane.doe', 'secret')).toBe(true)
    expect(await accountOf('old.timer')).toMatchObject({
      emailVerified: false,
      disabled: true,
      phones: [
        { number: '+46701234568', verified: false },
        { number: '+46701234569', verified: false },
      ],
    })
    await rooms.accounts.enable((await accountOf('old.timer')).id)
    expect(await signsIn('old.timer', 'password')).toBe(true)
  })

  test('Keycloak: several realms in one, and the credentials of old', async () => {
    const old = {
      username: 'ancient',
      credentials: [
        {
          type: 'password',
          hashedSaltedValue: 'oAfF6vgs95ncksAhGXOWf4Okq7o=',
          salt: Buffer.from('seasalt').toString('base64'),
          hashIterations: 10_000,
        },
      ],
    }
    const odd = {
      username: 'odd',
      credentials: [
        {
          type: 'password',
          secretData: '{"value":"AAAA","salt":"AAAA"}',
          credentialData: '{"hashIterations":1,"algorithm":"md5"}',
        },
      ],
    }
    const path = file(
      JSON.stringify([
        { realm: 'a', users: [old] },
        { realm: 'b', users: [odd] },
      ]),
    )
    const { job, failures } = await importFile(path, { format: 'keycloak' })
    expect(job).toMatchObject({ created: 1, failed: 1 })
    expect(failures[0]?.reason).toContain('(md5)')
    expect(await signsIn('ancient', 'lètmein')).toBe(true)
  })

  test('Firebase: with the project’s parameters, whose signer key is sealed', async () => {
    const signerKey =
      'jxspr8Ki0RYycVU8zykbdLGjFQ3McFUH0uiiTvC8pVMXAn210wjLNmdZJzxUECKbm0QsEmYUSDzZvpjeJ9WmXA=='
    const firebase = readFirebaseProject(`hash_config {
  algorithm: SCRYPT,
  base64_signer_key: ${signerKey},
  base64_salt_separator: Bw==,
  rounds: 8,
  mem_cost: 14,
}`)
    const path = join(FIXTURES, 'firebase-users.json')
    const without = await importFile(path, { format: 'firebase', dryRun: true })
    expect(without.failures).toEqual([{ line: 1, reason: expect.stringContaining('parameters') }])
    const wanted = { format: 'firebase', dryRun: false, update: false, resume: false } as const
    const job = await rooms.imports.importFile(path, { ...wanted, firebase })
    expect(job).toMatchObject({ created: 2, failed: 0 })
    expect(await accountOf('bQx9EvWQlQTKSfnJ3dRSP6IH3ee7')).toMatchObject({
      phones: [{ number: '+46701234577', verified: true }],
    })
    const stored = await hashOf((await accountOf('fire@example.com')).id)
    const rows = `username,password_hash\nback,${stored}\nlost,${stored?.replace(/k=[\w-]+/, 'k=other')}\n`
    const back = await importFile(file(rows.replaceAll(/\$fire[^\n]*/g, '"$&"')))
    expect(back.failures).toEqual([{ line: 3, reason: expect.stringContaining('signer key') }])
    const key = Buffer.from(signerKey, 'base64')
    const held = await rooms.db.selectFrom('keyring').select('value').execute()
    expect(held.filter(({ value }) => value.includes(key))).toEqual([])
    const { id } = await accountOf('fire@example.com')
    expect(await hashOf(id)).not.toContain(signerKey)
    expect(await signsIn('fire@example.com', 'user1password')).toBe(true)
    expect(await hashOf(id)).toMatch(/^\$argon2id\$/)
  })

  test('JSON lines: what is not an account’s is refused, by field', async () => {
    const lines = [
      { username: 'json-a', phones: [{ number: '+46701234541', verified: true }], id: 'elsewhere' },
      { username: 'json-b', role: 'admin' },
      { email: 'json@example.com' },
      { username: 'json-c', phones: 'none' },
      ['json-d'],
    ].map((line) => JSON.stringify(line))
    const { job, failures } = await importFile(file(`${lines.join('\n')}\n\nnot json\n`), {
      format: 'jsonl',
    })
    expect(job).toMatchObject({ created: 1, failed: 5 })
    expect(failures.map(({ line }) => line)).toEqual([2, 3, 4, 5, 7])
    expect(failures[0]?.reason).toMatch(/^There is a field beside id, username/)
    const { id, phones } = await accountOf('json-a')
    expect(id).not.toBe('elsewhere')
    expect(phones).toEqual([{ number: '+46701234541', verified: true }])
  })
})

describe('an import that was broken off', () => {
  const ROWS = 1203
  const names = Array.from({ length: ROWS }, (_, row) => `resumed-${row}`)
  const content = {
    csv: `username,phone\n${names.map((name, row) => (row === 700 ? `"${name}",12` : `${name},`)).join('\n')}`,
    keycloak: JSON.stringify({
      realm: 'r',
      users: names.map((name, row) => ({
        username: `k-${name}`,
        attributes: row === 700 ? { phone: '12' } : {},
      })),
    }),
  }

  test.each(['csv', 'keycloak'] as const)('goes on where it was: %s', async (format) => {
    const path = file(content[format])
    const before = await countAccounts()
    const broken = importFile(path, {
      format,
      onProgress: () => {
        throw new Error('the process ended')
      },
    })
    await expect(broken).rejects.toThrow('the process ended')
    expect(await countAccounts()).toBe(before + 500)
    const { job, failures } = await importFile(path, { format, resume: true })
    expect(job).toMatchObject({ state: 'done', created: ROWS - 1, failed: 1 })
    expect(failures.map(({ line }) => line)).toEqual([format === 'csv' ? 702 : 701])
    expect(await countAccounts()).toBe(before + ROWS - 1)
    await expect(importFile(path, { format, resume: true })).rejects.toThrow('broken off')
  })

  test('is gone on with by one alone, of two who try', async () => {
    const path = file(content.csv.replaceAll('resumed', 'raced'))
    const before = await countAccounts()
    const onProgress = () => {
      throw new Error('the process ended')
    }
    await expect(importFile(path, { onProgress })).rejects.toThrow('the process ended')
    const both = await Promise.allSettled([1, 2].map(() => importFile(path, { resume: true })))
    expect(both.map(({ status }) => status).toSorted()).toEqual(['fulfilled', 'rejected'])
    expect(both).toContainEqual({
      status: 'fulfilled',
      value: expect.objectContaining({
        job: expect.objectContaining({ created: ROWS - 1, failed: 1 }),
      }),
    })
    expect(await countAccounts()).toBe(before + ROWS - 1)
  })
})

describe('an upload', () => {
  const text = `username\n${Array.from({ length: 600 }, (_, row) => `up-${row}`).join('\n')}\nup-0`
  const pieces = [text.slice(0, 1000), text.slice(1000)].map((piece) => Buffer.from(piece))
  const wanted = { format: 'csv', dryRun: false, update: false } as const

  test('is sealed, worked off by whoever comes first, and gone then', async () => {
    const id = await inCircumstances(
      { actor: 'admin:somebody', requestId: null, address: null },
      () => rooms.imports.begin(wanted),
    )
    await expect(rooms.imports.start(id)).rejects.toThrow('no content')
    const [first, second] = pieces
    if (!first || !second) throw new Error('two pieces are needed')
    await expect(rooms.imports.append(id, 1, second)).rejects.toThrow(
      'next piece of this import is 0',
    )
    await rooms.imports.append(id, 0, first)
    await rooms.imports.append(id, 0, first)
    await rooms.imports.append(id, 1, second)
    const chunks = await rooms.db.selectFrom('import_chunk').select('content').execute()
    expect(chunks).toHaveLength(2)
    expect(chunks.some(({ content }) => content.includes('up-1'))).toBe(false)
    expect(await rooms.imports.workOff()).toBe(false)
    await rooms.imports.start(id)
    await expect(rooms.imports.append(id, 2, first)).rejects.toThrow('no more content')
    const worked = await Promise.all([rooms.imports.workOff(), rooms.imports.workOff()])
    expect(worked.toSorted()).toEqual([false, true])
    expect(await rooms.imports.job(id)).toMatchObject({
      state: 'done',
      created: 600,
      failed: 1,
      createdBy: 'admin:somebody',
    })
    expect(await rooms.db.selectFrom('import_chunk').select('seq').execute()).toEqual([])
    const { id: accountId } = await accountOf('up-7')
    const [created] = await rooms.audit.history(accountId, ['account.created'], 1)
    expect(created?.actor).toBe('admin:somebody')
    expect((await rooms.imports.list())[0]?.id).toBe(id)
  })

  test('that is stopped is taken up by the next, and one that is cancelled by nobody', async () => {
    const id = await rooms.imports.begin({ ...wanted, dryRun: true })
    for (const [seq, piece] of pieces.entries()) await rooms.imports.append(id, seq, piece)
    await rooms.imports.start(id)
    const stopped = new AbortController()
    stopped.abort()
    expect(await rooms.imports.workOff(stopped.signal)).toBe(true)
    expect(await rooms.imports.job(id)).toMatchObject({ state: 'running' })
    expect(await rooms.imports.workOff()).toBe(true)
    expect(await rooms.imports.job(id)).toMatchObject({ state: 'done', failed: 601 })
    const other = await rooms.imports.begin(wanted)
    await rooms.imports.append(other, 0, Buffer.from('username\nnever\n'))
    await rooms.imports.start(other)
    expect(await rooms.imports.cancel(other)).toBe(true)
    expect(await rooms.imports.cancel(other)).toBe(false)
    expect(await rooms.imports.workOff()).toBe(false)
    expect(await rooms.accounts.findByUsername('never')).toBeUndefined()
  })

  test('of more than may be is refused, piece by piece and together, and so are too many', async () => {
    const id = await rooms.imports.begin(wanted)
    await expect(rooms.imports.append(id, 0, Buffer.alloc(1024 * 1024 + 1))).rejects.toThrow(
      'bytes',
    )
    await sql`update import_job set bytes_total = ${64 * 1024 * 1024 - 1} where id = ${id}`.execute(
      rooms.db,
    )
    await expect(rooms.imports.append(id, 0, Buffer.alloc(2))).rejects.toThrow('at most 67108864')
    const begun = await Promise.allSettled(
      Array.from({ length: 12 }, () => rooms.imports.begin(wanted)),
    )
    expect(begun.filter(({ status }) => status === 'fulfilled')).toHaveLength(9)
  })
})

test('imports are forgotten after a month, and content that nobody finished after a day', async () => {
  const ids = await Promise.all(
    ['done', 'done', 'uploading', 'uploading'].map(async (state, index) => {
      const id = `old-${index}`
      const days = [31, 29, 2, 0][index]
      await sql`
        insert into import_job (id, source, format, options, dry_run, state, created_by, created_at, updated_at)
        values (${id}, 'file', 'csv', '{"update":false}', true, ${state}, 'system', now(),
          now() - make_interval(days => ${days}))`.execute(rooms.db)
      await sql`insert into import_failure (job_id, line, reason) values (${id}, 1, 'why')`.execute(
        rooms.db,
      )
      return id
    }),
  )
  expect(await rooms.imports.sweep(500)).toBe(2)
  const left = await rooms.db.selectFrom('import_job').select('id').where('id', 'in', ids).execute()
  expect(left.map(({ id }) => id).toSorted()).toEqual(['old-1', 'old-3'])
  const failures = await rooms.db.selectFrom('import_failure').select('job_id').execute()
  expect(failures.filter(({ job_id }) => job_id === 'old-0')).toEqual([])
})
