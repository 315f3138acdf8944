import { setTimeout as pause } from 'node:timers/promises'
import { sql } from 'kysely'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { Condition } from '../../src/alerts/kinds.ts'
import { type Alerting, startAlerting } from '../support/alerting.ts'
import { dump, writings } from '../support/dump.ts'
import { type FakeSmtp, startFakeSmtp } from '../support/fake-smtp.ts'
import { isSigned, type Receiver, startReceiver } from '../support/receiver.ts'

const DAY = 24 * 3600
const DOWN: Condition = {
  kind: 'gateway-down',
  subject: 'twilio',
  detail: { failure: 'config' },
}
const STORM: Condition = { kind: 'lock-storm', subject: null, detail: { locks: 20 } }

let alerting: Alerting
let receiver: Receiver
let house: ReturnType<Alerting['instance']>
beforeAll(async () => {
  alerting = await startAlerting()
  receiver = await startReceiver()
  house = alerting.instance()
})
beforeEach(async () => {
  await sql`truncate alert, webhook, alert_delivery`.execute(alerting.db)
  receiver.reset()
})
afterAll(async () => {
  await receiver.close()
  await alerting.stop()
})

async function deliveryOf(id: string) {
  const [delivery] = await house.webhooks.deliveries(id)
  if (!delivery) throw new Error(`nothing is sent to ${id}`)
  return delivery
}
const refusal = (code: string) => expect.objectContaining({ code })

describe('a webhook', () => {
  test('is told of an alert and its end, signed by the Standard Webhooks scheme', async () => {
    const { id, secret } = await house.webhooks.create({ url: receiver.url })
    expect(secret).toMatch(/^whsec_[A-Za-z0-9+/]{43}=$/)
    await house.alerts.settle([DOWN])
    await Promise.all([house.send(), alerting.instance().send()])
    alerting.moveClock(301)
    await house.alerts.settle([])
    await house.send()
    const [raised, ended, ...more] = receiver.requests
    expect(more).toEqual([])
    if (!raised || !ended) throw new Error('two requests are needed')
    for (const request of [raised, ended]) {
      expect(isSigned(request, secret)).toBe(true)
      expect(isSigned({ ...request, body: `${request.body} ` }, secret)).toBe(false)
    }
    expect(raised.headers).toMatchObject({
      'content-type': 'application/json',
      'webhook-id': expect.stringMatching(/^msg_[0-9a-f]{32}$/),
      'webhook-timestamp': String(Date.parse('2030-01-02T12:00:00Z') / 1000),
    })
    expect(JSON.parse(raised.body)).toEqual({
      type: 'alert.raised',
      timestamp: '2030-01-02T12:00:00.000Z',
      data: {
        name: 'gateway-down:twilio',
        kind: 'gateway-down',
        subject: 'twilio',
        severity: 'critical',
        title: 'Gateway twilio is down: config',
        whatToDo: expect.stringContaining('gateway test twilio'),
        detail: { failure: 'config' },
        raisedAt: '2030-01-02T12:00:00.000Z',
        endedAt: null,
      },
    })
    expect(JSON.parse(ended.body)).toMatchObject({
      type: 'alert.ended',
      data: { endedAt: '2030-01-02T12:05:01.000Z' },
    })
    expect(await house.webhooks.deliveries(id)).toMatchObject([
      { type: 'alert.ended', state: 'sent', status: 200, tries: 1, nextTryAt: null },
      { type: 'alert.raised', state: 'sent', status: 200, tries: 1, alert: 'gateway-down:twilio' },
    ])
  })

  test('is told of the kinds it asked for', async () => {
    const { id } = await house.webhooks.create({ url: receiver.url, kinds: ['lock-storm'] })
    await house.alerts.settle([DOWN, STORM])
    expect(await house.webhooks.deliveries(id)).toMatchObject([{ alert: 'lock-storm' }])
  })

  test('is tried again after waits that grow, with the same id, until it answers', async () => {
    const { id, secret } = await house.webhooks.create({ url: receiver.url })
    await house.webhooks.test(id)
    receiver.answer = 500
    await house.send()
    await house.send()
    alerting.moveClock(4)
    await house.send()
    expect(receiver.requests).toHaveLength(1)
    expect(await deliveryOf(id)).toMatchObject({ state: 'waiting', status: 500, tries: 1 })
    alerting.moveClock(1)
    receiver.answer = 'hang'
    await house.send()
    expect(await deliveryOf(id)).toMatchObject({ tries: 2, problem: 'no answer in time' })
    receiver.answer = 204
    alerting.moveClock(60)
    await house.send()
    expect(await deliveryOf(id)).toMatchObject({ state: 'sent', status: 204, tries: 3 })
    const requests = receiver.requests
    expect(new Set(requests.map(({ headers }) => headers['webhook-id'])).size).toBe(1)
    expect(new Set(requests.map(({ headers }) => headers['webhook-timestamp'])).size).toBe(3)
    expect(new Set(requests.map(({ body }) => body)).size).toBe(1)
    expect(requests.every((request) => isSigned(request, secret))).toBe(true)
  })

  test('gets each event from one instance, however many send', async () => {
    const { id } = await house.webhooks.create({ url: receiver.url })
    for (let i = 0; i < 45; i++) await house.webhooks.test(id)
    await Promise.all([house, alerting.instance(), alerting.instance()].map((one) => one.send()))
    expect(receiver.requests).toHaveLength(45)
    // What another one is just taking is left to it, and not waited for.
    await house.webhooks.test(id)
    await alerting.db.transaction().execute(async (trx) => {
      await sql`select from alert_delivery where state = 'waiting' for update`.execute(trx)
      expect(await Promise.race([house.send(), pause(5000, 'waited')])).not.toBe('waited')
    })
    expect(receiver.requests).toHaveLength(45)
  })

  test('is given up after eight tries over most of a day', async () => {
    const { id } = await house.webhooks.create({ url: receiver.url })
    await house.webhooks.test(id)
    receiver.answer = 503
    for (let i = 0; i < 10; i++) {
      await house.send()
      alerting.moveClock(DAY)
    }
    expect(receiver.requests).toHaveLength(8)
    expect(await deliveryOf(id)).toMatchObject({
      state: 'failed',
      tries: 8,
      problem: 'answered 503',
      doneAt: expect.any(Date),
    })
  })

  test('gets what an instance that died amid sending had taken', async () => {
    const { id } = await house.webhooks.create({ url: receiver.url })
    await house.webhooks.test(id)
    await sql`update alert_delivery set tries = 1, next_try_at = ${alerting.clock()} + interval '60 s'`.execute(
      alerting.db,
    )
    await house.send()
    expect(receiver.requests).toHaveLength(0)
    alerting.moveClock(60)
    await house.send()
    expect(await deliveryOf(id)).toMatchObject({ state: 'sent', tries: 2 })
  })

  test('that answers 410 is told of nothing more, until it is enabled', async () => {
    const { id } = await house.webhooks.create({ url: receiver.url })
    await house.webhooks.test(id)
    receiver.answer = 410
    await house.send()
    await house.alerts.settle([DOWN])
    expect((await house.webhooks.deliveries(id)).map(({ state }) => state)).toEqual(['failed'])
    expect(await house.webhooks.show(id)).toMatchObject({ enabled: false })
    await expect(house.webhooks.test(id)).rejects.toEqual(refusal('webhook_disabled'))
    expect((await alerting.recorded('webhook.disabled')).at(-1)?.detail).toEqual({ webhook: id })
    receiver.answer = 200
    await house.webhooks.patch(id, { enabled: true })
    alerting.moveClock(1)
    await house.webhooks.test(id)
    await house.send()
    expect(await deliveryOf(id)).toMatchObject({ state: 'sent' })
  })

  test('whose name leads inside by then is not reached', async () => {
    let address = '93.184.215.14'
    const other = alerting.instance({ trusted: [], resolve: async () => [address] })
    const { id } = await other.webhooks.create({ url: `https://hooks.example:${receiver.port}/` })
    await other.webhooks.test(id)
    address = '127.0.0.1'
    await other.send()
    expect(receiver.requests).toEqual([])
    const { problem } = await deliveryOf(id)
    expect(problem).toContain('must not lead inside')
  })

  test('with another URL has another secret: the old one’s receiver can’t sign for it (ADM-15)', async () => {
    const { id, secret } = await house.webhooks.create({ url: receiver.url })
    const { secret: rotated } = await house.webhooks.rotateSecret(id)
    const same = await house.webhooks.patch(id, { url: receiver.url, description: 'ours' })
    expect(same).toMatchObject({ webhook: { description: 'ours' }, secret: undefined })
    const moved = await house.webhooks.patch(id, { url: `${receiver.url}/new` })
    expect(moved.webhook).toMatchObject({ url: `${receiver.url}/new`, formerSecretUntil: null })
    const { rows } = await sql`select former_secret from webhook`.execute(alerting.db)
    expect(rows).toEqual([{ former_secret: null }])
    await house.webhooks.test(id)
    await house.send()
    const [request] = receiver.requests
    if (!request || !moved.secret) throw new Error('a request and a secret are needed')
    expect(isSigned(request, moved.secret)).toBe(true)
    for (const old of [secret, rotated]) expect(isSigned(request, old)).toBe(false)
  })

  test('whose secret is rotated is signed for with both, for a day', async () => {
    const { id, secret } = await house.webhooks.create({ url: receiver.url })
    const { secret: next } = await house.webhooks.rotateSecret(id)
    const signedBy = async () => {
      await house.webhooks.test(id)
      await house.send()
      const request = receiver.requests.at(-1)
      return [secret, next].map((one) => request && isSigned(request, one))
    }
    expect(await signedBy()).toEqual([true, true])
    alerting.moveClock(DAY + 1)
    expect(await signedBy()).toEqual([false, true])
    expect(await house.webhooks.sweep(10)).toBe(1)
    expect(await signedBy()).toEqual([false, true])
  })

  test('is removed with all that waits for it', async () => {
    const { id } = await house.webhooks.create({ url: receiver.url })
    await house.webhooks.test(id)
    await house.webhooks.remove(id)
    await house.send()
    expect(receiver.requests).toEqual([])
    expect(await house.webhooks.list()).toEqual([])
    for (const ask of [
      () => house.webhooks.remove(id),
      () => house.webhooks.test(id),
      () => house.webhooks.rotateSecret(id),
      () => house.webhooks.patch(id, { enabled: true }),
      () => house.webhooks.deliveries(id),
    ])
      await expect(ask()).rejects.toEqual(refusal('no_webhook'))
  })

  test('that leads inside is refused with a sentence, however it is given', async () => {
    const guarded = alerting.instance({ trusted: [] })
    const { id } = await house.webhooks.create({ url: receiver.url })
    const refused = expect.objectContaining({
      code: 'webhook_url',
      status: 400,
      message: expect.stringMatching(/^The URL of a webhook must .*WEBHOOK_ALLOWED_HOSTS\.$/),
    })
    const url = 'https://169.254.169.254/latest/meta-data/'
    await expect(guarded.webhooks.create({ url })).rejects.toEqual(refused)
    await expect(guarded.webhooks.patch(id, { url })).rejects.toEqual(refused)
    expect(await house.webhooks.list()).toMatchObject([{ url: receiver.url }])
  })

  test('is the twentieth at most, also of those added at once', async () => {
    const adding = Array.from({ length: 23 }, () => house.webhooks.create({ url: receiver.url }))
    const done = await Promise.allSettled(adding)
    expect(done.filter(({ status }) => status === 'fulfilled')).toHaveLength(20)
    expect(done).toContainEqual({ status: 'rejected', reason: refusal('too_many_webhooks') })
    expect(await house.webhooks.list()).toHaveLength(20)
  })

  test('leaves no secret and no URL in a stolen dump, nor in the audit trail', async () => {
    const { id, secret } = await house.webhooks.create({ url: `${receiver.url}?token=very-secret` })
    const { secret: next } = await house.webhooks.rotateSecret(id)
    await house.webhooks.test(id)
    await house.send()
    const stolen = await dump(alerting.db)
    expect(stolen).toContain(id)
    for (const value of [secret, next, 'very-secret'])
      for (const written of writings(value.replace('whsec_', '')))
        expect(stolen.includes(written), value).toBe(false)
    const types = (await alerting.recorded('webhook.created', 'webhook.secret-rotated')).slice(-2)
    expect(types.map(({ type }) => type)).toEqual(['webhook.created', 'webhook.secret-rotated'])
  })
})

describe('a mail', () => {
  let smtp: FakeSmtp
  beforeAll(async () => {
    smtp = await startFakeSmtp()
  })
  afterAll(() => smtp.close())

  test('tells each address of an alert and its end, again where it was not taken', async () => {
    const mailing = alerting.instance({
      mailTo: ['ops@example.com', 'boss@example.com'],
      smtpUrl: smtp.url,
    })
    smtp.mode = 'defer'
    await mailing.alerts.settle([DOWN])
    await mailing.send()
    expect(smtp.mails).toEqual([])
    smtp.mode = 'ok'
    alerting.moveClock(5)
    await mailing.send()
    alerting.moveClock(301)
    await mailing.alerts.settle([])
    await mailing.send()
    expect(smtp.faults).toEqual([])
    expect(smtp.mails.map(({ to }) => to.join()).sort()).toEqual([
      'boss@example.com',
      'boss@example.com',
      'ops@example.com',
      'ops@example.com',
    ])
    const subjects = smtp.mails.map(({ headers }) => headers.get('subject'))
    const title = 'Gateway twilio is down: config'
    expect(subjects).toEqual([
      ...Array(2).fill(`Example: ${title}`),
      ...Array(2).fill(`Example: over: ${title}`),
    ])
    expect(smtp.mails[0]?.text).toMatch(
      /^Gateway twilio is down: config\.\n\nIt refuses our key.*\n\nSince 2030-[\d-]+ [\d:]+ UTC, at https:\/\/login\.example\.com\.\n/,
    )
    expect(await dump(alerting.db)).not.toContain('ops@example.com')
  })

  test('that the server refuses for good is not sent again', async () => {
    const mailing = alerting.instance({ mailTo: ['nobody@example.com'], smtpUrl: smtp.url })
    smtp.reset()
    smtp.mode = 'refuse'
    await mailing.alerts.settle([DOWN])
    await mailing.send()
    alerting.moveClock(DAY)
    await mailing.send()
    expect(smtp.tries).toBe(1)
  })
})
