import type { Context } from 'koa'
import { usernameKey } from '../accounts/account.ts'
import type { Fingerprints } from '../crypto/fingerprints.ts'
import type { BrowserCookie } from './browser-cookie.ts'

export type KnownBrowsers = ReturnType<typeof createKnownBrowsers>

/** A family shares a computer; beyond that the one that signed in longest ago is a stranger again. */
const NAMES_AT_MOST = 5
const TAG_BYTES = 16
const KEPT_MS = 180 * 24 * 3600 * 1000

interface Dependencies {
  fingerprint: Fingerprints
  browsers: BrowserCookie
  secure: boolean
}

/**
 * Browsers in which a name's right password was given before. Their wrong passwords are counted apart, so that
 * strangers who lock a name don't lock out its owner (THR-10). It opens nothing else: a cookie that is copied
 * gives ten tries.
 */
export function createKnownBrowsers({ fingerprint, browsers, secure }: Dependencies) {
  const cookie = `${secure ? '__Host-' : ''}sallyport_known`

  function tagOf(browser: string, username: string): string {
    const tag = fingerprint('known-browser', `${browser}\0${usernameKey(username)}`)
    return tag.subarray(0, TAG_BYTES).toString('base64url')
  }

  const tagsOf = (ctx: Context) => ctx.cookies.get(cookie, { signed: true })?.split('.') ?? []

  return {
    /** The browser's secret, if it is known for this name. */
    of(ctx: Context, username: string): string | undefined {
      const browser = browsers.read(ctx)
      return browser && tagsOf(ctx).includes(tagOf(browser, username)) ? browser : undefined
    },

    /** The right password was given here. */
    note(ctx: Context, username: string): void {
      const browser = browsers.read(ctx)
      if (!browser) return
      const tag = tagOf(browser, username)
      const tags = [tag, ...tagsOf(ctx).filter((other) => other !== tag)].slice(0, NAMES_AT_MOST)
      ctx.cookies.set(cookie, tags.join('.'), {
        signed: true,
        httpOnly: true,
        sameSite: 'lax',
        secure,
        path: '/',
        maxAge: KEPT_MS,
      })
    },
  }
}
