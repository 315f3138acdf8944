import { z } from 'zod'
import { Refusal } from '../errors.ts'
import { isAdminScope, SCOPES } from './claims.ts'
import { assertPublicKeys, publicKeys } from './client-keys.ts'
import { SIGNING_ALGORITHMS } from './key-making.ts'
import type { CheckTarget } from './logout-uris.ts'
import { apiScope } from './new-api.ts'
import { assertRedirect } from './redirect-uris.ts'

/** By their names; `device_code` is `urn:ietf:params:oauth:grant-type:device_code` (RFC 8628) in OAuth's words. */
export const GRANTS = [
  'authorization_code',
  'refresh_token',
  'client_credentials',
  'device_code',
] as const

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
  jwks: publicKeys
    .nullable()
    .describe(
      'Public keys that it proves with who it is (`private_key_jwt`), as a JSON Web Key Set; then it has no secret.',
    ),
  jwksUri: z
    .string()
    .max(2000)
    .nullable()
    .describe('Where such keys are read, in place of `jwks`: an https address outside.'),
  idTokenAlgorithm: z.enum(SIGNING_ALGORITHMS).describe('What its ID tokens are signed with.'),
  requirePar: z
    .boolean()
    .describe(
      'Whether it must push its authorization requests (RFC 9126) before it sends people here.',
    ),
  requireDpop: z
    .boolean()
    .describe('Whether it gets only tokens that are bound to a key of its own (DPoP, RFC 9449).'),
  subjectType: z
    .enum(['public', 'pairwise'])
    .describe(
      'Whether people have the same `sub` here as at other apps, or one of this app’s own.',
    ),
  sector: z
    .string()
    .regex(/^[a-z0-9.-]{1,253}(:\d{1,5})?$/, 'a sector is a host, as app.example.com')
    .nullable()
    .describe(
      'With pairwise subjects, the host whose apps share one `sub`; that of its redirect URIs where none is named.',
    ),
  apiScopes: z
    .array(apiScope)
    .max(100)
    .describe('Scopes of APIs that it may ask for, with the API in `resource` (RFC 8707).'),
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
  jwks: members.jwks.default(null),
  jwksUri: members.jwksUri.default(null),
  idTokenAlgorithm: members.idTokenAlgorithm.default('RS256'),
  requirePar: members.requirePar.default(false),
  requireDpop: members.requireDpop.default(false),
  subjectType: members.subjectType.default('public'),
  sector: members.sector.default(null),
  apiScopes: members.apiScopes.default([]),
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

/** Whether a client proves who it is by keys of its own, and not by a secret. */
export function hasKeys({ jwks, jwksUri }: Pick<Registration, 'jwks' | 'jwksUri'>): boolean {
  return jwks !== null || jwksUri !== null
}

/** What a registration is judged by. */
export interface RegistrationRules {
  /** whether plain http redirects are refused except to loopback */
  production: boolean
  /** what is wrong with an address that we would fetch from, as the end of a sentence */
  judgeUrl(url: string): string | undefined
  checkTarget: CheckTarget
}

/** @throws Refusal naming what is wrong */
export function assertSensible(
  client: Registration,
  { production, judgeUrl }: RegistrationRules,
): void {
  const refuse = (sentence: string) => new Refusal('client', 400, sentence)
  const redirects = client.grants.includes('authorization_code')
  const interactive = redirects || client.grants.includes('device_code')
  const admin = client.scope?.some(isAdminScope)
  if (redirects && client.redirectUris.length === 0)
    throw refuse('A client that signs people in needs a redirect URI.')
  if (interactive && client.scope && !client.scope.includes('openid'))
    throw refuse('A client that signs people in needs the scope openid.')
  if (interactive && admin && !client.firstParty)
    throw refuse('A client that signs people in gets admin scopes only if it is first-party.')
  if (!interactive && client.grants.includes('refresh_token'))
    throw refuse('The refresh_token grant needs authorization_code or device_code beside it.')
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
  if (client.public && hasKeys(client))
    throw refuse('A public client can keep no private key, so it has no keys.')
  if (client.jwks && client.jwksUri)
    throw refuse('Give the keys themselves or where they are read, not both.')
  if (client.jwks) assertPublicKeys(client.jwks)
  const problem = client.jwksUri !== null && judgeUrl(client.jwksUri)
  if (problem) throw refuse(`The address of the keys ${problem}.`)
  if (client.requirePar && !redirects)
    throw refuse('A client that sends nobody here has no authorization requests to push.')
  for (const uri of [...client.redirectUris, ...client.postLogoutRedirectUris])
    assertRedirect(uri, client.public, production)
}
