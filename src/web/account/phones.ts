import type Router from '@koa/router'
import type { Context } from 'koa'
import { Refusal } from '../../errors.ts'
import { maskPhone } from '../../phone-number.ts'
import type { PhoneChanges } from '../../second-factor/phone-changes.ts'
import { PHONES_AT_MOST, type Phone, type Phones } from '../../second-factor/phones.ts'
import { field } from '../forms.ts'
import type { Pages } from '../pages.ts'
import { wordsOf } from '../refusals.ts'
import type { Confirming } from './confirming.ts'
import { goOn } from './done.ts'
import type { Door, Me } from './door.ts'
import { idOf, readStrict } from './input.ts'
import type { PhoneView } from './page-data.ts'

export const PHONES_URL = '/account/phones'

interface Dependencies {
  door: Door
  confirming: Confirming
  pages: Pages
  phones: Phones
  phoneChanges: PhoneChanges
  /** whether the account's last factor must stay */
  keepLast: boolean
}

/** The numbers of the person: which there are, what they are called, and which goes first. */
export function addPhones(router: Router, deps: Dependencies): void {
  const { door, confirming, pages, phones, phoneChanges, keepLast } = deps

  /** The number in the path, and the others; undefined for somebody else's, and for none. */
  async function find(ctx: Context, { account }: Me) {
    const all = await phones.list(account.id)
    const phone = all.find(({ id }) => id === idOf(ctx))
    return phone && { phone, all }
  }

  function showOne(
    ctx: Context,
    who: Me,
    { phone, all }: { phone: Phone; all: readonly Phone[] },
    { name = phone.label ?? '', error = null }: { name?: string; error?: string | null } = {},
  ): void {
    const others = all.filter(({ primary }) => !primary)
    pages.show(ctx, error ? 400 : 200, 'account-phone', {
      ...door.shell(ctx, who),
      phone: toView(phone),
      canMoveUp: others.indexOf(phone) > 0,
      name,
      error,
    })
  }

  /** A page about one number of the person's own. */
  const page = (show: (ctx: Context, who: Me, found: Found) => Promise<void> | void) =>
    door.page(async (ctx, who) => {
      const found = await find(ctx, who)
      return found ? show(ctx, who, found) : door.gone(ctx)
    })

  /** The same for a form. */
  const form = (act: (ctx: Context, who: Me, found: Found) => Promise<void> | void) =>
    door.form(async (ctx, who) => {
      const found = await find(ctx, who)
      return found ? act(ctx, who, found) : door.gone(ctx)
    })

  type Found = NonNullable<Awaited<ReturnType<typeof find>>>

  router.get(
    PHONES_URL,
    door.page(async (ctx, who) => {
      const all = await phones.list(who.account.id)
      pages.show(ctx, 200, 'account-phones', {
        ...door.shell(ctx, who),
        phones: all.map(toView),
        canAdd: all.length < PHONES_AT_MOST,
      })
    }),
  )

  router.get(`${PHONES_URL}/:id`, page(showOne))

  router.post(
    `${PHONES_URL}/:id/name`,
    form(async (ctx, who, found) => {
      const { name } = readStrict(ctx, { name: field })
      try {
        await phoneChanges.label(who.account.id, found.phone.id, name)
      } catch (error) {
        const words = error instanceof Refusal && error.code === 'label' && wordsOf(error)
        if (!words) throw error
        return showOne(ctx, who, found, { name, error: pages.say(ctx, words.key) })
      }
      goOn(ctx, `${PHONES_URL}/${found.phone.id}`, 'phone-named')
    }),
  )

  router.post(
    `${PHONES_URL}/:id/up`,
    form(async (ctx, { account }, { phone }) => {
      readStrict(ctx, {})
      await phoneChanges.moveUp(account.id, phone.id)
      goOn(ctx, PHONES_URL)
    }),
  )

  confirming.add(router, {
    path: `${PHONES_URL}/:id/primary`,
    title: 'account.phone.primaryTitle',
    message: 'account.phone.primarySay',
    button: 'account.phone.makePrimary',
    about: (ctx, who) => find(ctx, who),
    phone: ({ phone }) => maskPhone(phone.number),
    back: ({ phone }) => `${PHONES_URL}/${phone.id}`,
    async act(ctx, { account, sessionUid }, { phone }) {
      await phoneChanges.makePrimary(account.id, phone.id, sessionUid)
      goOn(ctx, PHONES_URL, 'phone-primary')
    },
  })

  confirming.add(router, {
    path: `${PHONES_URL}/:id/remove`,
    title: 'account.phone.removeTitle',
    message: 'account.phone.removeSay',
    button: 'account.phone.remove',
    about: (ctx, who) => find(ctx, who),
    phone: ({ phone }) => maskPhone(phone.number),
    back: ({ phone }) => `${PHONES_URL}/${phone.id}`,
    async act(ctx, { account, sessionUid }, { phone }, { byBackupCode }) {
      const leaving = { keepLast, mayLeaveHeld: byBackupCode }
      await phoneChanges.remove(account.id, phone.id, { ...leaving, sessionUid })
      goOn(ctx, PHONES_URL, 'phone-removed')
    },
  })
}

export function toView({ id, number, label, primary, verified, heldUntil }: Phone): PhoneView {
  return { id, masked: maskPhone(number), label, primary, verified, heldUntil }
}
