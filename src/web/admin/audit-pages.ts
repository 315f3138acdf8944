import type Router from '@koa/router'
import { z } from 'zod'
import { type Actor, accountOf } from '../../admin/permissions.ts'
import type { Trail } from '../../admin/trail.ts'
import { EVENT_TYPES, type EventType } from '../../audit/event.ts'
import type { AuditFilter, FoundEvent } from '../../audit/search.ts'
import { AUDIT_PLACE, type Cursors } from '../api/cursors.ts'
import { EXPORT_FORMATS, eventFile } from '../api/event-lines.ts'
import { send } from '../api/streams.ts'
import { CONSOLE_URL } from './console-app.ts'
import type { ConsoleDoor } from './console-door.ts'
import type { ConsolePages } from './console-pages.ts'

const AUDIT_URL = `${CONSOLE_URL}/audit`
const PAGE = 50
const DAY_MS = 24 * 3600 * 1000

interface Dependencies {
  door: ConsoleDoor
  pages: ConsolePages
  trail: Trail
  cursors: Cursors
}

const words = z.string().trim().max(100).default('').catch('')
const day = z.iso.date().or(z.literal('')).default('').catch('')

/** As the form sends it: what is empty isn't asked for. */
const query = z.object({
  type: words,
  actor: words,
  account: words,
  client: words,
  since: day,
  until: day,
})
type Query = z.output<typeof query>

/** Every kind of event under what its name begins with, as `phone`. */
const FAMILIES = [...new Set(EVENT_TYPES.map(familyOf))].map((name) => ({
  name,
  types: EVENT_TYPES.filter((type) => familyOf(type) === name),
}))

/** The audit trail: looking for events, and taking them away as a file. */
export function addAudit(router: Router, { door, pages, trail, cursors }: Dependencies): void {
  /** People are asked for by username, or by id as links have it; who acts for a role, as `admin:ID`. */
  async function filterOf(asker: Actor, asked: Query): Promise<AuditFilter> {
    const { type, actor, account, client, since, until } = asked
    return {
      types: EVENT_TYPES.filter((one) => one === type || familyOf(one) === type),
      actor: actor ? await trail.actorOf(asker, actor) : undefined,
      accountId: account ? await trail.idOf(asker, account) : undefined,
      clientId: client || undefined,
      since: since ? new Date(since) : undefined,
      // Of a day, all of it.
      until: until ? new Date(new Date(until).getTime() + DAY_MS) : undefined,
    }
  }

  router.get(
    AUDIT_URL,
    door.page('audit.read', async (ctx, { actor, ...who }) => {
      const asked = query.parse(ctx.query)
      const { cursor } = z.object({ cursor: z.string().max(2000).optional() }).parse(ctx.query)
      const wanted = { ...asked, cursor, limit: PAGE }
      const { after, limit, cut } = cursors.page('audit', wanted, AUDIT_PLACE)
      const found = await trail.search(actor, await filterOf(actor, asked), after, limit)
      const { items: events, next } = cut(found, ({ place }) => place)
      const names = await trail.namesIn(actor, events)
      const here = (more: Record<string, string>) =>
        `${new URLSearchParams({ ...withoutEmpty(asked), ...more })}`
      pages.show(ctx, { ...who, actor }, 'audit', {
        asked,
        families: FAMILIES,
        filtered: Object.values(asked).some(Boolean),
        events: events.map((event) => shown(event, names)),
        next: next && `${AUDIT_URL}?${here({ cursor: next })}`,
        files: EXPORT_FORMATS.map((format) => ({
          label: format === 'csv' ? 'Download as CSV' : 'Download as JSON lines',
          url: `${AUDIT_URL}/export?${here({ format })}`,
        })),
      })
    }),
  )

  router.get(
    `${AUDIT_URL}/export`,
    door.page('audit.read', async (ctx, { actor }) => {
      const { format, ...asked } = query
        .extend({ format: z.enum(EXPORT_FORMATS).catch('jsonl') })
        .parse(ctx.query)
      send(ctx, eventFile(trail.export(actor, await filterOf(actor, asked)), format))
    }),
  )
}

function familyOf(type: EventType): string {
  return type.slice(0, type.indexOf('.'))
}

function withoutEmpty(asked: Query): Record<string, string> {
  return Object.fromEntries(Object.entries(asked).filter(([, value]) => value !== ''))
}

/** An event as the page has it: people by name, where they are still there. */
function shown(event: FoundEvent, names: ReadonlyMap<string, string>) {
  const { id, at, type, actor, account_id: accountId, client_id: client, detail } = event
  const actorId = accountOf(actor)
  return {
    id,
    at,
    type,
    actor,
    actorId: actorId !== null && names.has(actorId) ? actorId : null,
    actorName: names.get(actorId ?? '') ?? null,
    accountId,
    accountName: names.get(accountId ?? '') ?? null,
    client,
    detail: Object.entries(detail).map(([name, value]) => ({ name, value: String(value) })),
  }
}
