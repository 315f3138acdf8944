import type { Clock } from '../db/clock.ts'
import type { Db } from '../db/schema.ts'
import { type Cost, costOf, type Prices } from './costs.ts'
import type { Count } from './delivery-figures.ts'
import { type Failure, failuresOf } from './failures.ts'
import {
  createOverviewStatements,
  RANGE_NAMES,
  RANGES,
  type Range,
  type Way,
} from './overview-statements.ts'
import { medianSeconds, sumTimes } from './times.ts'

export { RANGE_NAMES, RANGES, type Range }

/** What codes came to, from the asking to the right one. */
export interface Funnel {
  asked: number
  sent: number
  /** as far as gateways report it */
  delivered: number
  passed: number
}

/** The funnel of a group of codes, and of the messages of that group, notices included. */
export interface Figures extends Funnel {
  /** share of codes that were sent and typed right, of 1; null where none was sent */
  conversion: number | null
  /** from a code's first message to the right code; null where none was typed */
  medianSeconds: number | null
  messages: { tried: number; accepted: number; delivered: number; failed: number; parts: number }
  /** null where no prices are set, or for none of these messages */
  cost: number | null
}

/** Everything of the dashboard that is counted, ready for JSON. Times are ISO 8601. */
export interface Overview {
  range: Range
  from: string
  to: string
  /** up to when is counted; a little before `to` */
  asOf: string
  bucketSeconds: number
  series: Array<{ at: string; signIns: number } & Funnel>
  totals: { signIns: number } & Figures
  /** gateway null: none was tried, as when a limit refused */
  byGateway: Array<{ gateway: string | null } & Figures>
  /** country null: not known */
  byCountry: Array<{ country: string | null } & Figures>
  failures: Failure[]
  /** null where no prices are set */
  cost: {
    currency: string
    /** null where none of the messages has a price */
    total: number | null
    /** messages without a price, which are in no sum */
    unpriced: number
    byGateway: Array<{ gateway: string } & Cost>
    byCountry: Array<{ country: string | null } & Cost>
  } | null
}

interface Dependencies {
  db: Db
  clock: Clock
  prices: Prices
}

/** What the dashboard shows, from figures by slot; see `roll-up`. */
export function createOverview({ db, clock, prices }: Dependencies) {
  const statements = createOverviewStatements(clock)
  const hasPrices = prices.sms !== undefined || prices.voice !== undefined

  function figuresOf(ways: readonly Way[]): Figures {
    const sum = (count: Count) => ways.reduce((total, way) => total + way[count], 0)
    const funnel = {
      asked: sum('asked'),
      sent: sum('sent'),
      delivered: sum('delivered'),
      passed: sum('passed'),
    }
    return {
      ...funnel,
      conversion: funnel.sent > 0 ? Math.round((funnel.passed / funnel.sent) * 1e4) / 1e4 : null,
      medianSeconds: medianSeconds(sumTimes(ways.map(({ times }) => times))),
      messages: {
        tried: sum('messages'),
        accepted: sum('accepted'),
        delivered: sum('arrived'),
        failed: sum('failed'),
        parts: sum('parts'),
      },
      cost: hasPrices ? costOf(prices, ways).cost : null,
    }
  }

  function costsOf(ways: readonly Way[]): Overview['cost'] {
    if (!hasPrices) return null
    const { cost: total, unpriced } = costOf(prices, ways)
    return {
      currency: prices.currency,
      total,
      unpriced,
      byGateway: grouped(ways, 'gateway').flatMap(([gateway, some]) =>
        gateway === null ? [] : { gateway, ...costOf(prices, some) },
      ),
      byCountry: grouped(ways, 'country').map(([country, some]) => ({
        country,
        ...costOf(prices, some),
      })),
    }
  }

  return async (range: Range): Promise<Overview> => {
    const [ways, events, steps] = await Promise.all([
      statements.ways(range).execute(db),
      statements.events(range).execute(db),
      statements.steps(range).execute(db),
    ])
    const [first] = steps.rows
    if (!first) throw new Error('a range has no steps')
    return {
      range,
      from: first.at.toISOString(),
      to: first.now.toISOString(),
      asOf: first.asOf.toISOString(),
      bucketSeconds: RANGES[range].bucket,
      series: steps.rows.map(({ at, now: _now, asOf: _asOf, ...counts }) => ({
        at: at.toISOString(),
        ...counts,
      })),
      totals: {
        signIns: steps.rows.reduce((sum, { signIns }) => sum + signIns, 0),
        ...figuresOf(ways.rows),
      },
      byGateway: grouped(ways.rows, 'gateway').map(([gateway, some]) => ({
        gateway,
        ...figuresOf(some),
      })),
      byCountry: grouped(ways.rows, 'country').map(([country, some]) => ({
        country,
        ...figuresOf(some),
      })),
      failures: failuresOf(events.rows),
      cost: costsOf(ways.rows),
    }
  }
}

/** The busiest first; an empty name, which stands for none, as null. */
function grouped(
  ways: readonly Way[],
  by: 'gateway' | 'country',
): Array<[name: string | null, ways: Way[]]> {
  const busy = (some: readonly Way[]) =>
    some.reduce((sum, { asked, messages }) => sum + asked + messages, 0)
  return [...Map.groupBy(ways, (way) => way[by])]
    .toSorted(([a, some], [b, others]) => busy(others) - busy(some) || (a < b ? -1 : 1))
    .map(([name, some]) => [name || null, some])
}
