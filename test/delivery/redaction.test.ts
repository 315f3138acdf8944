import { createHmac } from 'node:crypto'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { dump, writings } from '../support/dump.ts'
import type { FakeGateway } from '../support/fake-gateway.ts'
import { createFlow } from '../support/flow.ts'
import { reportFrom, startSmstools, until } from '../support/gateways.ts'
import { type House, PHONES, startHouse } from '../support/house.ts'

const TEXTBEE_SECRET = 'textbee-webhook-secret'

let smstools: FakeGateway
let house: House
beforeAll(async () => {
  const started = await startSmstools()
  smstools = started.fake
  house = await startHouse({
    env: {
      ...started.env,
      TEXTBEE_WEBHOOK_SECRET: TEXTBEE_SECRET,
      SMS_GATEWAYS: 'textbee,smstools',
      VOICE_GATEWAYS: 'smstools',
      SMS_DELIVERY_WAIT_SECONDS: '1',
    },
  })
})
afterAll(async () => {
  await house.stop()
  await smstools.close()
})

/** textbee reports a text by all of it, code included. */
async function textbeeReport(text: string): Promise<void> {
  const body = JSON.stringify({
    message: text,
    webhookEvent: 'MESSAGE_SENT',
    idempotencyKey: 'one',
    smsBatchId: '665f0c0e1f4b2a0012ab0003',
    status: 'sent',
    recipient: PHONES[0],
  })
  const signature = createHmac('sha256', TEXTBEE_SECRET).update(body).digest('hex')
  const answer = await fetch(`${house.url}/webhooks/gateways/textbee`, {
    method: 'POST',
    body,
    headers: { 'x-signature': signature, 'content-type': 'application/json' },
  })
  expect(answer.status).toBe(200)
}

test('a code that went every way there is stands in no log, row or metric, nor do number and keys', async () => {
  const client = await house.addClient()
  await house.addAccount('alex')
  const flow = createFlow(house, { client })
  house.gateway.mode = 'accept-never-deliver'
  await flow.toCode('alex')
  const text = house.gateway.requests[0]?.text ?? ''
  const code = /#(\d+)$/.exec(text)?.[1] ?? ''
  await textbeeReport(text)
  await until(() => flow.page(), 'by another route')
  await expect.poll(() => smstools.messages.length).toBe(1)
  smstools.answerNext({ status: 400, body: { error: '105', errorMsg: text } })
  house.moveClock(31)
  await flow.step('resend')
  await reportFrom(house, smstools.messages[0]?.providerId ?? '', 'failed')
  house.moveClock(61)
  await flow.step('call')
  expect(smstools.messages.at(-1)?.channel).toBe('voice')
  await flow.resume(await flow.code(code))

  const metrics = await (await fetch(`${house.url}/metrics`)).text()
  expect(metrics).toMatch(/sallyport_messages_total\{gateway="smstools",channel="voice"/)
  const told = { logs: house.logged.join('\n'), rows: await dump(house.db), metrics }
  const secrets = [
    code,
    [...code].join(', '),
    PHONES[0].slice(1),
    house.gateway.apiKey,
    TEXTBEE_SECRET,
    'smstools-client-secret',
    'smstools-webhook-secret',
  ]
  for (const [where, everything] of Object.entries(told))
    for (const secret of secrets)
      for (const written of writings(secret))
        if (written !== code || where !== 'rows')
          expect(everything.includes(written), `${secret} in ${where}`).toBe(false)
  // Six digits turn up in hashes by chance; as a word of their own they would be the code.
  expect(told.rows).not.toMatch(new RegExp(`(?<![0-9a-zA-Z.])${code}(?![0-9a-zA-Z])`))
  for (const { path, query } of smstools.requests) expect(`${path}?${query}`).not.toContain(code)
})
