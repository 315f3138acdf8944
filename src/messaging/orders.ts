import type { Channel } from './gateway.ts'
import type { GatewayEntry, GatewayName } from './registry.ts'

/** Which gateways are tried, in which order. */
export interface OrderRules {
  texts: readonly GatewayName[]
  /** in place of those, by ISO country of the number */
  routes: ReadonlyMap<string, readonly GatewayName[]>
  calls: readonly GatewayName[]
}

export type Orders = ReturnType<typeof createOrders>

export function createOrders(
  { texts, routes, calls }: OrderRules,
  entries: readonly GatewayEntry[],
) {
  const byName = new Map(entries.map((entry) => [entry.gateway.name, entry]))
  const built = (names: readonly string[]) => names.flatMap((name) => byName.get(name) ?? [])
  const ofTexts = built(texts)
  const ofCalls = built(calls)
  const ofRoutes = new Map([...routes].map(([country, names]) => [country, built(names)]))

  return {
    /** every gateway that is used for anything, once */
    entries: [...byName.values()],
    canCall: ofCalls.length > 0,

    find: (name: string) => byName.get(name),

    of(channel: Channel, country: string | null): readonly GatewayEntry[] {
      if (channel === 'voice') return ofCalls
      return ofRoutes.get(country ?? '') ?? ofTexts
    },
  }
}

/** All names that an order knows, each once. */
export function namesOf({ texts, routes, calls }: OrderRules): GatewayName[] {
  return [...new Set([...texts, ...[...routes.values()].flat(), ...calls])]
}
