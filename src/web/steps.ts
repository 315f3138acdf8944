import type { Context } from 'koa'
import type { Metrics } from '../metrics.ts'
import type { ClientRow } from '../oidc/client-rows.ts'
import type { Visitor } from '../second-factor/challenge-parts.ts'
import type { ChallengeView, OpenChallenge, PhoneChoice } from '../second-factor/look.ts'
import { type CodeError, codePage, statusOf } from './code-page.ts'
import type { Pages } from './pages.ts'
import { STOPS, type Stop } from './stops.ts'
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

/** Why it stops, with what is known beside it. */
export interface StopFacts {
  app?: ClientRow | undefined
  waitSeconds?: number | null | undefined
  /** whether a backup code, or one of the help desk, would still do */
  backup?: boolean
  /** phones that a code may still go to */
  otherPhones?: readonly PhoneChoice[]
  /** one that takes no texts, and may be called */
  call?: PhoneChoice | undefined
  /** whether the code that was asked for would still do */
  code?: boolean
  /** whether the app asked for nothing less than what can't be had here, and is to be told so */
  unmet?: boolean
}

/** So many are left when it is time for new ones (BKP-07). */
const FEW_BACKUP_CODES = 2

/** The value of the query parameter `use` with which a page is asked for a backup code. */
export const USE_BACKUP_CODE = 'backup-code'
/** The same for the password, where only the second factor is due. */
export const USE_PASSWORD = 'password'

/** Draws the pages of a sign-in. */
export function createSteps(deps: Dependencies) {
  const { pages, visitors, codeLength, host, rememberDays } = deps

  /** What every form of an interaction needs. */
  function links(visitor: Visitor) {
    const base = `/interaction/${encodeURIComponent(visitor.interaction)}`
    return {
      formToken: visitors.formToken(visitor),
      cancelUrl: `${base}/cancel`,
      restartUrl: `${base}/restart`,
      baseUrl: base,
      actionUrl: (step: string) => `${base}/${step}`,
    }
  }

  /** Says why it can't go on, and what can be done. */
  function stop(ctx: Context, visitor: Visitor, why: Stop, facts: StopFacts = {}): void {
    const { app, waitSeconds, backup = false, otherPhones = [], call = null, code = false } = facts
    const { status, title, message, retryInMinutes: usual, counts } = STOPS[why]
    // Looking again at what is over ends nothing more.
    if (ctx.method === 'POST') {
      deps.metrics.signInFailed(why)
      if (counts) deps.metrics.codeEnded(counts)
    }
    const retryInMinutes = waitSeconds ? Math.ceil(waitSeconds / 60) : (usual ?? null)
    if (retryInMinutes !== null) ctx.set('Retry-After', String(retryInMinutes * 60))
    const { formToken, restartUrl: restart, cancelUrl, baseUrl, actionUrl } = links(visitor)
    // While codes aren't taken, starting again leads back here.
    const restartUrl = why === 'locked' || why === 'disabled' ? null : restart
    const { say } = pages.languageOf(ctx)
    pages.show(ctx, status, 'ended', {
      app: nameOf(app),
      restartUrl,
      restartText: say(why === 'no-phone' ? 'action.otherAccount' : 'action.restart'),
      cancelUrl: facts.unmet ? actionUrl('give-up') : cancelUrl,
      formToken,
      title: say(title),
      message: say(message),
      retryInMinutes,
      codeUrl: code ? baseUrl : null,
      backupUrl: backup ? baseUrl : null,
      phoneUrl: actionUrl('phone'),
      otherPhones,
      callUrl: actionUrl('call'),
      call,
      code: why,
    })
  }

  return {
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

    /** The phones a code may go to, where the primary one gets none just now. */
    otherPhones(
      ctx: Context,
      visitor: Visitor,
      phones: readonly PhoneChoice[],
      call: PhoneChoice | null = null,
    ): void {
      const { actionUrl, baseUrl, ...rest } = links(visitor)
      const { say } = pages.languageOf(ctx)
      pages.show(ctx, 200, 'ended', {
        app: null,
        ...rest,
        restartText: say('action.restart'),
        title: say('code.otherWays'),
        message: null,
        retryInMinutes: null,
        codeUrl: null,
        backupUrl: null,
        phoneUrl: actionUrl('phone'),
        otherPhones: phones,
        callUrl: actionUrl('call'),
        call,
        code: null,
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

    stop,

    /** Shows where a challenge stands that takes no more codes. @returns false for one that isn't over that way */
    standstill(ctx: Context, visitor: Visitor, view: ChallengeView, app?: ClientRow): boolean {
      switch (view.state) {
        case 'locked':
          stop(ctx, visitor, 'locked', { app, waitSeconds: view.lockSeconds })
          return true
        case 'disabled':
        case 'expired':
        case 'too-many-tries':
          stop(ctx, visitor, view.state, { app })
          return true
        default:
          return false
      }
    },
  }
}

/** The phones that are left to choose from when the primary one, which comes first, was refused a text. */
export function besidePrimary({ otherPhones: [, ...others] }: OpenChallenge): PhoneChoice[] {
  return others.filter(({ textable }) => textable)
}

/** The phone that can only be called, if calls can be made. */
export function callable({ canCall, otherPhones }: OpenChallenge): PhoneChoice | undefined {
  return canCall ? otherPhones.find(({ textable }) => !textable) : undefined
}

export function nameOf(app: ClientRow | undefined): string | null {
  return app ? (app.client_name ?? app.client_id) : null
}
