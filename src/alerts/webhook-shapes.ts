import { z } from 'zod'
import { sealedTable } from '../db/sealed-table.ts'
import { Refusal } from '../errors.ts'
import { ALERT_KINDS, type AlertKind } from './kinds.ts'

export const SEALED_WEBHOOKS = sealedTable('webhook', {
  key: { id: 'text' },
  columns: ['url', 'secret', 'former_secret'],
  sealedAs: { former_secret: 'secret' },
})

export const URL_COLUMN = 'webhook.url'
/** Of the former secret, too, so that it can take its place unopened. */
export const SECRET_COLUMN = 'webhook.secret'

const url = z
  .string()
  .max(2048)
  .describe('Where alerts are posted to: an https: address that everyone can reach.')
const description = z
  .string()
  .trim()
  .min(1)
  .max(200)
  .regex(/^\P{C}*$/u, 'must be one line')
  .describe('What it is for, in your own words.')
const kinds = z
  .array(z.enum(ALERT_KINDS))
  .min(1)
  .transform((named) => [...new Set(named)])
  .describe('Kinds of alerts it is told of; all when left out or null.')

export const newWebhook = z.strictObject({
  url,
  description: description.optional(),
  kinds: kinds.nullish(),
})
export type NewWebhook = z.input<typeof newWebhook>

export const webhookPatch = z.strictObject({
  url: url
    .optional()
    .describe('Another address gets another secret, since the old one knows the old secret.'),
  description: description.nullable().optional(),
  kinds: kinds.nullable().optional(),
  enabled: z
    .boolean()
    .optional()
    .describe('A webhook whose receiver answered 410 is disabled; true enables it again.'),
})
export type WebhookPatch = z.input<typeof webhookPatch>

export interface Webhook {
  id: string
  url: string
  description: string | null
  /** null: all */
  kinds: AlertKind[] | null
  enabled: boolean
  createdAt: Date
  /** until when the secret before the present one signs, too; null when none does */
  formerSecretUntil: Date | null
}

/** One event on its way to a webhook. */
export interface Delivery {
  /** `webhook-id` of the request */
  id: string
  type: 'alert.raised' | 'alert.ended' | 'alert.test'
  /** name of the alert */
  alert: string
  state: 'waiting' | 'sent' | 'failed'
  tries: number
  /** HTTP status of the last answer */
  status: number | null
  /** what was wrong with the last try */
  problem: string | null
  createdAt: Date
  /** null once it is done with */
  nextTryAt: Date | null
  doneAt: Date | null
}

export function unknownWebhook(id: string): Refusal {
  return new Refusal('no_webhook', 404, `There is no webhook ${id}.`)
}
