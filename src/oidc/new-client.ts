import { z } from 'zod'
import { isLoopbackHost } from '../config/shapes.ts'
import { Refusal } from '../errors.ts'
import { SCOPES } from './claims.ts'

const GRANTS = ['authorization_code', 'refresh_token', 'client_credentials'] as const

/** A relying party as an admin registers it. */
export const newClient = z.object({
  id: z.string().regex(/^[\w.~-]{1,64}$/, 'an id has 1 to 64 letters, digits and . _ ~ -'),
  name: z.string().trim().min(1).max(64).optional(),
  redirectUris: z.array(z.string()).default([]),
  postLogoutRedirectUris: z.array(z.string()).default([]),
  public: z.boolean().default(false),
  firstParty: z.boolean().default(false),
  secondFactor: z.enum(['required', 'optional']).optional(),
  grants: z.array(z.enum(GRANTS)).min(1).default(['authorization_code']),
  /** scopes it may ask for; all when left out */
  scope: z.array(z.enum(SCOPES)).optional(),
  /** of an API: the apps whose access tokens it may introspect */
  introspects: z.array(z.string().min(1).max(64)).max(100).default([]),
})
export type NewClient = z.input<typeof newClient>

/**
 * @param production whether plain http redirects are refused except to loopback
 * @throws Refusal naming what is wrong
 */
export function assertSensible(client: z.output<typeof newClient>, production: boolean): void {
  const interactive = client.grants.includes('authorization_code')
  if (interactive && client.redirectUris.length === 0) {
    throw new Refusal('client', 400, 'A client that signs people in needs a redirect URI.')
  }
  if (interactive && client.scope && !client.scope.includes('openid')) {
    throw new Refusal('client', 400, 'A client that signs people in needs the scope openid.')
  }
  if (!interactive && client.grants.includes('refresh_token')) {
    throw new Refusal('client', 400, 'The refresh_token grant needs authorization_code beside it.')
  }
  if (client.public && client.grants.includes('client_credentials')) {
    throw new Refusal(
      'client',
      400,
      'A public client has no credentials, so it can’t have the client_credentials grant.',
    )
  }
  if (client.public && client.introspects.length > 0) {
    throw new Refusal(
      'client',
      400,
      'A public client has no credentials to introspect tokens with.',
    )
  }
  for (const uri of [...client.redirectUris, ...client.postLogoutRedirectUris])
    assertRedirect(uri, client.public, production)
}

/** RFC 9700 section 2.1, RFC 8252 section 7: https, http to loopback only, or an app's own reverse-domain scheme. */
function assertRedirect(uri: string, isPublic: boolean, production: boolean): void {
  const refuse = (why: string) =>
    new Refusal('redirect_uri', 400, `The redirect URI ${JSON.stringify(uri)} ${why}.`)
  const parsed = URL.parse(uri)
  if (!parsed || /[\s\\]/.test(uri)) throw refuse('is not a URL')
  if (parsed.hash || uri.includes('#')) throw refuse('must have no fragment')
  if (parsed.username || parsed.password) throw refuse('must have no user name')
  if (parsed.protocol === 'https:') return
  if (parsed.protocol === 'http:') {
    if (isLoopbackHost(parsed.hostname)) return
    if (production) throw refuse('must be https:, except to loopback')
    return
  }
  if (isPublic && /^[a-z][a-z0-9+-]*(\.[a-z0-9+-]+)+:$/.test(parsed.protocol)) return
  throw refuse('must be https: (an app may use its own reverse-domain scheme, as com.example.app:)')
}

/** An app on the person's own machine: its own scheme, or a loopback address, whose port may vary (RFC 8252 section 7.3). */
export function isNative(uri: string): boolean {
  const parsed = URL.parse(uri)
  return parsed?.protocol === 'http:'
    ? /^(127\.|\[::1\])/.test(parsed.hostname)
    : parsed?.protocol !== 'https:'
}
