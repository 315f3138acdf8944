import type { Context } from 'koa'

export type TrustedBrowserCookie = ReturnType<typeof createTrustedBrowserCookie>

/** Longer than any token of ours. */
const LONGEST_TOKEN = 100
const DAY_MS = 24 * 3600 * 1000

/** The cookie of a remembered browser. It holds a random token and says nothing; what it is worth is stored. */
export function createTrustedBrowserCookie({ secure, days }: { secure: boolean; days: number }) {
  const name = `${secure ? '__Host-' : ''}sallyport_trusted`
  const attributes = { signed: true, httpOnly: true, sameSite: 'lax', secure, path: '/' } as const

  return {
    /** The browser's token; undefined when it has none, or one that we didn't sign. */
    read(ctx: Context): string | undefined {
      const token = ctx.cookies.get(name, { signed: true })
      return token && token.length <= LONGEST_TOKEN ? token : undefined
    },

    set(ctx: Context, token: string): void {
      ctx.cookies.set(name, token, { ...attributes, maxAge: days * DAY_MS, overwrite: true })
    },

    clear(ctx: Context): void {
      ctx.cookies.set(name, null, { ...attributes, overwrite: true })
    },
  }
}
