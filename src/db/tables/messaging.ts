import type { Generated } from 'kysely'

export interface MessageTable {
  id: string
  /** null for a notice */
  challenge_id: string | null
  /** which of the account's phones it went to; null for a notice */
  phone_id: string | null
  /** the how-manieth send of its challenge it belongs to */
  send: number | null
  /** nobody asked for it: the one before was not delivered */
  unasked: Generated<boolean>
  channel: 'sms' | 'voice'
  gateway: string
  country: string | null
  /** parts the gateway bills */
  parts: number
  state: MessageState
  provider_id: string | null
  failure: string | null
  detail: string | null
  /** what is wrong with the number, where the gateway said so */
  fault: string | null
  /** the gateway's own code in its last report */
  code: string | null
  /** it should have been delivered by now, and there is no other way to send it */
  overdue: Generated<boolean>
  /** when it is looked at next whether it was delivered; null once nothing more is done about it */
  watch_at: Date | null
  created_at: Date
  updated_at: Date
}

/** `trying`, `refused` and `unknown` come of our own try; the rest is what the gateway told. */
export const MESSAGE_STATES = [
  'trying',
  'refused',
  'unknown',
  'accepted',
  'sending',
  'sent',
  'unconfirmed',
  'expired',
  'failed',
  'rejected',
  'delivered',
] as const

export type MessageState = (typeof MESSAGE_STATES)[number]

export interface GatewayStateTable {
  gateway: string
  /** in a row, of those that are the gateway's own */
  failures: number
  /** how often its circuit opened since it last worked */
  openings: number
  /** until when it isn't used; past that one try may close the circuit. Null while it is closed */
  open_until: Date | null
  /** the last failure */
  failure: string | null
  detail: string | null
  failed_at: Date
}

/** Reports that were taken, so that a repeated one counts once. */
export interface GatewayReportTable {
  key: Buffer
  expires_at: Date
}

export interface NoticeTable {
  id: string
  account_id: string
  kind: string
  medium: 'sms' | 'mail'
  /** sealed number or address: where it goes, even if the account has another by now */
  recipient: Buffer
  language: string | null
  /** sealed JSON of what the words take */
  detail: Buffer | null
  created_at: Date
  next_try_at: Date
  tries: Generated<number>
  state: Generated<'waiting' | 'sent' | 'failed'>
}
