import type Router from '@koa/router'
import type { Context } from 'koa'
import { z } from 'zod'
import { PASSWORD_INPUT_LIMIT } from '../../accounts/passwords.ts'
import { EMAIL_LIMIT } from '../../accounts/profile.ts'
import type { Bootstrap } from '../../admin/bootstrap.ts'
import { Refusal } from '../../errors.ts'
import { field, parseForm } from '../forms.ts'
import type { PageForms } from '../page-forms.ts'
import { CONSOLE_URL } from './console-app.ts'
import type { ConsolePages } from './console-pages.ts'

const BOOTSTRAP_URL = `${CONSOLE_URL}/bootstrap`

interface Dependencies {
  forms: PageForms
  pages: ConsolePages
  bootstrap: Bootstrap
  /** whether people add their first factor themselves: else a number is asked for here */
  selfEnrolment: boolean
}

const form = z.strictObject({
  form_token: field,
  username: field.max(256),
  email: field.max(EMAIL_LIMIT),
  phone: field.max(64).optional(),
  password: field.max(PASSWORD_INPUT_LIMIT),
})

type Given = Record<'username' | 'email' | 'phone', string>
const NOTHING: Given = { username: '', email: '', phone: '' }

/** The page behind the link that is printed at the first start: it makes the first admin, once (ADM-02). */
export function addBootstrap(
  router: Router,
  { forms, pages, bootstrap, selfEnrolment }: Dependencies,
): void {
  const path = `${BOOTSTRAP_URL}/:token`
  const tokenOf = (ctx: Context) => String(ctx.params?.token)
  const pageOf = (ctx: Context) => `${BOOTSTRAP_URL} ${tokenOf(ctx)}`

  function tellOver(ctx: Context): void {
    pages.tell(ctx, 404, {
      title: 'This link has had its use',
      message:
        'It works once, for an hour, and only while there is no admin. Start the service again for a new one, or make an admin at the command line: account create --username NAME --role admin',
      next: { url: CONSOLE_URL, text: 'To the console' },
    })
  }

  function show(ctx: Context, given: Given, error: string | null): void {
    pages.draw(ctx, error ? 400 : 200, 'bootstrap', {
      ...given,
      askPhone: !selfEnrolment,
      formToken: forms.token(ctx, pageOf(ctx)),
      actionUrl: ctx.path,
      error,
    })
  }

  router.get(path, async (ctx) => {
    if (await bootstrap.isOpen(tokenOf(ctx))) show(ctx, NOTHING, null)
    else tellOver(ctx)
  })

  router.post(path, forms.guard(pageOf), async (ctx) => {
    const { username, email, phone = '', password } = parseForm(ctx, form)
    try {
      const given = {
        username,
        password,
        ...(email && { email }),
        ...((phone || !selfEnrolment) && { phone }),
      }
      const account = await bootstrap.use(tokenOf(ctx), given)
      if (!account) return tellOver(ctx)
      pages.tell(ctx, 200, {
        title: 'You are the first admin',
        message: selfEnrolment
          ? 'Sign in now: you add your phone or an authenticator app, and the console opens.'
          : 'Sign in now: a code comes to your phone, and the console opens.',
        next: { url: CONSOLE_URL, text: 'Sign in' },
      })
    } catch (error) {
      if (!(error instanceof Refusal) || error.status >= 500) throw error
      show(ctx, { username, email, phone }, error.message)
    }
  })
}
