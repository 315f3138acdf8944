import { type Selectable, sql } from 'kysely'
import { z } from 'zod'
import type { Clock } from '../db/clock.ts'
import type { ClientTable } from '../db/tables/oidc.ts'
import { isBuiltIn } from './built-in.ts'
import { PERSON_SCOPES, SCOPES } from './claims.ts'
import { publicKeys } from './client-keys.ts'
import { SIGNING_ALGORITHMS } from './key-making.ts'
import { GRANTS, hasKeys, newClient, type Registration } from './new-client.ts'
import { isNative } from './redirect-uris.ts'

/** What the provider needs of a client, beside whatever else a statement selects. */
export const clientColumns = (clock: Clock) =>
  [
    'c.id as client_id',
    'c.name as client_name',
    'c.secret as client_secret',
    sql<Buffer | null>`case when c.previous_secret_until > ${clock()} then c.previous_secret end`.as(
      'client_previous_secret',
    ),
    'c.metadata as client_metadata',
    'c.first_party as client_first_party',
    'c.second_factor as client_second_factor',
  ] as const

export interface ClientRow {
  client_id: string
  client_name: string | null
  client_secret: Buffer | null
  /** the secret it had before, while that still holds */
  client_previous_secret: Buffer | null
  client_metadata: Record<string, unknown>
  client_first_party: boolean
  client_second_factor: 'required' | 'optional' | null
}

/** What may be shown of a client: everything but its secrets. */
export interface ClientSummary extends Registration {
  /** moves with each change */
  version: number
  createdAt: Date
  updatedAt: Date
  /** until when the secret before the present one holds; null when there is none */
  previousSecretUntil: Date | null
  /** id of the token by which it registered itself; null where an admin registered it */
  registeredBy: string | null
}

export const summaryColumns = (clock: Clock) =>
  [
    'id',
    'name',
    'metadata',
    'first_party',
    'second_factor',
    'version',
    'created_at',
    'updated_at',
    'registered_by',
    sql<Date | null>`case when previous_secret_until > ${clock()} then previous_secret_until end`.as(
      'previous_secret_until',
    ),
  ] as const

type Summarized = Omit<Selectable<ClientTable>, 'secret' | 'previous_secret'>

const DEVICE_CODE = 'urn:ietf:params:oauth:grant-type:device_code'

/** A grant in OAuth's words. */
export function grantTypeOf(grant: Registration['grants'][number]) {
  return grant === 'device_code' ? DEVICE_CODE : grant
}

const grantTypes = z.enum([...GRANTS.filter((grant) => grant !== 'device_code'), DEVICE_CODE])

const storedMetadata = z.object({
  redirect_uris: z.array(z.string()),
  post_logout_redirect_uris: z.array(z.string()),
  grant_types: z.array(grantTypes),
  response_types: z.array(z.literal('code')),
  token_endpoint_auth_method: z.enum(['none', 'client_secret_basic', 'private_key_jwt']),
  application_type: z.enum(['web', 'native']),
  scope: z.string().optional(),
  introspects: z.array(z.string()).default([]),
  pkce: newClient.shape.pkce,
  backchannel_logout_uri: z.string().optional(),
  backchannel_logout_session_required: z.boolean().optional(),
  jwks: publicKeys.optional(),
  jwks_uri: z.string().optional(),
  id_token_signed_response_alg: z.enum(SIGNING_ALGORITHMS).default('RS256'),
  require_pushed_authorization_requests: z.boolean().default(false),
  dpop_bound_access_tokens: z.boolean().default(false),
  subject_type: z.enum(['public', 'pairwise']).default('public'),
  sector_identifier_uri: z.string().optional(),
  api_scopes: z.array(z.string()).default([]),
})
const scopes = z.array(z.enum(SCOPES))

/** A registration in the words of OpenID Connect Dynamic Client Registration, as it is stored. */
export function metadataText(client: Registration): string {
  // Our own pages are none, wherever the issuer is.
  const native = client.public && !isBuiltIn(client.id) && client.redirectUris.some(isNative)
  const metadata: z.output<typeof storedMetadata> = {
    redirect_uris: client.redirectUris,
    post_logout_redirect_uris: client.postLogoutRedirectUris,
    grant_types: client.grants.map(grantTypeOf),
    response_types: client.grants.includes('authorization_code') ? ['code'] : [],
    token_endpoint_auth_method: authMethodOf(client),
    application_type: native ? 'native' : 'web',
    ...(client.scope && { scope: client.scope.join(' ') }),
    introspects: client.introspects,
    pkce: client.pkce,
    ...(client.backchannelLogoutUri !== null && {
      backchannel_logout_uri: client.backchannelLogoutUri,
      backchannel_logout_session_required: client.backchannelLogoutSessionRequired,
    }),
    ...(client.jwks && { jwks: client.jwks }),
    ...(client.jwksUri && { jwks_uri: client.jwksUri }),
    id_token_signed_response_alg: client.idTokenAlgorithm,
    require_pushed_authorization_requests: client.requirePar,
    dpop_bound_access_tokens: client.requireDpop,
    subject_type: client.subjectType,
    // Only its host counts; nothing is fetched from there.
    ...(client.sector !== null && { sector_identifier_uri: `https://${client.sector}/` }),
    api_scopes: client.apiScopes,
  }
  return JSON.stringify(metadata)
}

function authMethodOf(client: Registration) {
  if (client.public) return 'none'
  return hasKeys(client) ? 'private_key_jwt' : 'client_secret_basic'
}

/** What is stored, with the scopes that a client has whose registration names none. */
export function metadataOf({ client_metadata }: ClientRow) {
  const {
    introspects,
    api_scopes: apiScopes,
    pkce,
    scope = PERSON_SCOPES.join(' '),
    ...own
  } = storedMetadata.parse(client_metadata)
  return { introspects, apiScopes, pkce, metadata: { ...own, scope } }
}

export function summaryOf(row: Summarized): ClientSummary {
  const metadata = storedMetadata.parse(row.metadata)
  return {
    id: row.id,
    name: row.name,
    redirectUris: metadata.redirect_uris,
    postLogoutRedirectUris: metadata.post_logout_redirect_uris,
    grants: metadata.grant_types.map((type) => (type === DEVICE_CODE ? 'device_code' : type)),
    public: metadata.token_endpoint_auth_method === 'none',
    firstParty: row.first_party,
    secondFactor: row.second_factor,
    scope: metadata.scope === undefined ? null : scopes.parse(metadata.scope.split(' ')),
    introspects: metadata.introspects,
    pkce: metadata.pkce,
    backchannelLogoutUri: metadata.backchannel_logout_uri ?? null,
    backchannelLogoutSessionRequired: metadata.backchannel_logout_session_required ?? false,
    jwks: metadata.jwks ?? null,
    jwksUri: metadata.jwks_uri ?? null,
    idTokenAlgorithm: metadata.id_token_signed_response_alg,
    requirePar: metadata.require_pushed_authorization_requests,
    requireDpop: metadata.dpop_bound_access_tokens,
    subjectType: metadata.subject_type,
    sector: URL.parse(metadata.sector_identifier_uri ?? '')?.host ?? null,
    apiScopes: metadata.api_scopes,
    version: row.version,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
    previousSecretUntil: row.previous_secret_until,
    registeredBy: row.registered_by,
  }
}
