import type {
  AccessToken,
  ClientCredentials,
  KoaContextWithOIDC,
  RefreshToken,
} from 'oidc-provider'

type Token = AccessToken | ClientCredentials | RefreshToken

interface Dependencies {
  /** the apps whose access tokens a client may ask about, beside its own */
  introspectedBy(clientId: string): readonly string[]
  isAccountLive(accountId: string): Promise<boolean>
}

/**
 * Who is told of a token (RFC 7662). A confidential client learns of its own tokens, and an API of the access
 * tokens of those apps that it was registered to serve; for all others there is no such token.
 */
export function createIntrospectionPolicy({ introspectedBy, isAccountLive }: Dependencies) {
  return async (
    { oidc }: KoaContextWithOIDC,
    asking: { clientId: string; clientAuthMethod?: string | undefined },
    token: Token,
  ): Promise<boolean> => {
    if (asking.clientAuthMethod === 'none' || !token.clientId) return false
    const own = token.clientId === asking.clientId
    const served =
      token.kind !== 'RefreshToken' && introspectedBy(asking.clientId).includes(token.clientId)
    if (!own && !served) return false
    if (!(await oidc.provider.Client.find(token.clientId))) return false
    return token.kind === 'ClientCredentials' || isAccountLive(token.accountId)
  }
}

/** What introspection tells of the sign-in behind an access token (RFC 9470 section 6.2). */
export function signInBehind({ oidc }: KoaContextWithOIDC): Record<string, unknown> | undefined {
  const { RefreshToken, AuthorizationCode, DeviceCode } = oidc.entities
  const source = RefreshToken ?? AuthorizationCode ?? DeviceCode
  return source && { acr: source.acr, amr: source.amr, auth_time: source.authTime }
}
