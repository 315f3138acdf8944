import { z } from 'zod'
import type { Apps } from '../../admin/apps.ts'
import { secretRotation } from '../../oidc/client-secrets.ts'
import type { ClientSummary } from '../../oidc/clients.ts'
import { clientChanges, newClient } from '../../oidc/new-client.ts'
import { CLIENT_PLACE, type Cursors } from './cursors.ts'
import { type Route, route } from './route.ts'
import { id, pageOf, pageQuery, reason, time } from './schemas.ts'

const tag = 'clients'

/** The members of a registration in this API's own words, as accounts have theirs; OAuth's are the command line's. */
const client = z
  .object({
    ...newClient.shape,
    id: z.string().describe('the `client_id`'),
    version: z.int(),
    createdAt: time,
    updatedAt: time,
    registeredBy: z
      .string()
      .nullable()
      .describe('id of the token by which it registered itself; null where an admin registered it'),
    previousSecretUntil: time
      .nullable()
      .describe('until when the secret before the present one is good; null when there is none'),
  })
  .meta({ id: 'Client' })

const registration = newClient.meta({ id: 'NewClient' })

const changes = clientChanges
  .refine((value) => Object.keys(value).length > 0, 'name at least one member')
  .meta({ id: 'ClientChanges' })

const made = z
  .object({
    client,
    secret: z
      .string()
      .nullable()
      .describe('the `client_secret`, in no other answer; null for a public client'),
  })
  .meta({ id: 'MadeClient' })

const rotated = z
  .object({
    secret: z.string().describe('the new `client_secret`, in no other answer'),
    previousSecretUntil: time.nullable().describe('until when the one before is good'),
  })
  .meta({ id: 'RotatedSecret' })

const clientId = z.strictObject({ id: id.describe('the `client_id`') })

const versioned = (body: ClientSummary) => ({ body, version: body.version })

/** Clients: the apps that people sign in to, and the programs that use APIs. */
export function clientRoutes(apps: Apps, cursors: Cursors): Route[] {
  return [
    route({
      id: 'listClients',
      tag,
      method: 'get',
      path: '/clients',
      summary: 'List clients',
      description: 'By id. Those that Sallyport itself is made of are left out.',
      permission: 'apps.read',
      query: z.strictObject(pageQuery),
      answer: pageOf(client),
      async handle(actor, { query }) {
        const { after, limit, cut } = cursors.page('clients', query, CLIENT_PLACE)
        const found = await apps.list(actor, { after: after?.id, limit })
        return { body: cut(found, (last) => ({ id: last.id })) }
      },
    }),
    route({
      id: 'createClient',
      tag,
      method: 'post',
      path: '/clients',
      summary: 'Register a client',
      description: 'The answer holds its secret, which is shown only now.',
      permission: 'apps.write',
      body: registration,
      status: 201,
      answer: made,
      refusals: [409],
      async handle(actor, { body }) {
        const { client: one, secret } = await apps.create(actor, body)
        return {
          body: { client: one, secret: secret ?? null },
          version: one.version,
          location: `/clients/${one.id}`,
        }
      },
    }),
    route({
      id: 'getClient',
      tag,
      method: 'get',
      path: '/clients/:id',
      summary: 'Show a client',
      permission: 'apps.read',
      versioned: true,
      params: clientId,
      answer: client,
      handle: async (actor, { params }) => versioned(await apps.get(actor, params.id)),
    }),
    route({
      id: 'changeClient',
      tag,
      method: 'patch',
      path: '/clients/:id',
      summary: 'Change a client',
      description:
        'What is left out stays as it is; a list is replaced whole. Where the client may do less than before, what it was given ends. Its id, and whether it has a secret, never change.',
      permission: 'apps.write',
      versioned: true,
      params: clientId,
      query: z.strictObject({ reason: reason.optional() }),
      body: changes,
      answer: client,
      handle: async (actor, { params, query, body, ifVersion }) =>
        versioned(await apps.patch(actor, params.id, body, ifVersion, query.reason)),
    }),
    route({
      id: 'rotateClientSecret',
      tag,
      method: 'post',
      path: '/clients/:id/secret',
      summary: 'Give a client a new secret',
      description:
        'The answer holds it, and it is shown only now. The one before goes on being good for as long as you say; one from before that ends.',
      permission: 'apps.write',
      params: clientId,
      body: secretRotation.extend({ reason }),
      status: 201,
      answer: rotated,
      refusals: [409],
      async handle(actor, { params, body }) {
        const { secret, previousUntil } = await apps.rotateSecret(actor, params.id, body)
        return {
          body: { secret, previousSecretUntil: previousUntil },
          location: `/clients/${params.id}`,
        }
      },
    }),
    route({
      id: 'deleteClient',
      tag,
      method: 'delete',
      path: '/clients/:id',
      summary: 'Delete a client',
      description: 'Nobody can sign in to it any more, and what it was given ends.',
      permission: 'apps.write',
      params: clientId,
      query: z.strictObject({ reason }),
      handle: (actor, { params, query }) => apps.remove(actor, params.id, query.reason),
    }),
  ]
}
