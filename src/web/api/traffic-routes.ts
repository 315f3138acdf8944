import { z } from 'zod'
import type { Traffic } from '../../admin/traffic.ts'
import { MESSAGE_STATES } from '../../db/tables/messaging.ts'
import { type Cursors, MESSAGE_PLACE } from './cursors.ts'
import { type Route, route } from './route.ts'
import { id, pageOf, pageQuery, reason, time } from './schemas.ts'
import { range, statistics } from './statistics-schemas.ts'

const channel = z.enum(['sms', 'voice'])
const country = z.string().regex(/^[A-Z]{2}$/, 'must be an ISO 3166 code like DK')
/** As it is asked for: with any offset. */
const moment = z.iso.datetime({ offset: true })

const message = z
  .object({
    id: z.string(),
    at: z.iso.datetime(),
    channel,
    gateway: z.string(),
    country: z.string().nullable(),
    state: z.enum(MESSAGE_STATES),
    failure: z.string().nullable().describe('class of what went wrong, the same for all gateways'),
    detail: z.string().nullable().describe('the gateway’s own code, or a few words of ours'),
    parts: z.int(),
    costClass: z.enum(['free', 'low', 'medium', 'high', 'unknown']),
    cost: z.number().nullable().describe('an estimate; null where there is no price'),
    accountId: z.string().nullable(),
    challengeId: z.string().nullable().describe('null for a notice'),
    phoneId: z.string().nullable(),
    unasked: z.boolean().describe('sent by itself, since the one before was not delivered'),
  })
  .meta({ id: 'Message', description: 'Neither the number nor the text is in it.' })

const budget = z.object({ sends: z.int(), limit: z.int() })

const limits = z
  .object({
    hour: budget,
    day: budget,
    countries: z
      .array(
        z.object({
          country: z.string(),
          sends: z.int(),
          passes: z.int().describe('how many of them came to a right code'),
          pausedUntil: time
            .nullable()
            .describe('until when strangers there get no texts, if nobody types a code'),
        }),
      )
      .describe('those that got texts within a day, the busiest first'),
  })
  .meta({ id: 'Limits' })

const alert = z
  .object({
    name: z.string().describe('its kind and what it is about; there is one of each at a time'),
    kind: z.string(),
    subject: z.string().nullable().describe('which gateway, country, column or budget'),
    severity: z.enum(['critical', 'warning', 'info']),
    title: z.string(),
    whatToDo: z.string(),
    detail: z.unknown(),
    raisedAt: time,
    seenAt: time.describe('when it was last found to be so'),
    endedAt: time.nullable().describe('null while it is so'),
  })
  .meta({ id: 'Alert' })

/** What the traffic comes to, what limits it, and what is wrong with it. */
export function trafficRoutes(traffic: Traffic, cursors: Cursors): Route[] {
  return [
    route({
      id: 'getStatistics',
      tag: 'traffic',
      method: 'get',
      path: '/statistics',
      summary: 'Show what sign-ins, codes and messages come to',
      description:
        'Counted in the background, at most about a minute ago. Times and costs are estimates.',
      permission: 'dashboard.read',
      query: z.strictObject({ range: range.default('day') }),
      answer: statistics,
      handle: async (actor, { query }) => ({ body: await traffic.overview(actor, query.range) }),
    }),
    route({
      id: 'listMessages',
      tag: 'traffic',
      method: 'get',
      path: '/messages',
      summary: 'List messages of the last 30 days',
      description: 'The newest first.',
      permission: 'messages.read',
      query: z.strictObject({
        state: z.enum(MESSAGE_STATES).optional(),
        gateway: z
          .string()
          .regex(/^[a-z][\w-]{0,63}$/)
          .optional(),
        country: country.optional(),
        channel: channel.optional(),
        account: id.optional().describe('whose phones they went to'),
        since: moment.optional().describe('from then on'),
        until: moment.optional().describe('before then'),
        ...pageQuery,
      }),
      answer: pageOf(message),
      async handle(actor, { query: { cursor: _, limit: __, ...query }, query: asked }) {
        const { after, limit, cut } = cursors.page('messages', asked, MESSAGE_PLACE)
        const { account: accountId, since, until, ...same } = query
        const filters = {
          ...same,
          accountId,
          since: since === undefined ? undefined : new Date(since),
          until: until === undefined ? undefined : new Date(until),
        }
        const found = await traffic.messages(actor, filters, limit, after)
        return { body: cut(found, ({ place }) => place) }
      },
    }),
    route({
      id: 'getLimits',
      tag: 'traffic',
      method: 'get',
      path: '/limits',
      summary: 'Show how much of the budgets is used, and which countries are paused',
      permission: 'limits.read',
      answer: limits,
      async handle(actor) {
        const [budgets, countries] = await Promise.all([
          traffic.budgets(actor),
          traffic.countries(actor),
        ])
        return { body: { ...budgets, countries } }
      },
    }),
    route({
      id: 'liftPause',
      tag: 'traffic',
      method: 'post',
      path: '/limits/pauses/:country/lift',
      summary: 'End the pause of a country',
      description:
        'Find out first why it was paused: this lets strangers there be texted again, who may be an attack.',
      permission: 'limits.write',
      params: z.strictObject({ country }),
      body: z.strictObject({ reason }),
      refusals: [409],
      handle: (actor, { params, body }) => traffic.liftPause(actor, params.country, body.reason),
    }),
    route({
      id: 'listAlerts',
      tag: 'alerts',
      method: 'get',
      path: '/alerts',
      summary: 'List what somebody should look at',
      description: 'What is so now, then what ended within 30 days; the newest first in each.',
      permission: 'dashboard.read',
      answer: z.object({ items: z.array(alert) }),
      handle: async (actor) => ({ body: { items: await traffic.alerts(actor) } }),
    }),
  ]
}
