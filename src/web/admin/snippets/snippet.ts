/** What a snippet is filled in with. Nothing in it needs quoting, whatever language it stands in. */
export interface ConnectedApp {
  issuer: string
  id: string
  /** empty for an app without one */
  secret: string
  redirectUri: string
  postLogoutRedirectUri: string | undefined
  /** what it may ask for and a library should */
  scopes: readonly string[]
  /** the clients whose tokens it may ask about */
  introspects: readonly string[]
}

/** The configuration of one client library, as its own documentation has it. */
export interface Recipe {
  library: string
  /** the file it goes into, or where else it goes */
  place: string
  /** what its redirect URI ends with, where the library says so and not the app */
  comesBackTo?: string
  note?: string
  text: (app: ConnectedApp) => string
}

/** Sallyport's addresses, for libraries that don't look them up. */
export const ENDPOINTS = {
  discovery: '/.well-known/openid-configuration',
  authorization: '/auth',
  deviceAuthorization: '/device/auth',
  token: '/token',
  userinfo: '/me',
  jwks: '/jwks',
  introspection: '/token/introspection',
  endSession: '/session/end',
}

/** Only in development is an issuer without TLS; libraries must be told that this is meant. */
export function withoutTls({ issuer }: ConnectedApp, text: string): string {
  return issuer.startsWith('http:') ? text : ''
}
