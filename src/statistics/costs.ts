import type { PriceTable } from '../config/price-variables.ts'

/** What messages cost today, as far as the operator said. */
export interface Prices {
  /** ISO 4217 */
  currency: string
  /** of a part of a text */
  sms: PriceTable | undefined
  /** of a call */
  voice: PriceTable | undefined
}

/** Messages that went one way, and what of them is billed. */
export interface Billed {
  gateway: string
  country: string | null
  channel: string
  billed: number
  parts: number
}

/** An estimate: what is billed, at today's prices. */
export interface Cost {
  /** null where none of it has a price */
  cost: number | null
  /** how many messages are left out since there is no price for them */
  unpriced: number
}

/** From a message's price on, each class of cost; see `costClass`. */
const MEDIUM = 0.02
const HIGH = 0.08

export type CostClass = 'free' | 'low' | 'medium' | 'high' | 'unknown'

/** Of a part or a call: the closest price there is. */
export function priceOf(
  prices: Prices,
  { gateway, country, channel }: Pick<Billed, 'gateway' | 'country' | 'channel'>,
): number | null {
  const table = channel === 'voice' ? prices.voice : prices.sms
  const places = country
    ? [`${gateway}/${country}`, country, `${gateway}/*`, '*']
    : [`${gateway}/*`, '*']
  return places.map((place) => table?.get(place)).find((price) => price !== undefined) ?? null
}

export function costOf(prices: Prices, ways: readonly Billed[]): Cost {
  const billed = ways.filter(({ billed }) => billed > 0)
  const priced = billed.flatMap((way) => {
    const price = priceOf(prices, way)
    return price === null ? [] : [{ ...way, cost: price * way.parts }]
  })
  const count = (some: readonly Billed[]) => some.reduce((sum, { billed }) => sum + billed, 0)
  const unpriced = count(billed) - count(priced)
  const cost = rounded(priced.reduce((sum, { cost }) => sum + cost, 0))
  return { cost: priced.length === 0 && unpriced > 0 ? null : cost, unpriced }
}

/** One message in a word. */
export function costClass(message: Billed, { cost }: Cost): CostClass {
  if (message.billed === 0) return 'free'
  if (cost === null) return 'unknown'
  if (cost < MEDIUM) return 'low'
  return cost < HIGH ? 'medium' : 'high'
}

/** Prices have six decimals at most; sums of them needn't show what floating point makes of that. */
const rounded = (cost: number) => Math.round(cost * 1e6) / 1e6
