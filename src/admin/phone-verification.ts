import type { Accounts } from '../accounts/accounts.ts'
import { Refusal } from '../errors.ts'
import type { Language } from '../languages/language.ts'
import type { Challenges } from '../second-factor/challenges.ts'
import type { Guesses } from '../second-factor/guesses.ts'
import type { Factors } from './factors.ts'
import { createOnAccount } from './on-account.ts'
import type { Actor } from './permissions.ts'
import { assertSent } from './sent.ts'

export type PhoneVerification = ReturnType<typeof createPhoneVerification>

/** Someone is at the phone and reads the code out: it needn't live long. */
const LIFE_SECONDS = 600

interface Dependencies {
  accounts: Accounts
  factors: Factors
  challenges: Challenges
  guesses: Guesses
  /** in which a person is written to: that of their last sign-in, or the default */
  languageOf: (tag: string | null) => Language
}

/** A number that an admin has given is proven by a code that went to it, which its owner reads out. */
export function createPhoneVerification(deps: Dependencies) {
  const { accounts, factors, challenges, guesses } = deps
  const { onAccount } = createOnAccount(accounts)

  // One challenge for each phone: whoever of the admins asks, it is the same code and the same few tries.
  const seatOf = (phoneId: string) => ({
    interaction: `verify:${phoneId}`,
    browser: `verify:${phoneId}`,
  })

  return {
    /** @throws Refusal when nothing could be sent, saying why */
    send: (actor: Actor, id: string, phoneId: string) =>
      onAccount(actor, 'people.write', id, undefined, async () => {
        const phone = await factors.phone(actor, id, phoneId)
        if (phone.verified)
          throw new Refusal('verified_already', 409, 'The phone is verified already.')
        const seat = seatOf(phoneId)
        const { state } = await challenges.look(seat)
        if (state !== 'open' && !(await challenges.open(seat, id, 'phone-check', LIFE_SECONDS)))
          throw new Refusal('locked', 409, 'The account takes no codes just now. Unlock it first.')
        const record = await accounts.record(id)
        const language = deps.languageOf(record?.language ?? null)
        const asker = { address: `admin ${actor.id}`, language }
        const gone = new Refusal('no_phone', 404, 'The account has no such phone.')
        assertSent(await challenges.sendTo(seat, phoneId, asker), gone)
        return { sent: true as const, expiresInSeconds: LIFE_SECONDS }
      }),

    /** @returns the phone, verified @throws Refusal when the code isn't right */
    check: (actor: Actor, id: string, phoneId: string, code: string) =>
      onAccount(actor, 'people.write', id, undefined, async () => {
        await factors.phone(actor, id, phoneId)
        const { outcome } = await guesses.verify(seatOf(phoneId), code)
        if (outcome === 'right' || outcome === 'passed-already')
          return factors.phone(actor, id, phoneId)
        if (outcome === 'wrong' || outcome === 'malformed' || outcome === 'used')
          throw new Refusal('wrong_code', 422, 'The code is not right.')
        if (outcome === 'number-taken')
          throw new Refusal('phone_taken', 409, 'Another account has this number.')
        throw new Refusal('no_code', 409, 'No code is asked for now. Send one first.')
      }),
  }
}
