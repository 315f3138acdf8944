import type { ClientSummary } from '../../oidc/clients.ts'
import { DEVICES } from './snippets/devices.ts'
import { FRAMEWORKS } from './snippets/frameworks.ts'
import { PRODUCTS } from './snippets/products.ts'
import { INTROSPECTION, PROGRAMS } from './snippets/programs.ts'
import { PUBLIC_APPS } from './snippets/public-apps.ts'
import { type ConnectedApp, ENDPOINTS, type Recipe } from './snippets/snippet.ts'

/** What is an app's secret for whoever reads its page later. */
const PLACEHOLDER = 'YOUR_CLIENT_SECRET'
/** What a library should ask for; the rest it asks for when it needs it. */
const USUAL = ['openid', 'profile', 'email']

export type AppKind = 'web' | 'public' | 'device' | 'program'

/** One block of configuration to copy. */
export interface Snippet {
  library: string
  place: string
  note: string | null
  text: string
}

export function kindOf({ grants, public: isPublic }: Pick<ClientSummary, 'grants' | 'public'>) {
  if (!grants.includes('authorization_code'))
    return (grants.includes('device_code') ? 'device' : 'program') satisfies AppKind
  return (isPublic ? 'public' : 'web') satisfies AppKind
}

/**
 * The configuration of common client libraries for an app, ready to copy.
 * @param secret where it has just been made; a placeholder stands for it else
 */
export function snippetsFor(
  issuer: string,
  client: ClientSummary,
  secret: string = PLACEHOLDER,
): Snippet[] {
  const kind = kindOf(client)
  const scope: readonly string[] = client.scope ?? USUAL
  const app: ConnectedApp = {
    issuer,
    id: client.id,
    secret: client.public ? '' : secret,
    redirectUri: harmless(client.redirectUris[0] ?? 'https://app.example.com/callback'),
    postLogoutRedirectUri:
      client.postLogoutRedirectUris[0] && harmless(client.postLogoutRedirectUris[0]),
    scopes:
      kind === 'program'
        ? (client.scope ?? []).filter((one) => one.startsWith('admin:'))
        : scope.filter((one) => USUAL.includes(one)),
    introspects: client.introspects,
  }
  return recipesOf(kind, app).map(({ library, place, note, comesBackTo, text }) => ({
    library,
    place,
    note: [note, comesBackTo && missing(client, comesBackTo)].filter(Boolean).join(' ') || null,
    text: text(app).trimEnd(),
  }))
}

function recipesOf(kind: AppKind, { introspects }: ConnectedApp): readonly Recipe[] {
  if (kind === 'public') return [generic(kind), ...PUBLIC_APPS]
  const more = introspects.length > 0 ? [INTROSPECTION] : []
  if (kind === 'device') return [generic(kind), ...DEVICES]
  if (kind === 'program') return [generic(kind), ...PROGRAMS, ...more]
  return [generic(kind), ...FRAMEWORKS, ...PRODUCTS, ...more]
}

const GRANT_OF: Readonly<Record<AppKind, string>> = {
  web: 'authorization_code',
  public: 'authorization_code',
  device: 'urn:ietf:params:oauth:grant-type:device_code',
  program: 'client_credentials',
}

/** What every library asks for, under whatever names. */
function generic(kind: AppKind): Recipe {
  return {
    library: 'Any library',
    place: 'its settings',
    text({ issuer, id, secret, redirectUri, scopes }) {
      const redirects = kind === 'web' || kind === 'public'
      const values: ReadonlyArray<readonly [string, string | false]> = [
        ['Issuer', issuer],
        ['Discovery', issuer + ENDPOINTS.discovery],
        ['Client ID', id],
        ['Client secret', secret],
        ['Client authentication', secret ? 'client_secret_basic' : 'none'],
        ['Grant type', GRANT_OF[kind]],
        ['PKCE', redirects && 'S256, always'],
        ['Redirect URI', redirects && redirectUri],
        ['Scopes', scopes.join(' ') || false],
      ]
      return values
        .flatMap(([name, value]) => (value ? `${`${name}:`.padEnd(23)}${value}` : []))
        .join('\n')
    },
  }
}

/** Told where the library comes back to an address that isn't registered. */
function missing({ redirectUris }: ClientSummary, path: string): string | undefined {
  if (redirectUris.some((uri) => URL.parse(uri)?.pathname.endsWith(path))) return undefined
  return `It comes back to an address that ends with ${path}: register that one as a redirect URI.`
}

/** Quotes and dollars mean something in one language or another; in an address they can be written otherwise. */
function harmless(uri: string): string {
  return uri.replace(/["'`$<>\\{}]/g, (sign) => `%${sign.charCodeAt(0).toString(16).toUpperCase()}`)
}
