import { createHash, randomBytes } from 'node:crypto'
import type { Context } from 'koa'
import type Provider from 'oidc-provider'
import { z } from 'zod'
import { ACR } from '../oidc/acr.ts'
import { PageRefusal } from './refusals.ts'

export type RelyingParty = ReturnType<typeof createRelyingParty>

/** Pages of ours that are an app of our own provider. */
export interface OwnApp {
  clientId: string
  /** path under which all of its pages are, and its first one */
  home: string
  /** what its cookies are called */
  name: string
}

/** Where the provider sends people back to. */
export const callbackOf = ({ home }: OwnApp) => `${home}/callback`
/** And after they were asked whether to sign out. */
export const leftOf = ({ home }: OwnApp) => `${home}/left`

/** An app of ours as the provider knows it: like any other, but part of the house. */
export function clientOf(app: OwnApp, issuer: string, brandName: string) {
  return {
    id: app.clientId,
    name: brandName,
    redirectUri: issuer + callbackOf(app),
    postLogoutRedirectUri: issuer + leftOf(app),
  }
}

/** Whom a code stands for, and how they signed in. */
export interface Arrival {
  /** the page that was wanted */
  to: string
  accountId: string
  sessionUid: string
  acr: string | undefined
  amr: readonly string[]
  /** seconds since 1970 */
  authTime: number
}

/** As long as a sign-in may take. */
const LIFE_MS = 15 * 60 * 1000

/** What was typed into a form that has to be shown again: nothing secret. */
const draft = z.record(z.string(), z.string().max(64))
export type Draft = z.output<typeof draft>

/** What a browser holds for us while it is at the provider. */
const journey = z.object({
  state: z.string(),
  verifier: z.string(),
  to: z.string(),
  draft: draft.optional(),
})

/** What a page asks of a sign-in: nothing, the password once more, or all there is once more. */
export type Again = 'nothing' | 'password' | 'second-factor'

interface Going {
  /** the page that is wanted */
  to: string
  again?: Again
  /** whose password is asked for, where that is known */
  username?: string
  draft?: Draft | undefined
}

/** A path of ours and nothing else: what comes back from a browser never leads elsewhere (WEB-03). */
const OWN_PATH = /^(\/[\w~.-]+)+$/

/** Pages of ours as an app of our own provider: they send people to it, and take the code they bring back. */
export function createRelyingParty({
  provider,
  issuer,
  app,
}: {
  provider: Provider
  issuer: string
  app: OwnApp
}) {
  const { clientId, home } = app
  const redirectUri = issuer + callbackOf(app)
  const secure = issuer.startsWith('https:')
  const prefix = secure ? '__Secure-' : ''
  const journeyCookie = `${prefix}sallyport_${app.name}`
  const draftCookie = `${prefix}sallyport_${app.name}_draft`

  function keep(ctx: Context, name: string, value: object | null): void {
    const text = value && Buffer.from(JSON.stringify(value)).toString('base64url')
    ctx.cookies.set(name, text, {
      signed: true,
      httpOnly: true,
      sameSite: 'lax',
      secure,
      path: home,
      overwrite: true,
      ...(text && { maxAge: LIFE_MS }),
    })
  }

  /** Reads what was kept, and forgets it: it is good for one use. */
  function take<T extends z.ZodType>(ctx: Context, name: string, schema: T) {
    const text = ctx.cookies.get(name, { signed: true })
    if (!text) return undefined
    keep(ctx, name, null)
    return schema.safeParse(JSON.parse(Buffer.from(text, 'base64url').toString())).data
  }

  return {
    /** Sends the browser to the provider, to come back to the page that is wanted. */
    go(ctx: Context, { to, again = 'nothing', username, draft }: Going): void {
      const [state, verifier] = [randomBytes(16), randomBytes(32)].map((bytes) =>
        bytes.toString('base64url'),
      )
      keep(ctx, journeyCookie, { state, verifier, to, ...(draft && { draft }) })
      const query = new URLSearchParams({
        client_id: clientId,
        redirect_uri: redirectUri,
        response_type: 'code',
        scope: 'openid',
        state: state ?? '',
        code_challenge: challengeOf(verifier ?? ''),
        code_challenge_method: 'S256',
        // Not max_age: our clock and the database's needn't agree on what is too old, and then it would go round in circles.
        ...(again !== 'nothing' && { prompt: 'login' }),
        ...(again === 'second-factor' && { acr_values: ACR.secondFactor }),
        ...(username && { login_hint: username }),
      })
      ctx.status = 303
      ctx.redirect(`/auth?${query}`)
    },

    /**
     * Takes the code that a browser has come back with, and uses it up.
     * @param session what the browser is signed in to now
     * @returns undefined when this browser wasn't on its way, or comes with no code
     * @throws Refusal when the code isn't the one that this browser was given
     */
    async arrive(
      ctx: Context,
      session: { uid: string; accountId: string } | undefined,
    ): Promise<Arrival | undefined> {
      const kept = take(ctx, journeyCookie, journey)
      const { state, code } = ctx.query
      if (!kept || state !== kept.state || typeof code !== 'string') return undefined
      const found = await provider.AuthorizationCode.find(code)
      const isRight =
        found?.isValid &&
        found.clientId === clientId &&
        found.redirectUri === redirectUri &&
        found.codeChallenge === challengeOf(kept.verifier) &&
        found.sessionUid === session?.uid &&
        found.accountId === session?.accountId
      if (!isRight || !session) throw new PageRefusal('account_code', 400, 'refusal.over')
      await found.consume()
      if (kept.draft) keep(ctx, draftCookie, kept.draft)
      const isOwn = OWN_PATH.test(kept.to) && `${kept.to}/`.startsWith(`${home}/`)
      return {
        to: isOwn ? kept.to : home,
        accountId: session.accountId,
        sessionUid: session.uid,
        acr: found.acr,
        amr: found.amr ?? [],
        authTime: found.authTime ?? 0,
      }
    },

    /** What was typed before the sign-in. */
    draft: (ctx: Context): Draft => take(ctx, draftCookie, draft) ?? {},

    /** On to the provider's page that asks whether to sign out. */
    leave(ctx: Context): void {
      const query = new URLSearchParams({
        client_id: clientId,
        post_logout_redirect_uri: issuer + leftOf(app),
      })
      ctx.status = 303
      ctx.redirect(`/session/end?${query}`)
    },
  }
}

/** RFC 7636, S256. */
function challengeOf(verifier: string): string {
  return createHash('sha256').update(verifier).digest('base64url')
}
