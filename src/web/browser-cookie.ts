import { randomBytes } from 'node:crypto'
import type { Context } from 'koa'

export type BrowserCookie = ReturnType<typeof createBrowserCookie>

/** The cookie by which a browser is known again: a random secret, which says nothing of who uses it. */
export function createBrowserCookie(secure: boolean) {
  const name = `${secure ? '__Host-' : ''}sallyport_browser`
  // Several parts of a request ask for it, and each look would verify the signature anew.
  const held = new WeakMap<Context, string | undefined>()

  return {
    /** The browser's secret; undefined while it has none. */
    read(ctx: Context): string | undefined {
      if (!held.has(ctx)) held.set(ctx, ctx.cookies.get(name, { signed: true }))
      return held.get(ctx)
    },

    /** Gives a browser its secret. */
    give(ctx: Context): string {
      const browser = randomBytes(16).toString('base64url')
      ctx.cookies.set(name, browser, {
        signed: true,
        httpOnly: true,
        sameSite: 'lax',
        secure,
        path: '/',
      })
      return browser
    },
  }
}
