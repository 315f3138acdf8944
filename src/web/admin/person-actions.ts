import type Router from '@koa/router'
import type { Context } from 'koa'
import { ROLES } from '../../accounts/account.ts'
import type { AccountRecord } from '../../accounts/account-records.ts'
import type { Factors } from '../../admin/factors.ts'
import type { People } from '../../admin/people.ts'
import { Refusal } from '../../errors.ts'
import { idOf } from '../account/input.ts'
import type { Confirming } from './confirming.ts'
import { handingOver, PEOPLE_URL } from './people-pages.ts'
import type { Who } from './who.ts'

interface Dependencies {
  confirm: Confirming
  people: People
  factors: Factors
}

/** What can be done to an account as a whole. */
export function addPersonActions(router: Router, { confirm, people, factors }: Dependencies): void {
  const url = (person: { id: string }) => `${PEOPLE_URL}/${person.id}`
  const on = (verb: string) => ({
    path: `${PEOPLE_URL}/:id/${verb}`,
    about: (ctx: Context, { actor }: Who) => people.get(actor, idOf(ctx)),
    back: url,
  })

  confirm(router, {
    ...on('edit'),
    permission: 'people.write',
    title: ({ username }) => `Edit ${username}`,
    says: () => [
      'Another e-mail address counts as unverified, and ends links that were mailed to the one before.',
    ],
    button: 'Save',
    reason: 'optional',
    fields: ({ username, name, email, version }: AccountRecord) => [
      { name: 'username', label: 'Username', kind: 'text', required: true, value: username },
      { name: 'name', label: 'Full name', kind: 'text', value: name ?? '' },
      { name: 'email', label: 'E-mail address', kind: 'email', value: email ?? '' },
      { name: 'version', label: 'Version', kind: 'hidden', value: String(version) },
    ],
    async act({ actor }, person, { fields, reason }) {
      const { username = '', name = '', email = '', version } = fields
      const changes = {
        ...(username !== person.username && { username }),
        ...(name.trim() !== (person.name ?? '') && { name: name.trim() || null }),
        ...(email.trim() !== (person.email ?? '') && { email: email.trim() || null }),
      }
      // As it was when the form was shown: somebody else's change meanwhile isn't undone unseen.
      await people.patch(actor, person.id, changes, Number(version), reason || undefined)
      return { to: url(person), done: 'changed' }
    },
  })

  confirm(router, {
    ...on('role'),
    permission: 'roles.write',
    title: ({ username }) => `What ${username} may do here`,
    says: () => [
      'Admins may do everything. The help desk finds people, unlocks, sends again and resets a second factor, of everybody but admins. Auditors look and change nothing.',
      'The change holds from their next request on.',
    ],
    button: 'Set the role',
    danger: true,
    reason: 'required',
    fields: ({ role }: AccountRecord) => [
      {
        name: 'role',
        label: 'Role',
        kind: 'choice',
        value: role ?? 'none',
        options: [
          { value: 'none', label: 'None: an ordinary account' },
          { value: 'auditor', label: 'Auditor' },
          { value: 'helpdesk', label: 'Help desk' },
          { value: 'admin', label: 'Admin' },
        ],
      },
    ],
    async act({ actor }, person, { fields, reason }) {
      const role = ROLES.find((one) => one === fields.role) ?? null
      if (!role && fields.role !== 'none') throw new Refusal('role', 400, 'Choose a role.')
      await people.setRole(actor, person.id, role, reason)
      return { to: url(person), done: 'role-changed' }
    },
  })

  confirm(router, {
    ...on('disable'),
    permission: 'people.write',
    title: ({ username }) => `Disable ${username}`,
    says: () => [
      'Nobody can sign in with this account any more.',
      'Its sessions, apps’ tokens, remembered browsers and open sign-ins end at once.',
      'Nothing is deleted. It can be enabled again.',
    ],
    button: 'Disable the account',
    danger: true,
    reason: 'required',
    async act({ actor }, person, { reason }) {
      await people.disable(actor, person.id, reason)
      return { to: url(person), done: 'disabled' }
    },
  })

  confirm(router, {
    ...on('enable'),
    permission: 'people.write',
    title: ({ username }) => `Enable ${username}`,
    says: () => ['The person can sign in again, with the password and the phones they had.'],
    button: 'Enable the account',
    reason: 'required',
    async act({ actor }, person, { reason }) {
      await people.enable(actor, person.id, reason)
      return { to: url(person), done: 'enabled' }
    },
  })

  confirm(router, {
    ...on('erase'),
    permission: 'people.write',
    title: ({ username }) => `Erase ${username}`,
    says: () => [
      'Name, addresses, numbers, codes, sessions and everything apps were given are deleted. This can’t be undone.',
      'The audit trail stays, under an id that says nothing of the person.',
      'Apps keep what they have stored themselves: tell them.',
    ],
    button: 'Erase the account',
    danger: true,
    reason: 'required',
    async act({ actor }, person, { reason }) {
      await people.remove(actor, person.id, reason)
      return { to: PEOPLE_URL, done: 'erased' }
    },
  })

  confirm(router, {
    ...on('unlock'),
    permission: 'people.help',
    title: ({ username }) => `Unlock ${username}`,
    says: () => [
      'Passwords and codes that were not taken after too many wrong ones are taken again.',
      'Find out first who typed them: ask whether it was the person.',
    ],
    button: 'Unlock the account',
    eased: true,
    reason: 'optional',
    async act({ actor }, person, { reason }) {
      await people.unlock(actor, person.id, reason || undefined)
      return { to: url(person), done: 'unlocked' }
    },
  })

  confirm(router, {
    ...on('invite'),
    permission: 'people.help',
    title: ({ username }) => `A new link for ${username}`,
    says: () => [
      'A link by which a password is chosen. It works once, for seven days; the one before ends.',
      'When the password is chosen, bypass codes end, too: if both are needed, this comes first.',
      'It is mailed, where mails can be sent and there is an address. Admins also see it; the help desk doesn’t.',
    ],
    button: 'Make the link',
    reason: 'optional',
    async act({ actor }, person, { reason }) {
      const { link, mailed } = await people.invite(actor, person.id, reason || undefined)
      if (link === null) return { to: url(person), done: 'link-mailed' }
      return {
        title: 'The link is made',
        message: handingOver({ link, mailed }, person),
        values: [{ label: 'Invitation', value: link }],
      }
    },
  })

  confirm(router, {
    ...on('reset-factors'),
    permission: 'people.help',
    title: ({ username }) => `Reset the second factor of ${username}`,
    says: () => [
      'Phones, authenticator app and backup codes are taken away, and every session ends.',
      'The person adds a new one at the next sign-in, on the strength of the password alone: make sure that it is them.',
      'They are told, at the numbers and the address they had.',
    ],
    button: 'Reset the second factor',
    danger: true,
    reason: 'required',
    async act({ actor }, person, { reason }) {
      await factors.reset(actor, person.id, reason)
      return { to: url(person), done: 'factors-reset' }
    },
  })

  confirm(router, {
    ...on('backup-codes'),
    permission: 'people.write',
    title: ({ username }) => `New backup codes for ${username}`,
    says: () => [
      'You get ten codes, each good for one sign-in beside the password. Older ones no longer work.',
      'The person is told. Hand the codes over by a way that nobody else can see.',
    ],
    button: 'Make ten codes',
    danger: true,
    reason: 'required',
    async act({ actor }, person, { reason }) {
      const codes = await factors.issueBackupCodes(actor, person.id, reason)
      return {
        title: `Backup codes for ${person.username}`,
        message: 'Each works once.',
        values: codes.map((value, index) => ({ label: `Code ${index + 1}`, value })),
      }
    },
  })

  confirm(router, {
    ...on('end-sessions'),
    permission: 'people.help',
    title: ({ username }) => `End all sessions of ${username}`,
    says: () => ['They are signed out everywhere, and apps lose what they were given.'],
    button: 'End all sessions',
    eased: true,
    reason: 'optional',
    async act({ actor }, person, { reason }) {
      await factors.endSessions(actor, person.id, reason || undefined)
      return { to: url(person), done: 'sessions-ended' }
    },
  })

  confirm(router, {
    ...on('forget-browsers'),
    permission: 'people.help',
    title: ({ username }) => `Forget the browsers of ${username}`,
    says: () => ['Browsers that skip the code are asked for one again.'],
    button: 'Forget all browsers',
    eased: true,
    reason: 'optional',
    async act({ actor }, person, { reason }) {
      await factors.forgetBrowsers(actor, person.id, reason || undefined)
      return { to: url(person), done: 'browsers-forgotten' }
    },
  })
}
