import { type RawBuilder, type SqlBool, sql } from 'kysely'

/**
 * The time, as the database tells it: an SQL expression, so that instances with wrong clocks still agree. It is put into
 * statements that are made once (`prepared`): whatever of it moves by itself must be `late`.
 */
export type Clock = () => RawBuilder<Date>

export const databaseClock: Clock = () => sql<Date>`now()`

/** `seconds` after (or, when negative, before) the clock's now. */
export function later(clock: Clock, seconds: number): RawBuilder<Date> {
  return sql<Date>`(${clock()} + make_interval(secs => ${seconds}))`
}

/**
 * Whether something hasn't expired. Never looked for by an index: in a table that PostgreSQL knows nothing of yet it would
 * take a key for common, and go through all that hasn't expired to be sure.
 * @param expiresAt column; what has none never expires
 */
export const unexpired = (clock: Clock, expiresAt: string): RawBuilder<SqlBool> =>
  sql<SqlBool>`coalesce(${sql.ref(expiresAt)} > ${clock()}, true)`
