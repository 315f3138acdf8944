import type { Context } from 'koa'
import type { Metrics } from '../metrics.ts'
import type { ClientRow } from '../oidc/client-rows.ts'
import type { Visitor } from '../second-factor/challenge-parts.ts'
import type { OpenChallenge } from '../second-factor/look.ts'
import { type CodeError, codePage, statusOf } from './code-page.ts'
import { createEndings } from './endings.ts'
import type { Pages } from './pages.ts'
import { createStepLinks, nameOf } from './step-links.ts'
import type { Visitors } from './visitor.ts'

export type Steps = ReturnType<typeof createSteps>

interface Dependencies {
  pages: Pages
  visitors: Visitors
  codeLength: number
  host: string
  /** for how many days a browser can be remembered; 0: it can't */
  rememberDays: number
  /** where a forgotten password is dealt with; null where no mail can be sent */
  forgottenUrl: string | null
  metrics: Metrics
}

/** So many are left when it is time for new ones (BKP-07). */
const FEW_BACKUP_CODES = 2

/** The value of the query parameter `use` with which a page is asked for a backup code. */
export const USE_BACKUP_CODE = 'backup-code'
/** The same for the password, where only the second factor is due. */
export const USE_PASSWORD = 'password'

/** Draws the pages of a sign-in. */
export function createSteps(deps: Dependencies) {
  const { pages, visitors, codeLength, host, rememberDays, metrics } = deps
  const links = createStepLinks(visitors)

  return {
    ...createEndings({ pages, links, metrics }),
    links,

    /** Back to the one GET that decides what is due. */
    back(ctx: Context, { interaction }: Visitor, use?: string): void {
      ctx.status = 303
      ctx.redirect(`/interaction/${encodeURIComponent(interaction)}${use ? `?use=${use}` : ''}`)
    },

    login(
      ctx: Context,
      visitor: Visitor,
      app: ClientRow | undefined,
      {
        username = '',
        error = null,
        status = 200,
      }: { username?: string; error?: string | null; status?: number },
    ): void {
      const { formToken, cancelUrl, actionUrl } = links(visitor)
      pages.show(ctx, status, 'login', {
        app: nameOf(app),
        actionUrl: actionUrl('login'),
        cancelUrl,
        forgottenUrl: deps.forgottenUrl,
        formToken,
        username,
        error,
      })
    },

    /** Asks for the code that was sent, or for that of the authenticator app. */
    code(
      ctx: Context,
      visitor: Visitor,
      view: OpenChallenge,
      error: CodeError | null = null,
    ): void {
      const { actionUrl, baseUrl, ...rest } = links(visitor)
      const enrolling = view.purpose === 'enrolment'
      const status = statusOf(view, error)
      if (status === 503) ctx.set('Retry-After', '1')
      const length = view.asked === 'authenticator' ? 6 : codeLength
      pages.show(ctx, status, 'code', {
        app: null,
        ...rest,
        ...codePage(view, length, error, { callUrl: actionUrl('call') }),
        actionUrl: actionUrl('code'),
        resendUrl: actionUrl('resend'),
        phoneUrl: actionUrl('phone'),
        host,
        otherPhones: enrolling ? [] : view.otherPhones.filter(({ textable }) => textable),
        appUrl:
          !enrolling && view.hasAuthenticator && view.asked === 'phone' ? actionUrl('app') : null,
        backupUrl: !enrolling && view.backup ? baseUrl : null,
        otherNumberUrl: enrolling ? actionUrl('enrol-other') : null,
        rememberDays: enrolling ? 0 : rememberDays,
      })
    },

    backupCode(
      ctx: Context,
      visitor: Visitor,
      view: OpenChallenge,
      error: CodeError | null = null,
    ): void {
      const { actionUrl, baseUrl, ...rest } = links(visitor)
      // There are none where the page is shown for the help desk's code alone.
      const few = view.backupCodesLeft > 0 && view.backupCodesLeft <= FEW_BACKUP_CODES
      pages.show(ctx, error ? 400 : 200, 'backup-code', {
        app: null,
        ...rest,
        actionUrl: actionUrl('backup-code'),
        codeUrl: view.asked ? baseUrl : null,
        fewLeft: few ? view.backupCodesLeft : null,
        triesLeft: view.triesLeft,
        // Not offered to whoever may be about to type the help desk's code, which remembers no browser.
        rememberDays: view.hasBypassCode ? 0 : rememberDays,
        error: error?.sentence ?? null,
        errorCode: error?.code ?? null,
      })
    },

    stepUp(ctx: Context, visitor: Visitor, app: ClientRow | undefined, accountName: string): void {
      const { actionUrl, baseUrl, ...rest } = links(visitor)
      pages.show(ctx, 200, 'step-up', {
        app: nameOf(app),
        ...rest,
        actionUrl: actionUrl('step-up'),
        passwordUrl: baseUrl,
        accountName,
        error: null,
      })
    },
  }
}
