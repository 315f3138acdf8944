import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type RawBuilder, sql } from 'kysely'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { inCircumstances } from '../src/audit/circumstances.ts'
import { EVENT_TYPES, type EventType } from '../src/audit/event.ts'
import { signInToAccount } from './support/account.ts'
import { createFlow, type Flow } from './support/flow.ts'
import { otherThan } from './support/guesses.ts'
import { type House, PASSWORD, PHONES, REDIRECT_URI, startHouse } from './support/house.ts'
import { askForLink, choosePassword, mailedLink } from './support/links.ts'
import { appCode, appKeyOn } from './support/second-factors.ts'

const NAME = 'canary-alexandra'
const WRONG_PASSWORD = 'canary of a wrong password'
/** Written in this scenario, and hardly looked at elsewhere. */
const OFTEN_FORGOTTEN: readonly EventType[] = [
  'account.invited',
  'authenticator.added',
  'client.created',
  'client.deleted',
  'code.refused',
  'code.sent-again',
  'code.tried',
  'codes.disabled',
  'consent.given',
  'factors.reset',
  'message.failed',
  'message.sent',
  'message.unconfirmed',
  'password.reset-asked',
  'phone.labelled',
]
const SOURCE = join(import.meta.dirname, '../src')
/** Where types are only named. */
const NAMING = /^(audit|changes\.ts|messaging\/notice-words\.ts|web\/account\/history\.ts)/

let house: House
let app: { id: string; secret: string }
let alex: { id: string; username: string }
let seen = '0'
/** what must stand in no event */
const canaries = new Set<string>([PASSWORD, WRONG_PASSWORD, NAME, `${NAME}@example.com`])

beforeAll(async () => {
  // Codes of eight digits, so that none stands by chance in an id or a time.
  house = await startHouse({ env: { OTP_LENGTH: '8' } })
  const grants = ['authorization_code' as const, 'refresh_token' as const]
  app = await house.addClient('app', { grants })
  await house.addClient('third', { firstParty: false })
  alex = await house.addAccount(NAME)
  for (const number of PHONES) canaries.add(number).add(number.slice(1))
  canaries.add(app.secret)
  await told()
})
afterAll(() => house.stop())

interface Told {
  type: string
  actor: string
  account: string | null
  client: string | null
  request: string | null
  address: string | null
  detail: unknown
}

/** What was recorded since the last look, oldest first. Notices are left out: they go when it is their turn. */
async function told(): Promise<Told[]> {
  const rows = await house.db
    .selectFrom('audit_event')
    .selectAll()
    .where('id', '>', seen)
    .where('actor', '<>', 'system')
    .orderBy('id')
    .execute()
  seen = rows.at(-1)?.id ?? seen
  return rows.map(({ type, actor, account_id, client_id, request_id, address, detail }) => ({
    type,
    actor,
    account: account_id,
    client: client_id,
    request: request_id,
    address,
    detail,
  }))
}

/** Waits for what is recorded behind the answer; what comes before it in the trail is then there, too. */
async function recorded(type: EventType, times = 1): Promise<void> {
  await vi.waitUntil(async () => (await ofType(type)).length >= times, 10_000)
}

function ofType(type: EventType) {
  return house.db
    .selectFrom('audit_event')
    .select('detail')
    .where('type', '=', type)
    .where('id', '>', seen)
    .where('actor', '<>', 'system')
    .execute()
}

const typesOf = (events: ReadonlyArray<{ type: string }>) => events.map(({ type }) => type)

/** What a person did at their own account, through a request of their browser. */
const byPerson = (type: EventType, client: string | null = null) => ({
  type,
  actor: 'self',
  account: alex.id,
  client,
  request: expect.stringMatching(/^[\w-]{8,}$/),
  address: expect.stringMatching(/^[\w-]{16,}$/),
  detail: expect.anything(),
})

const BY_ADMIN = { actor: 'command-line', requestId: null, address: null }

/** The same at a command line, where there is neither a request nor an address. */
const byAdmin = (type: EventType, account: string | null, client: string | null = null) => ({
  type,
  actor: 'command-line',
  account,
  client,
  request: null,
  address: null,
  detail: expect.anything(),
})

/** From the password page to the code that came. */
async function toCode(flow: Flow): Promise<string> {
  const texts = (await ofType('message.sent')).length
  await flow.toCode(NAME)
  await recorded('message.sent', texts + 1)
  return canary(house.lastCode())
}

function canary(value: unknown): string {
  canaries.add(String(value))
  return String(value)
}

describe('what happens is recorded, in its order, with who, where and in which request (LOG-01)', () => {
  test('a sign-in with every mistake, its tokens, and a code for tokens that comes again', async () => {
    const flow = createFlow(house, { client: app })
    await flow.begin()
    await flow.password(NAME, WRONG_PASSWORD)
    await flow.password(NAME)
    await recorded('message.sent')
    const code = canary(house.lastCode())
    await flow.code(otherThan(code))
    house.moveClock(31)
    await flow.step('resend')
    await recorded('message.sent', 2)
    const query = await flow.resume(await flow.code(code))
    const { body } = await flow.redeem(canary(query.get('code')))
    for (const name of ['access_token', 'id_token', 'refresh_token']) canary(body[name])
    await flow.redeem(query.get('code') ?? '')
    const events = await told()
    expect(events).toEqual([
      byPerson('password.wrong'),
      // What the right password leads to is decided before it is told of: both are of one request.
      byPerson('code.issued'),
      byPerson('password.right'),
      byPerson('message.sent'),
      byPerson('code.tried'),
      byPerson('code.wrong'),
      byPerson('code.sent-again'),
      byPerson('message.sent'),
      byPerson('code.tried'),
      byPerson('code.right'),
      byPerson('session.started', 'app'),
      byPerson('token.issued', 'app'),
      byPerson('token.reused', 'app'),
      { ...byPerson('token.refused', 'app'), account: null },
    ])
    expect(new Set(events.map(({ address }) => address)).size).toBe(1)
    const [wrong, issued, right, sent, tried, judged, again] = events.map(({ request }) => request)
    expect([issued, sent]).toEqual([right, right])
    expect(judged).toBe(tried)
    expect(new Set([wrong, right, tried, again]).size).toBe(4)
  })

  test('consent, once it is given', async () => {
    const flow = createFlow(house, { client: { id: 'third', secret: '' } })
    const { location = '' } = await flow.code(await toCode(flow))
    const { location: consent = '' } = await flow.request(location)
    await flow.arrive(consent)
    await told()
    canary((await flow.resume(await flow.step('consent'))).get('code'))
    expect(await told()).toEqual([byPerson('consent.given', 'third')])
  })

  test('a code that came too late, and texts that a gateway refuses or says nothing clear of', async () => {
    const flow = createFlow(house, { client: app })
    const code = await toCode(flow)
    await told()
    house.moveClock(301)
    await flow.code(code)
    for (const mode of ['4xx', 'bad-json'] as const) {
      house.gateway.mode = mode
      await createFlow(house, { client: app }).toCode(NAME)
      await recorded(mode === '4xx' ? 'message.failed' : 'message.unconfirmed')
    }
    house.gateway.mode = 'ok'
    expect(await told()).toEqual([
      byPerson('code.refused'),
      byPerson('code.issued'),
      byPerson('password.right'),
      byPerson('message.failed'),
      byPerson('code.issued'),
      byPerson('password.right'),
      byPerson('message.unconfirmed'),
    ])
  })

  test('changes of factors at one’s own pages', async () => {
    const me = await signInToAccount(house, NAME)
    await recorded('message.sent')
    await told()
    const [phone] = await house.rooms.phones.list(alex.id)
    await me.post(`/account/phones/${phone?.id}/name`, { name: canary('canary of a label') })
    await me.post('/account/app/add')
    const key = canary(appKeyOn(await me.get('/account/app/prove')))
    await me.post('/account/app/prove', { code: appCode(key, house.now()) })
    const events = await told()
    expect(events.filter(({ type }) => type !== 'session.ended')).toEqual([
      byPerson('phone.labelled'),
      byPerson('code.tried'),
      byPerson('code.right'),
      byPerson('authenticator.added'),
    ])
    await house.rooms.authenticators.remove(alex.id)
    await told()
  })

  test('locks, and their end', async () => {
    for (const [failures, type] of [
      [9, 'codes.locked'],
      [99, 'codes.disabled'],
    ] as const) {
      const flow = createFlow(house, { client: app })
      const code = await toCode(flow)
      await house.db.updateTable('second_factor').set({ failures }).execute()
      await told()
      await flow.code(otherThan(code))
      const events = await told()
      expect(events).toContainEqual(byPerson(type))
      expect(typesOf(events).filter((other) => other.startsWith('code.'))).toEqual([
        'code.tried',
        'code.wrong',
      ])
      await inCircumstances(BY_ADMIN, () => house.rooms.locks.lift(alex))
      expect(await told()).toEqual([byAdmin('account.unlocked', alex.id)])
    }
    const flow = createFlow(house, { client: app })
    await flow.begin()
    for (let i = 0; i < 10; i++) await flow.password(NAME, WRONG_PASSWORD)
    const events = await told()
    expect(events.filter(({ type }) => type === 'password.locked')).toEqual([
      byPerson('password.locked'),
    ])
    await inCircumstances(BY_ADMIN, () => house.rooms.locks.lift(alex))
  })

  test('what administrators do, as theirs', async () => {
    await told()
    const { accounts, clients, linkMails, phoneChanges } = house.rooms
    const reason = `lost on a train ${'🚂'.repeat(300)}`
    const { id } = await inCircumstances(BY_ADMIN, async () => {
      const blake = await accounts.create({
        username: canary('canary-blake'),
        email: canary('canary.blake@example.com'),
      })
      canary(new URL((await linkMails.invite(blake.id)).link).pathname)
      await accounts.disable(blake.id)
      await accounts.enable(blake.id)
      canary((await clients.create({ id: 'shop', redirectUris: [REDIRECT_URI] })).secret)
      await clients.remove('shop')
      await inCircumstances({ ...BY_ADMIN, reason }, () => phoneChanges.reset(blake.id))
      await accounts.remove(blake.id)
      return blake
    })
    const events = await told()
    expect(events).toEqual([
      byAdmin('account.created', id),
      byAdmin('account.invited', id),
      byAdmin('account.disabled', id),
      byAdmin('account.enabled', id),
      byAdmin('client.created', null, 'shop'),
      byAdmin('client.deleted', null, 'shop'),
      byAdmin('factors.reset', id),
      byAdmin('account.deleted', id),
    ])
    // Kept, for whoever looks into it later (ADM-10); but a trail is no place for long stories.
    const kept = events.find(({ type }) => type === 'factors.reset')?.detail
    expect(kept).toEqual({ reason: [...reason].slice(0, 200).join('') })
  })

  test('a forgotten password, last of all', async () => {
    const browser = createFlow(house)
    await told()
    await askForLink(browser, NAME)
    const link = await mailedLink(house, alex.id)
    canary(link.slice(-43))
    await choosePassword(browser, new URL(link).pathname, canary('a canary sings at seven'))
    const events = await told()
    expect(events.slice(0, 2)).toEqual([
      byPerson('password.reset-asked'),
      byPerson('password.reset'),
    ])
  })

  test('and nothing is declared that nothing writes', async () => {
    const { rows } = await sql<{ type: string }>`select distinct type from audit_event`.execute(
      house.db,
    )
    const written = new Set(typesOf(rows))
    const sources = globSync('**/*.ts', { cwd: SOURCE })
      .filter((path) => !NAMING.test(path))
      .map((path) => readFileSync(join(SOURCE, path), 'utf8'))
      .join('')
    const named = (type: string) => sources.includes(`'${type}'`)
    expect(EVENT_TYPES.filter((type) => !written.has(type) && !named(type))).toEqual([])
    expect(OFTEN_FORGOTTEN.filter((type) => !written.has(type))).toEqual([])
  })

  test('no password, code, number, token, address or name is in any of it (LOG-02, LOG-03)', async () => {
    const rows = await house.db.selectFrom('audit_event').selectAll().execute()
    const trail = JSON.stringify(rows)
    expect(rows.length).toBeGreaterThan(50)
    expect(canaries.size).toBeGreaterThan(25)
    for (const value of canaries) expect(value.length, value).toBeGreaterThan(7)
    expect([...canaries].filter((value) => trail.includes(value))).toEqual([])
  })
})

describe('what is done and what is recorded are one (LOG-06)', () => {
  let casey: { id: string }
  /** Someone with a browser of their own, up to the code that came. */
  async function caseyAtCode() {
    const flow = createFlow(house, { client: app })
    await flow.toCode('casey')
    return { flow, code: house.lastCode(PHONES[1]) }
  }

  beforeAll(async () => {
    casey = await house.addAccount('casey', PHONES[1])
  })

  /** Lets a table take no row of some kind, as if writing it failed, while something is done. */
  async function without<T>(table: string, rule: RawBuilder<unknown>, work: () => Promise<T>) {
    const [at, name] = [sql.table(table), sql.ref('not_now')]
    await sql`alter table ${at} add constraint ${name} check (${rule}) not valid`.execute(house.db)
    try {
      return await work()
    } finally {
      await sql`alter table ${at} drop constraint ${name}`.execute(house.db)
    }
  }
  const withoutEvent = <T>(type: EventType, work: () => Promise<T>) =>
    without('audit_event', sql`type <> ${sql.lit(type)}`, work)

  async function count(table: 'challenge' | 'client' | 'oidc_record'): Promise<number> {
    const { rows } = await sql<{ n: number }>`
      select count(*)::int as n from ${sql.table(table)}`.execute(house.db)
    return rows[0]?.n ?? 0
  }

  test('nothing is done whose event can’t be written', async () => {
    const { accounts, clients, phoneChanges, phones } = house.rooms
    const [phone] = await phones.list(casey.id)
    const before = [await count('client'), await count('challenge')]
    await withoutEvent('account.disabled', async () => {
      await expect(accounts.disable(casey.id)).rejects.toThrow('not_now')
    })
    await withoutEvent('phone.labelled', async () => {
      await expect(phoneChanges.label(casey.id, phone?.id ?? '', 'Work')).rejects.toThrow('not_now')
    })
    await withoutEvent('client.created', async () => {
      const client = { id: 'kiosk', redirectUris: [REDIRECT_URI] }
      await expect(clients.create(client)).rejects.toThrow('not_now')
    })
    const flow = createFlow(house, { client: app })
    const texts = house.codeTexts().length
    await withoutEvent('code.issued', async () => {
      await flow.begin()
      expect((await flow.password('casey')).status).toBe(500)
    })
    expect(house.codeTexts()).toHaveLength(texts)
    expect([await count('client'), await count('challenge')]).toEqual(before)
    expect((await accounts.findById(casey.id))?.disabled).toBe(false)
    expect((await phones.list(casey.id))[0]?.label).toBeNull()
  })

  test('a right code and its tokens wait until they can be recorded', async () => {
    const { flow, code } = await caseyAtCode()
    await withoutEvent('code.right', async () => {
      expect((await flow.code(code)).status).toBe(500)
    })
    const query = await flow.resume(await flow.code(code))
    const records = await count('oidc_record')
    await withoutEvent('token.issued', async () => {
      expect((await flow.redeem(query.get('code') ?? '')).status).toBe(500)
    })
    expect(await count('oidc_record')).toBe(records)
    expect((await flow.redeem(query.get('code') ?? '')).status).toBe(200)
  })

  test('nothing is recorded that was not done', async () => {
    const { flow, code } = await caseyAtCode()
    await told()
    await without('account', sql`disabled_at is null`, async () => {
      await expect(house.rooms.accounts.disable(casey.id)).rejects.toThrow('not_now')
    })
    expect(await told()).toEqual([])
    await without('challenge', sql`passed_at is null`, async () => {
      expect((await flow.code(code)).status).toBe(500)
    })
    expect(typesOf(await told())).toEqual(['code.tried'])
    await without('oidc_record', sql`false`, async () => {
      expect((await flow.code(code)).status).toBe(500)
    })
    expect(typesOf(await told())).toEqual(['code.tried', 'code.right'])
    await flow.resume(await flow.code(code))
    expect(typesOf(await told()).at(-1)).toBe('session.started')
  })
})
