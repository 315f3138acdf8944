import type { ColumnType, Generated } from 'kysely'

export interface AlertTable {
  /** kind and subject, as in `gateway-down:twilio` */
  name: string
  kind: string
  subject: string | null
  detail: ColumnType<unknown, string, string>
  raised_at: Date
  /** when it was last found to be so */
  seen_at: Date
  /** null while it is live */
  ended_at: Date | null
}

export interface WebhookTable {
  id: string
  /** sealed: such addresses often hold a token */
  url: Buffer
  /** sealed */
  secret: Buffer
  /** the one before, sealed for the place of `secret`; signs beside it until `former_until` */
  former_secret: Buffer | null
  former_until: Date | null
  description: string | null
  /** of alerts that it is told of; null: of all */
  kinds: string[] | null
  created_at: Date
  /** since when it is told of nothing */
  disabled_at: Date | null
}

/** One event on its way to one webhook or mail address. */
export interface AlertDeliveryTable {
  /** `webhook-id`, and that of the mail: the same for each try */
  id: string
  /** null for a mail */
  webhook_id: string | null
  /** null for a webhook, and once it is done with */
  mail_to: string | null
  type: 'alert.raised' | 'alert.ended' | 'alert.test'
  /** the alert as it was then */
  alert: ColumnType<unknown, string, never>
  created_at: Date
  next_try_at: Date
  tries: Generated<number>
  state: Generated<'waiting' | 'sent' | 'failed'>
  /** HTTP status of the last try that was answered */
  status: number | null
  /** what was wrong with the last try, in a few words */
  problem: string | null
  done_at: Date | null
}
