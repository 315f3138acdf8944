import { createHmac, timingSafeEqual } from 'node:crypto'
import type { Context, Middleware } from 'koa'
import { z } from 'zod'
import { deriveKey } from '../crypto/keys.ts'
import type { BrowserCookie } from './browser-cookie.ts'
import { field, readForm } from './forms.ts'
import { assertOwnOrigin } from './guard.ts'
import { PageRefusal } from './refusals.ts'

export type PageForms = ReturnType<typeof createPageForms>

interface Dependencies {
  issuer: string
  cookieKeys: readonly string[]
  browsers: BrowserCookie
}

const tokenField = z.object({ form_token: field })

/**
 * The forms of pages outside a sign-in (WEB-01, WEB-02): each carries a token that only this browser's form of
 * this page has. `page` names what a token is good for: a path, and whatever else the page is about, such as a
 * session's uid.
 */
export function createPageForms({ issuer, cookieKeys, browsers }: Dependencies) {
  const keys = cookieKeys.map((key) => deriveKey(Buffer.from(key), 'page-form-token'))

  function tokens(page: string, browser: string): string[] {
    return keys.map((key) =>
      createHmac('sha256', key).update(`${page}\0${browser}`).digest('base64url'),
    )
  }

  /** @throws Refusal unless it is a token for this browser's forms of this page */
  function assertToken(ctx: Context, page: string, given: unknown): void {
    const browser = browsers.read(ctx)
    if (
      browser === undefined ||
      typeof given !== 'string' ||
      !isOneOf(given, tokens(page, browser))
    ) {
      throw new PageRefusal('form_token', 403, 'refusal.pageFormToken')
    }
  }

  return {
    assertToken,

    /** A token for the forms of a page; a browser that comes for the first time gets its cookie. */
    token(ctx: Context, page: string): string {
      return tokens(page, browsers.read(ctx) ?? browsers.give(ctx))[0] ?? ''
    },

    /**
     * Stands before what a form does: reads it, and lets it through from our own origin with its token only.
     * @param pageOf names the page as for `token`
     */
    guard(pageOf: (ctx: Context) => string): Middleware {
      return (ctx, next) =>
        readForm(ctx, () => {
          assertOwnOrigin(ctx, issuer)
          const given = tokenField.safeParse(ctx.request.body)
          assertToken(ctx, pageOf(ctx), given.data?.form_token)
          return next()
        })
    },
  }
}

function isOneOf(given: string, right: readonly string[]): boolean {
  const presented = Buffer.from(given)
  return right.some((token) => {
    const expected = Buffer.from(token)
    return expected.length === presented.length && timingSafeEqual(expected, presented)
  })
}
