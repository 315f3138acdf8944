import { z } from 'zod'
import { USERNAME_LIMIT } from '../../accounts/account.ts'
import type { AccountRecord } from '../../accounts/account-records.ts'
import { ACCOUNT_SORTS } from '../../accounts/account-search.ts'
import { LONGEST_PASSWORD, SHORTEST_PASSWORD } from '../../accounts/password-quality.ts'
import { EMAIL_LIMIT, NAME_LIMIT } from '../../accounts/profile.ts'
import type { People } from '../../admin/people.ts'
import { ACCOUNT_PLACE, type Cursors } from './cursors.ts'
import { type Route, route } from './route.ts'
import { account, accountId, pageOf, pageQuery, reason, role, time, truth } from './schemas.ts'

const tag = 'accounts'

const username = z.string().min(1).max(USERNAME_LIMIT)
const name = z.string().trim().min(1).max(NAME_LIMIT)
const email = z.email().max(EMAIL_LIMIT)

const person = z
  .strictObject({
    username,
    name: name.optional(),
    email: email.optional(),
    password: z
      .string()
      .min(SHORTEST_PASSWORD)
      .max(LONGEST_PASSWORD)
      .optional()
      .describe('left out, the answer holds a link by which one is chosen'),
    phone: z
      .string()
      .max(32)
      .optional()
      .describe('a first number; it counts as unverified until its first right code'),
  })
  .meta({ id: 'NewAccount' })

const changes = z
  .strictObject({
    username: username.optional(),
    name: name.nullable().optional(),
    email: email.nullable().optional().describe('another address counts as unverified'),
    emailVerified: z.boolean().optional(),
  })
  .refine((value) => Object.keys(value).length > 0, 'name at least one member')
  .meta({ id: 'AccountChanges' })

const made = z
  .object({
    account,
    invitation: z
      .string()
      .nullable()
      .describe('a link by which a password is chosen: works once, for seven days'),
    mailed: z.boolean().describe('the link goes out by mail, too'),
  })
  .meta({ id: 'MadeAccount' })

const locks = z
  .object({
    passwordsUntil: time.nullable(),
    codesUntil: time.nullable(),
    codesDisabled: z.boolean(),
  })
  .meta({ id: 'Locks' })

const versioned = (body: AccountRecord) => ({ body, version: body.version })

/** Accounts: finding, making, editing, disabling, unlocking and erasing them. */
export function peopleRoutes(people: People, cursors: Cursors): Route[] {
  return [
    route({
      id: 'listAccounts',
      tag,
      method: 'get',
      path: '/accounts',
      summary: 'Find accounts',
      permission: 'people.read',
      query: z.strictObject({
        q: z
          .string()
          .min(1)
          .max(128)
          .optional()
          .describe('words that a name or an address begins with, or a whole phone number'),
        role: z.enum([...role.options, 'any']).optional(),
        disabled: truth.optional(),
        sort: z.enum(ACCOUNT_SORTS).default('createdAt').describe('- for the other way round'),
        ...pageQuery,
      }),
      answer: pageOf(account),
      async handle(actor, { query: { cursor: _, ...query }, query: asked }) {
        const { after, limit, cut } = cursors.page('accounts', asked, ACCOUNT_PLACE)
        const found = await people.search(actor, { ...query, after, limit })
        return { body: cut(found, ({ place }) => place) }
      },
    }),
    route({
      id: 'createAccount',
      tag,
      method: 'post',
      path: '/accounts',
      summary: 'Make an account',
      permission: 'people.write',
      body: person,
      status: 201,
      answer: made,
      refusals: [409, 422],
      async handle(actor, { body }) {
        const { account: record, invitation } = await people.create(actor, body)
        const { link = null, mailed = false } = invitation ?? {}
        return {
          body: { account: record, invitation: link, mailed },
          version: record.version,
          location: `/accounts/${record.id}`,
        }
      },
    }),
    route({
      id: 'getAccount',
      tag,
      method: 'get',
      path: '/accounts/:id',
      summary: 'Show an account',
      permission: 'people.read',
      params: accountId,
      answer: account,
      versioned: true,
      handle: async (actor, { params }) => versioned(await people.get(actor, params.id)),
    }),
    route({
      id: 'patchAccount',
      tag,
      method: 'patch',
      path: '/accounts/:id',
      summary: 'Edit an account',
      permission: 'people.write',
      params: accountId,
      query: z.strictObject({ reason: reason.optional() }),
      body: changes,
      answer: account,
      versioned: true,
      refusals: [409],
      handle: async (actor, { params, query, body, ifVersion }) =>
        versioned(await people.patch(actor, params.id, body, ifVersion, query.reason)),
    }),
    route({
      id: 'deleteAccount',
      tag,
      method: 'delete',
      path: '/accounts/:id',
      summary: 'Erase an account',
      description:
        'Everything about the person goes: numbers, codes, sessions, what apps were given. The audit trail stays, under an id that is never given again.',
      permission: 'people.write',
      params: accountId,
      query: z.strictObject({ reason }),
      refusals: [409],
      handle: (actor, { params, query }) => people.remove(actor, params.id, query.reason),
    }),
    route({
      id: 'setRole',
      tag,
      method: 'put',
      path: '/accounts/:id/role',
      summary: 'Give a role, or take it away',
      permission: 'roles.write',
      params: accountId,
      body: z.strictObject({ role: role.nullable(), reason }),
      answer: account,
      refusals: [409],
      handle: async (actor, { params, body }) =>
        versioned(await people.setRole(actor, params.id, body.role, body.reason)),
    }),
    ...(['disable', 'enable'] as const).map((verb) =>
      route({
        id: `${verb}Account`,
        tag,
        method: 'post',
        path: `/accounts/:id/${verb}`,
        summary: verb === 'disable' ? 'Let somebody in no more' : 'Let somebody in again',
        description:
          verb === 'disable'
            ? 'Sessions, tokens, remembered browsers and open sign-ins end at once.'
            : 'What ended when the account was disabled doesn’t come back.',
        permission: 'people.write',
        params: accountId,
        body: z.strictObject({ reason }),
        answer: account,
        refusals: [409],
        handle: async (actor, { params, body }) =>
          versioned(await people[verb](actor, params.id, body.reason)),
      }),
    ),
    route({
      id: 'getLocks',
      tag,
      method: 'get',
      path: '/accounts/:id/locks',
      summary: 'Show what wrong passwords and codes have locked',
      permission: 'people.read',
      params: accountId,
      answer: locks,
      handle: async (actor, { params }) => ({ body: await people.locks(actor, params.id) }),
    }),
    route({
      id: 'unlockAccount',
      tag,
      method: 'post',
      path: '/accounts/:id/unlock',
      summary: 'Take passwords and codes again',
      permission: 'people.help',
      params: accountId,
      body: z.strictObject({ reason: reason.optional() }),
      answer: z.object({
        passwords: z.boolean().describe('passwords had been locked'),
        locked: z.boolean().describe('codes had been locked for a while'),
        disabled: z
          .boolean()
          .describe('codes had been locked for good, after a hundred wrong ones'),
      }),
      handle: async (actor, { params, body }) => ({
        body: await people.unlock(actor, params.id, body.reason),
      }),
    }),
    route({
      id: 'inviteAccount',
      tag,
      method: 'post',
      path: '/accounts/:id/invitations',
      summary: 'Make a new link by which a password is chosen',
      description:
        'The link before ends. It is mailed too, where mails can be sent and there is an address.',
      permission: 'people.help',
      params: accountId,
      body: z.strictObject({ reason: reason.optional() }),
      status: 201,
      answer: z.object({
        link: z.string().nullable().describe('only for those who may edit accounts'),
        mailed: z.boolean(),
      }),
      refusals: [409, 422],
      handle: async (actor, { params, body }) => ({
        body: await people.invite(actor, params.id, body.reason),
      }),
    }),
  ]
}
