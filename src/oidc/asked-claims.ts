import { type ClaimsParameter, errors } from 'oidc-provider'
import { hasForbiddenKey } from '../json-keys.ts'

/**
 * Judges the `claims` of a request, pushed, by a browser or by a device (OpenID Connect Core 5.5).
 * @throws InvalidRequest
 */
export function assertClaims(_ctx: unknown, claims: ClaimsParameter): void {
  if (hasForbiddenKey(claims))
    throw new errors.InvalidRequest('no claim may be called __proto__, constructor or prototype')
  for (const asked of [claims.userinfo, claims.id_token])
    for (const member of Object.values(asked ?? {}))
      if (typeof member !== 'object' || Array.isArray(member))
        throw new errors.InvalidRequest('each claim is asked for by null or by an object')
}
