import { afterAll, beforeAll, beforeEach } from 'vitest'
import {
  createGatewayApi,
  type GatewayApiSettings,
} from '../../src/messaging/gateways/gatewayapi.ts'
import type { text } from './driver-contract.ts'
import { type FakeContract, type FakeGateway, startFakeGateway } from './fake-gateway.ts'
import { GATEWAYAPI_TOKEN } from './fake-gatewayapi.ts'

export type Create = ReturnType<typeof maker>

/** Makes drivers of one of its APIs, with a token that the fakes take. */
export const maker =
  (api: 'rest' | 'messaging', webhookSecret: string) =>
  (baseUrl: string, more: Partial<GatewayApiSettings> = {}) =>
    createGatewayApi({
      baseUrl,
      api,
      token: GATEWAYAPI_TOKEN,
      messageClass: 'secret',
      webhookSecrets: [webhookSecret],
      ...more,
    })

export const withKeys = (create: Create, own: string) => (keys: 'other' | 'rotating') =>
  create('http://127.0.0.1:9', { webhookSecrets: keys === 'other' ? ['another'] : ['next', own] })

/** A fake for the tests of a file, empty before each. */
export function withFake(contract: FakeContract, create: Create) {
  let fake: FakeGateway
  beforeAll(async () => {
    fake = await startFakeGateway(contract)
  })
  beforeEach(() => fake.reset())
  afterAll(() => fake.close())
  return {
    fakeOf: () => fake,
    asked: () => JSON.parse(fake.requests[0]?.body ?? ''),
    send: (message: ReturnType<typeof text>) =>
      create(fake.baseUrl).send(message, AbortSignal.timeout(2000)),
  }
}

export type Failure = 'recipient' | 'content' | 'config' | 'quota' | 'transient' | 'throttle'
export type Row = [
  title: string,
  answer: { status: number; body?: unknown },
  failure: Failure,
  more: Record<string, unknown>,
]

/** A refusal without a code. */
export function bare(status: number, failure: Failure): Row {
  return [`${status} alone`, { status, body: '<html>' }, failure, { detail: `http ${status}` }]
}

export function accepted(providerId: string | null) {
  return { outcome: 'accepted' as const, providerId }
}
