import { createHash, randomBytes } from 'node:crypto'
import type { Context } from 'koa'
import type Provider from 'oidc-provider'
import { z } from 'zod'
import { ACR } from '../../oidc/acr.ts'
import { ACCOUNT_CLIENT_ID } from '../../oidc/built-in.ts'
import { PageRefusal } from '../refusals.ts'

export type RelyingParty = ReturnType<typeof createRelyingParty>

export const ACCOUNT_URL = '/account'
export const CALLBACK_URL = `${ACCOUNT_URL}/callback`
/** where the provider sends people after they were asked whether to sign out */
export const LEFT_URL = `${ACCOUNT_URL}/left`

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
const OWN_PATH = /^\/account(\/[\w~.-]+)*$/

/** The pages under `/account` as an app of our own provider: they send people to it, and take the code they bring back. */
export function createRelyingParty({ provider, issuer }: { provider: Provider; issuer: string }) {
  const redirectUri = issuer + CALLBACK_URL
  const secure = issuer.startsWith('https:')
  const prefix = secure ? '__Secure-' : ''
  const journeyCookie = `${prefix}sallyport_account`
  const draftCookie = `${prefix}sallyport_draft`

  function keep(ctx: Context, name: string, value: object | null): void {
    const text = value && Buffer.from(JSON.stringify(value)).toString('base64url')
    ctx.cookies.set(name, text, {
      signed: true,
      httpOnly: true,
      sameSite: 'lax',
      secure,
      path: ACCOUNT_URL,
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
        client_id: ACCOUNT_CLIENT_ID,
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
     * @returns where it goes on; undefined when this browser wasn't on its way, or comes with no code
     * @throws Refusal when the code isn't the one that this browser was given
     */
    async arrive(
      ctx: Context,
      session: { uid: string; accountId: string } | undefined,
    ): Promise<string | undefined> {
      const kept = take(ctx, journeyCookie, journey)
      const { state, code } = ctx.query
      if (!kept || state !== kept.state || typeof code !== 'string') return undefined
      const found = await provider.AuthorizationCode.find(code)
      const isRight =
        found?.isValid &&
        found.clientId === ACCOUNT_CLIENT_ID &&
        found.redirectUri === redirectUri &&
        found.codeChallenge === challengeOf(kept.verifier) &&
        found.sessionUid === session?.uid &&
        found.accountId === session?.accountId
      if (!isRight) throw new PageRefusal('account_code', 400, 'refusal.over')
      await found.consume()
      if (kept.draft) keep(ctx, draftCookie, kept.draft)
      return OWN_PATH.test(kept.to) ? kept.to : ACCOUNT_URL
    },

    /** What was typed before the sign-in. */
    draft: (ctx: Context): Draft => take(ctx, draftCookie, draft) ?? {},

    /** On to the provider's page that asks whether to sign out. */
    leave(ctx: Context): void {
      const query = new URLSearchParams({
        client_id: ACCOUNT_CLIENT_ID,
        post_logout_redirect_uri: issuer + LEFT_URL,
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
