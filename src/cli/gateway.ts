import type { Command } from 'commander'
import { readConfig } from '../config/config.ts'
import { environment } from '../config/environment.ts'
import { databaseClock } from '../db/clock.ts'
import type { Gateway, GatewayCheck } from '../messaging/gateway.ts'
import { createGatewayStates, type GatewayState } from '../messaging/gateway-states.ts'
import type { OrderRules } from '../messaging/orders.ts'
import { askGateway, checkInWords, entriesOf, ordersOf } from './gateway-checks.ts'
import { addGatewayTest } from './gateway-test.ts'
import { type Outcome, perform, record } from './output.ts'
import { onDatabase } from './session.ts'

export function addGatewayCommands(program: Command): void {
  const noun = program.command('gateway').description('services that carry texts and calls')

  const list = noun
    .command('list')
    .description('show every gateway in its order, what it can, and how it has been')
    .option('--no-check', 'leave the gateways alone: neither credentials nor credit are looked at')
  perform(list, 'gateway list', async ({ check }: { check: boolean }) => {
    const { config, secrets } = readConfig(environment())
    const entries = entriesOf(config, secrets)
    const names = entries.map(({ gateway }) => gateway.name)
    const [states, checks] = await Promise.all([
      onDatabase(config, secrets, (db) =>
        createGatewayStates({ db, clock: databaseClock }).list(names),
      ),
      Promise.all(entries.map((entry) => (check ? askGateway(entry) : null))),
    ])
    const found = entries.flatMap(({ gateway }, place) => {
      const state = states[place]
      return state ? [{ gateway, state, check: checks[place] ?? null }] : []
    })
    return describe(ordersOf(config), found)
  })

  addGatewayTest(noun)
}

interface Found {
  gateway: Gateway
  state: GatewayState
  /** null where it wasn't asked */
  check: GatewayCheck | null
}

function describe(orders: OrderRules, found: readonly Found[]): Outcome {
  const { texts, routes, calls } = orders
  const lines = [
    ['texts', texts.join(', ')],
    ...[...routes].map(([country, names]) => [`texts to ${country}`, names.join(', ')]),
    ['calls', calls.join(', ') || 'none'],
  ] as const
  return {
    json: { texts, routes: Object.fromEntries(routes), calls, gateways: found.map(asJson) },
    text: [
      record(lines.map(([name = '', value = '']) => [name, value])),
      ...found.map(asText),
    ].join('\n\n'),
  }
}

function asJson({ gateway, state, check }: Found) {
  const { circuit, openUntil, lastFailure, day } = state
  const { can, judge } = gateway
  return {
    name: gateway.name,
    can,
    reports: reportedBy(gateway),
    ownCodes: judge !== undefined,
    circuit,
    openUntil,
    lastFailure,
    day,
    check,
  }
}

function asText({ gateway, state, check }: Found): string {
  const { can, judge } = gateway
  const { lastFailure, day } = state
  const channels = can.channels.map((channel) => (channel === 'sms' ? 'texts' : 'calls'))
  const abilities = [
    channels.join(' and '),
    `deliveries told by ${reportedBy(gateway).join(' and ') || 'nothing'}`,
    ...(judge ? ['makes its own codes'] : []),
    ...(can.sandbox ? ['has a sandbox'] : []),
  ]
  const taken = `${day.accepted} accepted (${day.delivered} delivered, ${day.undelivered} not)`
  return `${gateway.name}\n${record([
    ['  can', abilities.join('; ')],
    ['  circuit', circuitInWords(state)],
    [
      '  last error',
      lastFailure
        ? `${lastFailure.class}: ${lastFailure.detail}, at ${lastFailure.at.toISOString()}`
        : 'none',
    ],
    ['  24 hours', `${taken}, ${day.refused} refused, ${day.unknown} unknown`],
    ...(check ? ([['  check', checkInWords(check)]] as const) : []),
  ])}`
}

function circuitInWords({ circuit, openUntil }: GatewayState): string {
  if (circuit === 'closed') return 'closed'
  if (circuit === 'half-open') return 'half-open: the next message decides'
  return `open: left alone until ${openUntil?.toISOString()}`
}

/** How it's learned what became of a message. */
function reportedBy({ reports, poll }: Gateway): Array<'webhook' | 'poll'> {
  return [...(reports ? (['webhook'] as const) : []), ...(poll ? (['poll'] as const) : [])]
}
