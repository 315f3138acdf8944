import type { Context } from 'koa'
import { z } from 'zod'
import type { Accounts } from '../accounts/accounts.ts'
import { addressKey } from '../address.ts'
import { Refusal } from '../errors.ts'
import type { MessageKey } from '../languages/language.ts'
import { authenticationBy } from '../oidc/acr.ts'
import { type PhoneFault, parsePhoneNumber } from '../phone-number.ts'
import type { Authenticators } from '../second-factor/authenticators.ts'
import type { BackupCodes } from '../second-factor/backup-codes.ts'
import type { Visitor } from '../second-factor/challenge-parts.ts'
import type { Challenges } from '../second-factor/challenges.ts'
import type { Passed } from '../second-factor/guess-parts.ts'
import type { ChallengeView, OpenChallenge } from '../second-factor/look.ts'
import type { Phones } from '../second-factor/phones.ts'
import type { CodeError } from './code-page.ts'
import { countriesIn } from './countries.ts'
import { field, parseForm } from './forms.ts'
import type { Pages } from './pages.ts'
import { qrCode } from './qr.ts'
import type { SignIn } from './sign-in.ts'
import type { Steps } from './steps.ts'
import type { Visitors } from './visitor.ts'

export type Enrolment = ReturnType<typeof createEnrolment>

interface Dependencies {
  signIn: SignIn
  accounts: Accounts
  phones: Phones
  authenticators: Authenticators
  backupCodes: BackupCodes
  challenges: Challenges
  visitors: Visitors
  steps: Steps
  pages: Pages
  allowedCountries: ReadonlySet<string> | '*'
  defaultCountry: string | undefined
  brandName: string
}

const numberForm = z.object({ number: field, country: field.default('') })

/** What is wrong with a number, in words. */
export const PHONE_FAULTS: Record<PhoneFault, MessageKey> = {
  'not-a-number': 'addPhone.notANumber',
  'not-textable': 'addPhone.notTextable',
  'country-not-allowed': 'addPhone.countryNotAllowed',
}

/** An enrolment that is done. */
type Done = Pick<Passed, 'accountId' | 'factor' | 'passedAt'>

/** Binds a first factor to an account, between the password and the app. */
export function createEnrolment(deps: Dependencies) {
  const { signIn, accounts, phones, authenticators, backupCodes, challenges } = deps
  const { visitors, steps, pages } = deps

  function choose(
    ctx: Context,
    visitor: Visitor,
    { error, number = '', country }: { error: string | null; number?: string; country?: string },
  ): void {
    const { actionUrl, baseUrl, ...rest } = steps.links(visitor)
    pages.show(ctx, error ? 400 : 200, 'add-phone', {
      app: null,
      ...rest,
      actionUrl: actionUrl('enrol-phone'),
      appUrl: actionUrl('enrol-app'),
      number,
      country: country ?? deps.defaultCountry ?? '',
      countries: countriesIn(pages.languageOf(ctx), deps.allowedCountries),
      error,
    })
  }

  async function app(
    ctx: Context,
    visitor: Visitor,
    view: OpenChallenge,
    error: string | null,
  ): Promise<void> {
    const account = await accounts.findById(view.accountId)
    const pending = account && (await authenticators.pending(account))
    if (!pending) return choose(ctx, visitor, { error })
    const { actionUrl, baseUrl, ...rest } = steps.links(visitor)
    pages.show(ctx, error ? 400 : 200, 'add-app', {
      app: null,
      ...rest,
      actionUrl: actionUrl('code'),
      otherUrl: actionUrl('enrol-other'),
      qr: qrCode(pending.uri, pages.say(ctx, 'addApp.qr')),
      secret: pending.secret.match(/.{1,4}/g)?.join(' ') ?? '',
      length: authenticators.digits,
      triesLeft: view.triesLeft,
      error,
    })
  }

  /** The page that an open enrolment has come to. */
  async function show(
    ctx: Context,
    visitor: Visitor,
    view: OpenChallenge,
    error: CodeError | null = null,
  ): Promise<void> {
    if (view.asked === 'phone') return steps.code(ctx, visitor, view, error)
    const sentence = error?.sentence ?? null
    if (view.asked === 'authenticator') return app(ctx, visitor, view, sentence)
    choose(ctx, visitor, { error: sentence })
  }

  /** Backup codes, shown this once. A first set that was shown and lost is made anew as long as the sign-in lasts. */
  async function showCodes(ctx: Context, { accountId, factor, passedAt }: Done): Promise<void> {
    const codes = await backupCodes.issue(accountId, { enrolling: true })
    if (codes.length === 0) return signIn.passed(ctx, accountId, authenticationBy(factor), passedAt)
    const { actionUrl, baseUrl, ...rest } = steps.links(visitors.of(ctx))
    pages.show(ctx, 200, 'backup-codes', {
      app: null,
      ...rest,
      restartUrl: null,
      actionUrl: actionUrl('enrol-finish'),
      continueUrl: actionUrl('enrol-finish'),
      codes,
      brandName: deps.brandName,
      error: null,
    })
  }

  /** The visitor's enrolment, if it stands where a form needs it; otherwise the page that is due is shown instead. */
  async function standingAt<State extends ChallengeView['state']>(
    ctx: Context,
    visitor: Visitor,
    state: State,
  ): Promise<Extract<ChallengeView, { state: State }> | undefined> {
    const view = await challenges.look(visitor)
    const fits = view.state === state && 'purpose' in view && view.purpose === 'enrolment'
    if (fits && isIn(view, state) && !(await signIn.interaction(ctx)).result) return view
    steps.back(ctx, visitor)
    return undefined
  }

  return {
    show,

    /** The first factor is there. */
    added: showCodes,

    /** Where someone stands who has added a factor and left before the app. */
    enrolled(ctx: Context, visitor: Visitor): void {
      const { actionUrl, baseUrl, ...rest } = steps.links(visitor)
      pages.show(ctx, 200, 'enrolled', {
        app: null,
        ...rest,
        restartUrl: null,
        actionUrl: actionUrl('enrol-codes'),
        continueUrl: actionUrl('enrol-finish'),
        error: null,
      })
    },

    /** A number was typed: a code goes there to prove it. */
    async phone(ctx: Context): Promise<void> {
      const visitor = visitors.of(ctx)
      const view = await standingAt(ctx, visitor, 'open')
      if (!view) return
      const form = parseForm(ctx, numberForm)
      const country = form.country || deps.defaultCountry
      const parsed = parsePhoneNumber(form.number, deps.allowedCountries, country)
      const again = { number: form.number, ...(country && { country }) }
      if ('fault' in parsed) {
        const error = pages.say(ctx, PHONE_FAULTS[parsed.fault])
        return choose(ctx, visitor, { error, ...again })
      }
      const phoneId = await phones.offer(view.accountId, parsed)
      const asker = { address: addressKey(ctx.ip), language: pages.languageOf(ctx) }
      const outcome = await challenges.sendTo(visitor, phoneId, asker)
      if (outcome === 'sent' || outcome === 'ended') return steps.back(ctx, visitor)
      if (outcome === 'no-sends-left') return steps.stop(ctx, visitor, outcome)
      if ('refused' in outcome)
        return steps.stop(ctx, visitor, outcome.refused, { waitSeconds: outcome.waitSeconds })
      // The same form once more, by a double click or the way back: its code is on its way.
      steps.back(ctx, visitor)
    },

    /** An authenticator app is wanted: its secret is made and shown. */
    async app(ctx: Context): Promise<void> {
      const visitor = visitors.of(ctx)
      const view = await standingAt(ctx, visitor, 'open')
      if (!view) return
      const account = await accounts.findById(view.accountId)
      if (!account) throw new Refusal('no_account', 404, 'The account is gone.')
      const { id } = await authenticators.begin(account)
      await challenges.askAuthenticator(visitor, id)
      steps.back(ctx, visitor)
    },

    /** Back to the choice. */
    async other(ctx: Context): Promise<void> {
      const visitor = visitors.of(ctx)
      await challenges.askNothing(visitor)
      steps.back(ctx, visitor)
    },

    async codes(ctx: Context): Promise<void> {
      const view = await standingAt(ctx, visitors.of(ctx), 'passed')
      if (view) await showCodes(ctx, view)
    },

    async finish(ctx: Context): Promise<void> {
      const view = await standingAt(ctx, visitors.of(ctx), 'passed')
      if (view)
        await signIn.passed(ctx, view.accountId, authenticationBy(view.factor), view.passedAt)
    },
  }
}

function isIn<State extends ChallengeView['state']>(
  view: ChallengeView,
  state: State,
): view is Extract<ChallengeView, { state: State }> {
  return view.state === state
}
