import type { Context } from 'koa'
import type Provider from 'oidc-provider'
import { z } from 'zod'
import type { MessageKey } from '../languages/language.ts'
import type { Apis } from '../oidc/apis.ts'
import { isAdminScope, partClaims } from '../oidc/claims.ts'
import type { Clients } from '../oidc/clients.ts'
import { grantClaims } from '../oidc/grant.ts'
import type { Visitor } from '../second-factor/challenge-parts.ts'
import type { Pages } from './pages.ts'
import type { Interaction, SignIn } from './sign-in.ts'
import { nameOf } from './step-links.ts'
import type { Steps } from './steps.ts'
import type { Visitors } from './visitor.ts'

export type Consent = ReturnType<typeof createConsent>

interface Dependencies {
  provider: Provider
  clients: Clients
  apis: Apis
  signIn: SignIn
  visitors: Visitors
  steps: Steps
  pages: Pages
}

/** What each scope shares, in words. */
export const SHARED: Record<string, { title: MessageKey; detail: MessageKey }> = {
  openid: { title: 'consent.openid', detail: 'consent.openidDetail' },
  profile: { title: 'consent.profile', detail: 'consent.profileDetail' },
  email: { title: 'consent.email', detail: 'consent.emailDetail' },
  phone: { title: 'consent.phone', detail: 'consent.phoneDetail' },
  offline_access: { title: 'consent.offline', detail: 'consent.offlineDetail' },
}

/** What the provider says is missing, as its consent checks put it. */
const missing = z.object({
  missingOIDCScope: z.array(z.string()).default([]),
  missingOIDCClaims: z.array(z.string()).default([]),
  missingResourceScopes: z.record(z.string(), z.array(z.string())).default({}),
})

/** Asks a person before an app that isn't first-party gets anything. */
export function createConsent(deps: Dependencies) {
  const { provider, clients, apis, signIn, visitors, steps, pages } = deps
  /** What the app may get of what it asks for; claims outside its registration are neither named nor given. */
  function askedOf(interaction: Interaction) {
    const {
      missingOIDCScope: scopes,
      missingOIDCClaims: claims,
      missingResourceScopes: resources,
    } = missing.parse(interaction.prompt.details)
    const client = signIn.clientOf(interaction)
    const scope = client && clients.scopeOf(client)
    return { client, scope, scopes, claims, resources, shown: partClaims(scope, claims).allowed }
  }

  /** Scopes of APIs with whose they are, as the API's admin called it. */
  async function named(scopes: readonly string[]): Promise<string[]> {
    if (scopes.every((scope) => SHARED[scope] || isAdminScope(scope))) return []
    return (await apis.list()).flatMap((api) =>
      api.scopes.filter((scope) => scopes.includes(scope)).map((scope) => `${api.name}: ${scope}`),
    )
  }

  return {
    async show(ctx: Context, visitor: Visitor, interaction: Interaction): Promise<void> {
      const { client, scopes: asked, shown, resources } = askedOf(interaction)
      // A native app is asked for each time, also when nothing new is shared: then everything is named.
      const isNew = asked.length > 0 || Object.keys(resources).length > 0
      const scopes = isNew ? asked : String(interaction.params.scope ?? '').split(' ')
      const atApis = await named(isNew ? Object.values(resources).flat() : scopes)
      const redirect = URL.parse(String(interaction.params.redirect_uri))
      const { formToken, cancelUrl, actionUrl } = steps.links(visitor)
      const { say } = pages.languageOf(ctx)
      pages.show(ctx, 200, 'consent', {
        app: nameOf(client),
        accountName: signIn.accountOf(interaction)?.username ?? '',
        actionUrl: actionUrl('consent'),
        cancelUrl,
        formToken,
        items: [
          ...scopes
            .flatMap((scope) => SHARED[scope] ?? [])
            .map(({ title, detail }) => ({ title: say(title), detail: say(detail), named: false })),
          ...[...scopes.filter(isAdminScope), ...atApis, ...shown].map((name) => ({
            title: name,
            detail: say('consent.claimDetail'),
            named: true,
          })),
        ],
        appHost: redirect && (redirect.host || redirect.protocol),
      })
    },

    async allow(ctx: Context): Promise<void> {
      const visitor = visitors.of(ctx)
      const interaction = await signIn.interaction(ctx)
      const { params, prompt, session, grantId } = interaction
      if (prompt.name !== 'consent' || interaction.result || !session?.accountId)
        return steps.back(ctx, visitor)
      const { scope, scopes, claims, resources } = askedOf(interaction)
      const { Grant } = provider
      const held = grantId ? await Grant.find(grantId) : undefined
      const grant =
        held ?? new Grant({ accountId: session.accountId, clientId: String(params.client_id) })
      if (scopes.length > 0) grant.addOIDCScope(scopes.join(' '))
      grantClaims(grant, scope, claims)
      for (const [resource, names] of Object.entries(resources))
        grant.addResourceScope(resource, names)
      signIn.recordConsent(interaction, [...scopes, ...Object.values(resources).flat()])
      await signIn.finish(ctx, { consent: { grantId: await grant.save() } })
    },
  }
}
