import { type RawBuilder, sql } from 'kysely'
import type { EventType } from '../audit/event.ts'
import { heard, UNTRIED_CODES } from './delivery-figures.ts'
import { beginningOf, isIn, SPANS, type Sum } from './slots.ts'

/** Not an audit event: a code for which no gateway was tried. */
export const UNTRIED = 'code.untried'

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
    SPANS.fine,
    beginning,
    sql`
      with ${heard(beginning)}
      select type, coalesce(case type ${causes} end, '') as cause, count(*)::int as events
      from heard group by 1, 2
      union all
      select ${UNTRIED}, '', count(*)::int from (${UNTRIED_CODES}) as untried having count(*) > 0`,
  )
}

/** The same of the longer slot that a fine one is in, from its own slots. */
export function eventSums(slot: number, { span, of }: Sum): RawBuilder<unknown> {
  const beginning = beginningOf(slot, span)
  return replaced(
    span,
    beginning,
    sql`
      select type, cause, sum(events)::int as events from event_stat
      where span = ${of} and ${isIn(sql`slot`, beginning, span)}
      group by 1, 2`,
  )
}

/** As in `delivery-figures`. */
function replaced(
  span: number,
  beginning: RawBuilder<Date>,
  figures: RawBuilder<unknown>,
): RawBuilder<unknown> {
  return sql`
    with turn as materialized (select id from roll_up for update),
    fresh as (${figures}),
    gone as (
      delete from event_stat e
      where exists (select from turn) and e.span = ${span} and e.slot = ${beginning}
        and (e.type, e.cause) not in (select type, cause from fresh)
    )
    insert into event_stat as e (span, slot, type, cause, events)
    select ${span}::smallint, ${beginning}, type, cause, events from fresh
    where exists (select from turn)
    order by type, cause
    on conflict (span, slot, type, cause) do update set events = excluded.events
      where e.events <> excluded.events`
}
