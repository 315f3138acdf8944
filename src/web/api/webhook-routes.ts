import { z } from 'zod'
import type { Receivers } from '../../admin/receivers.ts'
import { ALERT_KINDS } from '../../alerts/kinds.ts'
import { newWebhook, webhookPatch } from '../../alerts/webhook-shapes.ts'
import { type Route, route } from './route.ts'
import { id, reason, time } from './schemas.ts'

const tag = 'webhooks'

const webhookId = z.strictObject({ id })

const webhook = z
  .object({
    id: z.string(),
    url: z.string(),
    description: z.string().nullable(),
    kinds: z.array(z.enum(ALERT_KINDS)).nullable().describe('null: all'),
    enabled: z.boolean(),
    createdAt: time,
    formerSecretUntil: time.nullable().describe('until when the secret before signs, too'),
  })
  .meta({ id: 'Webhook' })

const secret = z.string().describe('shown only now; as libraries for Standard Webhooks take it')

const delivery = z
  .object({
    id: z.string().describe('`webhook-id` of the request'),
    type: z.enum(['alert.raised', 'alert.ended', 'alert.test']),
    alert: z.string().describe('name of the alert'),
    state: z.enum(['waiting', 'sent', 'failed']),
    tries: z.int(),
    status: z.int().nullable().describe('HTTP status of the last answer'),
    problem: z.string().nullable().describe('what was wrong with the last try'),
    createdAt: time,
    nextTryAt: time.nullable().describe('null once it is done with'),
    doneAt: time.nullable(),
  })
  .meta({ id: 'Delivery' })

/** Receivers that are told of alerts. */
export function webhookRoutes(receivers: Receivers): Route[] {
  return [
    route({
      id: 'listWebhooks',
      tag,
      method: 'get',
      path: '/webhooks',
      summary: 'List webhooks',
      permission: 'webhooks.read',
      answer: z.object({ items: z.array(webhook) }),
      handle: async (actor) => ({ body: { items: await receivers.list(actor) } }),
    }),
    route({
      id: 'createWebhook',
      tag,
      method: 'post',
      path: '/webhooks',
      summary: 'Tell an address of alerts',
      permission: 'webhooks.write',
      body: newWebhook.meta({ id: 'NewWebhook' }),
      status: 201,
      answer: z.object({ webhook, secret }),
      refusals: [409],
      async handle(actor, { body }) {
        const made = await receivers.create(actor, body)
        return { body: made, location: `/webhooks/${made.webhook.id}` }
      },
    }),
    route({
      id: 'getWebhook',
      tag,
      method: 'get',
      path: '/webhooks/:id',
      summary: 'Show a webhook',
      permission: 'webhooks.read',
      params: webhookId,
      answer: webhook,
      handle: async (actor, { params }) => ({ body: await receivers.get(actor, params.id) }),
    }),
    route({
      id: 'patchWebhook',
      tag,
      method: 'patch',
      path: '/webhooks/:id',
      summary: 'Edit a webhook',
      permission: 'webhooks.write',
      params: webhookId,
      body: webhookPatch.meta({ id: 'WebhookChanges' }),
      answer: z.object({
        webhook,
        secret: secret.nullable().describe('where another URL brought another; shown only now'),
      }),
      async handle(actor, { params, body }) {
        const { secret = null, ...changed } = await receivers.patch(actor, params.id, body)
        return { body: { ...changed, secret } }
      },
    }),
    route({
      id: 'deleteWebhook',
      tag,
      method: 'delete',
      path: '/webhooks/:id',
      summary: 'Remove a webhook, and whatever waits for it',
      permission: 'webhooks.write',
      params: webhookId,
      query: z.strictObject({ reason }),
      handle: (actor, { params, query }) => receivers.remove(actor, params.id, query.reason),
    }),
    route({
      id: 'rotateWebhookSecret',
      tag,
      method: 'post',
      path: '/webhooks/:id/secret',
      summary: 'Make a new secret',
      description: 'The one before signs beside it for a day, for the receiver to change over.',
      permission: 'webhooks.write',
      params: webhookId,
      body: z.strictObject({ reason: reason.optional() }),
      status: 201,
      answer: z.object({ secret, formerSecretUntil: time }),
      handle: async (actor, { params, body }) => ({
        body: await receivers.rotateSecret(actor, params.id, body.reason),
      }),
    }),
    route({
      id: 'testWebhook',
      tag,
      method: 'post',
      path: '/webhooks/:id/test',
      summary: 'Send an event that means nothing',
      permission: 'webhooks.write',
      params: webhookId,
      body: z.strictObject({}),
      status: 202,
      answer: z.object({ id: z.string().describe('of the delivery') }),
      refusals: [409],
      handle: async (actor, { params }) => ({ body: await receivers.test(actor, params.id) }),
    }),
    route({
      id: 'listDeliveries',
      tag,
      method: 'get',
      path: '/webhooks/:id/deliveries',
      summary: 'List the last hundred events on their way to a webhook',
      permission: 'webhooks.read',
      params: webhookId,
      answer: z.object({ items: z.array(delivery) }),
      handle: async (actor, { params }) => ({
        body: { items: await receivers.deliveries(actor, params.id) },
      }),
    }),
  ]
}
