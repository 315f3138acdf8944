import type { Accounts } from '../accounts/accounts.ts'
import { Refusal } from '../errors.ts'
import type { Language } from '../languages/language.ts'
import type { Challenges } from '../second-factor/challenges.ts'
import { createOnAccount } from './on-account.ts'
import type { Actor } from './permissions.ts'
import { assertSent } from './sent.ts'

export type Resending = ReturnType<typeof createResending>

interface Dependencies {
  accounts: Accounts
  challenges: Challenges
  /** by its tag, or the default */
  languageOf: (tag: string | null) => Language
}

/** For someone who sits before the code page and says that no text comes. */
export function createResending({ accounts, challenges, languageOf }: Dependencies) {
  const { onAccount, reading } = createOnAccount(accounts)

  /** The sign-in that waits for a texted or spoken code; undefined where none does. */
  async function waiting(id: string) {
    const view = await challenges.lookFor(id)
    return view.state === 'open' && view.asked === 'phone' ? view : undefined
  }

  return {
    /** What became of the code of the sign-in that somebody began last; null where no code is waited for. */
    look: (actor: Actor, id: string) =>
      reading(actor, 'people.read', id, async () => {
        const view = await waiting(id)
        if (!view) return null
        const { phone, channel, delivery, problem, sendsLeft, resendInSeconds, secondsLeft } = view
        return { phone, channel, delivery, problem, sendsLeft, resendInSeconds, secondsLeft }
      }),

    /** Sends the same code again, in the same language and within the same budgets. @throws Refusal */
    send: (actor: Actor, id: string): Promise<void> =>
      onAccount(actor, 'people.help', id, undefined, async () => {
        const gone = new Refusal(
          'no_open_sign_in',
          409,
          'Nobody waits for a texted code of this account. Let the person sign in first.',
        )
        const view = await waiting(id)
        if (!view) throw gone
        const asker = { address: `admin ${actor.id}`, language: languageOf(view.language) }
        assertSent(await challenges.sendAgainFor(id, asker), gone)
      }),
  }
}
