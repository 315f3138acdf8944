import { type RawBuilder, sql } from 'kysely'

/**
 * Seconds of the slots that figures are kept by. The fine ones are worked out from what is stored, the others each
 * from the finer ones before: so that a month is no more to read than a day.
 */
export const SPANS = { fine: 300, hour: 3600, quarter: 21_600 } as const

/** Each with the one it is added up from. */
export const SUMS = [
  { span: SPANS.hour, of: SPANS.fine },
  { span: SPANS.quarter, of: SPANS.hour },
] as const

export type Sum = (typeof SUMS)[number]

/** Number of the fine slot, counted from 1970, that an expression falls into. */
export const slotOf = (at: RawBuilder<unknown>): RawBuilder<number> =>
  sql`floor(extract(epoch from ${at}) / ${SPANS.fine}::int)::int`

/** When a fine slot begins, or the longer one it is in. */
export const beginningOf = (slot: number, span: number = SPANS.fine): RawBuilder<Date> =>
  sql`to_timestamp(${Math.floor((slot * SPANS.fine) / span) * span}::float8)`

/** Whether an expression falls into the slot that begins then. */
export const isIn = (at: RawBuilder<unknown>, beginning: RawBuilder<Date>, seconds: number) =>
  sql`(${at} >= ${beginning} and ${at} < ${beginning} + make_interval(secs => ${seconds}))`
