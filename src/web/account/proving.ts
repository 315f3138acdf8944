import type Router from '@koa/router'
import type { Context } from 'koa'
import { addressKey } from '../../address.ts'
import type { Metrics } from '../../metrics.ts'
import type { Authenticators } from '../../second-factor/authenticators.ts'
import type { Challenges, SendOutcome } from '../../second-factor/challenges.ts'
import type { Guesses } from '../../second-factor/guesses.ts'
import type { OpenChallenge } from '../../second-factor/look.ts'
import { COUNTED, type CodeError, codePage, statusOf } from '../code-page.ts'
import { field } from '../forms.ts'
import type { Pages } from '../pages.ts'
import { qrCode } from '../qr.ts'
import { STOPS, type Stop } from '../stops.ts'
import { APP_URL } from './app.ts'
import { goOn } from './done.ts'
import type { Door, Me } from './door.ts'
import { readStrict } from './input.ts'
import { PHONES_URL } from './phones.ts'

export type Proving = ReturnType<typeof createProving>

interface Dependencies {
  door: Door
  pages: Pages
  challenges: Challenges
  guesses: Guesses
  authenticators: Authenticators
  codeLength: number
  host: string
  metrics: Metrics
}

/** Time to find and install an app; a texted code has its own, shorter life. */
const OPEN_SECONDS = 15 * 60

/**
 * Proving a number or an app that is being added, by its first code. The challenge belongs to the session and
 * the browser; it was opened on a fresh second factor, so nothing more is asked while it is open.
 */
export function createProving(deps: Dependencies) {
  const { door, pages, challenges, guesses, authenticators } = deps

  /** @param base the page of what is being added */
  const links = (base: string) => ({
    app: null,
    actionUrl: `${base}/prove`,
    cancelUrl: `${base}/prove/cancel`,
    restartUrl: null,
  })

  function goTo(ctx: Context, base: string): void {
    goOn(ctx, `${base}/prove`)
  }

  function stop(ctx: Context, who: Me, base: string, why: Stop, waitSeconds?: number | null): void {
    const { status, title, message, retryInMinutes: usual, counts } = STOPS[why]
    if (counts && ctx.method === 'POST') deps.metrics.codeEnded(counts)
    const retryInMinutes = waitSeconds ? Math.ceil(waitSeconds / 60) : (usual ?? null)
    if (retryInMinutes !== null) ctx.set('Retry-After', String(retryInMinutes * 60))
    const { say } = pages.languageOf(ctx)
    pages.show(ctx, status, 'ended', {
      ...links(base),
      formToken: door.shell(ctx, who).formToken,
      restartUrl: why === 'locked' || why === 'disabled' ? null : `${base}/prove/again`,
      restartText: say('action.restart'),
      title: say(title),
      message: say(message),
      retryInMinutes,
      codeUrl: null,
      backupUrl: null,
      phoneUrl: '',
      otherPhones: [],
      callUrl: '',
      call: null,
      code: why,
    })
  }

  function showCode(
    ctx: Context,
    who: Me,
    base: string,
    view: OpenChallenge,
    error: CodeError | null,
  ): void {
    const status = statusOf(view, error)
    if (status === 503) ctx.set('Retry-After', '1')
    pages.show(ctx, status, 'code', {
      ...links(base),
      formToken: door.shell(ctx, who).formToken,
      ...codePage(view, deps.codeLength, error, { callUrl: `${base}/prove/call` }),
      resendUrl: `${base}/prove/resend`,
      host: deps.host,
      phoneUrl: '',
      otherPhones: [],
      appUrl: null,
      backupUrl: null,
      otherNumberUrl: `${base}/prove/again`,
      rememberDays: 0,
    })
  }

  async function showApp(
    ctx: Context,
    who: Me,
    base: string,
    view: OpenChallenge,
    error: string | null,
  ): Promise<void> {
    const pending = await authenticators.pending(who.account)
    if (!pending) return goOn(ctx, base)
    pages.show(ctx, error ? 400 : 200, 'add-app', {
      ...links(base),
      formToken: door.shell(ctx, who).formToken,
      otherUrl: null,
      qr: qrCode(pending.uri, pages.say(ctx, 'addApp.qr')),
      secret: pending.secret.match(/.{1,4}/g)?.join(' ') ?? '',
      length: authenticators.digits,
      triesLeft: view.triesLeft,
      error,
    })
  }

  /** The page that is due. */
  async function show(ctx: Context, who: Me, base: string, error: CodeError | null): Promise<void> {
    const view = await challenges.look(who.visitor)
    switch (view.state) {
      case 'open':
        // One challenge serves both: in another tab, something else may be added by now.
        if (view.asked === 'phone') return showCode(ctx, who, PHONES_URL, view, error)
        if (view.asked === 'authenticator')
          return showApp(ctx, who, APP_URL, view, error?.sentence ?? null)
        return goOn(ctx, base)
      case 'locked':
        return stop(ctx, who, base, 'locked', view.lockSeconds)
      case 'disabled':
      case 'expired':
      case 'too-many-tries':
        return stop(ctx, who, base, view.state)
      default:
        goOn(ctx, base)
    }
  }

  /** Where a send leads. */
  function sent(ctx: Context, who: Me, base: string, outcome: SendOutcome): void {
    if (outcome === 'no-sends-left') stop(ctx, who, base, outcome)
    else if (typeof outcome === 'object' && 'refused' in outcome)
      stop(ctx, who, base, outcome.refused, outcome.waitSeconds)
    // Sent, ended, or not yet to be sent again: the page says which.
    else goTo(ctx, base)
  }

  async function judge(ctx: Context, who: Me, base: string): Promise<void> {
    const { code } = readStrict(ctx, { code: field })
    const guess = await guesses.verify(who.visitor, code, async () => who.sessionUid)
    const { say } = pages.languageOf(ctx)
    const counted = COUNTED[guess.outcome]
    if (counted) deps.metrics.codeEnded(counted)
    const told = (code: CodeError['code'], sentence: string) =>
      show(ctx, who, base, { code, sentence })
    switch (guess.outcome) {
      case 'right':
      case 'passed-already':
        return guess.factor === 'totp'
          ? goOn(ctx, APP_URL, 'app-added')
          : goOn(ctx, PHONES_URL, 'phone-added')
      case 'malformed':
        return told('malformed', say('code.malformed', { length: deps.codeLength }))
      case 'wrong':
        return told('wrong', say('code.wrong'))
      case 'used':
        return told('used', say('code.used'))
      case 'not-judged':
        return told('not-judged', say('code.notJudged'))
      case 'number-taken':
        return told('number-taken', say('addPhone.taken'))
      case 'ended':
        return show(ctx, who, base, null)
    }
  }

  return {
    goTo,
    stop,
    sent,

    /** Opens a challenge, or goes on with the one that is open. @returns false while the account takes no codes */
    async open({ visitor, account }: Me): Promise<boolean> {
      const { state } = await challenges.look(visitor)
      return state === 'open' || challenges.open(visitor, account.id, 'self-service', OPEN_SECONDS)
    },

    add(router: Router, base: string): void {
      router.get(
        `${base}/prove`,
        door.page((ctx, who) => show(ctx, who, base, null)),
      )
      router.post(
        `${base}/prove`,
        door.form((ctx, who) => judge(ctx, who, base)),
      )
      for (const [step, send] of [
        ['resend', challenges.sendAgain],
        ['call', (visitor, asker) => challenges.call(visitor, null, asker)],
      ] satisfies Array<[string, Challenges['sendAgain']]>) {
        router.post(
          `${base}/prove/${step}`,
          door.form(async (ctx, who) => {
            readStrict(ctx, {})
            const asker = { address: addressKey(ctx.ip), language: pages.languageOf(ctx) }
            sent(ctx, who, base, await send(who.visitor, asker))
          }),
        )
      }
      for (const [step, next] of [
        ['again', `${base}/add`],
        ['cancel', base],
      ] as const) {
        router.post(
          `${base}/prove/${step}`,
          door.form(async (ctx, { visitor }) => {
            readStrict(ctx, {})
            await challenges.close(visitor)
            goOn(ctx, next)
          }),
        )
      }
    },
  }
}
