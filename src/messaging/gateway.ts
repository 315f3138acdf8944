import type { PhoneNumber } from '../phone-number.ts'
import type { Speech } from './speech.ts'

export type Channel = 'sms' | 'voice'

/** What every message says to a gateway driver, whichever way it goes. */
interface Outgoing {
  /** Our id of this try: at most 40 letters and digits, safe to hand to any gateway as a client reference. */
  reference: string
  to: PhoneNumber
  /** chosen for the destination: a name of at most 11 letters and digits, or `+E.164`; null where the gateway chooses */
  sender: string | null
  /** past this there is no use in delivering it; within what the gateway takes */
  validitySeconds: number
  /** where this message's reports are to go; null where the gateway isn't told */
  reportUrl: string | null
  /** BCP 47, of the page that asked */
  language: string
  /** digits of the code, for gateways that make it themselves; null for what is no code */
  codeLength: number | null
}

export type OutgoingMessage =
  | (Outgoing & { channel: 'sms'; text: string })
  | (Outgoing & { channel: 'voice'; speech: Speech })

/** Why a gateway said no, in one word that is the same for all gateways. */
export type FailureClass =
  | 'recipient'
  | 'sender'
  | 'content'
  | 'config'
  | 'quota'
  | 'throttle'
  | 'transient'

/** What is wrong with a number, where that is known: each leads to other words on the page. */
export type RecipientFault = 'opted-out' | 'landline' | 'barred'

export interface Refused {
  outcome: 'refused'
  failure: FailureClass
  /** the gateway's own code or ours, fit for a log: never its words, which may echo the message */
  detail: string
  httpStatus?: number
  /** of `recipient` alone */
  fault?: RecipientFault
  /** of `recipient`: the reason is this gateway's own, as when it serves no such country, so another may take it */
  elsewhere?: true
  /** no request went out, so that it tells nothing of the gateway */
  unsent?: true
  /** of `throttle`: when it may be tried again, where the gateway said so */
  retryAfterMs?: number
}

/** What became of one try at one gateway. */
export type SendResult =
  /** The gateway took the message; `providerId` is null where it tells none. */
  | { outcome: 'accepted'; providerId: string | null }
  /** The gateway said no before sending anything. */
  | Refused
  /** The request went out and no readable answer came back: it may have been sent. */
  | { outcome: 'unknown'; detail: string }

/** What a gateway told of a message it had taken, from the first to the last it can. */
export type DeliveryState =
  | 'accepted'
  | 'sending'
  | 'sent'
  | 'unconfirmed'
  | 'expired'
  | 'failed'
  | 'rejected'
  | 'delivered'

export interface DeliveryReport {
  /** Which message: by its id at the gateway, by our reference, or by both. */
  providerId?: string
  reference?: string
  state: DeliveryState
  /** its word for a state, fit for a log, where it is none we know and `state` says no more than `accepted` */
  unheard?: string
  /** why it wasn't delivered, where the gateway says */
  failure?: FailureClass
  fault?: RecipientFault
  /** the gateway's own code, fit for a log */
  code?: string
  /** the same whenever this very report comes again, and different from every other */
  key: string
}

/** A request to our callback address, as it came in. */
export interface Callback {
  method: 'GET' | 'POST'
  /** as the gateway knows it: from the configured issuer, with path and query */
  url: string
  /** by lower-case name */
  headers: Readonly<Record<string, string | string[] | undefined>>
  /** before any parser */
  body: Buffer
  /** seconds since 1970 */
  now: number
}

export type CallbackVerdict =
  | { reports: readonly DeliveryReport[] }
  | { refused: 'signature' | 'stale' | 'malformed' }

/** What became of a code that the gateway itself made and now judged. */
export type CodeVerdict = 'right' | 'wrong' | 'gone' | 'too-many-tries' | 'unavailable'

/** What a gateway can do: asked of it instead of its name. */
export interface Capabilities {
  channels: readonly Channel[]
  /** BCP 47 languages it speaks; empty without voice */
  voiceLanguages: readonly string[]
  /** `chosen-there`: its account picks one where none is given */
  senderKinds: ReadonlyArray<'name' | 'number' | 'chosen-there'>
  /** how long a text may wait at the gateway; null where it can't be told */
  validity: { minSeconds: number; maxSeconds: number } | null
  /** who sees to letters beyond GSM-7 */
  encoding: 'by-gateway' | 'by-driver'
  /** UTF-16 units of the longest text it takes; null where none of ours goes out */
  maxTextLength: number | null
  /** whether the same reference sent twice goes out once */
  idempotent: boolean
  /** whether it can be tried without sending anything */
  sandbox: boolean
}

export interface GatewayCheck {
  ok: boolean
  detail: string
  /** what is left of the account's money, where the gateway tells, as in `12.50 EUR` */
  credit?: string
}

/** A service that sends messages. A driver never throws: every failure is a result. */
export interface Gateway {
  readonly name: string
  readonly can: Capabilities
  /**
   * Hands a message over, once. A gateway with `judge` makes a code of its own and sends that instead.
   * @param signal aborts when the messenger's time-out for this gateway has passed
   */
  send(message: OutgoingMessage, signal: AbortSignal): Promise<SendResult>
  /** Whether credentials and settings work, without sending anything. */
  check(signal: AbortSignal): Promise<GatewayCheck>
  /** How it reports what became of messages; absent where it doesn't, or isn't set up to. */
  readonly reports?: {
    /** `message`: each message tells where to; `account`: the address is set at the gateway */
    addressed: 'message' | 'account'
    read(callback: Callback): CallbackVerdict | Promise<CallbackVerdict>
  }
  /** Asks what became of a message. @returns null when that can't be said */
  poll?(providerId: string, signal: AbortSignal): Promise<DeliveryReport | null>
  /** Judges a code that the gateway made and sent. Only its exact word for success is `right`. */
  judge?(providerId: string, code: string, signal: AbortSignal): Promise<CodeVerdict>
}
