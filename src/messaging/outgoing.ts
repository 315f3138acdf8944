import type { PhoneNumber } from '../phone-number.ts'
import type { Gateway, OutgoingMessage, SendResult } from './gateway.ts'
import { measureText } from './gsm7.ts'
import type { GatewayEntry } from './registry.ts'
import type { Senders } from './senders.ts'
import type { Speech } from './speech.ts'

/** What comes of a message for which nothing could be composed. */
export const NO_SENDER: SendResult = {
  outcome: 'refused',
  unsent: true,
  failure: 'sender',
  detail: 'no sender that arrives in this country',
}

/** A message that no gateway was chosen for yet. */
export interface Wanted {
  to: PhoneNumber
  /** ISO 3166 code of the number's country */
  country: string | null
  /** a call's words depend on the languages that a gateway speaks */
  content:
    | { channel: 'sms'; text: string }
    | { channel: 'voice'; speechIn: (languages: readonly string[]) => Speech }
  /** BCP 47 */
  language: string
  /** digits of the code; null for what is no code */
  codeLength: number | null
  /** past this there is no use in sending any more */
  expiresInSeconds: number
}

/** How many parts the gateway bills. One that makes codes writes the text itself, and bills the code. */
export function billedParts({ judge }: Gateway, content: Wanted['content']): number {
  return content.channel === 'sms' && !judge ? measureText(content.text).parts : 1
}

export type Compose = ReturnType<typeof createOutgoing>

interface Dependencies {
  senders: Senders
  /** where reports of a gateway go: its callback address */
  reportUrl: (gateway: string) => string
}

/** Puts a message into the shape that a gateway's driver takes. */
export function createOutgoing({ senders, reportUrl }: Dependencies) {
  /** @returns null where the gateway has no sender that would arrive */
  return (
    entry: GatewayEntry,
    { to, content, country, language, codeLength, expiresInSeconds }: Wanted,
    reference: string,
  ): OutgoingMessage | null => {
    const { can, reports, name } = entry.gateway
    const sender = senders.choose(entry, content.channel, country)
    if (sender === undefined) return null
    const { minSeconds, maxSeconds } = can.validity ?? { minSeconds: 1, maxSeconds: Infinity }
    const seconds = Math.ceil(expiresInSeconds)
    const common = {
      reference,
      to,
      sender,
      validitySeconds: Math.min(maxSeconds, Math.max(minSeconds, seconds)),
      reportUrl: reports?.addressed === 'message' ? `${reportUrl(name)}?ref=${reference}` : null,
      language,
      codeLength,
    }
    if (content.channel === 'sms') return { ...common, channel: 'sms', text: content.text }
    return { ...common, channel: 'voice', speech: content.speechIn(can.voiceLanguages) }
  }
}
