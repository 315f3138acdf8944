import { type RawBuilder, sql } from 'kysely'
import type { Clock } from '../db/clock.ts'
import type { FailureClass, SendResult } from './gateway.ts'

/** So many failures in a row open a circuit; one where nothing changes until the operator acts. */
const FAILURES_TO_OPEN = 5
const SHORTEST_SECONDS = 0.25
const LONGEST_SECONDS = 60
/** A detail is a few words; a driver that says more mustn't fill a table with it. */
export const MAX_DETAIL = 200

/** Nothing changes until the operator acts. */
export const ALARMING: ReadonlySet<FailureClass> = new Set(['config', 'quota'])

/** What a circuit makes of a result. */
type Bearing = 'well' | 'none' | 'failing' | 'failing-for-good'

function bearingOf(result: SendResult): Bearing {
  if (result.outcome === 'accepted') return 'well'
  if (result.outcome === 'unknown') return 'failing'
  if (result.unsent) return 'none'
  if (ALARMING.has(result.failure)) return 'failing-for-good'
  // Otherwise it answered, and knows what is wrong with the message.
  const ownFault = result.failure === 'transient' || result.failure === 'throttle'
  return ownFault ? 'failing' : 'well'
}

/** That a try may be made, and whether it is the only one at an open circuit. */
export interface Passage {
  probe: boolean
}

/**
 * A gateway that fails is left alone for a while, by all instances: its circuit is open. When the while is over,
 * one try is let through, and closes the circuit or opens it again, each time for longer. The first time it is
 * over at once, so that a single fault costs no more than having to try one at a time. Tries that were under
 * way when it opened tell nothing new.
 */
export function createCircuits(clock: Clock) {
  return {
    /**
     * Common table expressions that tell of the passage (see `passage`).
     * @param trySeconds how long a try may take, during which it is the only one at an open circuit
     */
    ctes(gateway: string, trySeconds: number): RawBuilder<unknown> {
      const now = clock()
      return sql`
        circuit as materialized (
          select from gateway_state where gateway = ${gateway} and open_until is not null
        ),
        probe as (
          update gateway_state set open_until = ${now} + make_interval(secs => ${trySeconds})
          where gateway = ${gateway} and open_until <= ${now}
          returning gateway
        )`
    },

    isPassable: sql<boolean>`(not exists (select from circuit) or exists (select from probe))`,
    isProbe: sql<boolean>`exists (select from probe)`,

    /** A statement, as a common table expression, that notes how a try went. `opened`: it opened the circuit. */
    note(gateway: string, result: SendResult, probe: boolean): RawBuilder<unknown> {
      const bearing = bearingOf(result)
      const now = clock()
      if (bearing === 'none') {
        // What it was let through for is still to be found out.
        return sql`
          update gateway_state set open_until = ${now} where gateway = ${gateway} and ${probe}
          returning false as opened`
      }
      if (bearing === 'well') {
        return sql`
          update gateway_state set failures = 0, openings = 0, open_until = null
          where gateway = ${gateway} and (failures > 0 or open_until is not null)
          returning false as opened`
      }
      const forGood = bearing === 'failing-for-good'
      const opens = sql`(g.open_until is null and (${forGood} or g.failures + 1 >= ${FAILURES_TO_OPEN}))`
      const seconds = sql`least(${SHORTEST_SECONDS} * power(2, least(g.openings - 1, 10)), ${LONGEST_SECONDS})`
      const failure = result.outcome === 'refused' ? result.failure : 'unknown'
      const detail = result.outcome === 'accepted' ? null : result.detail.slice(0, MAX_DETAIL)
      return sql`
        insert into gateway_state as g (gateway, failures, openings, open_until, failure, detail, failed_at)
        values (${gateway}, 1, ${forGood ? 1 : 0}, ${forGood ? now : null}, ${failure}, ${detail}, ${now})
        on conflict (gateway) do update set
          failures = g.failures + 1,
          openings = g.openings + (${opens} or ${probe})::int,
          open_until = case
            when ${probe} then ${now} + make_interval(secs => ${seconds})
            when ${opens} then ${now} else g.open_until end,
          failure = excluded.failure, detail = excluded.detail, failed_at = excluded.failed_at
        returning openings = 1 and not ${probe} and open_until is not null as opened`
    },
  }
}
