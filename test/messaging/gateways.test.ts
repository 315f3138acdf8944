import { describe, expect, it } from 'vitest'
import { createOutbox } from '../../src/messaging/gateways/outbox.ts'
import { createGateways, GATEWAY_NAMES, isGatewayName } from '../../src/messaging/registry.ts'
import { brand } from '../../src/phone-number.ts'

const never = new AbortController().signal
const to = brand('+46701740605')

describe('the outbox', () => {
  it('lists what it was given, oldest first, the last 200', async () => {
    const outbox = createOutbox()
    for (let index = 0; index < 203; index++) {
      const message = { reference: 'r', channel: 'sms' as const, to, text: `text ${index}` }
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
})

describe('the registry', () => {
  const outbox = createOutbox()
  const textbee = { baseUrl: 'http://127.0.0.1:1', deviceId: 'd', timeoutMs: 4321 }

  it('builds gateways in the configured order, each with its time-out', () => {
    const entries = createGateways(
      { gateways: ['textbee', 'outbox'], textbee },
      { textbeeApiKey: 'k' },
      outbox,
    )
    expect(entries.map(({ gateway }) => gateway.name)).toEqual(['textbee', 'outbox'])
    expect(entries[0]?.timeoutMs).toBe(4321)
    expect(entries[1]?.gateway).toBe(outbox)
  })

  it('refuses what it does not know or lacks settings for', () => {
    expect(() => createGateways({ gateways: ['pigeon'] }, {}, outbox)).toThrow('unknown gateway')
    expect(() => createGateways({ gateways: ['textbee'], textbee }, {}, outbox)).toThrow('textbee')
    expect(() => createGateways({ gateways: ['toString'] }, {}, outbox)).toThrow('unknown gateway')
    expect(GATEWAY_NAMES.every(isGatewayName)).toBe(true)
  })
})
