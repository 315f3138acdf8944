import { createHmac, createSecretKey, timingSafeEqual } from 'node:crypto'
import type { Context } from 'koa'
import type Provider from 'oidc-provider'
import { deriveKey } from '../crypto/keys.ts'
import type { Visitor } from '../second-factor/challenge-parts.ts'
import type { BrowserCookie } from './browser-cookie.ts'
import { PageRefusal } from './refusals.ts'

export type Visitors = ReturnType<typeof createVisitors>

interface Dependencies {
  provider: Provider
  cookieKeys: readonly string[]
  browsers: BrowserCookie
}

/** Who is at the page: the interaction, proven by the provider's cookie, and the browser, by ours. */
export function createVisitors({ provider, cookieKeys, browsers }: Dependencies) {
  const met = new WeakMap<Context, Visitor & { known: boolean }>()
  const formKeys = cookieKeys.map((key) =>
    createSecretKey(deriveKey(Buffer.from(key), 'form-token')),
  )

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
      const known = met.get(ctx)
      if (known) return known
      const interaction = ctx.cookies.get(provider.cookieName('interaction'), { signed: true })
      if (!interaction || interaction !== ctx.params?.uid) {
        throw new PageRefusal('no_interaction', 400, 'refusal.notHere')
      }
      const held = browsers.read(ctx)
      const browser = held ?? browsers.give(ctx)
      const visitor = { interaction, browser, known: held !== undefined }
      met.set(ctx, visitor)
      return visitor
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
      throw new PageRefusal('form_token', 403, 'refusal.formToken')
    },
  }
}
