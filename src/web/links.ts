import type Router from '@koa/router'
import type { Context } from 'koa'
import { z } from 'zod'
import type { Accounts } from '../accounts/accounts.ts'
import type { LinkMails } from '../accounts/link-mails.ts'
import type { Links, OpenLink } from '../accounts/links.ts'
import type { Strength } from '../accounts/password-quality.ts'
import { addressKey } from '../address.ts'
import type { MessageKey } from '../languages/language.ts'
import { FORGOTTEN_URL } from './forgotten.ts'
import { field } from './forms.ts'
import type { PageForms } from './page-forms.ts'
import type { Pages } from './pages.ts'
import { FAULT_WORDS, tell } from './password-words.ts'

const CHANGED_URL = '/password/changed'
const WELCOME_URL = '/password/welcome'
const ACCOUNT_URL = '/account'

interface Dependencies {
  pages: Pages
  forms: PageForms
  accounts: Accounts
  links: Links
  linkMails: LinkMails
}

const choiceForm = z.object({ password: field.min(1), again: field.min(1) })

/** Why the page is shown again. */
interface Fault {
  error: MessageKey
  strength?: Strength | null
}

/** What a one-time link opens: a page on which its holder chooses a password. */
export function addLinks(router: Router, deps: Dependencies): void {
  const { pages, forms, accounts, links, linkMails } = deps

  function showGone(ctx: Context): void {
    const next = { url: FORGOTTEN_URL, text: 'password.askAgain' } as const
    tell(pages, ctx, 410, 'gone', linkMails.canMail ? { next } : {})
  }

  function showChoice(ctx: Context, { purpose, account }: OpenLink, fault?: Fault): void {
    const page = pageOf(ctx)
    pages.show(ctx, fault ? 400 : 200, 'password-choice', {
      formToken: forms.token(ctx, page),
      actionUrl: page,
      username: account.username,
      first: purpose === 'invitation',
      error: fault ? pages.say(ctx, fault.error) : null,
      strength: fault?.strength ?? null,
    })
  }

  async function choose(ctx: Context): Promise<void> {
    const link = await links.peek(tokenOf(ctx))
    if (!link) return showGone(ctx)
    const form = choiceForm.safeParse(ctx.request.body)
    if (!form.success) return showChoice(ctx, link, { error: 'password.missing' })
    const { password, again } = form.data
    if (password !== again) return showChoice(ctx, link, { error: 'password.differ' })
    const set = await accounts.setPasswordByLink(tokenOf(ctx), password)
    if (set.outcome === 'no-link') return showGone(ctx)
    if (set.outcome === 'weak') {
      const { fault, strength } = set.judgement
      return showChoice(ctx, link, { error: FAULT_WORDS[fault], strength })
    }
    const { username, email } = set.account
    await linkMails.forgetAsking(email ? [username, email] : [username], addressKey(ctx.ip))
    ctx.status = 303
    ctx.redirect(set.purpose === 'invitation' ? WELCOME_URL : CHANGED_URL)
  }

  // Changes nothing: programs that look for harmful links open it too (WEB-04).
  router.get('/link/:token', async (ctx) => {
    const link = await links.peek(tokenOf(ctx))
    if (link) showChoice(ctx, link)
    else showGone(ctx)
  })
  router.post('/link/:token', forms.guard(pageOf), choose)

  router.get(CHANGED_URL, (ctx) => tell(pages, ctx, 200, 'changed'))
  router.get(WELCOME_URL, (ctx) =>
    tell(pages, ctx, 200, 'welcome', { next: { url: ACCOUNT_URL, text: 'password.toAccount' } }),
  )
}

function tokenOf(ctx: Context): string {
  return String(ctx.params?.token)
}

/** The page's path, and what the token of its form is good for. */
function pageOf(ctx: Context): string {
  return `/link/${encodeURIComponent(tokenOf(ctx))}`
}
