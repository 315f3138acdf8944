import type { Context, Next } from 'koa'
import { z } from 'zod'
import type { Language } from '../languages/language.ts'
import type { Languages } from '../languages/languages.ts'
import { parseForm } from './forms.ts'
import { assertOwnOrigin } from './guard.ts'

export type LanguageChoice = ReturnType<typeof createLanguageChoice>

interface Dependencies {
  languages: Languages
  issuer: string
}

const YEAR_MS = 365 * 24 * 3600 * 1000

/** More than anyone speaks; the rest of a longer list isn't looked at. */
const MOST_ASKED = 20

/**
 * The provider's routes whose `ui_locales` counts. Not `resume`, which has the parameters of a request that
 * came before: the person may have chosen another language since.
 */
const ASKING = new Set(['authorization', 'end_session'])

/**
 * Which language a person sees: what the app asks for with `ui_locales`, else what the person chose with the
 * switch, else what the browser prefers, else the default. Both cookies hold nothing but a tag of ours.
 */
export function createLanguageChoice({ languages, issuer }: Dependencies) {
  const secure = issuer.startsWith('https:')
  const prefix = secure ? '__Host-' : ''
  const chosenCookie = `${prefix}sallyport_language`
  /** holds until the browser is closed, a later app asks for none, or the person chooses */
  const askedCookie = `${prefix}sallyport_ui_locales`
  const form = z.object({ language: z.enum(languages.all.map(({ tag }) => tag)) })

  function kept(ctx: Context, cookie: string): Language | undefined {
    return languages.find(ctx.cookies.get(cookie, { signed: true }) ?? '')
  }

  function keep(ctx: Context, cookie: string, tag: string | null, maxAge?: number): void {
    ctx.cookies.set(cookie, tag, {
      signed: true,
      httpOnly: true,
      sameSite: 'lax',
      secure,
      path: '/',
      ...(maxAge && { maxAge }),
    })
  }

  function forget(ctx: Context, cookie: string): void {
    if (ctx.cookies.get(cookie) !== undefined) keep(ctx, cookie, null)
  }

  /** By the request itself, before its cookie comes back. */
  function askedNow({ oidc }: Context): Language | undefined {
    const locales: unknown = ASKING.has(oidc?.route) ? oidc.params?.ui_locales : undefined
    if (typeof locales !== 'string') return undefined
    return languages.match(locales.split(' ', MOST_ASKED))
  }

  return {
    all: languages.all,
    byDefault: languages.byDefault,

    of(ctx: Context): Language {
      return (
        askedNow(ctx) ??
        kept(ctx, askedCookie) ??
        kept(ctx, chosenCookie) ??
        languages.match(ctx.acceptsLanguages().slice(0, MOST_ASKED)) ??
        languages.byDefault
      )
    },

    /** Keeps what an app asks for, for the pages that follow. */
    async note(ctx: Context, next: Next): Promise<void> {
      await next()
      const asked = askedNow(ctx)
      if (asked) keep(ctx, askedCookie, asked.tag)
      else if (ctx.oidc?.route === 'authorization') forget(ctx, askedCookie)
    },

    /** The switch: remembers the choice, and shows the page it was made on once more. */
    async change(ctx: Context): Promise<void> {
      assertOwnOrigin(ctx, issuer)
      const { language } = parseForm(ctx, form)
      keep(ctx, chosenCookie, language, YEAR_MS)
      forget(ctx, askedCookie)
      ctx.status = 303
      ctx.redirect(pageBefore(ctx.get('Referer'), issuer))
    },
  }
}

/** Where a form was sent from; our front page when that is anywhere else, or not said (WEB-03). */
function pageBefore(referer: string, issuer: string): string {
  const url = URL.parse(referer)
  if (url?.origin !== issuer) return issuer
  // It would ask for the old language again.
  url.searchParams.delete('ui_locales')
  // Whole, so that a path like //elsewhere isn't read as a host.
  return url.href
}
