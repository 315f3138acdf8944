import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'
import { createServiceMetrics } from './service-metrics.ts'

/** How a try at a gateway went, in the words of the messaging room. */
interface Tried {
  gateway: string
  channel: string
  country: string | null
  result: { outcome: string; failure?: string }
  tookMs: number
}

interface Reported {
  gateway: string
  country: string | null
  state: string
  ageSeconds: number
}

/** What became of a code that someone was asked for, one word for each way in which it can end. */
export const CODE_OUTCOMES = [
  'right',
  'wrong',
  'expired',
  'used',
  'too-many-tries',
  'too-many-sends',
  'not-delivered',
] as const

export type CodeOutcome = (typeof CODE_OUTCOMES)[number]

export type Metrics = ReturnType<typeof createMetrics>

/** What is counted, for Prometheus. No label ever holds a number, a name or anything else of a person. */
export function createMetrics() {
  const registry = new Registry()
  collectDefaultMetrics({ register: registry })
  const registers = [registry]

  const tries = new Counter({
    name: 'sallyport_messages_total',
    help: 'Messages handed to a gateway, by what it answered',
    labelNames: ['gateway', 'channel', 'country', 'outcome', 'class'],
    registers,
  })
  const seconds = new Histogram({
    name: 'sallyport_message_seconds',
    help: 'How long a gateway took to answer',
    labelNames: ['gateway'],
    buckets: [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
    registers,
  })
  const reports = new Counter({
    name: 'sallyport_delivery_reports_total',
    help: 'Messages that a gateway reported on, by what became of them',
    labelNames: ['gateway', 'country', 'state'],
    registers,
  })
  const deliverySeconds = new Histogram({
    name: 'sallyport_delivery_seconds',
    help: 'From handing a message over to the report of its delivery',
    labelNames: ['gateway'],
    buckets: [1, 2, 5, 10, 20, 40, 80, 160],
    registers,
  })
  const codes = new Counter({
    name: 'sallyport_codes_total',
    help: 'What became of codes that people were asked for',
    labelNames: ['outcome'],
    registers,
  })
  const reroutes = new Counter({
    name: 'sallyport_reroutes_total',
    help: 'Messages sent by another gateway because the first one did not deliver',
    labelNames: ['gateway', 'channel'],
    registers,
  })
  const circuits = new Gauge({
    name: 'sallyport_gateway_open',
    help: '1 while this instance last found a gateway left alone because it fails',
    labelNames: ['gateway'],
    registers,
  })
  const alerts = new Gauge({
    name: 'sallyport_alerts',
    help: 'Live alerts, by what they are about, as this instance last found them',
    labelNames: ['kind'],
    registers,
  })
  const seals = new Counter({
    name: 'sallyport_seals_total',
    help: 'Values sealed, by column: the first of ENCRYPTION_KEYS may seal 4,294,967,296 of each',
    labelNames: ['column'],
    registers,
  })
  for (const outcome of CODE_OUTCOMES) codes.inc({ outcome }, 0)

  return {
    ...createServiceMetrics(registry),

    messageTried({ gateway, channel, country, result, tookMs }: Tried): void {
      const { outcome, failure = 'none' } = result
      tries.inc({ gateway, channel, country: country ?? 'unknown', outcome, class: failure })
      seconds.observe({ gateway }, tookMs / 1000)
    },

    messageReported({ gateway, country, state, ageSeconds }: Reported): void {
      reports.inc({ gateway, country: country ?? 'unknown', state })
      if (state === 'delivered') deliverySeconds.observe({ gateway }, ageSeconds)
    },

    rerouted: (gateway: string, channel: string) => reroutes.inc({ gateway, channel }),

    gatewayOpen: (gateway: string, open: boolean) => circuits.set({ gateway }, open ? 1 : 0),

    alertsLive(live: ReadonlyArray<{ kind: string; alerts: number }>): void {
      alerts.reset()
      for (const one of live) alerts.set({ kind: one.kind }, one.alerts)
    },

    sealed: (column: string) => seals.inc({ column }),

    codeEnded: (outcome: CodeOutcome) => codes.inc({ outcome }),

    contentType: registry.contentType,
    render: () => registry.metrics(),
  }
}
