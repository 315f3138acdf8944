import type { Context } from 'koa'
import type { Metrics } from '../metrics.ts'
import type { ClientRow } from '../oidc/client-rows.ts'
import type { Visitor } from '../second-factor/challenge-parts.ts'
import type { ChallengeView, OpenChallenge, PhoneChoice } from '../second-factor/look.ts'
import type { Pages } from './pages.ts'
import { nameOf, type StepLinks } from './step-links.ts'
import { STOPS, type Stop } from './stops.ts'

interface Dependencies {
  pages: Pages
  links: StepLinks
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

/** Draws the pages on which a sign-in doesn't go on as it was, with the ways that are left. */
export function createEndings({ pages, links, metrics }: Dependencies) {
  /** Says why it can't go on, and what can be done. */
  function stop(ctx: Context, visitor: Visitor, why: Stop, facts: StopFacts = {}): void {
    const { app, waitSeconds, backup = false, otherPhones = [], call = null, code = false } = facts
    const { status, title, message, retryInMinutes: usual, counts } = STOPS[why]
    // Looking again at what is over ends nothing more.
    if (ctx.method === 'POST') {
      metrics.signInFailed(why)
      if (counts) metrics.codeEnded(counts)
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
