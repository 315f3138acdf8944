import { z } from 'zod'
import type { Factors } from '../../admin/factors.ts'
import { type Route, route } from './route.ts'
import { accountId, id, reason, time } from './schemas.ts'

const tag = 'sessions'

const session = z
  .object({
    id: z.string(),
    signedInAt: time,
    acr: z.string().nullable(),
    amr: z.array(z.string()).readonly(),
    browser: z.string().nullable(),
    address: z.string().nullable(),
    apps: z.array(z.object({ id: z.string(), name: z.string().nullable() })).readonly(),
  })
  .meta({ id: 'Session' })

const browser = z
  .object({
    id: z.string(),
    browser: z.string(),
    createdAt: time,
    usedAt: time,
    expiresAt: time,
  })
  .meta({ id: 'TrustedBrowser' })

const appAccess = z
  .object({
    clientId: z.string(),
    name: z.string().nullable(),
    scopes: z.array(z.string()).readonly(),
    since: time,
  })
  .meta({ id: 'AppAccess' })

const ended = z.object({ ended: z.int().describe('how many there were') })
const why = z.strictObject({ reason: reason.optional() })

/** Where somebody is signed in, and which browsers skip the second door. */
export function sessionRoutes(factors: Factors): Route[] {
  return [
    route({
      id: 'listSessions',
      tag,
      method: 'get',
      path: '/accounts/:id/sessions',
      summary: 'List where somebody is signed in',
      permission: 'people.read',
      params: accountId,
      answer: z.object({ items: z.array(session) }),
      handle: async (actor, { params }) => ({
        body: { items: await factors.sessions(actor, params.id) },
      }),
    }),
    route({
      id: 'endSession',
      tag,
      method: 'delete',
      path: '/accounts/:id/sessions/:sessionId',
      summary: 'End a session, with all that apps were given in it',
      permission: 'people.help',
      params: accountId.extend({ sessionId: id }),
      handle: (actor, { params }) => factors.endSession(actor, params.id, params.sessionId),
    }),
    route({
      id: 'endSessions',
      tag,
      method: 'delete',
      path: '/accounts/:id/sessions',
      summary: 'End all sessions, and take back what apps were given',
      permission: 'people.help',
      params: accountId,
      query: why,
      answer: ended,
      handle: async (actor, { params, query }) => ({
        body: { ended: await factors.endSessions(actor, params.id, query.reason) },
      }),
    }),
    route({
      id: 'listAppsOfAccount',
      tag,
      method: 'get',
      path: '/accounts/:id/apps',
      summary: 'List apps that can see something of somebody now',
      permission: 'people.read',
      params: accountId,
      answer: z.object({ items: z.array(appAccess) }),
      handle: async (actor, { params }) => ({
        body: { items: await factors.apps(actor, params.id) },
      }),
    }),
    route({
      id: 'listTrustedBrowsers',
      tag,
      method: 'get',
      path: '/accounts/:id/trusted-browsers',
      summary: 'List browsers that skip the code for a while',
      permission: 'people.read',
      params: accountId,
      answer: z.object({ items: z.array(browser) }),
      handle: async (actor, { params }) => ({
        body: { items: await factors.browsers(actor, params.id) },
      }),
    }),
    route({
      id: 'forgetTrustedBrowser',
      tag,
      method: 'delete',
      path: '/accounts/:id/trusted-browsers/:browserId',
      summary: 'Ask for a code again in one browser',
      permission: 'people.help',
      params: accountId.extend({ browserId: id }),
      handle: (actor, { params }) => factors.forgetBrowser(actor, params.id, params.browserId),
    }),
    route({
      id: 'forgetTrustedBrowsers',
      tag,
      method: 'delete',
      path: '/accounts/:id/trusted-browsers',
      summary: 'Ask for a code again in every browser',
      permission: 'people.help',
      params: accountId,
      query: why,
      answer: ended,
      handle: async (actor, { params, query }) => ({
        body: { ended: await factors.forgetBrowsers(actor, params.id, query.reason) },
      }),
    }),
  ]
}
