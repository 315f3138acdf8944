import type { Gateway } from './gateway.ts'
import type { Outbox } from './gateways/outbox.ts'
import { createTextbee, type TextbeeSettings } from './gateways/textbee.ts'

export const GATEWAY_NAMES = ['outbox', 'textbee'] as const

export type GatewayName = (typeof GATEWAY_NAMES)[number]

/** The part of the configuration that gateways are built from. */
export interface GatewayConfig {
  /** names, in the order they are tried */
  gateways: readonly string[]
  textbee?: Omit<TextbeeSettings, 'apiKey'> & { timeoutMs: number }
}

export interface GatewaySecrets {
  textbeeApiKey?: string
}

/** A gateway as the messenger uses it. */
export interface GatewayEntry {
  gateway: Gateway
  /** how long one try may take */
  timeoutMs: number
}

/** It writes to memory; the limit is there only because every entry has one. */
const OUTBOX_TIMEOUT_MS = 1000

/**
 * Builds the configured gateways, in their order.
 *
 * @param outbox handed in, because the development page lists what is in it
 * @throws Error naming the gateway that is unknown or lacks settings
 */
export function createGateways(
  config: GatewayConfig,
  secrets: GatewaySecrets,
  outbox: Outbox,
): GatewayEntry[] {
  const builders: Record<GatewayName, () => GatewayEntry> = {
    outbox: () => ({ gateway: outbox, timeoutMs: OUTBOX_TIMEOUT_MS }),
    textbee() {
      const apiKey = secrets.textbeeApiKey
      if (!config.textbee || !apiKey) throw new Error('gateway textbee lacks its settings')
      const { timeoutMs, ...settings } = config.textbee
      return { gateway: createTextbee({ ...settings, apiKey }), timeoutMs }
    },
  }
  return config.gateways.map((name) => {
    if (!isGatewayName(name)) throw new Error(`unknown gateway ${name}`)
    return builders[name]()
  })
}

export function isGatewayName(name: string): name is GatewayName {
  return GATEWAY_NAMES.some((known) => known === name)
}
