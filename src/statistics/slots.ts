import { type RawBuilder, sql } from 'kysely'

/** Seconds of the slots that figures are kept by. */
export const SPANS = { fine: 300, coarse: 3600 } as const

/** Number of the slot, counted from 1970, that an expression falls into. */
export const slotOf = (at: RawBuilder<unknown>): RawBuilder<number> =>
  sql`floor(extract(epoch from ${at}) / ${SPANS.fine}::int)::int`

/** When a slot of five minutes begins, or the hour it is in. */
export const beginningOf = (slot: number): RawBuilder<Date> =>
  sql`to_timestamp(${slot * SPANS.fine}::float8)`
export const hourOf = (slot: number): RawBuilder<Date> =>
  sql`to_timestamp(${Math.floor((slot * SPANS.fine) / SPANS.coarse) * SPANS.coarse}::float8)`

/** Whether an expression falls into the slot that begins then. */
export const isIn = (at: RawBuilder<unknown>, beginning: RawBuilder<Date>, seconds: number) =>
  sql`(${at} >= ${beginning} and ${at} < ${beginning} + make_interval(secs => ${seconds}))`
