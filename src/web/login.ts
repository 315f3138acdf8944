import type { Context } from 'koa'
import { z } from 'zod'
import type { Accounts } from '../accounts/accounts.ts'
import { PASSWORD_INPUT_LIMIT } from '../accounts/passwords.ts'
import type { Metrics } from '../metrics.ts'
import { PASSWORD_ALONE } from '../oidc/acr.ts'
import { field } from './forms.ts'
import type { KnownBrowsers } from './known-browser.ts'
import type { Pages } from './pages.ts'
import type { SecondDoor } from './second-door.ts'
import type { SignIn } from './sign-in.ts'
import type { Steps } from './steps.ts'
import type { Visitors } from './visitor.ts'

interface Dependencies {
  signIn: SignIn
  accounts: Accounts
  secondDoor: SecondDoor
  knownBrowsers: KnownBrowsers
  visitors: Visitors
  steps: Steps
  pages: Pages
  metrics: Metrics
}

const loginForm = z.object({
  username: field.min(1).max(256),
  password: field.min(1).max(PASSWORD_INPUT_LIMIT),
})

/** The first door: checks name and password, and asks for the second factor. No session comes of it. */
export function createLogin(deps: Dependencies) {
  const { signIn, accounts, secondDoor, knownBrowsers, visitors, steps, pages } = deps

  return async (ctx: Context): Promise<void> => {
    const visitor = visitors.of(ctx)
    const interaction = await signIn.interaction(ctx)
    if (interaction.prompt.name !== 'login' || interaction.result) return steps.back(ctx, visitor)
    const app = signIn.clientOf(interaction)
    const form = loginForm.safeParse(ctx.request.body)
    if (!form.success) {
      const error = pages.say(ctx, 'login.incomplete')
      return steps.login(ctx, visitor, app, { error, status: 400 })
    }
    const { username, password } = form.data
    const now = Math.floor(Date.now() / 1000)
    const language = pages.languageOf(ctx).tag
    const attempt = await accounts.authenticate(username, password, knownBrowsers.of(ctx, username))
    const { account, conclude } = attempt

    /** Unknown, wrong, disabled, locked: one answer for all of them, for the same work (ENU-01, ENU-02). */
    async function refuse(why: string): Promise<void> {
      await conclude(false)
      deps.metrics.signInFailed(why)
      const error = pages.say(ctx, 'login.wrong')
      steps.login(ctx, visitor, app, { username, error, status: 401 })
    }

    if (!account) return refuse(attempt.judged ? 'wrong-password' : 'password-locked')
    if (attempt.secondFactor === 'locked') return refuse('locked')
    if (await secondDoor.isRemembered(ctx, interaction, account.id)) {
      knownBrowsers.note(ctx, username)
      await conclude(true, language)
      return signIn.passed(ctx, account.id, PASSWORD_ALONE, now)
    }
    // What was added while the password was judged counts, and so does a lock of that moment.
    const seen = attempt.secondFactor === 'none' ? await conclude(true, language) : undefined
    if (seen?.secondFactor === 'locked') return refuse('locked')
    const answer =
      seen?.secondFactor === 'none'
        ? 'no-factor'
        : await secondDoor.ask(ctx, visitor, interaction, account.id).catch(async (error) => {
            // A fault of ours is no failure of theirs.
            if (!seen) await conclude(true).catch(() => {})
            throw error
          })
    if (typeof answer === 'object' && 'refused' in answer && answer.refused === 'locked')
      return refuse('locked')
    knownBrowsers.note(ctx, username)
    if (!seen) await conclude(true, language)
    await secondDoor.lead(ctx, visitor, interaction, account.id, answer, now)
  }
}
