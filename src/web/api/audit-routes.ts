import { z } from 'zod'
import type { Trail } from '../../admin/trail.ts'
import { EVENT_TYPES } from '../../audit/event.ts'
import type { AuditFilter, FoundEvent } from '../../audit/search.ts'
import { AUDIT_PLACE, type Cursors } from './cursors.ts'
import { EXPORT_FORMATS, EXPORT_TYPES, eventFile } from './event-lines.ts'
import { type Route, route, streamRoute } from './route.ts'
import { id, pageOf, pageQuery, time } from './schemas.ts'

const tag = 'audit'

const type = z.enum(EVENT_TYPES).meta({ id: 'EventType' })

/** A moment that the database can hold, too. */
const moment = z
  .union([z.iso.datetime({ offset: true }), z.iso.date()])
  .transform((text) => new Date(text))
  .pipe(z.date().min(new Date('1970-01-01')).max(new Date('9999-12-30')))

const filter = {
  type: z.union([type, z.array(type).max(EVENT_TYPES.length)]).optional(),
  actor: z
    .string()
    .regex(/^[\w.:~-]{1,100}$/)
    .optional()
    .describe('as events have it: `self`, `command-line`, `admin:ID`, `client:ID`'),
  account: id.optional().describe('whom it happened to'),
  client: id.optional().describe('the app it has to do with'),
  since: moment.optional().describe('a day, from its start in UTC on, or a time with its zone'),
  until: moment.optional().describe('likewise; what happened then or later is left out'),
}

const event = z
  .object({
    id: z.string().describe('later ones are larger'),
    at: time,
    type: z.string(),
    actor: z.string(),
    accountId: z.string().nullable(),
    clientId: z.string().nullable(),
    requestId: z.string().nullable(),
    address: z.string().nullable().describe('fingerprint of the client’s address'),
    detail: z.record(z.string(), z.unknown()),
  })
  .meta({ id: 'AuditEvent' })

type Asked = Partial<z.output<z.ZodObject<typeof filter>>>

const asFilter = ({ type = [], account, client, ...rest }: Asked): AuditFilter => ({
  ...rest,
  types: [type].flat(),
  accountId: account,
  clientId: client,
})

/** What happened, to whom, by whom. */
export function auditRoutes(trail: Trail, cursors: Cursors): Route[] {
  return [
    route({
      id: 'listAuditEvents',
      tag,
      method: 'get',
      path: '/audit-events',
      summary: 'Find events of the audit trail, the newest first',
      permission: 'audit.read',
      query: z.strictObject({ ...filter, ...pageQuery }),
      answer: pageOf(event),
      async handle(actor, { query: { cursor: _, limit: __, ...query }, query: asked }) {
        const { after, limit, cut } = cursors.page('audit-events', asked, AUDIT_PLACE)
        const found = await trail.search(actor, asFilter(query), after, limit)
        const { items, next } = cut(found, ({ place }) => place)
        return { body: { items: items.map(asEvent), next } }
      },
    }),
    streamRoute({
      id: 'exportAuditEvents',
      tag,
      path: '/audit-events/export',
      summary: 'Export events of the audit trail, the oldest first',
      description:
        'One event a line, as the command line exports them. In CSV, what a spreadsheet would take for a formula has an apostrophe before it.',
      permission: 'audit.read',
      query: z.strictObject({ ...filter, format: z.enum(EXPORT_FORMATS).default('jsonl') }),
      streams: Object.values(EXPORT_TYPES),
      handle: (actor, { format, ...query }) =>
        eventFile(trail.export(actor, asFilter(query)), format),
    }),
  ]
}

function asEvent({ account_id, client_id, request_id, ...event }: FoundEvent) {
  return { ...event, accountId: account_id, clientId: client_id, requestId: request_id }
}
