import type { Context } from 'koa'
import { addressKey } from '../address.ts'
import { PASSWORD_ALONE } from '../oidc/acr.ts'
import {
  type Floor,
  insistsOnSecondFactor,
  missingOnlySecondFactor,
  secondFactorAsked,
} from '../oidc/assurance.ts'
import type { BackupCodes } from '../second-factor/backup-codes.ts'
import type { Visitor } from '../second-factor/challenge-parts.ts'
import type { Challenges, Issued, SendRefusal } from '../second-factor/challenges.ts'
import type { TrustedDevices } from '../second-factor/trusted-devices.ts'
import { besidePrimary, callable, type StopFacts } from './endings.ts'
import type { KnownBrowsers } from './known-browser.ts'
import type { Pages } from './pages.ts'
import type { Interaction, SignIn } from './sign-in.ts'
import { type Steps, USE_PASSWORD } from './steps.ts'
import type { TrustedBrowserCookie } from './trusted-browser.ts'
import type { Visitors } from './visitor.ts'

export type SecondDoor = ReturnType<typeof createSecondDoor>

interface Dependencies {
  signIn: SignIn
  challenges: Challenges
  backupCodes: BackupCodes
  trustedDevices: TrustedDevices
  trustedCookie: TrustedBrowserCookie
  knownBrowsers: KnownBrowsers
  visitors: Visitors
  steps: Steps
  pages: Pages
  /** for clients that don't say */
  secondFactor: Floor
  /** whether people add their first factor themselves */
  selfEnrolment: boolean
}

/** What became of asking for the second factor. */
type Answer = Issued | 'no-factor' | 'backup-codes' | SendRefusal

/** Refusals that another number may not meet. */
const OF_THE_NUMBER: ReadonlySet<SendRefusal['refused']> = new Set([
  'phone-limit',
  'phone-day-limit',
  'prefix-unanswered',
  'prefix-limit',
  'country-limit',
  'country-paused',
  'country-not-allowed',
  'opted-out',
  'landline',
  'barred',
] as const)

/** A factor is added on the strength of a password this fresh; an older session has to show it again. */
const FRESH_PASSWORD_SECONDS = 20 * 60

/** What stands between the right password and the app: a code, adding a first factor, or nothing. */
export function createSecondDoor(deps: Dependencies) {
  const { signIn, challenges, trustedDevices, trustedCookie, visitors, steps, pages } = deps
  const { isProven } = deps.knownBrowsers

  function askedOf(interaction: Interaction) {
    const floor = signIn.clientOf(interaction)?.client_second_factor ?? null
    return secondFactorAsked(interaction.params, floor, deps.secondFactor)
  }

  const secondsLeft = ({ exp }: Interaction) => exp - Math.floor(Date.now() / 1000)

  /** Asks the account for its second factor, within what is left of the interaction. */
  function ask(
    ctx: Context,
    visitor: Visitor,
    interaction: Interaction,
    accountId: string,
  ): Promise<Answer> {
    const asker = {
      address: addressKey(ctx.ip),
      language: pages.languageOf(ctx),
      knownBrowser: isProven(ctx, accountId),
    }
    return challenges.issue(visitor, accountId, asker, secondsLeft(interaction))
  }

  /** Where it goes on from there. */
  async function lead(
    ctx: Context,
    visitor: Visitor,
    interaction: Interaction,
    accountId: string,
    answer: Answer,
    passwordAt: number,
  ): Promise<void> {
    const app = signIn.clientOf(interaction)
    if (answer === 'backup-codes') {
      // No password alone gets past them.
      const open = await challenges.open(visitor, accountId, 'sign-in', secondsLeft(interaction))
      return open ? steps.back(ctx, visitor) : steps.stop(ctx, visitor, 'locked', { app })
    }
    if (answer === 'no-factor') {
      const { required, wished } = askedOf(interaction)
      if (!required && !(wished && deps.selfEnrolment))
        return signIn.passed(ctx, accountId, PASSWORD_ALONE, passwordAt)
      if (!deps.selfEnrolment) {
        const unmet = insistsOnSecondFactor(interaction.params)
        return steps.stop(ctx, visitor, 'no-phone', { app, unmet })
      }
      const open = await challenges.open(visitor, accountId, 'enrolment', secondsLeft(interaction))
      return open ? steps.back(ctx, visitor) : steps.stop(ctx, visitor, 'locked', { app })
    }
    if ('send' in answer) {
      await answer.send()
      return steps.back(ctx, visitor)
    }
    const { refused, waitSeconds } = answer
    const ways =
      refused === 'locked' ? {} : await otherWays(ctx, visitor, interaction, accountId, answer)
    steps.stop(ctx, visitor, refused, { app, waitSeconds, ...ways })
  }

  /** What is left to someone whose primary phone gets no text just now. */
  async function otherWays(
    ctx: Context,
    visitor: Visitor,
    interaction: Interaction,
    accountId: string,
    { refused }: SendRefusal,
  ): Promise<StopFacts> {
    const left = secondsLeft(interaction)
    const known = isProven(ctx, accountId)
    if (!(await challenges.open(visitor, accountId, 'sign-in', left, known))) return {}
    const view = await challenges.look(visitor)
    if (view.state !== 'open') return {}
    const { backup } = view
    const otherPhones = OF_THE_NUMBER.has(refused) ? besidePrimary(view) : []
    const call = callable(view)
    // A challenge that is left open is what is gone back to, so there must be something to do with it.
    if (!backup && !call && otherPhones.length === 0) await challenges.close(visitor)
    return { backup, otherPhones, call }
  }

  return {
    ask,
    lead,

    /**
     * Whether this browser is one that the account's owner has had remembered, and that will do: a browser is
     * never taken for a second factor that the app or its request asks to be shown (TRD-05).
     */
    async isRemembered(
      ctx: Context,
      interaction: Interaction,
      accountId: string,
    ): Promise<boolean> {
      const token = trustedDevices.offered ? trustedCookie.read(ctx) : undefined
      if (!token || askedOf(interaction).explicit) return false
      const recognised = await trustedDevices.recognise(token, accountId)
      if (recognised.outcome === 'trusted') trustedCookie.set(ctx, recognised.token)
      if (recognised.outcome === 'copied') trustedCookie.clear(ctx)
      return recognised.outcome === 'trusted'
    },

    /** Step-up: asks someone who is signed in with a password alone for what is missing. */
    async stepUp(ctx: Context): Promise<void> {
      const visitor = visitors.of(ctx)
      const interaction = await signIn.interaction(ctx)
      const accountId = interaction.result ? undefined : missingOnlySecondFactor(interaction)
      if (!accountId) return steps.back(ctx, visitor)
      const answer = await ask(ctx, visitor, interaction, accountId)
      if (answer !== 'no-factor') {
        return lead(ctx, visitor, interaction, accountId, answer, 0)
      }
      const signedInAt = await signIn.signedInAt(interaction)
      const fresh = Math.floor(Date.now() / 1000) - signedInAt < FRESH_PASSWORD_SECONDS
      if (!fresh) return steps.back(ctx, visitor, USE_PASSWORD)
      await lead(ctx, visitor, interaction, accountId, answer, signedInAt)
    },
  }
}
