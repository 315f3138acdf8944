import { type RawBuilder, sql } from 'kysely'
import { type Clock, later } from '../db/clock.ts'
import type { Db } from '../db/schema.ts'
import { UNDELIVERED } from './delivery-states.ts'

const DAY_SECONDS = 24 * 3600

/** What the messages handed to a gateway within a day came to. */
export interface DayCounts {
  accepted: number
  refused: number
  /** nobody knows whether they were sent, and no report has told since */
  unknown: number
  /** of those accepted */
  delivered: number
  undelivered: number
}

export interface GatewayState {
  gateway: string
  /** `half-open`: the next message decides */
  circuit: 'closed' | 'open' | 'half-open'
  /** while it isn't closed: when a message is let through again */
  openUntil: Date | null
  /** the last failure that was the gateway's own; it stays when later messages go well */
  lastFailure: { class: string; detail: string; at: Date } | null
  day: DayCounts
}

interface Row extends DayCounts, Omit<GatewayState, 'lastFailure' | 'day'> {
  failure: string | null
  detail: string | null
  failedAt: Date | null
}

/** How gateways are, for those who run the service. */
export function createGatewayStates({ db, clock }: { db: Db; clock: Clock }) {
  return {
    /** In the order of the names given, each with what is known of it, which may be nothing. */
    async list(names: readonly string[]): Promise<GatewayState[]> {
      const { rows } = await gatewayStatesStatement(clock, names).execute(db)
      return rows.map(({ gateway, circuit, openUntil, failure, detail, failedAt, ...day }) => ({
        gateway,
        circuit,
        openUntil,
        lastFailure:
          failure !== null && failedAt !== null
            ? { class: failure, detail: detail ?? '', at: failedAt }
            : null,
        day,
      }))
    },
  }
}

export function gatewayStatesStatement(clock: Clock, names: readonly string[]): RawBuilder<Row> {
  return sql<Row>`
    with asked as (
      select gateway, place from unnest(${names}::text[]) with ordinality as n (gateway, place)
    ),
    day as (
      select gateway,
        count(*) filter (where state not in ('trying', 'refused', 'unknown'))::int as accepted,
        count(*) filter (where state = 'refused')::int as refused,
        count(*) filter (where state = 'unknown')::int as unknown,
        count(*) filter (where state = 'delivered')::int as delivered,
        count(*) filter (where state = any(${[...UNDELIVERED]}::text[]))::int as undelivered
      from message
      where created_at > ${later(clock, -DAY_SECONDS)}
      group by gateway
    )
    select gateway,
      case
        when s.open_until is null then 'closed'
        when s.open_until > ${clock()} then 'open'
        else 'half-open'
      end as circuit,
      s.open_until as "openUntil", s.failure, s.detail, s.failed_at as "failedAt",
      coalesce(day.accepted, 0) as accepted, coalesce(day.refused, 0) as refused,
      coalesce(day.unknown, 0) as unknown, coalesce(day.delivered, 0) as delivered,
      coalesce(day.undelivered, 0) as undelivered
    from asked left join gateway_state s using (gateway) left join day using (gateway)
    order by place`
}
