import { type RawBuilder, sql } from 'kysely'
import type { EventType } from '../audit/event.ts'
import { heard, UNTRIED_CODES } from './delivery-figures.ts'
import { replaced } from './replaced.ts'
import { beginningOf, isIn, SPANS, type Sum } from './slots.ts'

/** Not an audit event: a code for which no gateway was tried. */
export const UNTRIED = 'code.untried'

const TABLE = { name: 'event_stat', keys: ['type', 'cause'], figures: ['events'] }

/**
 * Which member of an event's detail says why, where that is one of a few words of ours. What someone wrote is never
 * taken: each word has a row.
 */
const CAUSES: Partial<Record<EventType, string>> = {
  'code.not-sent': 'reason',
  'message.failed': 'failure',
  'message.undelivered': 'state',
  'notice.failed': 'reason',
  'phone.sim-swapped': 'policy',
  'phone.unreachable': 'fault',
}

/** How often what happened in a slot. */
export function eventFigures(slot: number): RawBuilder<unknown> {
  const beginning = beginningOf(slot)
  const causes = sql.join(
    Object.entries(CAUSES).map(([type, member]) => sql`when ${type} then detail ->> ${member}`),
    sql` `,
  )
  return replaced(
    TABLE,
    SPANS.fine,
    beginning,
    sql`
      ${heard(beginning)},
      fresh as (
        select type, coalesce(case type ${causes} end, '') as cause, count(*)::int as events
        from heard group by 1, 2
        union all
        select ${UNTRIED}, '', count(*)::int from (${UNTRIED_CODES}) as untried having count(*) > 0
      )`,
  )
}

/** The same of the longer slot that a fine one is in, from its own slots. */
export function eventSums(slot: number, { span, of }: Sum): RawBuilder<unknown> {
  const beginning = beginningOf(slot, span)
  return replaced(
    TABLE,
    span,
    beginning,
    sql`
      fresh as (
        select type, cause, sum(events)::int as events from event_stat
        where span = ${of} and ${isIn(sql`slot`, beginning, span)}
        group by 1, 2
      )`,
  )
}
