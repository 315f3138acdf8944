import { z } from 'zod'
import type { AdminApis } from '../../admin/apis.ts'
import { newApi } from '../../oidc/new-api.ts'
import { type Route, route } from './route.ts'
import { id, reason, time } from './schemas.ts'

const tag = 'APIs'

const api = z.object({ ...newApi.shape, createdAt: time }).meta({ id: 'Api' })

const apiId = z.strictObject({ id: id.describe('what the API is called here') })

/** APIs that access tokens are made for (RFC 8707). */
export function apiRoutes(apis: AdminApis): Route[] {
  return [
    route({
      id: 'listApis',
      tag,
      method: 'get',
      path: '/apis',
      summary: 'List APIs',
      permission: 'apps.read',
      answer: z.object({ items: z.array(api) }),
      handle: async (actor) => ({ body: { items: await apis.list(actor) } }),
    }),
    route({
      id: 'createApi',
      tag,
      method: 'post',
      path: '/apis',
      summary: 'Register an API',
      description:
        'Apps may ask for access tokens for it once they are registered for its scopes, in `apiScopes`.',
      permission: 'apps.write',
      body: newApi.meta({ id: 'NewApi' }),
      status: 201,
      answer: api,
      refusals: [409],
      async handle(actor, { body }) {
        const made = await apis.create(actor, body)
        return { body: made, location: `/apis/${made.id}` }
      },
    }),
    route({
      id: 'getApi',
      tag,
      method: 'get',
      path: '/apis/:id',
      summary: 'Show an API',
      permission: 'apps.read',
      params: apiId,
      answer: api,
      handle: async (actor, { params }) => ({ body: await apis.get(actor, params.id) }),
    }),
    route({
      id: 'deleteApi',
      tag,
      method: 'delete',
      path: '/apis/:id',
      summary: 'Delete an API',
      description:
        'No more tokens are made for it; those that were are good until they end. Refused while apps are registered for its scopes.',
      permission: 'apps.write',
      params: apiId,
      query: z.strictObject({ reason }),
      refusals: [409],
      handle: (actor, { params, query }) => apis.remove(actor, params.id, query.reason),
    }),
  ]
}
