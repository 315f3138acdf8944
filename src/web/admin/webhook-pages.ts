import type Router from '@koa/router'
import type { Context } from 'koa'
import type { Receivers } from '../../admin/receivers.ts'
import { ALERT_KINDS, type AlertKind } from '../../alerts/kinds.ts'
import type { Delivery, Webhook } from '../../alerts/webhook-shapes.ts'
import { idOf, readStrict } from '../account/input.ts'
import { ALERTS_URL } from './alerts-page.ts'
import type { Confirming, FormField } from './confirming.ts'
import type { ConsoleDoor } from './console-door.ts'
import type { ConsolePages } from './console-pages.ts'
import { goOn } from './done.ts'
import type { Who } from './who.ts'

const WEBHOOKS_URL = `${ALERTS_URL}/webhooks`

interface Dependencies {
  door: ConsoleDoor
  pages: ConsolePages
  confirm: Confirming
  receivers: Receivers
}

const KIND_WORDS: Record<AlertKind, string> = {
  budget: 'A budget of texts is nearly used up',
  'country-paused': 'A country is paused',
  'decrypt-failures': 'Sealed values can’t be opened',
  'gateway-down': 'A gateway is down',
  'lock-storm': 'Many accounts are locked at once',
  'number-block': 'A block of numbers is at its limit',
}

const TYPE_WORDS: Record<Delivery['type'], string> = {
  'alert.raised': 'Raised',
  'alert.ended': 'Over',
  'alert.test': 'Test',
}

const TICKED = 'It is told of the kinds that are ticked; with no tick at all, of everything.'

const STATE_TAGS = {
  waiting: { label: 'waiting', kind: 'warn' },
  sent: { label: 'sent', kind: 'good' },
  failed: { label: 'given up', kind: 'bad' },
} as const

/** Webhooks: making, looking at, testing, editing and removing them. */
export function addWebhooks(router: Router, deps: Dependencies): void {
  const { door, pages, confirm, receivers } = deps
  const url = ({ id }: { id: string }) => `${WEBHOOKS_URL}/${id}`
  const on = (verb: string) => ({
    path: `${WEBHOOKS_URL}/:id/${verb}`,
    permission: 'webhooks.write' as const,
    about: (ctx: Context, { actor }: Who) => receivers.get(actor, idOf(ctx)),
    back: url,
  })

  confirm(router, {
    path: `${WEBHOOKS_URL}/new`,
    permission: 'webhooks.write',
    title: () => 'New webhook',
    says: () => [
      'Each alert is posted there when it begins and when it is over, signed by the scheme of Standard Webhooks. Nothing in it is about a person.',
      TICKED,
      'You get a secret to check signatures with. It is shown once.',
    ],
    button: 'Make the webhook',
    reason: 'none',
    fields: () => fieldsOf(null),
    about: async () => ({}),
    back: () => ALERTS_URL,
    async act({ actor }, _, { fields }) {
      const { address = '', description = '' } = fields
      const { webhook, secret } = await receivers.create(actor, {
        url: address.trim(),
        ...(description.trim() && { description: description.trim() }),
        kinds: kindsOf(fields),
      })
      return { ...secretOnce(secret), title: 'The webhook is made', next: url(webhook) }
    },
  })

  router.get(
    `${WEBHOOKS_URL}/:id`,
    door.page('webhooks.read', async (ctx, who) => {
      const webhook = await receivers.get(who.actor, idOf(ctx))
      const deliveries = await receivers.deliveries(who.actor, webhook.id)
      pages.show(ctx, who, 'webhook', {
        webhook,
        kinds: webhook.kinds?.map((kind) => KIND_WORDS[kind]) ?? null,
        deliveries: deliveries.map((one) => ({
          ...one,
          alert: one.type === 'alert.test' ? null : one.alert,
          type: TYPE_WORDS[one.type],
          state: STATE_TAGS[one.state],
        })),
      })
    }),
  )

  // It changes nothing here, so nothing is asked.
  router.post(
    `${WEBHOOKS_URL}/:id/test`,
    door.form('webhooks.write', async (ctx, { actor }) => {
      readStrict(ctx, {})
      await receivers.test(actor, idOf(ctx))
      goOn(ctx, url({ id: idOf(ctx) }), 'webhook-tested')
    }),
  )

  confirm(router, {
    ...on('edit'),
    title: () => 'Edit the webhook',
    says: () => [
      TICKED,
      'Another address gets another secret at once, since the old one knows the old secret.',
    ],
    button: 'Save',
    reason: 'none',
    fields: fieldsOf,
    async act({ actor }, webhook, { fields }) {
      const { address = '', description = '' } = fields
      const { secret } = await receivers.patch(actor, webhook.id, {
        ...(address.trim() !== webhook.url && { url: address.trim() }),
        description: description.trim() || null,
        kinds: kindsOf(fields),
      })
      if (secret === undefined) return { to: url(webhook), done: 'webhook-changed' }
      return { ...secretOnce(secret), title: 'The address is changed' }
    },
  })

  for (const enabled of [true, false]) {
    confirm(router, {
      ...on(enabled ? 'enable' : 'disable'),
      title: () => `${enabled ? 'Enable' : 'Disable'} the webhook`,
      says: ({ url }) =>
        enabled
          ? [`${url} is told of alerts again. It isn’t told of those it missed.`]
          : [`${url} is told of nothing more. What waits for it is given up.`],
      button: enabled ? 'Enable it' : 'Disable it',
      reason: 'none',
      async act({ actor }, webhook) {
        await receivers.patch(actor, webhook.id, { enabled })
        return { to: url(webhook), done: 'webhook-changed' }
      },
    })
  }

  confirm(router, {
    ...on('secret'),
    title: () => 'A new secret for the webhook',
    says: () => [
      'You get another secret, shown once. For a day the one before signs beside it, so that the receiver can change over.',
    ],
    button: 'Make a new secret',
    danger: true,
    reason: 'required',
    async act({ actor }, webhook, { reason }) {
      const { secret } = await receivers.rotateSecret(actor, webhook.id, reason)
      return { ...secretOnce(secret), title: 'The new secret' }
    },
  })

  confirm(router, {
    ...on('remove'),
    title: () => 'Remove the webhook',
    says: ({ url }) => [
      `${url} is told of nothing more, and whatever waits for it is gone. This can’t be undone.`,
    ],
    button: 'Remove the webhook',
    danger: true,
    reason: 'required',
    async act({ actor }, webhook, { reason }) {
      await receivers.remove(actor, webhook.id, reason)
      return { to: ALERTS_URL, done: 'webhook-removed' }
    },
  })
}

const secretOnce = (secret: string) => ({
  message: 'Give it to the receiver, by a way that nobody else can see.',
  values: [{ label: 'Secret', value: secret }],
})

function fieldsOf(webhook: Webhook | null): FormField[] {
  return [
    {
      name: 'address',
      label: 'URL',
      kind: 'url',
      required: true,
      hint: 'An https: address that everyone can reach.',
      value: webhook?.url ?? '',
    },
    {
      name: 'description',
      label: 'What it is for',
      kind: 'text',
      value: webhook?.description ?? '',
    },
    ...ALERT_KINDS.map(
      (kind): FormField => ({
        name: kind,
        label: KIND_WORDS[kind],
        kind: 'tick',
        value: webhook?.kinds?.includes(kind) ? 'yes' : '',
      }),
    ),
  ]
}

/** Those that are ticked; all, also of kinds yet to come, where none is. */
function kindsOf(fields: Readonly<Record<string, string>>): AlertKind[] | null {
  const ticked = ALERT_KINDS.filter((kind) => fields[kind] === 'yes')
  return ticked.length > 0 ? ticked : null
}
