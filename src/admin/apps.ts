import { Refusal } from '../errors.ts'
import { isBuiltIn } from '../oidc/built-in.ts'
import type { ClientSummary, Clients, NewClient } from '../oidc/clients.ts'
import type { ClientChanges } from '../oidc/new-client.ts'
import { type Actor, asActor, assertMay, type Permission } from './permissions.ts'

export type Apps = ReturnType<typeof createApps>

/**
 * What is done to the apps that people sign in to, by the API and the console alike. A secret is in the answer to
 * what made it, and nowhere else (ADM-15). The apps that Sallyport is itself made of aren't there for anybody.
 */
export function createApps({ clients }: { clients: Clients }) {
  async function find(actor: Actor, permission: Permission, id: string): Promise<ClientSummary> {
    assertMay(actor, permission)
    const client = isBuiltIn(id) ? undefined : await clients.show(id)
    if (!client) throw noApp()
    return client
  }

  return {
    /** Apps by id. @param after the id that the page before ended with */
    async list(
      actor: Actor,
      page: { after?: string | undefined; limit: number },
    ): Promise<ClientSummary[]> {
      assertMay(actor, 'apps.read')
      return clients.list(page)
    },

    get: (actor: Actor, id: string): Promise<ClientSummary> => find(actor, 'apps.read', id),

    /** @returns `secret`: readable only now; undefined for a public app */
    async create(
      actor: Actor,
      input: NewClient,
    ): Promise<{ client: ClientSummary; secret: string | undefined }> {
      assertMay(actor, 'apps.write')
      return asActor(actor, undefined, async () => {
        const { id, secret } = await clients.create(input)
        return { client: await find(actor, 'apps.read', id), secret }
      })
    },

    /** @param ifVersion as it was read; undefined for whatever there is now */
    async patch(
      actor: Actor,
      id: string,
      changes: ClientChanges,
      ifVersion?: number,
      reason?: string,
    ): Promise<ClientSummary> {
      await find(actor, 'apps.write', id)
      return asActor(actor, reason, () => clients.patch(id, changes, ifVersion))
    },

    /** @returns the new secret, readable only now, and until when the one before is good */
    async rotateSecret(
      actor: Actor,
      id: string,
      { overlapSeconds, reason }: { overlapSeconds?: number | undefined; reason: string },
    ): Promise<{ secret: string; previousUntil: Date | null }> {
      await find(actor, 'apps.write', id)
      return asActor(actor, reason, () =>
        clients.rotateSecret(id, overlapSeconds === undefined ? {} : { overlapSeconds }),
      )
    },

    /** Nobody can sign in to it any more, and what it was given ends. */
    async remove(actor: Actor, id: string, reason: string): Promise<void> {
      await find(actor, 'apps.write', id)
      const gone = await asActor(actor, reason, () => clients.remove(id))
      if (!gone) throw noApp()
    },
  }
}

function noApp(): Refusal {
  return new Refusal('no_client', 404, 'There is no such app.')
}
