import type { NewWebhook, WebhookPatch } from '../alerts/webhook-shapes.ts'
import type { Webhooks } from '../alerts/webhooks.ts'
import { type Actor, asActor, assertMay } from './permissions.ts'

export type Receivers = ReturnType<typeof createReceivers>

/** Webhooks that are told of alerts, in the hands of those who may. Secrets are in what is returned once. */
export function createReceivers(webhooks: Webhooks) {
  async function reading<T>(actor: Actor, work: () => Promise<T>): Promise<T> {
    assertMay(actor, 'webhooks.read')
    return work()
  }

  async function writing<T>(
    actor: Actor,
    reason: string | undefined,
    work: () => Promise<T>,
  ): Promise<T> {
    assertMay(actor, 'webhooks.write')
    return asActor(actor, reason, work)
  }

  return {
    list: (actor: Actor) => reading(actor, webhooks.list),

    get: (actor: Actor, id: string) => reading(actor, () => webhooks.show(id)),

    deliveries: (actor: Actor, id: string) => reading(actor, () => webhooks.deliveries(id)),

    create: (actor: Actor, input: NewWebhook) =>
      writing(actor, undefined, async () => {
        const { id, secret } = await webhooks.create(input)
        return { webhook: await webhooks.show(id), secret }
      }),

    patch: (actor: Actor, id: string, input: WebhookPatch) =>
      writing(actor, undefined, () => webhooks.patch(id, input)),

    rotateSecret: (actor: Actor, id: string, reason: string | undefined) =>
      writing(actor, reason, () => webhooks.rotateSecret(id)),

    test: (actor: Actor, id: string) => writing(actor, undefined, () => webhooks.test(id)),

    remove: (actor: Actor, id: string, reason: string) =>
      writing(actor, reason, () => webhooks.remove(id)),
  }
}
