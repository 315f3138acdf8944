import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import type { Context } from 'koa'
import type Provider from 'oidc-provider'
import { deriveKey } from '../crypto/keys.ts'
import { Refusal } from '../errors.ts'
import type { Visitor } from '../second-factor/challenges.ts'

export type Visitors = ReturnType<typeof createVisitors>

interface Dependencies {
  provider: Provider
  cookieKeys: readonly string[]
  secure: boolean
}

/** Who is at the page: the interaction, proven by the provider's cookie, and the browser, by ours. */
export function createVisitors({ provider, cookieKeys, secure }: Dependencies) {
  const name = `${secure ? '__Host-' : ''}sallyport_browser`
  const formKeys = cookieKeys.map((key) => deriveKey(Buffer.from(key), 'form-token'))

  function tokens({ interaction, browser }: Visitor): string[] {
    return formKeys.map((key) =>
      createHmac('sha256', key).update(`${interaction}\0${browser}`).digest('base64url'),
    )
  }

  return {
    /**
     * The visitor of the interaction in the path.
     * @returns `known`: whether the browser had its cookie already; without it nothing can have happened here
     * @throws Refusal when the browser doesn't hold the interaction's cookie (CHL-10, CHL-11)
     */
    of(ctx: Context): Visitor & { known: boolean } {
      const interaction = ctx.cookies.get(provider.cookieName('interaction'), { signed: true })
      if (!interaction || interaction !== ctx.params?.uid) {
        throw new Refusal(
          'no_interaction',
          400,
          'This sign-in isn’t open in this browser: it has expired, was finished, or was started elsewhere. Go back to your app and sign in again.',
        )
      }
      const held = ctx.cookies.get(name, { signed: true })
      if (held) return { interaction, browser: held, known: true }
      const browser = randomBytes(16).toString('base64url')
      ctx.cookies.set(name, browser, {
        signed: true,
        httpOnly: true,
        sameSite: 'lax',
        secure,
        path: '/',
      })
      return { interaction, browser, known: false }
    },

    /** A token for this visitor's forms (WEB-01, WEB-02). */
    formToken(visitor: Visitor): string {
      return tokens(visitor)[0] ?? ''
    },

    /** @throws Refusal unless the form carries this visitor's token */
    assertFormToken(visitor: Visitor & { known: boolean }, given: unknown): void {
      const presented = Buffer.from(typeof given === 'string' ? given : '')
      const right = tokens(visitor).map((token) => Buffer.from(token))
      if (
        visitor.known &&
        right.some(
          (token) => token.length === presented.length && timingSafeEqual(token, presented),
        )
      )
        return
      throw new Refusal(
        'form_token',
        403,
        'This form is too old or came from elsewhere. Go back to your app and sign in again.',
      )
    },
  }
}
