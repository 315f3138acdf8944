import type { Context } from 'koa'
import { z } from 'zod'
import type { Accounts } from '../accounts/accounts.ts'
import { PASSWORD_INPUT_LIMIT } from '../accounts/passwords.ts'
import { addressKey } from '../address.ts'
import { asksForSecondFactor, PASSWORD_ALONE } from '../oidc/acr.ts'
import type { Challenges } from '../second-factor/challenges.ts'
import { dueAfterPassword, type SecondFactorPolicy } from '../second-factor/policy.ts'
import { field } from './forms.ts'
import type { SignIn } from './sign-in.ts'
import type { Steps } from './steps.ts'
import type { Visitors } from './visitor.ts'

interface Dependencies {
  signIn: SignIn
  accounts: Accounts
  challenges: Challenges
  visitors: Visitors
  steps: Steps
  /** for clients that don't say */
  secondFactor: SecondFactorPolicy
}

const loginForm = z.object({
  username: field.min(1).max(256),
  password: field.min(1).max(PASSWORD_INPUT_LIMIT),
})

/** No account's id. */
const NOBODY = ''

const WRONG =
  'That name and password don’t match, or there were too many tries. Check both. After many tries, wait a while before the next.'

/** The first door: checks name and password, and asks for the second factor. No session comes of it. */
export function createLogin(deps: Dependencies) {
  const { signIn, accounts, challenges, visitors, steps } = deps

  return async (ctx: Context): Promise<void> => {
    const visitor = visitors.of(ctx)
    const interaction = await signIn.interaction(ctx)
    if (interaction.prompt.name !== 'login' || interaction.result) return steps.back(ctx, visitor)
    const app = signIn.clientOf(interaction)
    const form = loginForm.safeParse(ctx.request.body)
    if (!form.success) {
      const error = 'Type your user name and your password.'
      return steps.login(ctx, visitor, app, { error, status: 400 })
    }
    const { username, password } = form.data
    const now = Math.floor(Date.now() / 1000)
    const { account, conclude } = await accounts.authenticate(username, password)
    const life = interaction.exp - now
    // Also asked for nobody, who has no phone: the answer below must cost the same whatever it stands for.
    const asked = challenges.issue(visitor, account?.id ?? NOBODY, addressKey(ctx.ip), life)
    const issued = await asked.catch(async (error: unknown) => {
      // A fault of ours is no failure of theirs.
      await conclude(account !== undefined).catch(() => {})
      throw error
    })
    if (!account || issued === 'locked') {
      await conclude(false)
      // Unknown, wrong, disabled, locked: one answer for all of them (ENU-01).
      return steps.login(ctx, visitor, app, { username, error: WRONG, status: 401 })
    }
    await conclude(true)
    if (issued === 'no-phone') {
      const wanted = asksForSecondFactor(interaction.params.acr_values)
      const policy = wanted ? 'required' : (app?.client_second_factor ?? deps.secondFactor)
      if (dueAfterPassword(policy, false) === 'nothing') {
        return signIn.passed(ctx, account.id, PASSWORD_ALONE, now)
      }
      return steps.stop(ctx, visitor, 'no-phone', app)
    }
    if (typeof issued === 'string') return steps.stop(ctx, visitor, issued, app)
    await issued.send()
    steps.back(ctx, visitor)
  }
}
