import { Writable } from 'node:stream'
import { pino } from 'pino'
import type { Clock } from '../../src/db/clock.ts'
import type { Db } from '../../src/db/schema.ts'
import { createLog, describeError, type Log } from '../../src/log.ts'
import type {
  Capabilities,
  FailureClass,
  Gateway,
  OutgoingMessage,
  Refused,
  SendResult,
} from '../../src/messaging/gateway.ts'
import { createMessenger, type SendRequest } from '../../src/messaging/messenger.ts'
import { createOrders, type OrderRules } from '../../src/messaging/orders.ts'
import type { GatewayEntry } from '../../src/messaging/registry.ts'
import { createReports } from '../../src/messaging/reports.ts'
import { createSenders, type SenderRules } from '../../src/messaging/senders.ts'
import { createMetrics } from '../../src/metrics.ts'
import { brand } from '../../src/phone-number.ts'

export const CODE = '804213'
export const TO = '+46701740605'
export const TEXT = `Sallyport: ${CODE} is your sign-in code.`
/** A challenge's code, on its way to the one phone there is. */
export const carrying = (challengeId: string) => ({
  challengeId,
  phoneId: 'phone-1',
  send: 1,
  unasked: false,
})

export const REQUEST: SendRequest = {
  carries: carrying('challenge-1'),
  to: brand(TO),
  country: 'SE',
  content: { channel: 'sms', text: TEXT },
  language: 'en',
  codeLength: 6,
  expiresInSeconds: 300,
}
export const REPORT_URL = 'https://login.example.com/webhooks/gateways'

export const ACCEPTED: SendResult = { outcome: 'accepted', providerId: 'p-1' }
export const UNKNOWN: SendResult = { outcome: 'unknown', detail: 'time-out' }
export const refused = (failure: FailureClass, more: Partial<Refused> = {}): SendResult => ({
  outcome: 'refused',
  failure,
  detail: `was-${failure}`,
  httpStatus: 400,
  ...more,
})

type Answer = SendResult | ((signal: AbortSignal) => Promise<SendResult>)

/** What makes a scripted gateway another than one that carries texts and nothing else. */
interface Traits extends Partial<Omit<GatewayEntry, 'gateway'>> {
  can?: Partial<Capabilities>
  reports?: Gateway['reports']
  judge?: Gateway['judge']
  poll?: Gateway['poll']
}

export type Scripted = ReturnType<typeof scripted>

/** A gateway that answers what it is told, and remembers what it was asked. `answers`: the last one for good. */
export function scripted(
  name: string,
  answers: Answer | readonly Answer[],
  { can, reports, judge, poll, ...more }: Traits = {},
) {
  const asked: OutgoingMessage[] = []
  const script = [answers].flat()
  const gateway: Gateway = {
    name,
    can: {
      channels: ['sms', 'voice'],
      voiceLanguages: ['en'],
      senderKinds: ['chosen-there'],
      validity: null,
      encoding: 'by-gateway',
      maxTextLength: 1000,
      idempotent: false,
      sandbox: false,
      ...can,
    },
    async send(message, signal) {
      asked.push(message)
      const answer = script[Math.min(asked.length, script.length) - 1] ?? UNKNOWN
      return typeof answer === 'function' ? answer(signal) : answer
    },
    check: async () => ({ ok: true, detail: '' }),
    ...(reports && { reports }),
    ...(judge && { judge }),
    ...(poll && { poll }),
  }
  // Too short for a second try, which only tests of those need.
  return { gateway, timeoutMs: 700, asked, ...more }
}

interface Parts {
  db: Db
  clock: Clock
  /** those of texts, in their order */
  gateways: readonly GatewayEntry[]
  /** names, in place of that order */
  routes?: Record<string, readonly string[]>
  calls?: readonly string[]
  senders?: Partial<SenderRules>
  log?: Log
}

/** Orders of gateways that the registry doesn't know. */
export function createTestOrders({
  gateways,
  routes = {},
  calls = [],
}: Pick<Parts, 'gateways' | 'routes' | 'calls'>) {
  const rules = {
    texts: gateways.map(({ gateway }) => gateway.name),
    routes: new Map(Object.entries(routes)),
    calls,
  } as OrderRules
  return createOrders(rules, gateways)
}

/** A messenger over given gateways, and what takes their reports. */
export function createTestMessenger({ db, clock, senders, log, ...named }: Parts) {
  const lines: string[] = []
  const orders = createTestOrders(named)
  const parts = { db, clock, orders, metrics: createMetrics(), log: log ?? logInto(lines) }
  const messenger = createMessenger({
    ...parts,
    senders: createSenders({
      chosen: undefined,
      brandName: 'Sallyport',
      numericCountries: new Set(['US']),
      ...senders,
    }),
    reportUrl: (gateway) => `${REPORT_URL}/${gateway}`,
    deliveryWaitSeconds: 20,
  })
  const { metrics } = parts
  return { ...messenger, messenger, reports: createReports(parts), orders, metrics, lines }
}

/** Nothing masked: a test may look for what must not be there. */
function logInto(lines: string[]): Log {
  const sink = new Writable({
    write(chunk, _encoding, done) {
      lines.push(String(chunk))
      done()
    },
  })
  return pino({ serializers: { error: describeError } }, sink)
}

/** A log as the provider writes it. */
export function realLog(lines: string[]): Log {
  return createLog('trace', false, { write: (line) => void lines.push(line) })
}
