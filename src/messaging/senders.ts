import type { Channel } from './gateway.ts'
import type { GatewayEntry } from './registry.ts'

export interface SenderRules {
  /** for gateways that have none of their own; undefined when the operator named none */
  chosen: string | undefined
  /** in place of that, where a gateway must be given one */
  brandName: string
  /** where names don't arrive as senders, only numbers */
  numericCountries: ReadonlySet<string> | '*'
}

export type Senders = ReturnType<typeof createSenders>

const NUMBER = /^\+?\d+$/

/** Who a message comes from, by destination. */
export function createSenders({ chosen, brandName, numericCountries }: SenderRules) {
  const brand = brandSender(brandName)

  return {
    /** @returns undefined when this gateway has no sender that would arrive there */
    choose(
      { gateway, sender: own, number }: GatewayEntry,
      channel: Channel,
      country: string | null,
    ): string | null | undefined {
      const { senderKinds } = gateway.can
      const there = senderKinds.includes('chosen-there')
      // It sends from a SIM or a pool of its own, or nowhere.
      const none = there || senderKinds.length === 0 ? null : undefined
      const wanted = own ?? chosen
      const numeric = number ?? (wanted && NUMBER.test(wanted) ? wanted : undefined)
      if (channel === 'voice') return numeric ?? null
      const needsNumber =
        numericCountries === '*' || (country !== null && numericCountries.has(country))
      if (needsNumber || !senderKinds.includes('name')) {
        return senderKinds.includes('number') ? (numeric ?? none) : none
      }
      return wanted ?? (there ? null : brand)
    },
  }
}

/** At most 11 letters and digits of ASCII, of which one is a letter; a name in another script falls back to ours. */
export function brandSender(brandName: string): string {
  const plain = brandName
    .normalize('NFKD')
    .replace(/[^A-Za-z0-9 ]/g, '')
    .replace(/\s+/g, ' ')
    .trim()
    .slice(0, 11)
    .trim()
  return /[A-Za-z]/.test(plain) ? plain : 'Sallyport'
}
