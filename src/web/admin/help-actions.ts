import type Router from '@koa/router'
import type { Context } from 'koa'
import type { Bypass } from '../../admin/bypass.ts'
import type { People } from '../../admin/people.ts'
import type { Resending } from '../../admin/resending.ts'
import type { Trail } from '../../admin/trail.ts'
import { minuteText } from '../../minute.ts'
import { idOf } from '../account/input.ts'
import type { Confirming } from './confirming.ts'
import { PEOPLE_URL } from './people-pages.ts'
import type { Who } from './who.ts'

interface Dependencies {
  confirm: Confirming
  people: People
  bypass: Bypass
  resending: Resending
  trail: Trail
}

/** What the help desk does for someone who can't get in just now. */
export function addHelpActions(router: Router, deps: Dependencies): void {
  const { confirm, people, bypass, resending, trail } = deps
  const url = ({ id }: { id: string }) => `${PEOPLE_URL}/${id}`
  const on = (verb: string) => ({
    path: `${PEOPLE_URL}/:id/${verb}`,
    permission: 'people.help' as const,
    about: (ctx: Context, { actor }: Who) => people.get(actor, idOf(ctx)),
    back: url,
  })

  async function codeOf(ctx: Context, { actor }: Who) {
    const person = await people.get(actor, idOf(ctx))
    const codes = await bypass.list(actor, person.id)
    const code = codes.find(({ id }) => id === ctx.params?.code)
    if (!code) return undefined
    const nameOf = await trail.namer(actor, [code.createdBy])
    return { ...person, code, maker: nameOf(code.createdBy) }
  }

  confirm(router, {
    ...on('resend-code'),
    title: ({ username }) => `Send ${username} the code again`,
    says: () => [
      'The same code is texted once more to the phone that the sign-in waits for, under the same limits as every other.',
      'It goes by another gateway if the last one didn’t deliver.',
    ],
    button: 'Send the code again',
    eased: true,
    reason: 'none',
    async act({ actor }, person) {
      await resending.send(actor, person.id)
      return { to: url(person), done: 'code-sent' }
    },
  })

  confirm(router, {
    ...on('bypass-code'),
    title: ({ username }) => `A bypass code for ${username}`,
    says: () => [
      'You get a code that stands in for the second factor once, and only for a short while. A bypass code made before ends.',
      'Make sure that it is the person who asks: whoever knows the password and has this code is in.',
      'The person is told that a code was made.',
    ],
    button: 'Make the code',
    danger: true,
    reason: 'required',
    async act({ actor }, person, { reason }) {
      const { code, expiresAt, needsApproval } = await bypass.issue(actor, person.id, reason)
      return {
        title: `A bypass code for ${person.username}`,
        message: [
          ...(needsApproval ? ['It works once a second admin has approved it.'] : []),
          `Until ${minuteText(expiresAt)}, the person signs in with the password, chooses “Use a backup code” on the code page, and types this code there.`,
        ].join(' '),
        values: [{ label: 'Bypass code', value: code }],
      }
    },
  })

  confirm(router, {
    ...on('bypass-codes/:code/approve'),
    about: codeOf,
    title: ({ username }) => `Approve the bypass code for ${username}`,
    says: ({ maker }) => [
      `It was made by ${maker}, and lets its owner in without the phone, once.`,
      'Ask whoever made it how they knew that it was the person.',
    ],
    button: 'Approve the code',
    permission: 'bypass.approve',
    danger: true,
    reason: 'required',
    async act({ actor }, person, { reason }) {
      await bypass.approve(actor, person.id, person.code.id, reason)
      return { to: url(person), done: 'bypass-approved' }
    },
  })

  confirm(router, {
    ...on('bypass-codes/:code/end'),
    about: codeOf,
    title: ({ username }) => `End the bypass code for ${username}`,
    says: () => ['It no longer works. Another can be made.'],
    button: 'End the code',
    eased: true,
    reason: 'none',
    async act({ actor }, person) {
      await bypass.end(actor, person.id, person.code.id)
      return { to: url(person), done: 'bypass-ended' }
    },
  })
}
