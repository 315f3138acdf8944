import type Router from '@koa/router'
import type { Context } from 'koa'
import { z } from 'zod'
import type { LinkMails } from '../accounts/link-mails.ts'
import { addressKey } from '../address.ts'
import type { Log } from '../log.ts'
import { field } from './forms.ts'
import type { PageForms } from './page-forms.ts'
import type { Pages } from './pages.ts'
import { tell } from './password-words.ts'

export type Forgotten = ReturnType<typeof createForgotten>

export const FORGOTTEN_URL = '/password/forgotten'
const ASKED_URL = '/password/asked'

interface Dependencies {
  pages: Pages
  forms: PageForms
  linkMails: LinkMails
  log: Log
}

const forgottenForm = z.object({ username: field.trim().min(1).max(256) })

/** "Forgotten your password?": mails a link, where mails can be sent. */
export function createForgotten({ pages, forms, linkMails, log }: Dependencies) {
  const mailing = new Set<Promise<void>>()

  function show(ctx: Context, status = 200, error: string | null = null): void {
    if (linkMails.canMail) {
      pages.show(ctx, status, 'password-forgotten', {
        formToken: forms.token(ctx, FORGOTTEN_URL),
        actionUrl: FORGOTTEN_URL,
        error,
      })
    } else tell(pages, ctx, 200, 'askOthers')
  }

  /** Behind the answer, which comes at once and says nothing of whom the name belongs to. */
  function mail(ctx: Context, name: string): void {
    const work = linkMails
      .mailReset(name, pages.languageOf(ctx).tag)
      .catch((error: unknown) =>
        log.error({ request: ctx.state.requestId, error }, 'no link was made'),
      )
      .finally(() => mailing.delete(work))
    mailing.add(work)
  }

  /** Does and answers the same whatever the name is, in the same time (ENU-05). */
  async function ask(ctx: Context): Promise<void> {
    const form = forgottenForm.safeParse(ctx.request.body)
    if (!linkMails.canMail || !form.success)
      return show(ctx, 400, pages.say(ctx, 'password.nameMissing'))
    const { username } = form.data
    const wait = await linkMails.countAsking(username, addressKey(ctx.ip))
    if (wait > 0) {
      ctx.set('Retry-After', String(wait))
      return tell(pages, ctx, 429, 'askedTooOften', { retryInMinutes: Math.ceil(wait / 60) })
    }
    mail(ctx, username)
    ctx.status = 303
    ctx.redirect(ASKED_URL)
  }

  return {
    /** where the login page leads to; null where no mail can be sent */
    url: linkMails.canMail ? FORGOTTEN_URL : null,

    addTo(router: Router): void {
      router.get(FORGOTTEN_URL, (ctx) => show(ctx))
      router.post(
        FORGOTTEN_URL,
        forms.guard(() => FORGOTTEN_URL),
        ask,
      )
      router.get(ASKED_URL, (ctx) => tell(pages, ctx, 200, 'asked'))
    },

    /** Resolves when no mail is being written any more. */
    async idle(): Promise<void> {
      await Promise.all(mailing)
    },
  }
}
