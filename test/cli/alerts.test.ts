import { sql } from 'kysely'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { createPlace, type Place } from './command-line.ts'

const URL = 'http://127.0.0.1:9/hook'
let database: TestDatabase
let place: Place

beforeAll(async () => {
  database = await createTestDatabase()
  place = createPlace(database.url)
  place.env.WEBHOOK_ALLOWED_HOSTS = '127.0.0.1'
})
afterAll(async () => {
  place.remove()
  await database.destroy()
})

test('webhooks and alerts at the command line', { timeout: 90_000 }, async () => {
  await sql`
    insert into alert (name, kind, subject, detail, raised_at, seen_at, ended_at) values
      ('gateway-down:twilio', 'gateway-down', 'twilio', '{"failure": "quota"}', now(), now(), null),
      ('lock-storm', 'lock-storm', null, '{"locks": 20}', now(), now(), now())`.execute(database.db)
  const { id, secret } = await place.json(['webhook', 'create', URL, '--description', 'pager'])
  expect(secret).toMatch(/^whsec_/)
  const [alerts, shown, webhooks, queued] = await Promise.all([
    place.json(['alerts', 'list']),
    place.cli(['alerts', 'list']),
    place.json(['webhook', 'list']),
    place.json(['webhook', 'test', id]),
  ])
  expect(alerts).toMatchObject([
    { name: 'gateway-down:twilio', severity: 'critical', endedAt: null },
    { name: 'lock-storm', endedAt: expect.any(String) },
  ])
  expect(shown.out).toMatch(/^Gateway twilio is down: quota\n.*\n.*\n.*\n {2}do +.*top it up/)
  expect(webhooks).toMatchObject([
    { id, url: URL, description: 'pager', kinds: null, enabled: true },
  ])
  expect(JSON.stringify(webhooks)).not.toContain(secret)
  expect(queued).toEqual({ id, delivery: expect.stringMatching(/^msg_/) })
  expect(await place.json(['webhook', 'remove', id])).toEqual({ id, removed: true })
  const { rows } = await sql`
    select type, actor from audit_event where type like 'webhook.%' order by id`.execute(
    database.db,
  )
  expect(rows).toEqual([
    { type: 'webhook.created', actor: 'command-line' },
    { type: 'webhook.removed', actor: 'command-line' },
  ])
})
