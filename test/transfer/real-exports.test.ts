import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { up as repairImported } from '../../migrations/0016-imported-factors.ts'
import type { ImportFormat } from '../../src/transfer/formats.ts'
import { claimsOf, createFlow, type Flow } from '../support/flow.ts'
import { type House, startHouse } from '../support/house.ts'

const FIXTURES = join(import.meta.dirname, 'fixtures')
let house: House
let app: { id: string; secret: string }

beforeAll(async () => {
  house = await startHouse()
  // It asks those for a second factor who have one, so that a number that was lost on the way would be missed.
  app = await house.addClient('app', { secondFactor: 'optional' })
})
afterAll(() => house.stop())

async function importFixture(name: string, format: ImportFormat, update = false) {
  const wanted = { format, dryRun: false, update, resume: false }
  const job = await house.rooms.imports.importFile(join(FIXTURES, name), wanted)
  return { job, failures: await house.rooms.imports.failures(job.id, { after: 0, limit: 100 }) }
}

async function imported(username: string) {
  const account = await house.rooms.accounts.findByUsername(username)
  if (!account) throw new Error(`there is no ${username}`)
  const phones = await house.rooms.phones.list(account.id)
  return { ...account, phones: phones.map(({ number, verified }) => ({ number, verified })) }
}

/** Types the password on the page; `status` is 303 when it was right. */
async function typePassword(username: string, password: string) {
  const flow = createFlow(house, { client: app })
  await flow.begin({ scope: 'openid' })
  return { flow, answer: await flow.password(username, password) }
}

async function claimsAfter(flow: Flow, code: string) {
  const query = await flow.resume(await flow.code(code))
  const { body } = await flow.redeem(query.get('code') ?? '')
  return claimsOf(body)
}

describe('a realm that Keycloak exported', () => {
  test('is imported with all of its people, and nobody else', async () => {
    const { job, failures } = await importFixture('keycloak-26/realm.json', 'keycloak')
    expect(job).toMatchObject({ state: 'done', created: 8, failed: 1, error: null })
    expect(failures).toEqual([{ line: 9, reason: "This is a client's service account, nobody's." }])
    expect(await imported('anna.berg')).toMatchObject({
      name: 'Anna Bergström',
      email: 'anna.berg@example.com',
      emailVerified: true,
      disabled: false,
      phones: [{ number: '+46701740601', verified: true }],
    })
    expect(await imported('bjørn.zimmer')).toMatchObject({
      name: "Bjørn O'Łącki-Zimmer",
      emailVerified: false,
      phones: [{ number: '+46701740602', verified: false }],
    })
    expect(await imported('dmitri.ivanov')).toMatchObject({
      name: 'Дмитрий Иванов',
      phones: [
        { number: '+46701740604', verified: false },
        { number: '+46701740605', verified: false },
      ],
    })
    expect(await imported('eldest')).toMatchObject({ name: 'Emil', email: null })
    expect(await imported('emil.off')).toMatchObject({ name: 'エミール 佐藤', disabled: true })
  })

  test('lets them in with the passwords they had, whatever made the hash', async () => {
    const known = [
      ['chiara', 'harbour-chiara-3'],
      ['dmitri.ivanov', 'harbour-dmitri-4'],
      ['eldest', 'harbour-eldest-5'],
      ['fatima.otp', 'harbour-fatima-7'],
    ] as const
    const answers = known.map(async ([username, password]) => {
      const { answer } = await typePassword(username, password)
      return [username, answer.status]
    })
    expect(await Promise.all(answers)).toEqual(known.map(([username]) => [username, 303]))
    const refused = [
      ['chiara', 'harbour-dmitri-4'],
      ['emil.off', 'harbour-emil-6'],
      ['greta', ''],
    ] as const
    for (const [username, password] of refused)
      expect((await typePassword(username, password)).answer.status, username).not.toBe(303)
  })

  test('asks a verified number for a code at once, and takes another for verified once a code was right', async () => {
    for (const [username, password, phone] of [
      ['anna.berg', 'harbour-anna-1', '+46701740601'],
      ['bjørn.zimmer', 'harbour-bjorn-2 Ünï', '+46701740602'],
    ] as const) {
      const { flow } = await typePassword(username, password)
      const page = await flow.page()
      expect(page.html, username).toContain('autocomplete="one-time-code"')
      expect(await claimsAfter(flow, house.lastCode(phone))).toMatchObject({
        amr: ['pwd', 'otp', 'sms', 'mfa'],
      })
      expect((await imported(username)).phones).toEqual([{ number: phone, verified: true }])
    }
  })

  test('before its numbers were asked for codes is put right by the upgrade', async () => {
    const { id } = await imported('dmitri.ivanov')
    const rows = house.db.selectFrom('second_factor').select('account_id')
    await house.db.deleteFrom('second_factor').where('account_id', '=', id).execute()
    await repairImported(house.db)
    expect(await rows.where('account_id', '=', id).execute()).toHaveLength(1)
  })

  test('in files of a few users each is the same', async () => {
    for (const [index, updated] of [3, 3, 2].entries()) {
      const name = `keycloak-26/harbour-users-${index}.json`
      const { job } = await importFixture(name, 'keycloak', true)
      expect(job, name).toMatchObject({
        state: 'done',
        created: 0,
        updated,
        failed: +(index === 2),
      })
    }
  })
})

test('what Django’s table holds by the documented statement, with the hash of each of its hashers', async () => {
  const { job, failures } = await importFixture('django-users.csv', 'csv')
  expect(job).toMatchObject({ state: 'done', created: 8, failed: 1 })
  expect(failures).toEqual([
    { line: 10, reason: 'The password hash is of no kind that is known here.' },
  ])
  expect(await imported('django-sha1')).toMatchObject({ name: 'Grace, "the" O\'Neil', email: null })
  expect(await imported('django-scrypt')).toMatchObject({ name: 'Мария' })
  expect(await imported('django-argon2')).toMatchObject({ name: null, email: 'three@example.com' })
  expect(await imported('django-pbkdf2')).toMatchObject({ name: 'Åsa Öberg', role: null })
  expect(await imported('django-off')).toMatchObject({ disabled: true })
  const known = [
    ['django-pbkdf2', 'django pier one'],
    ['django-argon2', 'django pier threé'],
    ['django-bcrypt-sha256', 'django pier four'],
    ['django-bcrypt', 'django pier five'],
    ['django-scrypt', 'django pier six'],
  ] as const
  for (const [username, password] of known)
    expect((await typePassword(username, password)).answer.status, username).toBe(303)
  const none = await typePassword('django-none', '!')
  expect(none.answer.status).not.toBe(303)
})

test('hashes that passlib made', async () => {
  const { job, failures } = await importFixture('passlib.jsonl', 'jsonl')
  expect(job).toMatchObject({ state: 'done', created: 9, failed: 2 })
  expect(failures).toEqual(
    [5, 11].map((line) => ({
      line,
      reason: 'The password hash is of no kind that is known here.',
    })),
  )
  const schemes = ['pbkdf2', 'pbkdf2-sha256', 'pbkdf2-sha512', 'scrypt', 'argon2', 'bcrypt']
  for (const scheme of [...schemes, 'bcrypt-sha256', 'bcrypt-sha256-v1', 'django']) {
    const { answer } = await typePassword(`passlib-${scheme}`, `passlib quay ${scheme} é`)
    expect(answer.status, scheme).toBe(303)
  }
  const { answer } = await typePassword('passlib-bcrypt-sha256', 'passlib quay bcrypt é')
  expect(answer.status).not.toBe(303)
})
