import type { Middleware } from 'koa'
import type { KoaContextWithOIDC, Provider } from 'oidc-provider'

/** What a single-page app calls from the browser: it gets tokens, asks who it is, and gives tokens back. */
const FOR_PAGES = new Set<string | undefined>(['token', 'userinfo', 'revocation'])
const FOR_EVERYBODY = new Set<string | undefined>(['discovery', 'jwks'])

/** Whether a page may call as a client: one of its own origin, of a client that has no secret to keep (OIDC-37). */
export function mayPageCall(
  { oidc }: KoaContextWithOIDC,
  origin: string,
  client: InstanceType<Provider['Client']>,
): boolean {
  const own = client.clientAuthMethod === 'none' && originsOf(client.redirectUris).includes(origin)
  return own && FOR_PAGES.has(oidc.route)
}

/**
 * Takes the leave to read from answers that no page is to have. The provider gives it to whoever asks beforehand, at
 * more endpoints than pages need, since it doesn't know the client then.
 */
export const hideFromPages: Middleware = async (ctx, next) => {
  await next()
  const route = ctx.oidc?.route?.replace(/^cors\./, '')
  if (FOR_PAGES.has(route) || FOR_EVERYBODY.has(route)) return
  for (const name of Object.keys(ctx.response.headers))
    if (name.startsWith('access-control-')) ctx.remove(name)
}

function originsOf(uris: readonly string[] = []): string[] {
  return uris.flatMap((uri) => (/^https?:/.test(uri) ? (URL.parse(uri)?.origin ?? []) : []))
}
