import type Router from '@koa/router'
import { z } from 'zod'
import { type Account, ROLES } from '../../accounts/account.ts'
import type { MadeLink } from '../../accounts/link-mails.ts'
import type { NewPerson, People } from '../../admin/people.ts'
import { ACCOUNT_PLACE, type Cursors } from '../api/cursors.ts'
import type { Confirming } from './confirming.ts'
import { CONSOLE_URL } from './console-app.ts'
import type { ConsoleDoor } from './console-door.ts'
import type { ConsolePages } from './console-pages.ts'

export const PEOPLE_URL = `${CONSOLE_URL}/people`
const PAGE = 50

interface Dependencies {
  door: ConsoleDoor
  pages: ConsolePages
  confirm: Confirming
  people: People
  cursors: Cursors
}

const query = z.object({
  q: z.string().max(128).default('').catch(''),
  show: z
    .enum(['all', 'any', ...ROLES, 'disabled'])
    .default('all')
    .catch('all'),
  cursor: z.string().max(2000).optional(),
})

/** Finding people, and making an account. */
export function addPeople(router: Router, deps: Dependencies): void {
  const { door, pages, confirm, people, cursors } = deps

  router.get(
    PEOPLE_URL,
    door.page('people.read', async (ctx, who) => {
      const { q, show, cursor } = query.parse(ctx.query)
      const asked = { q, show, cursor, limit: PAGE }
      const { after, limit, cut } = cursors.page('people', asked, ACCOUNT_PLACE)
      const found = await people.search(who.actor, {
        q: q || undefined,
        role: show === 'all' || show === 'disabled' ? undefined : show,
        disabled: show === 'disabled' ? true : undefined,
        sort: 'username',
        after,
        limit,
      })
      const { items, next } = cut(found, ({ place }) => place)
      pages.show(ctx, who, 'people', {
        q,
        show,
        people: items,
        next: next && `${PEOPLE_URL}?${new URLSearchParams({ q, show, cursor: next })}`,
        first: cursor === undefined,
      })
    }),
  )

  confirm(router, {
    path: `${PEOPLE_URL}/new`,
    permission: 'people.write',
    title: () => 'New account',
    says: () => [
      'Without a password, you get a link by which the person chooses one; it is mailed to them too, where mails can be sent.',
    ],
    button: 'Make the account',
    reason: 'none',
    fields: () => [
      { name: 'username', label: 'Username', kind: 'text', required: true },
      { name: 'name', label: 'Full name', kind: 'text' },
      { name: 'email', label: 'E-mail address', kind: 'email' },
      {
        name: 'phone',
        label: 'Phone',
        kind: 'tel',
        hint: 'With country code, as +45 20 12 34 56. It is proven by its first code.',
      },
    ],
    about: async () => ({}),
    back: () => PEOPLE_URL,
    async act({ actor }, _, { fields }) {
      const { account, invitation } = await people.create(actor, personOf(fields))
      const to = `${PEOPLE_URL}/${account.id}`
      if (!invitation) return { to, done: 'created' }
      return {
        title: `${account.username} has an account`,
        message: handingOver(invitation, account),
        values: [{ label: 'Invitation', value: invitation.link }],
        next: to,
      }
    },
  })
}

/** What to do with a link by which a password is chosen. */
export function handingOver({ mailed }: MadeLink, { username, email }: Account): string {
  const way = mailed
    ? `It is mailed to ${email}; you can hand it over yourself, too`
    : `It isn’t mailed: hand it to ${username}`
  return `By this link the password is chosen. It works once, for seven days. ${way}, and to nobody else.`
}

function personOf({
  username = '',
  name,
  email,
  phone,
}: Readonly<Record<string, string>>): NewPerson {
  return { username, name, email, phone: phone?.trim() || undefined }
}
