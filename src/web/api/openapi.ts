import { STATUS_CODES } from 'node:http'
import { z } from 'zod'
import { rolesWith } from '../../admin/permissions.ts'
import { API_URL } from './dispatch.ts'
import type { Route } from './route.ts'

type Json = Record<string, unknown>

export const API_VERSION = '1.0.0'

const DESCRIPTION = `Accounts, phones, apps, messages, limits and the audit trail of a Sallyport.

A **client** registered with the grant \`client_credentials\` and the scope \`admin:read\` or \`admin:write\` sends its own
access token. A **person** with a role sends one that an app got for them with one of these scopes; their second factor
must have been shown within the last 20 minutes.

Lists come in pages: \`next\` is the \`cursor\` of the page that follows, null on the last. What is edited carries an
\`ETag\`; send it back as \`If-Match\`, and of two changes at once the second is refused with 412. What makes something
takes an \`Idempotency-Key\`: a request that comes twice within 24 hours makes it once. Refusals are problem details
(RFC 9457); \`code\` is for programs and never changes.`

const problem = z.object({
  type: z.literal('about:blank'),
  title: z.string(),
  status: z.int(),
  detail: z.string().describe('what was wrong, and what to do'),
  code: z.string().describe('for programs; never changes'),
  errors: z.array(z.object({ path: z.string(), message: z.string() })).optional(),
  request: z.string().describe('id of the request, as in the log and the audit trail'),
})

/** What the parts of the API are about. */
const TAGS: Readonly<Record<string, string>> = {
  accounts: 'People: finding, making, editing, disabling, unlocking and erasing them',
  'second factor': 'Phones, the authenticator app, backup codes',
  sessions: 'Where somebody is signed in, and which browsers skip the code',
  'help desk': 'Letting somebody in who can’t get a code just now',
  audit: 'What happened, to whom, by whom',
  traffic: 'What sign-ins, codes and messages come to, and what limits them',
  alerts: 'What somebody should look at',
  webhooks: 'Receivers that are told of alerts',
  clients: 'Apps: registering, editing and deleting them, and their secrets',
  APIs: 'APIs that apps get access tokens for',
  keys: 'Keys that tokens are signed with',
  'imports and exports': 'Accounts by the thousand, and what is kept about people',
}

/** The document of the API (OpenAPI 3.1), made of the schemas that check its requests. */
export function openApiDocument(routes: readonly Route[]): Json {
  const components = new Map<string, unknown>()

  /** A schema as the document has it; the parts with a name of their own stand in `components`. */
  function schemaOf(schema: z.ZodType, io: 'input' | 'output'): Json {
    const {
      $schema: _,
      $defs = {},
      ...json
    } = z.toJSONSchema(schema, {
      target: 'draft-2020-12',
      io,
    })
    for (const [name, part] of Object.entries($defs)) components.set(name, pointing(part))
    return pointing(json)
  }

  function operation(route: Route): Json {
    const roles = rolesWith(route.permission).join(', ')
    const description = [route.description, `Roles: ${roles}.`].filter(Boolean).join('\n\n')
    const scope = route.method === 'get' ? 'admin:read' : 'admin:write'
    return {
      operationId: route.id,
      tags: [route.tag],
      summary: route.summary,
      description,
      security: [{ token: [scope] }],
      parameters: [
        ...parameters(route.params, 'path'),
        ...parameters(route.query, 'query'),
        ...(route.versioned && route.method !== 'get'
          ? [{ $ref: '#/components/parameters/IfMatch' }]
          : []),
        ...(route.method === 'post' && route.status === 201
          ? [{ $ref: '#/components/parameters/IdempotencyKey' }]
          : []),
      ],
      ...(route.body && {
        requestBody: {
          required: true,
          content: { 'application/json': { schema: schemaOf(route.body, 'input') } },
        },
      }),
      ...(route.bytes !== undefined && {
        requestBody: {
          required: true,
          content: {
            'application/octet-stream': { schema: { type: 'string', maxLength: route.bytes } },
          },
        },
      }),
      responses: {
        [route.status]: success(route),
        ...(route.versioned &&
          route.method === 'get' && { 304: { description: STATUS_CODES[304] ?? '' } }),
        ...refusals(route),
      },
    }
  }

  function parameters(schema: z.ZodObject, where: 'path' | 'query'): Json[] {
    const { properties = {}, required = [] } = schemaOf(schema, 'input')
    const names = new Set(Array.isArray(required) ? required : [])
    return Object.entries(properties ?? {}).map(([name, part]) => {
      const { description, ...rest } = isObject(part) ? part : {}
      return {
        name,
        in: where,
        required: where === 'path' || names.has(name),
        ...(description !== undefined && { description }),
        schema: rest,
      }
    })
  }

  function success(route: Route): Json {
    const headers = {
      ...(route.versioned && { ETag: { $ref: '#/components/headers/ETag' } }),
      ...(route.status === 201 && { Location: { $ref: '#/components/headers/Location' } }),
    }
    return {
      description: STATUS_CODES[route.status] ?? '',
      ...(Object.keys(headers).length > 0 && { headers }),
      ...(route.answer && {
        content: { 'application/json': { schema: schemaOf(route.answer, 'output') } },
      }),
      ...(route.streams && {
        content: Object.fromEntries(
          route.streams.map((type) => [type, { schema: { type: 'string' } }]),
        ),
      }),
    }
  }

  const paths: Record<string, Json> = {}
  for (const route of routes) {
    const path = route.path.replace(/:(\w+)/g, '{$1}')
    paths[path] = { ...paths[path], [route.method]: operation(route) }
  }
  components.set('Problem', schemaOf(problem, 'output'))
  const tags = [...new Set(routes.map(({ tag }) => tag))].map((name) => ({
    name,
    description: TAGS[name],
  }))
  return {
    openapi: '3.1.0',
    info: {
      title: 'Sallyport admin API',
      version: API_VERSION,
      description: DESCRIPTION,
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    servers: [{ url: API_URL, description: 'this provider' }],
    tags,
    paths,
    components: { ...SHARED, schemas: Object.fromEntries([...components].toSorted()) },
  }
}

/** What an operation may refuse with, beside what it says itself. */
function refusals({ path, method, status, refusals: more, versioned }: Route): Json {
  const statuses = new Set([400, 401, 403, 503, ...more])
  if (path.includes(':')) statuses.add(404)
  if (versioned && method !== 'get') statuses.add(412)
  // A key that came with another request, and one whose first request is still being answered.
  if (method === 'post' && status === 201) statuses.add(409).add(422)
  if (method === 'post' || method === 'put' || method === 'patch') statuses.add(413).add(415)
  return Object.fromEntries(
    [...statuses].map((status) => [
      status,
      {
        description: STATUS_CODES[status] ?? '',
        content: {
          'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } },
        },
      },
    ]),
  )
}

const SHARED = {
  securitySchemes: {
    token: {
      type: 'oauth2',
      description: 'Bearer token of a client, or of a person with a role',
      flows: {
        clientCredentials: {
          tokenUrl: '/token',
          scopes: { 'admin:read': 'look at everything', 'admin:write': 'look and change' },
        },
      },
    },
  },
  parameters: {
    IfMatch: {
      name: 'If-Match',
      in: 'header',
      required: false,
      description: 'the ETag of what was read; another change meanwhile is answered with 412',
      schema: { type: 'string' },
    },
    IdempotencyKey: {
      name: 'Idempotency-Key',
      in: 'header',
      required: false,
      description: 'chosen by you; the same request under the same key is carried out once',
      schema: { type: 'string', minLength: 1, maxLength: 255 },
    },
  },
  headers: {
    ETag: { description: 'names this version', schema: { type: 'string' } },
    Location: { description: 'where it is', schema: { type: 'string' } },
  },
}

/** With names pointing into the document. */
function pointing(json: unknown): Json {
  const text = JSON.stringify(json).replaceAll('"#/$defs/', '"#/components/schemas/')
  const parsed: unknown = JSON.parse(text)
  return isObject(parsed) ? parsed : {}
}

function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
