import type { Context } from 'koa'
import { z } from 'zod'
import { addressKey } from '../address.ts'
import { PASSWORD_AND_TEXTED_CODE } from '../oidc/acr.ts'
import type { Challenges, Visitor } from '../second-factor/challenges.ts'
import { field, parseForm } from './forms.ts'
import type { SignIn } from './sign-in.ts'
import type { Steps } from './steps.ts'
import type { Visitors } from './visitor.ts'

interface Dependencies {
  signIn: SignIn
  challenges: Challenges
  visitors: Visitors
  steps: Steps
  codeLength: number
}

const codeForm = z.object({ code: field })

/** The second door: checks codes and sends them again. */
export function createChallengeSteps(deps: Dependencies) {
  const { signIn, challenges, visitors, steps, codeLength } = deps

  /** The page that fits what the challenge has come to, with an error on it if it is still open. */
  async function showAgain(ctx: Context, visitor: Visitor, error: string): Promise<void> {
    const view = await challenges.look(visitor)
    if (view.state === 'open') return steps.code(ctx, visitor, view, error)
    if (!steps.standstill(ctx, visitor, view)) steps.stop(ctx, visitor, 'ended')
  }

  return {
    async verify(ctx: Context): Promise<void> {
      const visitor = visitors.of(ctx)
      const { code } = parseForm(ctx, codeForm)
      const guess = await challenges.verify(visitor, code)
      switch (guess.outcome) {
        case 'right':
          return signIn.passed(ctx, guess.accountId, PASSWORD_AND_TEXTED_CODE, guess.passedAt)
        // A double click, or a first answer that was lost: this one goes the same way, and not ahead of it.
        case 'passed-already':
          if (await signIn.settled(ctx)) return steps.back(ctx, visitor)
          return signIn.passed(ctx, guess.accountId, PASSWORD_AND_TEXTED_CODE, guess.passedAt)
        case 'malformed':
          return showAgain(
            ctx,
            visitor,
            `The code has ${codeLength} digits. Type all of them, and nothing else.`,
          )
        case 'wrong':
          return showAgain(
            ctx,
            visitor,
            'That code isn’t right. Check the latest text and try again.',
          )
        case 'ended':
          return showAgain(ctx, visitor, 'That code can’t be used.')
      }
    },

    async resend(ctx: Context): Promise<void> {
      const visitor = visitors.of(ctx)
      const again = await challenges.sendAgain(visitor, addressKey(ctx.ip))
      if (again === 'sent') return steps.back(ctx, visitor)
      if (typeof again === 'object') {
        const { waitSeconds } = again
        await showAgain(ctx, visitor, `You can have the code sent again in ${waitSeconds} seconds.`)
        ctx.status = 429
        ctx.set('Retry-After', String(waitSeconds))
        return
      }
      if (again === 'ended') return showAgain(ctx, visitor, '')
      return steps.stop(ctx, visitor, again)
    },
  }
}
