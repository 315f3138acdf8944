import type { PhoneNumber } from '../phone-number.ts'

export type Channel = 'sms' | 'voice'

/** One message as a gateway driver gets it. */
export interface OutgoingMessage {
  /** Our id of this try: at most 40 letters and digits, safe to hand to any gateway as a client reference. */
  reference: string
  channel: Channel
  to: PhoneNumber
  text: string
}

/** Why a gateway said no, in one word that is the same for all gateways. */
export type FailureClass =
  | 'recipient'
  | 'sender'
  | 'content'
  | 'config'
  | 'quota'
  | 'throttle'
  | 'transient'

/** What became of one try at one gateway. */
export type SendResult =
  /** The gateway took the message; `providerId` is null where it tells none. */
  | { outcome: 'accepted'; providerId: string | null }
  /** The gateway said no before sending anything. `detail` is its own code, fit for a log. */
  | { outcome: 'refused'; failure: FailureClass; detail: string; httpStatus?: number }
  /** The request went out and no readable answer came back: it may have been sent. */
  | { outcome: 'unknown'; detail: string }

/** A service that sends messages. A driver never throws: every failure is a result. */
export interface Gateway {
  readonly name: string
  readonly channels: readonly Channel[]
  /** @param signal aborts when the messenger's time-out for this gateway has passed */
  send(message: OutgoingMessage, signal: AbortSignal): Promise<SendResult>
  /** Whether credentials and settings work, without sending anything. */
  check(signal: AbortSignal): Promise<{ ok: boolean; detail: string }>
}
