import type { Context } from 'koa'
import type Provider from 'oidc-provider'
import { z } from 'zod'
import { partClaims } from '../oidc/claims.ts'
import type { Clients } from '../oidc/clients.ts'
import { grantClaims } from '../oidc/grant.ts'
import type { Visitor } from '../second-factor/challenges.ts'
import type { Pages } from './pages.ts'
import type { Interaction, SignIn } from './sign-in.ts'
import { nameOf, type Steps } from './steps.ts'
import type { Visitors } from './visitor.ts'

export type Consent = ReturnType<typeof createConsent>

interface Dependencies {
  provider: Provider
  clients: Clients
  signIn: SignIn
  visitors: Visitors
  steps: Steps
  pages: Pages
}

/** What each scope shares, in words. */
const SHARED: Record<string, { title: string; detail: string }> = {
  openid: {
    title: 'That it is you',
    detail: 'An identifier of your account, and how and when you signed in',
  },
  profile: { title: 'Your name', detail: 'Your full name and your user name' },
  email: { title: 'Your e-mail address', detail: 'The address, and whether it was checked' },
  phone: { title: 'Your phone number', detail: 'The number, and whether it was checked' },
  offline_access: {
    title: 'Access while you are away',
    detail: 'The app may keep using this after you sign out',
  },
}

/** What the provider says is missing, as its consent checks put it. */
const missing = z.object({
  missingOIDCScope: z.array(z.string()).default([]),
  missingOIDCClaims: z.array(z.string()).default([]),
})

/** Asks a person before an app that isn't first-party gets anything. */
export function createConsent({ provider, clients, signIn, visitors, steps, pages }: Dependencies) {
  /** What the app may get of what it asks for; claims outside its registration are neither named nor given. */
  function askedOf(interaction: Interaction) {
    const { missingOIDCScope: scopes, missingOIDCClaims: claims } = missing.parse(
      interaction.prompt.details,
    )
    const client = signIn.clientOf(interaction)
    const scope = client && clients.scopeOf(client)
    return { client, scope, scopes, claims, shown: partClaims(scope, claims).allowed }
  }

  return {
    show(ctx: Context, visitor: Visitor, interaction: Interaction): void {
      const { client, scopes: asked, shown } = askedOf(interaction)
      // A native app is asked for each time, also when nothing new is shared: then everything is named.
      const scopes = asked.length > 0 ? asked : String(interaction.params.scope ?? '').split(' ')
      const redirect = URL.parse(String(interaction.params.redirect_uri))
      const { formToken, cancelUrl, actionUrl } = steps.links(visitor)
      const page = pages.render('consent', {
        app: nameOf(client),
        accountName: signIn.accountOf(interaction)?.username ?? '',
        actionUrl: actionUrl('consent'),
        cancelUrl,
        formToken,
        items: [
          ...scopes.flatMap((scope) => SHARED[scope] ?? []),
          ...shown.map((claim) => ({
            title: claim,
            detail: 'A single detail the app asks for by name',
          })),
        ],
        appHost: redirect ? redirect.host || redirect.protocol : '',
      })
      steps.html(ctx, 200, page)
    },

    async allow(ctx: Context): Promise<void> {
      const visitor = visitors.of(ctx)
      const interaction = await signIn.interaction(ctx)
      const { params, prompt, session, grantId } = interaction
      if (prompt.name !== 'consent' || interaction.result || !session?.accountId)
        return steps.back(ctx, visitor)
      const { scope, scopes, claims } = askedOf(interaction)
      const { Grant } = provider
      const held = grantId ? await Grant.find(grantId) : undefined
      const grant =
        held ?? new Grant({ accountId: session.accountId, clientId: String(params.client_id) })
      grant.addOIDCScope(scopes.join(' '))
      grantClaims(grant, scope, claims)
      await signIn.finish(ctx, { consent: { grantId: await grant.save() } })
    },
  }
}
