import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { FakeGateway } from '../support/fake-gateway.ts'
import { burst, createFlow } from '../support/flow.ts'
import { callFrom, reportFrom, startSmstools, stateOf } from '../support/gateways.ts'
import { type House, PHONES, startHouse } from '../support/house.ts'
import { exchange, head } from '../support/raw.ts'

let smstools: FakeGateway
let house: House
let client: { id: string; secret: string }
let people = 0
beforeAll(async () => {
  const started = await startSmstools()
  smstools = started.fake
  house = await startHouse({
    env: { ...started.env, SMS_GATEWAYS: 'smstools', SMS_DELIVERY_WAIT_SECONDS: '300' },
  })
  client = await house.addClient()
})
beforeEach(() => smstools.reset())
afterAll(async () => {
  await house.stop()
  await smstools.close()
})

/** Someone who waits for a text, and the id it has at the gateway. */
async function waiting() {
  const username = `person${++people}`
  await house.addAccount(username)
  const flow = createFlow(house, { client })
  await flow.toCode(username)
  const id = smstools.messages.at(-1)?.providerId ?? ''
  return { flow, id, state: async () => stateOf(await flow.page()) }
}

const rows = () => house.db.selectFrom('message').selectAll().execute()
const url = (name: string) => `${house.url}/webhooks/gateways/${name}`

describe('a delivery report', () => {
  test('moves its own message, forwards (GWY-12, input 103)', async () => {
    const one = await waiting()
    const other = await waiting()
    expect((await reportFrom(house, one.id, 'sent')).status).toBe(200)
    expect(await one.state()).toBe('accepted')
    expect((await reportFrom(house, one.id, 'delivered')).status).toBe(200)
    expect(await one.state()).toBe('delivered')
    for (const state of ['sent', 'failed', 'rejected'] as const)
      expect((await reportFrom(house, one.id, state)).status).toBe(200)
    expect(await one.state()).toBe('delivered')
    expect(await other.state()).toBe('accepted')
  })

  test('changes nothing but that message: no guess, lock, phone or challenge (GWY-12, CHL-01)', async () => {
    const { flow, id } = await waiting()
    await flow.code('000000')
    const seen = async () => ({
      challenges: await house.db.selectFrom('challenge').selectAll().orderBy('id').execute(),
      factors: await house.db
        .selectFrom('second_factor')
        .selectAll()
        .orderBy('account_id')
        .execute(),
      phones: await house.db.selectFrom('phone').selectAll().orderBy('id').execute(),
    })
    const before = await seen()
    await reportFrom(house, id, 'delivered')
    expect(await seen()).toEqual(before)
    const query = new URL((await flow.step('code', { code: '000001' })).location ?? 'x:y')
    expect(query.searchParams.get('code')).toBeNull()
  })

  test('that comes again and again counts once (GWY-11)', async () => {
    const { id } = await waiting()
    const events = () =>
      house.db
        .selectFrom('audit_event')
        .select('id')
        .where('type', '=', 'message.delivered')
        .execute()
    const before = (await events()).length
    const at = Math.floor(Date.now() / 1000)
    const answers = await burst(10, () => reportFrom(house, id, 'delivered', { at }))
    expect(answers.map(({ status }) => status)).toEqual(Array(10).fill(200))
    expect((await events()).length - before).toBe(1)
  })

  test('of a message that is not ours is taken without a word more (GWY-13)', async () => {
    const before = await rows()
    const answer = await reportFrom(house, 'nobody-knows-this', 'delivered')
    expect([answer.status, await answer.json()]).toEqual([200, { status: 'ok' }])
    expect(await rows()).toEqual(before)
  })

  test.each([
    ['another key', { secret: 'not-the-secret' }],
    ['an old time', { at: Math.floor(Date.now() / 1000) - 900 }],
    ['a time to come', { at: Math.floor(Date.now() / 1000) + 900 }],
    ['no signature', { headers: { 'x-smstools-signature': '' } }],
    ['a foreign signature', { headers: { 'x-smstools-signature': 't=1,v1=00' } }],
  ])('signed with %s is refused, and moves nothing (GWY-10, input 102)', async (_, options) => {
    const { id, state } = await waiting()
    const answer = await reportFrom(house, id, 'delivered', options)
    expect(answer.status).toBe(401)
    expect(JSON.stringify(await answer.json())).not.toContain(id)
    expect(await state()).toBe('accepted')
  })

  test('of another gateway is not taken for one of this', async () => {
    expect((await fetch(url('twilio'), { method: 'POST', body: 'x=1' })).status).toBe(404)
    expect((await fetch(url('..%2fsmstools'), { method: 'POST' })).status).toBe(404)
    expect((await fetch(url('smstools'))).status).toBe(401)
  })

  test('of any size or shape is answered, and too much is not read (input 104)', async () => {
    const big = Buffer.alloc(100 * 1024, 'x')
    expect((await fetch(url('smstools'), { method: 'POST', body: big })).status).toBe(413)
    for (const body of ['', '{', 'null', '[]', '{"message":null}', '\0\0', '💥'.repeat(100)])
      expect((await fetch(url('smstools'), { method: 'POST', body })).status).toBe(401)
  })

  test('with a key that could reach into other objects is taken for none (input 105)', async () => {
    const { id, state } = await waiting()
    const message = `"messageid":"${id}","receiver":"46701234567","delivery_code":"1"`
    for (const key of ['__proto__', 'constructor', 'prototype'])
      for (const body of [
        `{"webhook_type":"delivery_report","message":{${message}},"${key}":{"polluted":true}}`,
        `{"webhook_type":"delivery_report","message":{${message},"${key}":{"polluted":true}}}`,
        `[{"webhook_type":"delivery_report","message":{${message}}},{"${key}":{"polluted":true}}]`,
      ]) {
        const answer = await callFrom(house, body)
        expect([answer.status, await answer.json()], body).toEqual([200, { status: 'ok' }])
      }
    expect(await state()).toBe('accepted')
    expect({}).not.toHaveProperty('polluted')
    await callFrom(house, `{"webhook_type":"delivery_report","message":{${message}}}`)
    expect(await state()).toBe('delivered')
  })

  test('is no way in for texts that people send back (GWY-16)', async () => {
    const { flow } = await waiting()
    const body = JSON.stringify({
      webhook_type: 'inbox_message',
      message: { sender: PHONES[0], content: 'YES' },
    })
    const answer = await callFrom(house, body)
    expect(answer.status).toBe(200)
    expect((await flow.page()).html).toContain('one-time-code')
  })

  test('leaves no number, text or secret in any log', async () => {
    const { id } = await waiting()
    await reportFrom(house, id, 'delivered')
    const logged = house.logged.join('\n')
    expect(logged).toContain('delivery report')
    for (const secret of [
      PHONES[0].slice(1),
      'smstools-webhook-secret',
      /#(\d+)$/.exec(smstools.messages[0]?.text ?? '')?.[1] ?? 'no code',
    ])
      expect(logged).not.toContain(secret)
  })
})

test('a flood is cut off before it is read, says when to come again, and hinders no sign-in (GWY-14, input 104)', async () => {
  const path = '/webhooks/gateways/smstools'
  const post = (last: boolean) =>
    head('POST', path, { 'Content-Length': '2', ...(!last && { Connection: 'keep-alive' }) })
  // One after another without waiting, so that it takes but a moment.
  async function knock(count: number) {
    const requests = Array.from({ length: count }, (_, index) => `${post(index === count - 1)}{}`)
    const answers = await exchange(Number(new URL(house.url).port), requests.join(''))
    const statuses = answers.match(/(?<=HTTP\/1\.1 )\d{3}/g) ?? []
    expect(statuses).toHaveLength(count)
    return { answers, statuses: new Set(statuses) }
  }
  const { answers, statuses } = await knock(700)
  expect(statuses).toEqual(new Set(['401', '429']))
  expect(answers).toMatch(/^Retry-After: 60/im)

  let over = false
  const flood = (async () => {
    while (!over)
      for (const status of (await knock(200)).statuses) expect(['401', '429']).toContain(status)
  })()
  try {
    const { flow } = await waiting()
    const [, code = ''] = /#(\d+)$/.exec(smstools.messages.at(-1)?.text ?? '') ?? []
    const query = await flow.resume(await flow.code(code))
    expect(await flow.redeem(query.get('code') ?? '')).toMatchObject({ status: 200 })
  } finally {
    over = true
    await flood
  }
})
