import { z } from 'zod'
import { Refusal } from '../errors.ts'
import { isAdminScope, SCOPES } from './claims.ts'
import { assertRedirect } from './redirect-uris.ts'

export const GRANTS = ['authorization_code', 'refresh_token', 'client_credentials'] as const

/** Whether requests without a code challenge are refused (RFC 9700 section 2.1.1). */
const PKCE = ['required', 'optional'] as const

const uris = z.array(z.string().max(2000)).max(100)

/** What may be changed of a client later. */
const members = {
  name: z
    .string()
    .trim()
    .min(1)
    .max(64)
    .nullable()
    .describe('What people read on the pages; the id where it is null.'),
  redirectUris: uris.describe('Where codes may be sent, compared character by character.'),
  postLogoutRedirectUris: uris.describe('Where people may be sent after signing out.'),
  firstParty: z.boolean().describe('Whether it is yours: then nobody is asked for consent.'),
  secondFactor: z
    .enum(['required', 'optional'])
    .nullable()
    .describe('Whether a second factor is required; as SECOND_FACTOR says where it is null.'),
  grants: z.array(z.enum(GRANTS)).min(1).max(GRANTS.length).describe('Grant types it may use.'),
  scope: z
    .array(z.enum(SCOPES))
    .min(1)
    .max(SCOPES.length)
    .nullable()
    .describe(
      'Scopes it may ask for; all that tell of a person, and none of admin:*, where it is null.',
    ),
  introspects: z
    .array(z.string().min(1).max(64))
    .max(100)
    .describe('Of an API: the clients whose access tokens it may introspect.'),
  backchannelLogoutUri: z
    .string()
    .max(2000)
    .nullable()
    .describe(
      'Where it is told, by a signed logout token, that a session of its people has ended; null if it isn’t.',
    ),
  backchannelLogoutSessionRequired: z
    .boolean()
    .describe('Whether its ID tokens and logout tokens name the session by `sid`.'),
  pkce: z
    .enum(PKCE)
    .describe(
      'Whether its requests must have a code challenge; `optional` is for confidential clients that can’t send one, and where one is sent it holds all the same.',
    ),
}

/** A relying party as an admin registers it. */
export const newClient = z.strictObject({
  id: z
    .string()
    .regex(/^[\w.~-]{1,64}$/, 'an id has 1 to 64 letters, digits and . _ ~ -')
    .describe('The client_id; it never changes.'),
  public: z
    .boolean()
    .default(false)
    .describe('Whether it is an app without a secret, native or a single page; it never changes.'),
  name: members.name.default(null),
  redirectUris: members.redirectUris.default([]),
  postLogoutRedirectUris: members.postLogoutRedirectUris.default([]),
  firstParty: members.firstParty.default(false),
  secondFactor: members.secondFactor.default(null),
  grants: members.grants.default(['authorization_code']),
  scope: members.scope.default(null),
  introspects: members.introspects.default([]),
  pkce: members.pkce.default('required'),
  backchannelLogoutUri: members.backchannelLogoutUri.default(null),
  backchannelLogoutSessionRequired: members.backchannelLogoutSessionRequired.default(false),
})
export type NewClient = z.input<typeof newClient>

/** A client's registration, whole. */
export type Registration = z.output<typeof newClient>

/** Changes of a registration: what is left out stays as it is. */
export const clientChanges = z.strictObject(members, { error: tellOfFixed }).partial()
export type ClientChanges = z.input<typeof clientChanges>

function tellOfFixed({ code, keys = [] }: { code?: string; keys?: unknown }): string | undefined {
  if (code !== 'unrecognized_keys' || !Array.isArray(keys)) return undefined
  return keys.includes('public')
    ? 'whether a client is public can’t be changed: it has a secret or it has none; register another one'
    : undefined
}

/**
 * @param production whether plain http redirects are refused except to loopback
 * @throws Refusal naming what is wrong
 */
export function assertSensible(client: Registration, production: boolean): void {
  const refuse = (sentence: string) => new Refusal('client', 400, sentence)
  const interactive = client.grants.includes('authorization_code')
  const admin = client.scope?.some(isAdminScope)
  if (interactive && client.redirectUris.length === 0)
    throw refuse('A client that signs people in needs a redirect URI.')
  if (interactive && client.scope && !client.scope.includes('openid'))
    throw refuse('A client that signs people in needs the scope openid.')
  if (interactive && admin && !client.firstParty)
    throw refuse('A client that signs people in gets admin scopes only if it is first-party.')
  if (!interactive && client.grants.includes('refresh_token'))
    throw refuse('The refresh_token grant needs authorization_code beside it.')
  if (client.public && client.grants.includes('client_credentials'))
    throw refuse(
      'A public client has no credentials, so it can’t have the client_credentials grant.',
    )
  if (client.public && client.introspects.length > 0)
    throw refuse('A public client has no credentials to introspect tokens with.')
  if (!interactive && client.backchannelLogoutUri !== null)
    throw refuse('A client that signs nobody in can’t be told of sign-outs.')
  if (client.backchannelLogoutSessionRequired && client.backchannelLogoutUri === null)
    throw refuse('A client that is told of no sign-out can’t require a sid: give the URI as well.')
  if (client.public && client.pkce === 'optional')
    throw refuse(
      'A public client has nothing but PKCE to protect its codes, so it can’t do without.',
    )
  for (const uri of [...client.redirectUris, ...client.postLogoutRedirectUris])
    assertRedirect(uri, client.public, production)
}
