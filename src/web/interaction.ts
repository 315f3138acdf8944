import type { Context } from 'koa'
import type { Metrics } from '../metrics.ts'
import { missingOnlySecondFactor } from '../oidc/assurance.ts'
import type { Challenges } from '../second-factor/challenges.ts'
import type { Consent } from './consent.ts'
import { besidePrimary, callable } from './endings.ts'
import type { Enrolment } from './enrolment.ts'
import type { SignIn } from './sign-in.ts'
import { type Steps, USE_BACKUP_CODE, USE_PASSWORD } from './steps.ts'
import type { Visitors } from './visitor.ts'

interface Dependencies {
  signIn: SignIn
  challenges: Challenges
  visitors: Visitors
  steps: Steps
  consent: Consent
  enrolment: Enrolment
  metrics: Metrics
}

/** The dispatcher: one GET decides from what is stored which page is due; every POST records one fact and returns to it. */
export function createInteraction(deps: Dependencies) {
  const { signIn, challenges, visitors, steps, consent, enrolment } = deps

  return {
    /** Changes nothing and sends nothing. */
    async show(ctx: Context): Promise<void> {
      const visitor = visitors.of(ctx)
      const { use } = ctx.query
      // A browser that comes for the first time can't have a challenge yet.
      const view = visitor.known ? await challenges.look(visitor) : ({ state: 'none' } as const)
      if (view.state === 'open') {
        if (view.purpose === 'enrolment') return enrolment.show(ctx, visitor, view)
        const backup = view.backup && (use === USE_BACKUP_CODE || view.asked === null)
        if (backup) return steps.backupCode(ctx, visitor, view)
        if (view.asked) return steps.code(ctx, visitor, view)
        const others = besidePrimary(view)
        const call = callable(view)
        if (others.length > 0 || call) return steps.otherPhones(ctx, visitor, others, call)
      }
      const interaction = await signIn.interaction(ctx)
      const app = signIn.clientOf(interaction)
      if (interaction.result) {
        ctx.status = 303
        return ctx.redirect(interaction.returnTo)
      }
      if (interaction.prompt.name === 'consent') return consent.show(ctx, visitor, interaction)
      if (view.state === 'passed' && view.purpose === 'enrolment')
        return enrolment.enrolled(ctx, visitor)
      if (steps.standstill(ctx, visitor, view, app)) return
      if (missingOnlySecondFactor(interaction) && use !== USE_PASSWORD) {
        const name = signIn.accountOf(interaction)?.username ?? ''
        return steps.stepUp(ctx, visitor, app, name)
      }
      const hint = interaction.params.login_hint
      steps.login(ctx, visitor, app, {
        username: typeof hint === 'string' ? hint.slice(0, 128) : '',
      })
    },

    /** Ends the sign-in; the app gets `access_denied`. */
    async cancel(ctx: Context): Promise<void> {
      await challenges.close(visitors.of(ctx))
      await signIn.cancelled(ctx)
      deps.metrics.signInFailed('cancelled')
    },

    /** Ends a sign-in that can't reach what the app insists on; the app is told that. */
    async giveUp(ctx: Context): Promise<void> {
      await challenges.close(visitors.of(ctx))
      await signIn.unmet(ctx)
    },

    /** Goes back to the login page and leaves nothing of what was done. */
    async restart(ctx: Context): Promise<void> {
      const visitor = visitors.of(ctx)
      await challenges.close(visitor)
      steps.back(ctx, visitor)
    },
  }
}
