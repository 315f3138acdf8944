import type { Context } from 'koa'
import type { ClientRow } from '../oidc/clients.ts'
import type { ChallengeView, Visitor } from '../second-factor/challenges.ts'
import type { Pages } from './pages.ts'
import { STOPS, type Stop } from './stops.ts'
import type { Visitors } from './visitor.ts'

export type Steps = ReturnType<typeof createSteps>
export type OpenChallenge = Extract<ChallengeView, { state: 'open' }>

interface Dependencies {
  pages: Pages
  visitors: Visitors
  codeLength: number
  host: string
}

/** Draws the pages of a sign-in. */
export function createSteps({ pages, visitors, codeLength, host }: Dependencies) {
  /** What every form of an interaction needs. */
  function links(visitor: Visitor) {
    const base = `/interaction/${encodeURIComponent(visitor.interaction)}`
    return {
      formToken: visitors.formToken(visitor),
      cancelUrl: `${base}/cancel`,
      restartUrl: `${base}/restart`,
      resendUrl: `${base}/resend`,
      actionUrl: (step: string) => `${base}/${step}`,
    }
  }

  function html(ctx: Context, status: number, body: string): void {
    ctx.status = status
    ctx.type = 'html'
    ctx.body = body
  }

  /** Says why it can't go on, and what can be done. */
  function stop(
    ctx: Context,
    visitor: Visitor,
    why: Stop,
    app?: ClientRow,
    lockSeconds?: number | null,
  ): void {
    const { status, title, message, retryInMinutes: usual } = STOPS[why]
    const retryInMinutes = lockSeconds ? Math.ceil(lockSeconds / 60) : (usual ?? null)
    if (retryInMinutes !== null) ctx.set('Retry-After', String(retryInMinutes * 60))
    const { formToken, restartUrl: restart, cancelUrl } = links(visitor)
    // While codes aren't taken, starting again leads back here.
    const restartUrl = why === 'locked' || why === 'disabled' ? null : restart
    const data = {
      app: nameOf(app),
      restartUrl,
      restartText: why === 'no-phone' ? 'Use another account' : 'Start again',
      cancelUrl,
      formToken,
      title,
      message,
      retryInMinutes,
    }
    html(ctx, status, pages.render('ended', data))
  }

  return {
    links,
    html,

    /** Back to the one GET that decides what is due. */
    back(ctx: Context, { interaction }: Visitor): void {
      ctx.status = 303
      ctx.redirect(`/interaction/${encodeURIComponent(interaction)}`)
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
      const data = {
        app: nameOf(app),
        actionUrl: actionUrl('login'),
        cancelUrl,
        formToken,
        username,
        error,
      }
      html(ctx, status, pages.render('login', data))
    },

    code(ctx: Context, visitor: Visitor, view: OpenChallenge, error: string | null = null): void {
      const { actionUrl, ...rest } = links(visitor)
      const failed = view.delivery === 'failed'
      if (failed) ctx.set('Retry-After', '1')
      const page = pages.render('code', {
        app: null,
        ...rest,
        actionUrl: actionUrl('code'),
        phone: view.phone,
        length: codeLength,
        minutesLeft: Math.max(1, Math.ceil(view.secondsLeft / 60)),
        triesLeft: view.triesLeft,
        error,
        delivery: view.delivery,
        resendInSeconds: view.resendInSeconds,
        sendsLeft: view.sendsLeft,
        host,
      })
      html(ctx, error ? 400 : failed ? 503 : 200, page)
    },

    stop,

    /** Shows where a challenge stands that takes no more codes. @returns false for one that isn't over that way */
    standstill(ctx: Context, visitor: Visitor, view: ChallengeView, app?: ClientRow): boolean {
      switch (view.state) {
        case 'locked':
          stop(ctx, visitor, 'locked', app, view.lockSeconds)
          return true
        case 'disabled':
        case 'expired':
        case 'too-many-tries':
          stop(ctx, visitor, view.state, app)
          return true
        default:
          return false
      }
    },
  }
}

export function nameOf(app: ClientRow | undefined): string | null {
  return app ? (app.client_name ?? app.client_id) : null
}
