import type { Context } from 'koa'
import { z } from 'zod'
import { addressKey } from '../address.ts'
import type { Metrics } from '../metrics.ts'
import { authenticationBy } from '../oidc/acr.ts'
import type { Authenticators } from '../second-factor/authenticators.ts'
import type { Visitor } from '../second-factor/challenge-parts.ts'
import type { Challenges, SendOutcome } from '../second-factor/challenges.ts'
import type { GuessOutcome, Passed } from '../second-factor/guess-parts.ts'
import type { Guesses } from '../second-factor/guesses.ts'
import type { OpenChallenge } from '../second-factor/look.ts'
import type { TrustedDevices } from '../second-factor/trusted-devices.ts'
import { browserName } from './browser-name.ts'
import { COUNTED, type CodeError } from './code-page.ts'
import { callable, type StopFacts } from './endings.ts'
import type { Enrolment } from './enrolment.ts'
import { field, parseForm } from './forms.ts'
import type { KnownBrowsers } from './known-browser.ts'
import type { Pages } from './pages.ts'
import type { SignIn } from './sign-in.ts'
import type { Steps } from './steps.ts'
import type { TrustedBrowserCookie } from './trusted-browser.ts'
import type { Visitors } from './visitor.ts'

interface Dependencies {
  signIn: SignIn
  challenges: Challenges
  guesses: Guesses
  authenticators: Authenticators
  trustedDevices: TrustedDevices
  trustedCookie: TrustedBrowserCookie
  knownBrowsers: KnownBrowsers
  enrolment: Enrolment
  visitors: Visitors
  steps: Steps
  pages: Pages
  codeLength: number
  metrics: Metrics
}

const codeForm = z.object({ code: field, remember: z.literal('yes').optional() })
/** By its id: no number is ever taken from a form here. */
const phoneForm = z.object({ phone: field.regex(/^[\w-]+$/) })
const callForm = z.object({ phone: field.regex(/^[\w-]+$/).optional() })

type Draw = (ctx: Context, visitor: Visitor, view: OpenChallenge, error: CodeError | null) => void

const ofApp = (view: OpenChallenge) => view.asked === 'authenticator'

/** The second door: checks codes and sends them, again or to another phone. */
export function createChallengeSteps(deps: Dependencies) {
  const { signIn, challenges, guesses, visitors, steps, pages, codeLength } = deps

  /**
   * The page that fits what the challenge has come to, with an error on it if it is still open. Without one, as
   * when another tab went on meanwhile, the page that is due is gone back to.
   */
  async function showAgain(
    ctx: Context,
    visitor: Visitor,
    wrong: ((view: OpenChallenge) => CodeError) | null,
    draw: Draw,
  ): Promise<void> {
    const view = await challenges.look(visitor)
    if (view.state === 'open') {
      if (!wrong) return steps.back(ctx, visitor)
      const error = wrong(view)
      return view.purpose === 'enrolment'
        ? deps.enrolment.show(ctx, visitor, view, error)
        : draw(ctx, visitor, view, error)
    }
    if (!steps.standstill(ctx, visitor, view)) steps.stop(ctx, visitor, 'ended')
  }

  async function remember(ctx: Context, accountId: string): Promise<void> {
    const token = await deps.trustedDevices.trust(accountId, browserName(ctx.get('User-Agent')))
    if (token) deps.trustedCookie.set(ctx, token)
  }

  async function passed(ctx: Context, to: Passed, remembered: boolean): Promise<void> {
    // Whoever talked the help desk into a code has shown nothing that would make this the owner's browser.
    const isOwners = to.factor !== 'bypass-code'
    if (isOwners) deps.knownBrowsers.noteProven(ctx, to.accountId)
    if (to.purpose === 'enrolment') return deps.enrolment.added(ctx, to)
    if (remembered && isOwners) await remember(ctx, to.accountId)
    await signIn.passed(ctx, to.accountId, authenticationBy(to.factor), to.passedAt)
  }

  async function judged(
    ctx: Context,
    visitor: Visitor,
    guess: GuessOutcome,
    remembered: boolean,
    draw: Draw,
  ): Promise<void> {
    const { say } = pages.languageOf(ctx)
    const told = (code: CodeError['code'], sentence: string) =>
      showAgain(ctx, visitor, () => ({ code, sentence }), draw)
    const counted = COUNTED[guess.outcome]
    if (counted) deps.metrics.codeEnded(counted)
    if (counted === 'wrong') deps.metrics.signInFailed('wrong-code')
    switch (guess.outcome) {
      case 'right':
        return passed(ctx, guess, remembered)
      // A double click, or a first answer that was lost: this one goes the same way, and not ahead of it.
      case 'passed-already':
        if (guess.purpose === 'enrolment' || (await signIn.settled(ctx)))
          return steps.back(ctx, visitor)
        return passed(ctx, guess, false)
      case 'malformed':
        return showAgain(
          ctx,
          visitor,
          (view) => ({
            code: 'malformed',
            sentence:
              draw === steps.backupCode
                ? say('backupCode.malformed')
                : say('code.malformed', {
                    length: ofApp(view) ? deps.authenticators.digits : codeLength,
                  }),
          }),
          draw,
        )
      case 'wrong':
        return showAgain(
          ctx,
          visitor,
          (view) => ({
            code: 'wrong',
            sentence: say(
              draw === steps.backupCode
                ? 'backupCode.wrong'
                : ofApp(view)
                  ? 'code.wrongOfApp'
                  : 'code.wrong',
            ),
          }),
          draw,
        )
      case 'used':
        return told('used', say(draw === steps.backupCode ? 'backupCode.used' : 'code.used'))
      case 'not-judged':
        return told('not-judged', say('code.notJudged'))
      case 'number-taken':
        await challenges.askNothing(visitor)
        return told('number-taken', say('addPhone.taken'))
      case 'ended':
        return told('unusable', say('code.unusable'))
    }
  }

  /** What is left to someone who gets no other text. */
  async function waysOn(visitor: Visitor): Promise<StopFacts> {
    const view = await challenges.look(visitor)
    if (view.state !== 'open') return {}
    const backup = view.purpose === 'sign-in' && view.backup
    const call = view.asked === null ? callable(view) : undefined
    return { code: view.asked !== null, backup, call }
  }

  /** Where a send leads. */
  async function sent(ctx: Context, visitor: Visitor, outcome: SendOutcome): Promise<void> {
    if (outcome === 'sent') return steps.back(ctx, visitor)
    if (outcome === 'ended') return showAgain(ctx, visitor, null, steps.code)
    if (outcome === 'no-sends-left') return steps.stop(ctx, visitor, outcome, await waysOn(visitor))
    if ('refused' in outcome) {
      const { refused, waitSeconds } = outcome
      return steps.stop(ctx, visitor, refused, { waitSeconds, ...(await waysOn(visitor)) })
    }
    const { waitSeconds } = outcome
    const sentence = pages.say(ctx, 'code.tooSoon', { seconds: waitSeconds })
    await showAgain(ctx, visitor, () => ({ code: 'too-soon', sentence }), steps.code)
    ctx.status = 429
    ctx.set('Retry-After', String(waitSeconds))
  }

  const askerOf = (ctx: Context) => ({
    address: addressKey(ctx.ip),
    language: pages.languageOf(ctx),
  })

  return {
    async verify(ctx: Context): Promise<void> {
      const visitor = visitors.of(ctx)
      const form = parseForm(ctx, codeForm)
      // A first factor added in a step-up doesn't end the session that this began from.
      const sessionOf = async () => (await signIn.interaction(ctx)).session?.uid
      const guess = await guesses.verify(visitor, form.code, sessionOf)
      await judged(ctx, visitor, guess, form.remember === 'yes', steps.code)
    },

    async verifyBackupCode(ctx: Context): Promise<void> {
      const visitor = visitors.of(ctx)
      const form = parseForm(ctx, codeForm)
      const guess = await guesses.verifyBackupCode(visitor, form.code)
      await judged(ctx, visitor, guess, form.remember === 'yes', steps.backupCode)
    },

    async resend(ctx: Context): Promise<void> {
      const visitor = visitors.of(ctx)
      await sent(ctx, visitor, await challenges.sendAgain(visitor, askerOf(ctx)))
    },

    /** Sends the code to another of the account's phones. */
    async otherPhone(ctx: Context): Promise<void> {
      const visitor = visitors.of(ctx)
      const { phone } = parseForm(ctx, phoneForm)
      await sent(ctx, visitor, await challenges.sendTo(visitor, phone, askerOf(ctx)))
    },

    /** Has the code said by a call. */
    async call(ctx: Context): Promise<void> {
      const visitor = visitors.of(ctx)
      const { phone = null } = parseForm(ctx, callForm)
      await sent(ctx, visitor, await challenges.call(visitor, phone, askerOf(ctx)))
    },

    /** Asks for the code of the authenticator app instead. */
    async app(ctx: Context): Promise<void> {
      const visitor = visitors.of(ctx)
      await challenges.askAuthenticator(visitor)
      steps.back(ctx, visitor)
    },
  }
}
