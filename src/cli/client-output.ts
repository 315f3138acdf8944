import { grantTypeOf } from '../oidc/client-rows.ts'
import type { ClientSummary } from '../oidc/clients.ts'
import { type Outcome, record, table, yesOrNo } from './output.ts'

/** A client as `--json` prints it, in the words of OpenID Connect registration where those have one. */
export function clientAsJson(client: ClientSummary) {
  return {
    client_id: client.id,
    name: client.name,
    redirect_uris: client.redirectUris,
    post_logout_redirect_uris: client.postLogoutRedirectUris,
    grant_types: client.grants.map(grantTypeOf),
    public: client.public,
    first_party: client.firstParty,
    second_factor: client.secondFactor,
    scope: client.scope?.join(' ') ?? null,
    introspects: client.introspects,
    pkce: client.pkce,
    backchannel_logout_uri: client.backchannelLogoutUri,
    backchannel_logout_session_required: client.backchannelLogoutSessionRequired,
    jwks: client.jwks,
    jwks_uri: client.jwksUri,
    id_token_signed_response_alg: client.idTokenAlgorithm,
    require_pushed_authorization_requests: client.requirePar,
    dpop_bound_access_tokens: client.requireDpop,
    subject_type: client.subjectType,
    sector: client.sector,
    api_scope: client.apiScopes.join(' '),
    version: client.version,
    created_at: client.createdAt,
    updated_at: client.updatedAt,
    previous_secret_until: client.previousSecretUntil,
    registered_by: client.registeredBy,
  }
}

export function oneClient(client: ClientSummary): Outcome {
  return { json: clientAsJson(client), text: described(client) }
}

export function manyClients(clients: readonly ClientSummary[]): Outcome {
  return {
    json: clients.map(clientAsJson),
    text: clients.length > 0 ? listed(clients) : 'No clients.',
  }
}

/** @param fields what stands beside the id and the secret */
export function withSecret(
  id: string,
  secret: string | undefined,
  fields: Readonly<Record<string, Date | null>> = {},
): Outcome {
  const named = { client_id: id, ...(secret !== undefined && { client_secret: secret }) }
  const more = Object.entries(fields).map(
    ([name, value]) => [name.replaceAll('_', ' '), value?.toISOString() ?? '-'] as const,
  )
  const text = record([...Object.entries(named), ...more])
  return {
    json: { ...named, ...fields },
    text: secret === undefined ? text : `${text}\n\nThe secret is not shown again.`,
  }
}

function described(client: ClientSummary): string {
  return record([
    ['client_id', client.id],
    ['name', client.name ?? '-'],
    ['redirect URIs', client.redirectUris.join(' ') || '-'],
    ['after sign-out', client.postLogoutRedirectUris.join(' ') || '-'],
    ['grants', client.grants.join(' ')],
    ['scopes', client.scope?.join(' ') ?? 'all but those of admin'],
    ['public', yesOrNo(client.public)],
    ['first party', yesOrNo(client.firstParty)],
    ['second factor', client.secondFactor ?? 'as SECOND_FACTOR says'],
    ['introspects', client.introspects.join(' ') || '-'],
    ['PKCE', client.pkce],
    ['told of sign-outs', client.backchannelLogoutUri ?? '-'],
    ['sid in its tokens', yesOrNo(client.backchannelLogoutSessionRequired)],
    ['scopes at APIs', client.apiScopes.join(' ') || '-'],
    ['proves itself by', provenBy(client)],
    ['ID tokens', client.idTokenAlgorithm],
    ['must push requests', yesOrNo(client.requirePar)],
    ['must use DPoP', yesOrNo(client.requireDpop)],
    ['subjects', client.sector === null ? 'public' : `pairwise, within ${client.sector}`],
    ['registered itself', yesOrNo(client.registeredBy !== null)],
    ['changed', client.updatedAt.toISOString()],
    ['old secret until', client.previousSecretUntil?.toISOString() ?? '-'],
  ])
}

function provenBy({ public: isPublic, jwks, jwksUri }: ClientSummary): string {
  if (jwks) return `keys: ${jwks.keys.map(({ kid }) => kid ?? 'without an id').join(' ')}`
  return jwksUri ?? (isPublic ? 'nothing' : 'its secret')
}

function listed(clients: readonly ClientSummary[]): string {
  return table(
    ['client_id', 'name', 'public', 'redirect URIs'],
    clients.map((client) => [
      client.id,
      client.name ?? '-',
      yesOrNo(client.public),
      client.redirectUris.join(' ') || '-',
    ]),
  )
}
