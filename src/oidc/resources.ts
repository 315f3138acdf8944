import { errors, type Grant, type KoaContextWithOIDC, type ResourceServer } from 'oidc-provider'
import { guarded } from './adapter.ts'
import type { Apis } from './apis.ts'

interface Dependencies {
  apis: Apis
  /** scopes of APIs that a client is registered for */
  apiScopesOf(clientId: string): readonly string[]
}

/**
 * What an access token for an API is like (RFC 8707, RFC 9068). A client may ask for those APIs whose scopes it is
 * registered for, and for no other scope there.
 */
export function createResources({ apis, apiScopesOf }: Dependencies) {
  return async (
    { oidc }: KoaContextWithOIDC,
    resource: string,
    { clientId }: { clientId: string },
  ): Promise<ResourceServer> => {
    const api = await guarded(() => apis.findByResource(resource))
    const registered = apiScopesOf(clientId)
    const scopes = api?.scopes.filter((scope) => registered.includes(scope)) ?? []
    // Whether there is such an API is nobody's business who has none to do with it.
    if (!api || scopes.length === 0)
      throw new errors.InvalidTarget('the resource is unknown, or not registered for this client')
    const asked = new Set(String(oidc.params?.scope ?? '').split(' '))
    const refused = api.scopes.find((scope) => asked.has(scope) && !scopes.includes(scope))
    if (refused) throw new errors.InvalidScope('requested scope is not allowed', refused)
    return {
      scope: scopes.join(' '),
      audience: api.resource,
      accessTokenFormat: 'jwt',
      accessTokenTTL: api.lifetimeSeconds,
      jwt: { sign: { alg: api.algorithm } },
    }
  }
}

/** The scopes at APIs that a request asks for, by resource. */
export function resourceScopesAsked({ oidc }: KoaContextWithOIDC): Array<[string, string[]]> {
  const asked = new Set(String(oidc.params?.scope ?? '').split(' '))
  return Object.entries(oidc.resourceServers ?? {}).map(([resource, { scope }]) => [
    resource,
    scope.split(' ').filter((one) => asked.has(one)),
  ])
}

/** Whether a grant holds all that is asked for at APIs. */
export function holdsResources(
  grant: Grant,
  asked: ReturnType<typeof resourceScopesAsked>,
): boolean {
  return asked.every(([resource, scopes]) => {
    const held = new Set(grant.getResourceScope(resource).split(' '))
    return scopes.every((scope) => held.has(scope))
  })
}
