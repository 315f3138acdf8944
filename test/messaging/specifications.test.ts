import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { Channel, Gateway, OutgoingMessage } from '../../src/messaging/gateway.ts'
import { createBird } from '../../src/messaging/gateways/bird.ts'
import { createMessagebird } from '../../src/messaging/gateways/messagebird.ts'
import { createTelnyx } from '../../src/messaging/gateways/telnyx.ts'
import { createTelnyxVerify } from '../../src/messaging/gateways/telnyx-verify.ts'
import { createTwilio } from '../../src/messaging/gateways/twilio.ts'
import { createVonage } from '../../src/messaging/gateways/vonage.ts'
import { CODE, call, TO, text } from '../support/driver-contract.ts'
import { VONAGE_PRIVATE_KEY } from '../support/fake-vonage.ts'
import { type Judged, type Mount, startSpecifications } from './specifications/mock.ts'

interface Case {
  name: string
  mounts: readonly Mount[]
  create(baseUrl: string): Gateway
  /** by the channels that its specifications cover: fields, and values that no gateway would take in them */
  broken: Partial<Record<Channel, ReadonlyArray<[field: string, value: unknown]>>>
}

const SID = 'AC0123456789abcdef0123456789abcdef'

const CASES: readonly Case[] = [
  {
    name: 'telnyx',
    mounts: [{ file: 'telnyx-trimmed.json' }],
    create: (baseUrl) =>
      createTelnyx({
        baseUrl,
        apiKey: 'KEY0123',
        messagingProfileId: '40017d1c-0000-4000-8000-000000000000',
        accountSid: '61c9c9c9-0000-4000-8000-000000000000',
        texmlApplicationId: '2137000000000000000',
        publicKeys: [],
      }),
    broken: {
      sms: [
        ['to', undefined],
        ['text', 17],
        ['type', 'PIGEON'],
      ],
      voice: [
        ['To', undefined],
        ['ApplicationSid', undefined],
        ['Timeout', 'soon'],
      ],
    },
  },
  {
    name: 'telnyx-verify',
    mounts: [{ file: 'telnyx-trimmed.json' }],
    create: (baseUrl) =>
      createTelnyxVerify({
        baseUrl,
        apiKey: 'KEY0123',
        verifyProfileId: '49000000-0000-4000-8000-000000000000',
        publicKeys: [],
      }),
    broken: {
      sms: [
        ['phone_number', undefined],
        ['timeout_secs', 'soon'],
      ],
      voice: [['verify_profile_id', undefined]],
    },
  },
  {
    name: 'twilio',
    mounts: [{ file: 'twilio_api_v2010-trimmed.json' }],
    create: (baseUrl) =>
      createTwilio({
        baseUrl,
        accountSid: SID,
        authTokens: ['token'],
        contentRetention: 'discard',
      }),
    broken: {
      sms: [
        ['To', undefined],
        ['ValidityPeriod', 'soon'],
        ['ContentRetention', 'forget'],
      ],
      voice: [
        ['To', undefined],
        ['From', undefined],
        ['Timeout', 'soon'],
      ],
    },
  },
  {
    name: 'messagebird',
    mounts: [{ file: 'messagebird-sms.yaml' }],
    create: (baseUrl) => createMessagebird({ baseUrl, accessKey: 'live_key', signingKeys: [] }),
    broken: {
      sms: [
        ['originator', undefined],
        ['body', undefined],
        ['recipients', undefined],
        ['validity', 'soon'],
      ],
    },
  },
  {
    name: 'bird',
    mounts: [{ file: 'bird-v1-assembled.json' }],
    create: (baseUrl) => createBird({ baseUrl, apiKey: 'bk_eu1_key', webhookSecrets: [] }),
    broken: {
      sms: [
        ['to', undefined],
        ['category', 'pigeon'],
        ['text', 17],
      ],
    },
  },
  {
    name: 'vonage',
    mounts: [
      { file: 'vonage-messages-v1.yml', below: '/v1/messages' },
      { file: 'vonage-voice.yml', below: '/v1/calls' },
    ],
    create: (baseUrl) =>
      createVonage({
        baseUrl,
        apiKey: 'a1b2c3d4',
        apiSecret: 'secret',
        applicationId: 'aaaaaaaa-bbbb-4ccc-8ddd-0123456789ab',
        privateKey: VONAGE_PRIVATE_KEY,
        signatureSecrets: [],
      }),
    broken: {
      sms: [
        ['to', '123'],
        ['from', undefined],
        ['message_type', 'pigeon'],
        ['channel', undefined],
      ],
      voice: [
        ['to', undefined],
        ['to', [{ number: '46701740605' }]],
        ['to', [{ type: 'phone', number: '+1' }]],
        ['from', { type: 'phone', number: '+1' }],
        ['ringing_timer', 121],
        ['machine_detection', 'listen'],
        ['event_url', 'https://login.example.com'],
      ],
    },
  },
]

let server: Awaited<ReturnType<typeof startSpecifications>>
beforeAll(async () => {
  const mounts = CASES.map(({ name, mounts }) => [name, mounts] as const)
  server = await startSpecifications(Object.fromEntries(mounts))
})
beforeEach(() => {
  server.judged.length = 0
})
afterAll(() => server.close())

const soon = () => AbortSignal.timeout(10_000)

/** Of a number and of a name, with and without an address for reports, within GSM-7 and beyond. */
const MESSAGES: Record<Channel, readonly OutgoingMessage[]> = {
  sms: [
    text(),
    text(TO, { sender: '+4512345678', reportUrl: null }),
    text(TO, { text: `認証コード: ${CODE}`, validitySeconds: 60 }),
  ],
  voice: [call(), call(TO, { reportUrl: null })],
}

describe.each(CASES)('by the specification of $name', ({ name, create, broken }) => {
  const covered = Object.entries(broken) as Array<[Channel, ReadonlyArray<[string, unknown]>]>

  test.each(covered)('what we send by %s is right', async (channel) => {
    const gateway = create(server.urlOf(name))
    for (const message of MESSAGES[channel]) {
      const result = await gateway.send(message, soon())
      expect(server.judged.at(-1)).toMatchObject({ mount: name, method: 'post', violations: [] })
      expect(result).toMatchObject({ outcome: 'accepted' })
    }
  })

  test.each(covered)('what is wrong by %s would be seen', async (channel, wrongs) => {
    const [message = text()] = MESSAGES[channel]
    await create(server.urlOf(name)).send(message, soon())
    const [sent] = server.judged
    if (!sent) throw new Error('nothing was sent')
    for (const [field, value] of wrongs) {
      const status = await sendAgain(sent, field, value)
      expect([400, 422], `${field} as ${JSON.stringify(value)}`).toContain(status)
    }
  })

  test('what we ask of it afterwards is right', async () => {
    const gateway = create(server.urlOf(name))
    const result = await gateway.send(text(), soon())
    if (result.outcome !== 'accepted' || result.providerId === null) throw new Error('not accepted')
    await gateway.poll?.(result.providerId, soon())
    await gateway.judge?.(result.providerId, CODE, soon())
    expect(server.judged.flatMap(({ violations }) => violations)).toEqual([])
  })
})

/** The same request with one field changed, or without it. @returns the status of the answer */
async function sendAgain({ mount, path, headers, body }: Judged, field: string, value: unknown) {
  const { 'content-type': type = '', accept = '' } = headers
  const response = await fetch(`${server.urlOf(mount)}${path}`, {
    method: 'POST',
    headers: { 'content-type': type, accept },
    body: withField(body, type, field, value),
    signal: soon(),
  })
  return response.status
}

function withField(body: string, type: string, field: string, value: unknown): string {
  if (type.startsWith('application/json'))
    return JSON.stringify({ ...JSON.parse(body), [field]: value })
  const form = new URLSearchParams(body)
  if (value === undefined) form.delete(field)
  else form.set(field, String(value))
  return form.toString()
}
