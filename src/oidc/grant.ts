import type { Grant, KoaContextWithOIDC } from 'oidc-provider'
import { partClaims } from './claims.ts'
import { holdsResources, resourceScopesAsked } from './resources.ts'

/**
 * The grant an authorization request runs on: the one consent was given for, or, for a first-party
 * client, one that covers all it asks for, since nobody is asked.
 */
export async function loadGrant(
  ctx: KoaContextWithOIDC,
  isFirstParty: (clientId: string) => boolean,
): Promise<Grant | undefined> {
  const { oidc } = ctx
  const { client, account, session } = oidc
  if (!client || !account || !session) return undefined
  const { Grant } = oidc.provider
  const id = oidc.result?.consent?.grantId ?? session.grantIdFor(client.clientId)
  const found = id ? await Grant.find(id) : undefined
  const existing =
    found?.accountId === account.accountId && found.clientId === client.clientId ? found : undefined
  if (existing) forgive(existing, client.scope)
  if (!isFirstParty(client.clientId)) return existing
  const grant = existing ?? new Grant({ accountId: account.accountId, clientId: client.clientId })
  const scopes = new Set(grant.getOIDCScope().split(' '))
  const claims = new Set(grant.getOIDCClaimsEncountered())
  const atApis = resourceScopesAsked(ctx)
  const covers =
    isWithin(oidc.requestParamOIDCScopes, scopes) &&
    isWithin(oidc.requestParamClaims, claims) &&
    holdsResources(grant, atApis)
  if (existing && covers) return grant
  grant.addOIDCScope([...oidc.requestParamOIDCScopes].join(' '))
  grantClaims(grant, client.scope, oidc.requestParamClaims)
  for (const [resource, asked] of atApis) grant.addResourceScope(resource, asked)
  await grant.save()
  return grant
}

/** Grants the claims that a client may have, and notes the others as refused, so that nobody is asked about them. */
export function grantClaims(
  grant: Grant,
  scope: string | undefined,
  claims: Iterable<string>,
): void {
  forgive(grant, scope)
  const { allowed, refused } = partClaims(scope, claims)
  grant.addOIDCClaims(allowed)
  grant.rejectOIDCClaims(refused)
}

/** Lets claims be asked for again that were refused when the client was registered for less. */
function forgive(grant: Grant, scope: string | undefined): void {
  const { refused } = partClaims(scope, grant.getRejectedOIDCClaims())
  // A record of its own: the request's other readers of the grant share the old one.
  grant.rejected = refused.length > 0 ? { openid: { claims: refused } } : {}
}

function isWithin(part: ReadonlySet<string>, whole: ReadonlySet<string>): boolean {
  return [...part].every((item) => whole.has(item))
}
