import { describe, expect, it } from 'vitest'
import { GATEWAY_NAMES, isGatewayName } from '../../src/config/gateway-rules.ts'
import type { OutgoingMessage } from '../../src/messaging/gateway.ts'
import { createOutbox } from '../../src/messaging/gateways/outbox.ts'
import { createGateway } from '../../src/messaging/registry.ts'
import { codeSpeech } from '../../src/messaging/speech.ts'
import { brand } from '../../src/phone-number.ts'

const never = new AbortController().signal
const to = brand('+46701740605')

describe('the outbox', () => {
  const common = {
    reference: 'r',
    to,
    sender: null,
    validitySeconds: 300,
    reportUrl: null,
    language: 'en',
    codeLength: 6,
  }

  it('lists what it was given, oldest first, the last 200', async () => {
    const outbox = createOutbox()
    for (let index = 0; index < 203; index++) {
      const message: OutgoingMessage = { ...common, channel: 'sms', text: `text ${index}` }
      expect(await outbox.send(message, never)).toEqual({ outcome: 'accepted', providerId: null })
    }
    const listed = outbox.list()
    expect(listed).toHaveLength(200)
    expect(listed[0]).toEqual({
      to,
      text: 'text 3',
      channel: 'sms',
      sentAt: expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/),
    })
    expect(listed.at(-1)?.text).toBe('text 202')
    expect((await outbox.check(never)).ok).toBe(true)
  })

  it('writes down what a call would say', async () => {
    const outbox = createOutbox()
    const speech = codeSpeech({ brand: 'Acme', code: '804213' })
    await outbox.send({ ...common, channel: 'voice', speech }, never)
    expect(outbox.list()).toMatchObject([{ channel: 'voice' }])
    expect(outbox.list()[0]?.text.match(/8, 0, 4, 2, 1, 3/g)).toHaveLength(2)
  })
})

describe('the registry', () => {
  const outbox = createOutbox()
  const textbee = {
    baseUrl: 'http://127.0.0.1:1',
    apiKey: 'k',
    deviceId: 'd',
    webhookSecrets: [],
    timeoutMs: 4321,
  }

  it('builds a gateway with its time-out and senders', () => {
    const entry = createGateway('textbee', { textbee }, outbox)
    expect(entry.gateway.name).toBe('textbee')
    expect(entry.timeoutMs).toBe(4321)
    expect(createGateway('outbox', {}, outbox).gateway).toBe(outbox)
  })

  it('refuses what lacks its settings', () => {
    const unset = GATEWAY_NAMES.filter((name) => name !== 'outbox')
    expect(unset.length).toBeGreaterThan(9)
    for (const name of unset)
      expect(() => createGateway(name, {}, outbox)).toThrow(`gateway ${name} lacks its settings`)
    expect(() => createGateway('textbee', { textbee: '' }, outbox)).toThrow('textbee')
  })

  it('is asked for names that there are alone', () => {
    expect(GATEWAY_NAMES.every(isGatewayName)).toBe(true)
    for (const name of ['pigeon', 'toString', '__proto__', 'constructor', ''])
      expect(isGatewayName(name)).toBe(false)
  })
})
