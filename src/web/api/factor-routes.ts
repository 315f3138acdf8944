import { z } from 'zod'
import type { Factors } from '../../admin/factors.ts'
import type { PhoneVerification } from '../../admin/phone-verification.ts'
import { type Route, route } from './route.ts'
import { accountId, id, phone, reason, time } from './schemas.ts'

const phoneId = accountId.extend({ phoneId: id })
const listOf = <T extends z.ZodType>(item: T) => z.object({ items: z.array(item) })

/** Phones, backup codes, and taking all factors away. */
export function factorRoutes(factors: Factors, verification: PhoneVerification): Route[] {
  const tag = 'second factor'
  return [
    route({
      id: 'listPhones',
      tag,
      method: 'get',
      path: '/accounts/:id/phones',
      summary: 'List an account’s phones, the primary one first',
      permission: 'people.read',
      params: accountId,
      answer: listOf(phone),
      handle: async (actor, { params }) => ({
        body: { items: await factors.phones(actor, params.id) },
      }),
    }),
    route({
      id: 'addPhone',
      tag,
      method: 'post',
      path: '/accounts/:id/phones',
      summary: 'Add a phone',
      description: 'It counts as unverified until a code that went to it was right.',
      permission: 'people.write',
      params: accountId,
      body: z.strictObject({ number: z.string().min(3).max(32) }),
      status: 201,
      answer: phone.extend({ shared: z.boolean().describe('another account has it too') }),
      refusals: [409, 422],
      async handle(actor, { params, body }) {
        const added = await factors.addPhone(actor, params.id, body.number)
        return { body: added, location: `/accounts/${params.id}/phones/${added.id}` }
      },
    }),
    route({
      id: 'getPhone',
      tag,
      method: 'get',
      path: '/accounts/:id/phones/:phoneId',
      summary: 'Show a phone',
      permission: 'people.read',
      params: phoneId,
      answer: phone,
      handle: async (actor, { params }) => ({
        body: await factors.phone(actor, params.id, params.phoneId),
      }),
    }),
    route({
      id: 'removePhone',
      tag,
      method: 'delete',
      path: '/accounts/:id/phones/:phoneId',
      summary: 'Remove a phone',
      permission: 'people.write',
      params: phoneId,
      query: z.strictObject({ reason }),
      handle: (actor, { params, query }) =>
        factors.removePhone(actor, params.id, params.phoneId, query.reason),
    }),
    route({
      id: 'makePhonePrimary',
      tag,
      method: 'post',
      path: '/accounts/:id/phones/:phoneId/primary',
      summary: 'Make it the one that codes go to',
      permission: 'people.write',
      params: phoneId,
      body: z.strictObject({ reason: reason.optional() }),
      answer: phone,
      handle: async (actor, { params, body }) => ({
        body: await factors.makePrimary(actor, params.id, params.phoneId, body.reason),
      }),
    }),
    route({
      id: 'sendPhoneCode',
      tag,
      method: 'post',
      path: '/accounts/:id/phones/:phoneId/verification',
      summary: 'Send a code to verify a phone',
      description:
        'Counted under the same limits as every other send. Sent again, it is the same code.',
      permission: 'people.write',
      params: phoneId,
      status: 202,
      answer: z.object({ sent: z.literal(true), expiresInSeconds: z.int() }),
      refusals: [409, 429],
      handle: async (actor, { params }) => ({
        body: await verification.send(actor, params.id, params.phoneId),
      }),
    }),
    route({
      id: 'checkPhoneCode',
      tag,
      method: 'post',
      path: '/accounts/:id/phones/:phoneId/verification/check',
      summary: 'Check the code that the person has read out',
      permission: 'people.write',
      params: phoneId,
      body: z.strictObject({ code: z.string().min(1).max(32) }),
      answer: phone,
      refusals: [409, 422],
      handle: async (actor, { params, body }) => ({
        body: await verification.check(actor, params.id, params.phoneId, body.code),
      }),
    }),
    route({
      id: 'getOtherFactors',
      tag,
      method: 'get',
      path: '/accounts/:id/factors',
      summary: 'Show the authenticator app and how many backup codes are left',
      permission: 'people.read',
      params: accountId,
      answer: z.object({
        authenticator: z.object({ addedAt: time }).nullable(),
        backupCodes: z.object({ left: z.int(), total: z.int(), issuedAt: time.nullable() }),
      }),
      handle: async (actor, { params }) => ({ body: await factors.others(actor, params.id) }),
    }),
    route({
      id: 'resetFactors',
      tag,
      method: 'post',
      path: '/accounts/:id/factors/reset',
      summary: 'Take phones, app and backup codes away',
      description:
        'The person adds new ones at the next sign-in. They are told, and every session ends.',
      permission: 'people.help',
      params: accountId,
      body: z.strictObject({ reason }),
      handle: (actor, { params, body }) => factors.reset(actor, params.id, body.reason),
    }),
    route({
      id: 'issueBackupCodes',
      tag,
      method: 'post',
      path: '/accounts/:id/backup-codes',
      summary: 'Make ten new backup codes',
      description: 'They are readable only in this answer; older ones no longer work.',
      permission: 'people.write',
      params: accountId,
      body: z.strictObject({ reason }),
      status: 201,
      answer: z.object({ codes: z.array(z.string()) }),
      refusals: [422],
      handle: async (actor, { params, body }) => ({
        body: { codes: await factors.issueBackupCodes(actor, params.id, body.reason) },
      }),
    }),
  ]
}
