import { setTimeout as pause } from 'node:timers/promises'
import type { Context } from 'koa'
import type Provider from 'oidc-provider'
import type { Account } from '../accounts/accounts.ts'
import type { Authentication } from '../oidc/acr.ts'
import type { ClientRow } from '../oidc/client-rows.ts'
import type { UnitsOfWork } from '../oidc/unit-of-work.ts'

export type SignIn = ReturnType<typeof createSignIn>
export type Interaction = Awaited<ReturnType<Provider['interactionDetails']>>

const LOOK_EVERY_MS = 50
const LOOKS_AT_MOST = 20

/** The provider's side of a sign-in: what it asks for, and how it hears what came of it. */
export function createSignIn({ provider, units }: { provider: Provider; units: UnitsOfWork }) {
  /** Tells the provider how the interaction ended and sends the browser on to it. */
  async function finish(
    ctx: Context,
    result: Parameters<Provider['interactionResult']>[2],
  ): Promise<void> {
    ctx.status = 303
    ctx.redirect(await provider.interactionResult(ctx.req, ctx.res, result))
  }

  return {
    /** @throws SessionNotFound when the interaction is over */
    interaction(ctx: Context): Promise<Interaction> {
      return provider.interactionDetails(ctx.req, ctx.res)
    },

    /** The app that asked; undefined when it was deleted meanwhile. */
    clientOf({ params }: Interaction): ClientRow | undefined {
      return units.current().clients.get(String(params.client_id))
    },

    /** When the session behind an interaction was signed in to, in seconds since 1970; 0 when it is gone. */
    async signedInAt({ session }: Interaction): Promise<number> {
      const found = session?.uid ? await provider.Session.findByUid(session.uid) : undefined
      return found?.loginTs ?? 0
    },

    /** Who is signed in already, as a consent page needs to know. */
    accountOf({ session }: Interaction): Account | undefined {
      return units.current().accounts.get(session?.accountId ?? '')
    },

    finish,

    /**
     * Waits until the request that got through, of two that came at once, has stored how the interaction ended.
     * @returns false when it hasn't within a second
     * @throws SessionNotFound when the interaction is over
     */
    async settled(ctx: Context): Promise<boolean> {
      for (let looks = 0; looks < LOOKS_AT_MOST; looks++) {
        let decided = false
        // A unit of work remembers what it read, so each look is one of its own.
        await units.run(async () => {
          const { result } = await provider.interactionDetails(ctx.req, ctx.res)
          decided = result !== undefined
        })
        if (decided) return true
        await pause(LOOK_EVERY_MS)
      }
      return false
    },

    /** @param at when the last factor was checked, in seconds since 1970: the `auth_time` */
    passed(ctx: Context, accountId: string, how: Authentication, at: number): Promise<void> {
      return finish(ctx, { login: { accountId, ...how, ts: at } })
    },

    /** Has a consent recorded, in the statement that stores it. */
    recordConsent({ session, params }: Interaction, scopes: readonly string[]): void {
      units.current().tell({
        type: 'consent.given',
        accountId: session?.accountId ?? null,
        clientId: String(params.client_id),
        detail: { scope: scopes.join(' ') },
      })
    },

    cancelled(ctx: Context): Promise<void> {
      return finish(ctx, {
        error: 'access_denied',
        error_description: 'the person cancelled the sign-in',
      })
    },

    /** The level that the app insists on can't be reached (OIDC-16). */
    unmet(ctx: Context): Promise<void> {
      return finish(ctx, {
        error: 'unmet_authentication_requirements',
        error_description: 'the account has no second factor',
      })
    },
  }
}
