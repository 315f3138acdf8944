import { sql } from 'kysely'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createPlace, type Place, randomKey } from '../cli/command-line.ts'
import { snapshotOf, type TestDatabase } from '../support/database.ts'
import { claimsOf, createFlow, type Flow } from '../support/flow.ts'
import { type House, REDIRECT_URI, startHouse } from '../support/house.ts'
import { sendJson } from '../support/send-json.ts'

let house: House
let backup: TestDatabase
let restored: House
let place: Place
let app: { id: string; secret: string }

beforeAll(async () => {
  house = await startHouse({ env: { TRUSTED_DEVICE_DAYS: '14', DYNAMIC_REGISTRATION: 'token' } })
  app = await house.addClient('app', { grants: ['authorization_code', 'refresh_token'] })
})
afterAll(async () => {
  await restored?.stop()
  place?.remove()
  await house.stop()
  await backup?.destroy()
})

async function lastCounter({ db }: House): Promise<number> {
  const { rows } = await sql<{ counter: number }>`
    select counter::float8 as counter from challenge order by created_at desc limit 1`.execute(db)
  return rows[0]?.counter ?? 0
}

async function signIn(at: House, flow: Flow) {
  await flow.toCode('alex')
  const query = await flow.resume(await flow.code(at.lastCode()))
  return flow.redeem(query.get('code') ?? '')
}

function refresh(flow: Flow, token: string) {
  return flow.request('/token', {
    method: 'POST',
    headers: {
      accept: 'application/json',
      authorization: `Basic ${btoa(`${app.id}:${app.secret}`)}`,
    },
    body: new URLSearchParams({ grant_type: 'refresh_token', refresh_token: token }),
  })
}

test('after going back to a backup, one command lets nothing of the time since happen twice (OTP-25, CRY-12)', async () => {
  const { id } = await house.addAccount('alex')
  const browser = createFlow(house, { client: app })
  const { body } = await signIn(house, browser)
  await house.rooms.backupCodes.issue(id)
  await house.rooms.trustedDevices.trust(id, 'Firefox on Linux')
  const open = createFlow(house, { client: app })
  await open.toCode('alex')
  // Told to nobody yet, so that it is in the backup.
  await house.db
    .insertInto('logout_delivery')
    .values({
      client_id: app.id,
      account_id: id,
      sid: null,
      created_at: house.clock(),
      next_try_at: sql<Date>`now() + interval '1 day'`,
    })
    .execute()
  const { token: mayRegister } = await house.rooms.registrationTokens.create({ uses: 3 })
  const metadata = { redirect_uris: [REDIRECT_URI] }
  const register = (at: House) => sendJson('POST', `${at.url}/reg`, mayRegister, metadata)
  const { body: self } = await register(house)
  const registered = async (at: House) => (await register(at)).status
  const managed = async (at: House) => {
    const own = String(self.registration_access_token)
    return (await sendJson('GET', `${at.url}/reg/${self.client_id}`, own)).status
  }
  expect(await managed(house)).toBe(200)

  backup = await snapshotOf(house.database)

  // What the backup knows nothing of: codes that were sent and used, and a refresh token that was.
  const since = new Set<number>()
  for (let i = 0; i < 3; i++) {
    const { status } = await signIn(house, createFlow(house, { client: app }))
    expect(status).toBe(200)
    since.add(await lastCounter(house))
  }
  const used = await refresh(browser, String(body.refresh_token))
  expect(used.status).toBe(200)

  place = createPlace(backup.url)
  const keys = { ENCRYPTION_KEYS: String(house.variables.ENCRYPTION_KEYS) }
  const keyless = await place.cli(['after-restore'], '', { ENCRYPTION_KEYS: randomKey() })
  expect(keyless).toMatchObject({ code: 1, out: '' })
  expect(keyless.err).toContain('ENCRYPTION_KEYS does not fit this database')

  restored = await startHouse({
    beside: { ...house, database: backup },
    env: { DATABASE_URL: backup.url },
  })
  // This is why: the same counter, and so the same code, as somebody was sent since.
  await createFlow(restored, { client: app, url: restored.url }).toCode('alex')
  expect(since).toContain(await lastCounter(restored))

  const { code, out, err } = await place.cli(['after-restore', '--json'], '', keys)
  expect(code, err).toBe(0)
  expect(JSON.parse(out)).toEqual({
    advanced_by: 1_000_000,
    phones: 1,
    challenges: 3,
    sessions_and_tokens: expect.toSatisfy((ended: number) => ended >= 4),
    registration_access_tokens: 1,
    registration_tokens: 1,
    console_sessions: 0,
    remembered_browsers: 1,
    links: 0,
    bypass_codes: 0,
    backup_codes: 0,
    notices: expect.any(Number),
    logouts: 1,
  })
  const left = { managed: await managed(restored), registered: await registered(restored) }
  expect(left).toEqual({ managed: 401, registered: 401 })

  // The browser and the app that were signed in then have to do it again.
  browser.url = restored.url
  const again = await browser.begin()
  expect(again.html).toContain('current-password')
  const stale = await refresh(browser, String(body.refresh_token))
  expect(JSON.parse(stale.html).error).toBe('invalid_grant')
  open.url = restored.url
  expect((await open.code(restored.lastCode())).status).toBe(400)

  restored.moveClock(61)
  const token = await signIn(restored, createFlow(restored, { client: app, url: restored.url }))
  expect(token.status).toBe(200)
  expect(claimsOf(token.body).acr).toContain('/mfa')
  expect(await lastCounter(restored)).toBeGreaterThan(Math.max(...since))
  const { rows } = await sql<{ detail: unknown; actor: string }>`
    select actor, detail from audit_event where type = 'database.restored'`.execute(backup.db)
  expect(rows).toEqual([
    { actor: 'command-line', detail: expect.objectContaining({ phones: 1, advancedBy: 1e6 }) },
  ])

  // Backup codes that were used since can't be told from others.
  const more = await place.cli(['after-restore', '--end-backup-codes', '--json'], '', keys)
  expect(JSON.parse(more.out)).toMatchObject({
    phones: 1,
    backup_codes: 10,
    remembered_browsers: 0,
  })
}, 90_000)
