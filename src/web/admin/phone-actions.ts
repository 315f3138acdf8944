import type Router from '@koa/router'
import type { Context } from 'koa'
import type { AccountRecord } from '../../accounts/account-records.ts'
import type { Factors } from '../../admin/factors.ts'
import type { People } from '../../admin/people.ts'
import type { PhoneVerification } from '../../admin/phone-verification.ts'
import { idOf } from '../account/input.ts'
import type { Confirming } from './confirming.ts'
import { PEOPLE_URL } from './people-pages.ts'
import type { Who } from './who.ts'

interface Dependencies {
  confirm: Confirming
  people: People
  factors: Factors
  verification: PhoneVerification
}

/** What can be done to a person's phones. */
export function addPhoneActions(router: Router, deps: Dependencies): void {
  const { confirm, people, factors, verification } = deps
  const phonesUrl = `${PEOPLE_URL}/:id/phones`

  async function phoneOf(ctx: Context, { actor }: Who) {
    const id = idOf(ctx)
    const phone = await factors.phone(actor, id, String(ctx.params?.phone))
    return { person: { id }, phone, masked: phone.masked }
  }
  type About = Awaited<ReturnType<typeof phoneOf>>
  const url = ({ person }: { person: { id: string } }) => `${PEOPLE_URL}/${person.id}`
  const on = (verb: string) => ({ path: `${phonesUrl}/:phone/${verb}`, about: phoneOf, back: url })

  confirm(router, {
    path: `${phonesUrl}/add`,
    permission: 'people.write',
    title: ({ person }: { person: AccountRecord }) => `Add a phone for ${person.username}`,
    says: () => [
      'It counts as unverified until a code that went to it was right: at the next sign-in, or now, if you send one and the person reads it out.',
      'The person is told at the numbers they had before.',
    ],
    button: 'Add the phone',
    reason: 'none',
    fields: () => [
      {
        name: 'number',
        label: 'Phone',
        kind: 'tel',
        required: true,
        hint: 'With country code, as +45 20 12 34 56.',
      },
    ],
    about: async (ctx, { actor }) => ({ person: await people.get(actor, idOf(ctx)) }),
    back: url,
    async act({ actor }, { person }, { fields }) {
      await factors.addPhone(actor, person.id, fields.number ?? '')
      return { to: url({ person }), done: 'phone-added' }
    },
  })

  confirm(router, {
    ...on('primary'),
    permission: 'people.write',
    title: ({ masked }: About) => `Send codes to ${masked}`,
    says: () => [
      'Codes go to this phone first from now on. Remembered browsers are asked for a code again.',
    ],
    button: 'Make it the primary phone',
    reason: 'required',
    async act({ actor }, { person, phone }, { reason }) {
      await factors.makePrimary(actor, person.id, phone.id, reason)
      return { to: url({ person }), done: 'phone-primary' }
    },
  })

  confirm(router, {
    ...on('remove'),
    permission: 'people.write',
    title: ({ masked }: About) => `Remove ${masked}`,
    says: () => [
      'No code goes to it any more. The person is told, at this number too.',
      'If it is the last factor, a new one is added at the next sign-in, on the strength of the password alone.',
    ],
    button: 'Remove the phone',
    danger: true,
    reason: 'required',
    async act({ actor }, { person, phone }, { reason }) {
      await factors.removePhone(actor, person.id, phone.id, reason)
      return { to: url({ person }), done: 'phone-removed' }
    },
  })

  confirm(router, {
    ...on('send-code'),
    permission: 'people.write',
    title: ({ masked }: About) => `Send a code to ${masked}`,
    says: () => [
      'A code is texted to the phone, under the same limits as every other.',
      'Ask the person to read it out, and type it on the next page.',
    ],
    button: 'Send the code',
    reason: 'none',
    async act({ actor }, { person, phone }) {
      await verification.send(actor, person.id, phone.id)
      return { to: `${url({ person })}/phones/${phone.id}/verify`, done: 'code-sent' }
    },
  })

  confirm(router, {
    ...on('verify'),
    permission: 'people.write',
    title: ({ masked }: About) => `The code that went to ${masked}`,
    says: () => ['The same few tries count as at a sign-in.'],
    button: 'Verify the phone',
    reason: 'none',
    fields: () => [{ name: 'code', label: 'Code', kind: 'code', required: true }],
    async act({ actor }, { person, phone }, { fields }) {
      await verification.check(actor, person.id, phone.id, fields.code ?? '')
      return { to: url({ person }), done: 'phone-verified' }
    },
  })
}
