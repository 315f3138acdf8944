import { Refusal } from '../errors.ts'
import type { Api, Apis } from '../oidc/apis.ts'
import type { NewApi } from '../oidc/new-api.ts'
import { type Actor, asActor, assertMay, type Permission } from './permissions.ts'

export type AdminApis = ReturnType<typeof createAdminApis>

/** What is done to the APIs that access tokens are made for. Whoever may change apps may change these. */
export function createAdminApis({ apis }: { apis: Apis }) {
  async function find(actor: Actor, permission: Permission, id: string): Promise<Api> {
    assertMay(actor, permission)
    const api = await apis.show(id)
    if (!api) throw noApi()
    return api
  }

  return {
    async list(actor: Actor): Promise<Api[]> {
      assertMay(actor, 'apps.read')
      return apis.list()
    },

    get: (actor: Actor, id: string): Promise<Api> => find(actor, 'apps.read', id),

    async create(actor: Actor, input: NewApi): Promise<Api> {
      assertMay(actor, 'apps.write')
      return asActor(actor, undefined, () => apis.create(input))
    },

    /** No more tokens are made for it; those that were are good until they end. */
    async remove(actor: Actor, id: string, reason: string): Promise<void> {
      await find(actor, 'apps.write', id)
      const gone = await asActor(actor, reason, () => apis.remove(id))
      if (!gone) throw noApi()
    },
  }
}

function noApi(): Refusal {
  return new Refusal('no_api', 404, 'There is no such API.')
}
