import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { createFlow } from '../support/flow.ts'
import { type House, startHouse } from '../support/house.ts'
import { isSigned, type Receiver, startReceiver } from '../support/receiver.ts'

let house: House
let receiver: Receiver
beforeAll(async () => {
  receiver = await startReceiver()
  house = await startHouse({ env: { WEBHOOK_ALLOWED_HOSTS: '127.0.0.1' } })
})
afterAll(async () => {
  await house.stop()
  await receiver.close()
})

test('a sign-in that meets a value it can’t open is told to a webhook, and recorded although it failed', async () => {
  const app = await house.addClient('app')
  await house.addAccount('alex')
  const { secret } = await house.rooms.webhooks.create({ url: receiver.url })
  await house.db
    .updateTable('phone')
    .set({ hotp_secret: Buffer.alloc(64, 1) })
    .execute()
  const flow = createFlow(house, { client: app })
  await flow.begin()
  const { status, headers } = await flow.password('alex')
  expect(status).toBeGreaterThanOrEqual(300)
  const events = () =>
    house.db.selectFrom('audit_event').selectAll().where('type', '=', 'alert.decrypt').execute()
  await vi.waitUntil(async () => (await events()).length > 0, 10_000)
  expect(await events()).toMatchObject([
    {
      actor: 'self',
      request_id: headers.get('x-request-id'),
      detail: { column: 'phone.hotp_secret' },
    },
  ])
  // The server's own worker sends it.
  await vi.waitUntil(() => receiver.requests.length > 0, 10_000)
  const [request] = receiver.requests
  if (!request) throw new Error('nothing came')
  expect(isSigned(request, secret)).toBe(true)
  expect(JSON.parse(request.body)).toMatchObject({
    type: 'alert.raised',
    data: { name: 'decrypt-failures:phone.hotp_secret' },
  })
  expect(house.logged.join('')).not.toContain(secret)
})
