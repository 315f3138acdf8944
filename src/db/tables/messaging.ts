import type { Generated } from 'kysely'

export interface MessageTable {
  id: string
  /** null for a notice */
  challenge_id: string | null
  channel: 'sms' | 'voice'
  gateway: string
  country: string | null
  /** parts the gateway bills */
  parts: number
  state: MessageState
  provider_id: string | null
  failure: string | null
  detail: string | null
  created_at: Date
  updated_at: Date
}

export type MessageState = 'sending' | 'accepted' | 'refused' | 'unknown'

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
