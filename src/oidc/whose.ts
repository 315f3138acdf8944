import type { KoaContextWithOIDC } from 'oidc-provider'
import { z } from 'zod'

const withSub = z.object({ id_token: z.object({ sub: z.object({ value: z.unknown() }) }) })

/**
 * Whether a request asks for a person, by `id_token_hint` or by a value of `sub`, who isn't the one that is signed
 * in (OpenID Connect Core 3.1.2.1 and 3.1.2.2). The provider looks at the hint only before its pages; whoever
 * signed in on them is compared here.
 */
export async function isSomeoneElse({ oidc }: KoaContextWithOIDC): Promise<boolean> {
  const { client, session, params = {}, provider } = oidc
  const { accountId } = session ?? {}
  if (!client || !accountId) return false
  const asked: unknown[] = []
  if (typeof params.id_token_hint === 'string') {
    // A hint that verified when the request came and doesn't now names nobody.
    const hint = await provider.IdToken.validate(params.id_token_hint, client).catch(
      () => undefined,
    )
    asked.push(hint?.payload.sub)
  }
  const claims: unknown = typeof params.claims === 'string' ? JSON.parse(params.claims) : undefined
  const { sub } = withSub.safeParse(claims).data?.id_token ?? {}
  if (sub?.value !== undefined) asked.push(sub.value)
  if (asked.length === 0) return false
  const own = new provider.Claims({ sub: accountId }, { client }).scope('openid')
  const { sub: known } = await own.result()
  return asked.some((wanted) => wanted !== known)
}
