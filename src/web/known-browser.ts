import type { Context } from 'koa'
import { usernameKey } from '../accounts/account.ts'
import type { Fingerprints } from '../crypto/fingerprints.ts'
import type { BrowserCookie } from './browser-cookie.ts'

export type KnownBrowsers = ReturnType<typeof createKnownBrowsers>

/** A family shares a computer; beyond that the one that signed in longest ago is a stranger again. */
const TAGS_AT_MOST = 5
const TAG_BYTES = 16
const KEPT_MS = 180 * 24 * 3600 * 1000

interface Dependencies {
  fingerprint: Fingerprints
  browsers: BrowserCookie
  secure: boolean
}

/**
 * Browsers in which a name's right password was given before. Their wrong passwords are counted apart, so that
 * strangers who lock a name don't lock out its owner (THR-10). And browsers in which an account's code was right
 * before: texts that are asked for there aren't a stranger's. It opens nothing else: a cookie that is copied gives
 * ten tries, and texts within the other limits.
 */
export function createKnownBrowsers({ fingerprint, browsers, secure }: Dependencies) {
  const prefix = secure ? '__Host-' : ''
  const named = `${prefix}sallyport_known`
  const proven = `${prefix}sallyport_proven`

  function tagOf(what: string): string {
    const tag = fingerprint('known-browser', what)
    return tag.subarray(0, TAG_BYTES).toString('base64url')
  }

  const tagOfName = (browser: string, username: string) =>
    tagOf(`${browser}\0${usernameKey(username)}`)
  // Not of the browser's secret, which ends with it: codes are asked for once in a while.
  const tagOfAccount = (accountId: string) => tagOf(accountId)

  const tagsOf = (ctx: Context, cookie: string) =>
    ctx.cookies.get(cookie, { signed: true })?.split('.') ?? []

  function add(ctx: Context, cookie: string, tag: string): void {
    const tags = [tag, ...tagsOf(ctx, cookie).filter((other) => other !== tag)]
    ctx.cookies.set(cookie, tags.slice(0, TAGS_AT_MOST).join('.'), {
      signed: true,
      httpOnly: true,
      sameSite: 'lax',
      secure,
      path: '/',
      maxAge: KEPT_MS,
    })
  }

  return {
    /** The browser's secret, if it is known for this name. */
    of(ctx: Context, username: string): string | undefined {
      const browser = browsers.read(ctx)
      return browser && tagsOf(ctx, named).includes(tagOfName(browser, username))
        ? browser
        : undefined
    },

    /** The right password was given here. */
    note(ctx: Context, username: string): void {
      const browser = browsers.read(ctx)
      if (browser) add(ctx, named, tagOfName(browser, username))
    },

    /** Whether a code of the account was right here. */
    isProven: (ctx: Context, accountId: string) =>
      tagsOf(ctx, proven).includes(tagOfAccount(accountId)),

    /** A code of the account was right here. */
    noteProven: (ctx: Context, accountId: string) => add(ctx, proven, tagOfAccount(accountId)),
  }
}
