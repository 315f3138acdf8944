import type Provider from 'oidc-provider'
import type { Metrics } from '../metrics.ts'
import { ACR } from './acr.ts'

/** Errors that a request for tokens can get; anything else is counted as one. */
const ERRORS = new Set([
  'access_denied',
  'authorization_pending',
  'expired_token',
  'invalid_client',
  'invalid_dpop_proof',
  'invalid_grant',
  'invalid_request',
  'invalid_scope',
  'invalid_target',
  'server_error',
  'slow_down',
  'temporarily_unavailable',
  'unauthorized_client',
  'unsupported_grant_type',
  'use_dpop_nonce',
])

/** The short names of grant types that are URNs. */
const SHORT: Readonly<Record<string, string>> = {
  'urn:ietf:params:oauth:grant-type:device_code': 'device_code',
  'urn:openid:params:grant-type:ciba': 'ciba',
}
const GRANTS = new Set([
  'authorization_code',
  'refresh_token',
  'client_credentials',
  ...Object.keys(SHORT),
])

/** Counts sign-ins and tokens, as the provider tells of them. */
export function countEvents(provider: Provider, metrics: Metrics): void {
  provider.on('interaction.ended', ({ oidc: { entities, result } }) => {
    // After a consent page the provider hears of the same login once more.
    if (!result?.login || entities.Interaction?.prompt.name !== 'login') return
    metrics.signedIn(result.login.acr === ACR.secondFactor ? 'two-factors' : 'password')
  })
  provider.on('grant.success', ({ oidc: { params } }) =>
    metrics.tokensGranted(grantOf(params?.grant_type)),
  )
  provider.on('grant.error', ({ oidc }, { error, status }) => {
    const known = ERRORS.has(error) ? error : status >= 500 ? 'server_error' : 'other'
    metrics.tokensRefused(grantOf(oidc?.params?.grant_type), known)
  })
}

/** Anything may be asked for, and each would be a row of its own. */
function grantOf(asked: unknown): string {
  const grant = String(asked)
  return GRANTS.has(grant) ? (SHORT[grant] ?? grant) : 'other'
}
