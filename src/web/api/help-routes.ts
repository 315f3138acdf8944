import { z } from 'zod'
import type { Bypass } from '../../admin/bypass.ts'
import type { Resending } from '../../admin/resending.ts'
import { type Route, route } from './route.ts'
import { accountId, id, reason, time } from './schemas.ts'

const tag = 'help desk'

const codeId = accountId.extend({ codeId: id })

const bypassCode = z
  .object({
    id: z.string(),
    createdAt: time,
    expiresAt: time,
    createdBy: z.string().describe('an actor, as the audit trail has it'),
    approvedBy: z.string().nullable(),
    needsApproval: z
      .boolean()
      .describe('good for nothing until a second admin approves it; stays true when one has'),
  })
  .meta({ id: 'BypassCode' })

const openSignIn = z
  .object({
    phone: z.string().nullable().describe('masked'),
    channel: z.enum(['sms', 'voice']),
    delivery: z
      .enum(['sending', 'accepted', 'delivered', 'undelivered', 'overdue', 'failed', 'unconfirmed'])
      .describe('what became of the last message'),
    problem: z
      .enum(['opted-out', 'landline', 'barred', 'sim-swapped'])
      .nullable()
      .describe('what stands in the way of texts to this phone, where that is known'),
    sendsLeft: z.int(),
    resendInSeconds: z.int(),
    secondsLeft: z.int().describe('until the code expires'),
  })
  .meta({ id: 'OpenSignIn' })

/** What the help desk does for someone who can't get in just now. */
export function helpRoutes(bypass: Bypass, resending: Resending): Route[] {
  return [
    route({
      id: 'listBypassCodes',
      tag,
      method: 'get',
      path: '/accounts/:id/bypass-codes',
      summary: 'Show the bypass code that can be used or approved, if there is one',
      permission: 'people.read',
      params: accountId,
      answer: z.object({ items: z.array(bypassCode) }),
      handle: async (actor, { params }) => ({
        body: { items: await bypass.list(actor, params.id) },
      }),
    }),
    route({
      id: 'issueBypassCode',
      tag,
      method: 'post',
      path: '/accounts/:id/bypass-codes',
      summary: 'Make a code that signs in once, soon, without the phone',
      description:
        'It is readable only in this answer. The one before it ends, and the owner is told.',
      permission: 'people.help',
      params: accountId,
      body: z.strictObject({ reason }),
      status: 201,
      answer: z.object({
        id: z.string(),
        code: z.string(),
        expiresAt: time,
        needsApproval: z.boolean(),
      }),
      refusals: [409, 422],
      async handle(actor, { params, body }) {
        const issued = await bypass.issue(actor, params.id, body.reason)
        return { body: issued, location: `/accounts/${params.id}/bypass-codes/${issued.id}` }
      },
    }),
    route({
      id: 'approveBypassCode',
      tag,
      method: 'post',
      path: '/accounts/:id/bypass-codes/:codeId/approval',
      summary: 'Approve a code that somebody else made',
      description: 'Not your own, and not by a program: a second admin’s consent.',
      permission: 'bypass.approve',
      params: codeId,
      body: z.strictObject({ reason: reason.optional() }),
      refusals: [409],
      handle: (actor, { params, body }) =>
        bypass.approve(actor, params.id, params.codeId, body.reason),
    }),
    route({
      id: 'endBypassCode',
      tag,
      method: 'delete',
      path: '/accounts/:id/bypass-codes/:codeId',
      summary: 'End a bypass code',
      permission: 'people.help',
      params: codeId,
      handle: (actor, { params }) => bypass.end(actor, params.id, params.codeId),
    }),
    route({
      id: 'getOpenSignIn',
      tag,
      method: 'get',
      path: '/accounts/:id/open-sign-in',
      summary: 'Show what became of the code that a sign-in waits for',
      permission: 'people.read',
      params: accountId,
      answer: z.object({ signIn: openSignIn.nullable().describe('null where none waits') }),
      handle: async (actor, { params }) => ({
        body: { signIn: await resending.look(actor, params.id) },
      }),
    }),
    route({
      id: 'resendCode',
      tag,
      method: 'post',
      path: '/accounts/:id/resend-code',
      summary: 'Send the code that a sign-in waits for once more',
      description:
        'It is the same code, under the same limits as every other send; it goes by the next gateway if the first didn’t deliver.',
      permission: 'people.help',
      params: accountId,
      status: 202,
      answer: z.object({ sent: z.literal(true) }),
      refusals: [409, 429],
      async handle(actor, { params }) {
        await resending.send(actor, params.id)
        return { body: { sent: true as const } }
      },
    }),
  ]
}
