import { sql } from 'kysely'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { PASSWORD_ALONE } from '../../src/oidc/acr.ts'
import { type Consents, createConsents } from '../../src/oidc/consents.ts'
import { createSessions, type Sessions } from '../../src/oidc/sessions.ts'
import { createFlow, type Flow } from '../support/flow.ts'
import { type House, startHouse } from '../support/house.ts'
import { now, settle } from '../support/interactions.ts'

let house: House
let sessions: Sessions
let consents: Consents
let app: { id: string; secret: string }
let people = 0
let alex: string

beforeAll(async () => {
  house = await startHouse()
  const { db, rooms } = house
  const deps = { db, vault: rooms.vault, clock: () => sql<Date>`now()` }
  sessions = createSessions(deps)
  consents = createConsents(deps)
  const more = { secondFactor: 'optional' as const, name: 'The shop' }
  app = await house.addClient('app', {
    ...more,
    grants: ['authorization_code', 'refresh_token'],
  })
  await house.addClient('other', { ...more, name: 'Another' })
})
afterAll(() => house.stop())

beforeEach(async () => {
  people += 1
  alex = (await house.addAccount(`alex${people}`, null)).id
})

const headers = { 'user-agent': 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Firefox/140.0' }

/** A browser in which someone is signed in to the app, with what the app got. */
async function signIn(accountId = alex) {
  const before = await uids(accountId)
  const flow = createFlow(house, { client: app, headers })
  await flow.begin()
  const ts = now()
  const query = await settle(house, flow, { accountId, ts, ...PASSWORD_ALONE })
  const { body: tokens } = await flow.redeem(query.get('code') ?? '')
  const [uid = ''] = (await uids(accountId)).filter((other) => !before.includes(other))
  return { flow, tokens, uid, ts }
}

async function uids(accountId: string): Promise<string[]> {
  return (await sessions.list(accountId)).map(({ uid }) => uid)
}

/** What the app gets in that browser for access that outlives the session. */
async function goOffline({ jar }: Flow) {
  const flow = createFlow(house, { client: app, jar })
  await flow.begin({ scope: 'openid offline_access', prompt: 'consent' })
  const query = await flow.resume(await flow.step('consent'))
  const { body: tokens } = await flow.redeem(query.get('code') ?? '')
  return { flow, tokens }
}

async function isSignedIn(flow: Flow): Promise<boolean> {
  const quiet = createFlow(house, { client: app, jar: flow.jar })
  const { location = '' } = await quiet.begin({ prompt: 'none' })
  return location.includes('code=')
}

async function refreshes(flow: Flow, { refresh_token: token }: Record<string, unknown>) {
  const more = { grant_type: 'refresh_token', refresh_token: String(token) }
  return (await flow.redeem('', more)).status === 200
}

async function reads({ access_token: token }: Record<string, unknown>): Promise<boolean> {
  const answer = await fetch(`${house.url}/me`, { headers: { authorization: `Bearer ${token}` } })
  await answer.text()
  return answer.status === 200
}

/** An account's records, but for interactions nobody finished. */
async function left(accountId: string): Promise<string[]> {
  const rows = await house.db
    .selectFrom('oidc_record')
    .select('model')
    .where('account_id', '=', accountId)
    .orderBy('model')
    .execute()
  return rows.map(({ model }) => model)
}

async function ended(accountId: string): Promise<number> {
  const { count } = await house.db
    .selectFrom('audit_event')
    .select(({ fn }) => fn.countAll<string>().as('count'))
    .where('account_id', '=', accountId)
    .where('type', '=', 'session.ended')
    .executeTakeFirstOrThrow()
  return Number(count)
}

describe('the list of sessions (SES-07)', () => {
  test('tells when, how, where and in which apps someone is signed in', async () => {
    const { flow, ts } = await signIn()
    await createFlow(house, { client: { id: 'other', secret: '' }, jar: flow.jar }).begin()
    const [session, ...others] = await sessions.list(alex)
    expect(others).toEqual([])
    expect(session).toMatchObject({
      ...PASSWORD_ALONE,
      place: { address: expect.stringMatching(/^(::ffff:)?127\.0\.0\.1$|^::1$/) },
    })
    expect(session?.place?.browser).toContain('Firefox')
    expect(session?.apps.map(({ name }) => name).toSorted()).toEqual(['Another', 'The shop'])
    expect(session?.signedInAt.getTime()).toBe(ts * 1000)
  })

  test('has one entry for each browser, and nobody else’s', async () => {
    await signIn()
    await signIn()
    await signIn((await house.addAccount(`bo${people}`, null)).id)
    expect(await sessions.list(alex)).toHaveLength(2)
  })

  test('shows nothing of a place to whoever has only the table', async () => {
    await signIn()
    const rows = await house.db.selectFrom('oidc_record').selectAll().execute()
    for (const { payload } of rows) expect(payload.toString('latin1')).not.toContain('Firefox')
  })
})

describe('ending a session (SES-05, SES-07)', () => {
  test('ends all that was given in it, also what would outlive it, and no other session', async () => {
    const first = await signIn()
    const offline = await goOffline(first.flow)
    const second = await signIn()
    expect(await sessions.end(alex, first.uid)).toBe(true)
    expect(await isSignedIn(first.flow)).toBe(false)
    expect(await reads(first.tokens)).toBe(false)
    expect(await refreshes(first.flow, first.tokens)).toBe(false)
    expect(await refreshes(offline.flow, offline.tokens)).toBe(false)
    expect(await isSignedIn(second.flow)).toBe(true)
    expect(await refreshes(second.flow, second.tokens)).toBe(true)
    expect(await ended(alex)).toBe(1)
    expect(await sessions.end(alex, first.uid)).toBe(false)
    expect(await ended(alex)).toBe(1)
  })

  test('leaves no record of it behind', async () => {
    const { flow, uid } = await signIn()
    await goOffline(flow)
    await createFlow(house, { client: app, jar: flow.jar }).begin({ prompt: 'login' })
    const models = ['AccessToken', 'Grant', 'Interaction', 'RefreshToken', 'Session']
    expect(await left(alex)).toEqual(expect.arrayContaining(models))
    await sessions.end(alex, uid)
    expect(await left(alex)).toEqual([])
  })

  test('isn’t for somebody else’s', async () => {
    const { flow, uid } = await signIn()
    const bo = await house.addAccount(`bo${people}`, null)
    expect(await sessions.end(bo.id, uid)).toBe(false)
    expect(await isSignedIn(flow)).toBe(true)
    expect(await ended(bo.id)).toBe(0)
  })
})

describe('ending all sessions', () => {
  test('ends each, with what was given, and what had outlived one', async () => {
    const one = await signIn()
    const offline = await goOffline(one.flow)
    const two = await signIn()
    const bo = await signIn((await house.addAccount(`bo${people}`, null)).id)
    expect(await sessions.endAll(house.db, alex)).toBe(2)
    for (const { flow, tokens } of [one, two]) {
      expect(await isSignedIn(flow)).toBe(false)
      expect(await reads(tokens)).toBe(false)
    }
    expect(await refreshes(offline.flow, offline.tokens)).toBe(false)
    expect(await left(alex)).toEqual([])
    expect(await ended(alex)).toBe(2)
    expect(await isSignedIn(bo.flow)).toBe(true)
  })

  test('but the one it is done in: that stays, with its tokens', async () => {
    const here = await signIn()
    const there = await signIn()
    expect(await sessions.endAll(house.db, alex, here.uid)).toBe(1)
    expect(await isSignedIn(there.flow)).toBe(false)
    expect(await refreshes(there.flow, there.tokens)).toBe(false)
    expect(await isSignedIn(here.flow)).toBe(true)
    expect(await reads(here.tokens)).toBe(true)
    expect(await refreshes(here.flow, here.tokens)).toBe(true)
  })

  test('is undone with the transaction it belongs to', async () => {
    const { flow } = await signIn()
    const failed = house.db.transaction().execute(async (trx) => {
      await sessions.endAll(trx, alex)
      throw new Error('no')
    })
    await expect(failed).rejects.toThrow('no')
    expect(await isSignedIn(flow)).toBe(true)
    expect(await ended(alex)).toBe(0)
  })
})

test('a disabled account is out at once, everywhere (SES-06)', async () => {
  const { flow, tokens } = await signIn()
  const waiting = createFlow(house, { client: app, jar: flow.jar })
  const { location = '' } = await waiting.begin()
  const code = new URL(location).searchParams.get('code') ?? ''
  const at = { disabled_at: sql<Date>`now()` }
  await house.db.updateTable('account').set(at).where('id', '=', alex).execute()
  expect((await waiting.redeem(code)).body.error).toBe('invalid_grant')
  expect(await refreshes(flow, tokens)).toBe(false)
  expect(await reads(tokens)).toBe(false)
  expect(await isSignedIn(flow)).toBe(false)
})

describe('apps with access', () => {
  const other = { id: 'other', secret: '' }

  test('are told with what they may see, and since when', async () => {
    const { flow, ts } = await signIn()
    const more = createFlow(house, { client: other, jar: flow.jar })
    await more.begin({ scope: 'openid email' })
    await goOffline((await signIn()).flow)
    const [first, second, ...rest] = await consents.list(alex)
    expect(rest).toEqual([])
    expect(first).toMatchObject({ clientId: 'app', name: 'The shop' })
    expect(first?.scopes.toSorted()).toEqual(['offline_access', 'openid'])
    expect(second).toMatchObject({
      clientId: 'other',
      name: 'Another',
      scopes: ['openid', 'email'],
    })
    expect(second?.since.getTime()).toBeGreaterThanOrEqual(ts * 1000)
    expect(second?.since.getTime()).toBeLessThanOrEqual(Date.now())
  })

  test('are those that have it now: not when the session is over, but for offline access', async () => {
    const { flow, uid } = await signIn()
    const more = createFlow(house, { client: other, jar: flow.jar })
    await more.begin()
    await goOffline(flow)
    // As the session's time runs out, nothing else of it is touched.
    await house.db
      .updateTable('oidc_record')
      .set({ expires_at: sql<Date>`now()` })
      .where('model', '=', 'Session')
      .where('account_id', '=', alex)
      .execute()
    expect(await uids(alex)).not.toContain(uid)
    expect((await consents.list(alex)).map(({ clientId }) => clientId)).toEqual(['app'])
  })

  test('lose it when it is taken back, and others keep theirs', async () => {
    const { flow, tokens } = await signIn()
    const offline = await goOffline(flow)
    const more = createFlow(house, { client: other, jar: flow.jar })
    await more.begin()
    expect(await consents.revoke(alex, 'app')).toBe(true)
    expect(await reads(tokens)).toBe(false)
    expect(await refreshes(offline.flow, offline.tokens)).toBe(false)
    expect((await consents.list(alex)).map(({ clientId }) => clientId)).toEqual(['other'])
    expect(await isSignedIn(flow)).toBe(true)
    const events = await house.db
      .selectFrom('audit_event')
      .select(['client_id'])
      .where('account_id', '=', alex)
      .where('type', '=', 'consent.revoked')
      .execute()
    expect(events).toEqual([{ client_id: 'app' }])
    const bo = await house.addAccount(`bo${people}`, null)
    expect(await consents.revoke(bo.id, 'other')).toBe(false)
  })
})
