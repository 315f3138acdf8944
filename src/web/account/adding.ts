import type Router from '@koa/router'
import type { Context } from 'koa'
import { addressKey } from '../../address.ts'
import { Refusal } from '../../errors.ts'
import { parsePhoneNumber } from '../../phone-number.ts'
import type { Authenticators } from '../../second-factor/authenticators.ts'
import type { Challenges } from '../../second-factor/challenges.ts'
import type { Phones } from '../../second-factor/phones.ts'
import { countriesIn } from '../countries.ts'
import { PHONE_FAULTS } from '../enrolment.ts'
import { field } from '../forms.ts'
import type { Pages } from '../pages.ts'
import { wordsOf } from '../refusals.ts'
import type { RelyingParty } from '../relying-party.ts'
import { APP_URL } from './app.ts'
import { type Confirming, passwordField } from './confirming.ts'
import type { Door, Me, Proof } from './door.ts'
import { readStrict } from './input.ts'
import { PHONES_URL } from './phones.ts'
import type { Proving } from './proving.ts'

const ADD_PHONE_URL = `${PHONES_URL}/add`

interface Dependencies {
  door: Door
  confirming: Confirming
  relyingParty: RelyingParty
  proving: Proving
  pages: Pages
  phones: Phones
  authenticators: Authenticators
  challenges: Challenges
  allowedCountries: ReadonlySet<string> | '*'
  defaultCountry: string | undefined
}

/** What was typed, and what is wrong with it. */
interface Typed {
  number?: string | undefined
  country?: string | undefined
  error?: string | null
  status?: number
}

/** Adding a number or an app, up to where it is proven. */
export function addAdding(router: Router, deps: Dependencies): void {
  const { door, confirming, relyingParty, proving, pages, phones, authenticators, challenges } =
    deps
  const { allowedCountries, defaultCountry } = deps

  function showForm(
    ctx: Context,
    who: Me,
    { byBackupCode }: Proof,
    { number = '', country = defaultCountry ?? '', error = null, status = 400 }: Typed = {},
  ): void {
    const { formToken } = door.shell(ctx, who)
    pages.show(ctx, error ? status : 200, 'add-phone', {
      app: null,
      formToken,
      actionUrl: ADD_PHONE_URL,
      cancelUrl: `${PHONES_URL}/prove/cancel`,
      restartUrl: null,
      appUrl: null,
      number,
      country,
      countries: countriesIn(pages.languageOf(ctx), allowedCountries),
      askPassword: byBackupCode,
      error,
    })
  }

  /** Keeps the number until it is proven. @returns its id, or what is wrong with it */
  async function offer(ctx: Context, { account }: Me, number: string, country: string | undefined) {
    const parsed = parsePhoneNumber(number, allowedCountries, country)
    if ('fault' in parsed) return { error: pages.say(ctx, PHONE_FAULTS[parsed.fault]) }
    try {
      return { id: await phones.offer(account.id, parsed) }
    } catch (error) {
      const words = error instanceof Refusal ? wordsOf(error) : undefined
      if (!words) throw error
      return { error: pages.say(ctx, words.key), status: 409 }
    }
  }

  router.get(
    ADD_PHONE_URL,
    door.page(async (ctx, who) => {
      const proof = await door.proofToAdd(ctx, who, ADD_PHONE_URL)
      if (proof) showForm(ctx, who, proof, relyingParty.draft(ctx))
    }),
  )

  router.post(
    ADD_PHONE_URL,
    door.form(async (ctx, who) => {
      const shape = { number: field, country: field, ...passwordField }
      const { number, country: chosen, password } = readStrict(ctx, shape)
      const typed = { number: number.slice(0, 64), country: chosen.slice(0, 2) }
      const proof = await door.proofToAdd(ctx, who, ADD_PHONE_URL, typed)
      if (!proof) return
      const fault = await confirming.faultOf(ctx, who, proof, password)
      if (fault) return showForm(ctx, who, proof, { ...typed, error: fault, status: 403 })
      const offered = await offer(ctx, who, number, chosen || defaultCountry)
      if (!offered.id) return showForm(ctx, who, proof, { ...typed, ...offered })
      if (!(await proving.open(who))) return proving.stop(ctx, who, PHONES_URL, 'locked')
      const asker = { address: addressKey(ctx.ip), language: pages.languageOf(ctx) }
      const outcome = await challenges.sendTo(who.visitor, offered.id, asker)
      proving.sent(ctx, who, PHONES_URL, outcome)
    }),
  )

  confirming.add(router, {
    path: `${APP_URL}/add`,
    title: 'addApp.title',
    message: 'account.app.addSay',
    button: 'action.continue',
    adds: true,
    about: async () => ({}),
    back: () => APP_URL,
    async act(ctx, who) {
      const { id } = await authenticators.begin(who.account)
      if (!(await proving.open(who))) return proving.stop(ctx, who, APP_URL, 'locked')
      await challenges.askAuthenticator(who.visitor, id)
      proving.goTo(ctx, APP_URL)
    },
  })
}
