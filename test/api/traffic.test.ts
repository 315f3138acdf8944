import { sql } from 'kysely'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ROLES } from '../../src/accounts/account.ts'
import { createReceivers } from '../../src/admin/receivers.ts'
import { createTraffic } from '../../src/admin/traffic.ts'
import { type Api, openApi } from '../support/api.ts'
import { type House, PHONES, startHouse } from '../support/house.ts'
import { addTraffic, pauseCountry, useBudget } from '../support/traffic.ts'

let house: House
let api: Api
let reader: Api
beforeAll(async () => {
  house = await startHouse({
    env: {
      SMS_PRICES: '*=0.05',
      WEBHOOK_ALLOWED_HOSTS: '127.0.0.1',
      SMS_LIMIT_GLOBAL_HOUR: '300',
      SMS_LIMIT_PREFIX_UNANSWERED: '4',
    },
  })
  api = await openApi(house)
  reader = await openApi(house, 'admin:read')
  await addTraffic(house, 140, 40)
})
afterAll(() => house.stop())

const events = async (type: string) => {
  const { rows } = await sql<{ actor: string; reason: string | null }>`
    select actor, detail ->> 'reason' as reason from audit_event where type = ${type}`.execute(
    house.db,
  )
  return rows
}

describe('what each role may', () => {
  const MAY = {
    admin: ['overview', 'messages', 'countries', 'list', 'liftPause', 'test'],
    auditor: ['overview', 'messages', 'countries', 'list'],
    helpdesk: ['overview', 'messages', 'countries'],
  } as const

  test.each(ROLES)(
    '%s: that and nothing else, whichever way it is asked for [ADM-01]',
    async (role) => {
      const traffic = createTraffic({ ...house.rooms, rules: house.config.sms.limits })
      const receivers = createReceivers(house.rooms.webhooks)
      const actor = { kind: 'person', id: 'somebody', role } as const
      const tried = {
        overview: traffic.overview(actor, 'hour'),
        messages: traffic.messages(actor, {}, 1),
        countries: traffic.countries(actor),
        list: receivers.list(actor),
        liftPause: traffic.liftPause(actor, 'NO', 'none there'),
        test: receivers.test(actor, 'wh_none'),
      }
      const outcomes = await Promise.all(
        Object.entries(tried).map(async ([name, work]) => {
          const code = await work.then(
            () => 'done',
            (error) => error.code,
          )
          return code === 'forbidden' ? [] : [name]
        }),
      )
      expect(outcomes.flat()).toEqual(MAY[role])
    },
  )
})

describe('figures and messages by the API', () => {
  test('figures are shown for a range, and for no other', async () => {
    const { status, json } = await reader.get('/statistics?range=hour')
    expect(status).toBe(200)
    expect(json).toMatchObject({ range: 'hour', bucketSeconds: 300, cost: { currency: 'EUR' } })
    expect(json.totals.signIns).toBeGreaterThan(20)
    expect(json.byGateway.map(({ gateway }: { gateway: string }) => gateway)).toContain('twilio')
    expect((await reader.get('/statistics?range=year')).status).toBe(400)
  })

  test('messages are filtered, and come in pages that miss and repeat none', async () => {
    const seen: string[] = []
    let cursor = ''
    do {
      const { json } = await reader.get(`/messages?country=DK&limit=20${cursor}`)
      expect(json.items.every(({ country }: { country: string }) => country === 'DK')).toBe(true)
      seen.push(...json.items.map(({ id }: { id: string }) => id))
      cursor = json.next && `&cursor=${json.next}`
    } while (cursor)
    const { rows } = await sql<{ id: string }>`
      select id from message where country = 'DK' order by created_at desc, id desc`.execute(
      house.db,
    )
    expect(seen).toEqual(rows.map(({ id }) => id))

    const { json } = await reader.get(
      '/messages?state=failed&gateway=gatewayapi&channel=sms&limit=1',
    )
    expect(json.items).toMatchObject([
      { state: 'failed', gateway: 'gatewayapi', costClass: 'medium' },
    ])
    expect(Object.keys(json.items[0])).not.toContain('number')
    const since = encodeURIComponent(new Date((house.now() + 60) * 1000).toISOString())
    expect((await reader.get(`/messages?since=${since}`)).json.items).toEqual([])
  })

  test('messages are those of one account, while it has the phone', async () => {
    const { id } = await house.addAccount('anna', PHONES[0])
    await sql`
      update message set phone_id = (select id from phone where account_id = ${id})
      where id = 'm1'`.execute(house.db)
    const { json } = await reader.get(`/messages?account=${id}`)
    expect(json.items).toMatchObject([{ id: 'm1', accountId: id }])
  })

  test('a cursor is good for the list it came with, and neither it nor a filter carries SQL [ADM-14]', async () => {
    const { json } = await reader.get('/messages?country=DK&limit=1')
    expect((await reader.get(`/messages?country=SE&limit=1&cursor=${json.next}`)).status).toBe(400)
    const forged = Buffer.concat([
      Buffer.alloc(16),
      Buffer.from(`{"createdAt":"now() or true","id":"x"}`),
    ])
    const cursors = [`${json.next}A`, forged.toString('base64url')]
    for (const cursor of cursors)
      expect((await reader.get(`/messages?country=DK&cursor=${cursor}`)).status).toBe(400)
    for (const query of ["gateway=x'--", 'country=DK%27', 'state=any', 'limit=1000', 'sort=id'])
      expect((await reader.get(`/messages?${query}`)).status, query).toBe(400)
  })
})

describe('limits by the API', () => {
  test('show budgets and pauses, and a pause is lifted once, by an admin with a reason', async () => {
    await useBudget(house, 120)
    const sends = await pauseCountry(house, 'PL')
    const { json } = await reader.get('/limits')
    expect(json).toMatchObject({
      hour: { sends: 120, limit: 300 },
      countries: [{ country: 'PL', sends, passes: 3, pausedUntil: expect.any(String) }],
    })
    const path = '/limits/pauses/PL/lift'
    expect((await reader.post(path, { reason: 'reading only' })).status).toBe(403)
    expect((await api.post(path, {})).status).toBe(400)
    expect((await api.post(path, { reason: 'a campaign of ours' })).status).toBe(204)
    expect(await api.post(path, { reason: 'once more' })).toMatchObject({
      status: 409,
      json: { code: 'not_paused' },
    })
    expect((await api.post('/limits/pauses/XX/lift', { reason: 'nowhere' })).status).toBe(404)
    const [lifted] = await events('country.resumed')
    expect(lifted?.actor).toBe('client:program-write')
    expect((await reader.get('/limits')).json.countries[0].pausedUntil).toBeNull()
  })
})

describe('alerts and webhooks by the API', () => {
  test('alerts say what to do', async () => {
    await house.rooms.alerts.settle([
      { kind: 'gateway-down', subject: 'textbee', detail: { failure: 'quota' } },
    ])
    expect((await reader.get('/alerts')).json.items).toMatchObject([
      { name: 'gateway-down:textbee', severity: 'critical', whatToDo: expect.any(String) },
    ])
  })

  test('a webhook is made, tested, given another secret and removed; its secrets are shown once', async () => {
    const url = 'http://127.0.0.1:9/hook'
    const made = await api.post('/webhooks', { url, kinds: ['budget'] }, { 'idempotency-key': 'a' })
    const again = await api.post(
      '/webhooks',
      { url, kinds: ['budget'] },
      { 'idempotency-key': 'a' },
    )
    expect(again.json).toEqual(made.json)
    const { webhook, secret } = made.json
    expect(made).toMatchObject({ status: 201, json: { webhook: { url, kinds: ['budget'] } } })
    expect(secret).toMatch(/^whsec_/)
    const path = `/webhooks/${webhook.id}`

    const rotated = await api.post(`${path}/secret`)
    expect(rotated).toMatchObject({ status: 201, json: { formerSecretUntil: expect.any(String) } })
    expect(rotated.json.secret).not.toBe(secret)
    expect((await api.post(`${path}/test`)).status).toBe(202)
    expect((await reader.get(`${path}/deliveries`)).json.items).toMatchObject([
      { type: 'alert.test' },
    ])
    expect(await api.patch(path, { enabled: false, description: 'Pager' })).toMatchObject({
      json: { webhook: { enabled: false, description: 'Pager' }, secret: null },
    })
    expect((await api.post(`${path}/test`)).status).toBe(409)
    for (const asked of ['/webhooks', path, `${path}/deliveries`])
      expect(JSON.stringify((await reader.get(asked)).json), asked).not.toContain('whsec_')

    expect((await reader.delete(`${path}?reason=reading%20only`)).status).toBe(403)
    expect((await api.delete(path)).status).toBe(400)
    expect((await api.delete(`${path}?reason=not%20used`)).status).toBe(204)
    expect((await api.get(path)).status).toBe(404)
    expect(await events('webhook.removed')).toMatchObject([{ actor: 'client:program-write' }])
  })

  test('a webhook into our own network is refused, in a sentence', async () => {
    for (const url of [
      'https://169.254.169.254/latest',
      'https://localhost/x',
      'ftp://example.com',
    ])
      expect(await api.post('/webhooks', { url }), url).toMatchObject({
        status: 400,
        json: { code: 'webhook_url', detail: expect.stringContaining('WEBHOOK_ALLOWED_HOSTS') },
      })
    expect((await api.post('/webhooks', { url: 'https://example.com', secret: 'x' })).status).toBe(
      400,
    )
  })
})
