import { type RawBuilder, sql } from 'kysely'
import type { Clock } from '../db/clock.ts'
import type { Db } from '../db/schema.ts'

/** Each kind of key has a prefix of its own in `send_limit`. */
export const LIMIT_PREFIX = { phone: 0x01, address: 0x02, overall: 0x03 }

const SLOT_SECONDS = 300
/** The one that is running, and the twelve whole ones before it: never less than the last hour. */
const SLOTS = 13

/**
 * A statement that counts one send under a key, or counts nothing and returns no row when that would make more
 * than `limit` in the last hour. To stand as a common table expression in the statement that issues a challenge
 * or sends again.
 *
 * @param key expression of the key
 * @param source what must have rows for anything to be counted: `from …` or `where exists …`
 */
export function countSend(
  clock: Clock,
  key: RawBuilder<Buffer>,
  limit: number,
  source: RawBuilder<unknown>,
) {
  const slot = slotOf(clock)
  const passed = sql`least(greatest(${slot} - held.slot, 0), ${SLOTS})::int`
  /** the counts as they stand now: as many empty slots in front as have begun since */
  const slots = sql`(array_fill(0, array[${passed}]) || held.slots)[1:${sql.lit(SLOTS)}]`
  const sum = sql`(select sum(sends) from unnest(${slots}) as sends)`
  return sql`
    insert into send_limit as held (key, slot, slots)
    select ${key}, ${slot}, array[1] || array_fill(0, array[${sql.lit(SLOTS - 1)}]) ${source}
    on conflict (key) do update set
      slot = greatest(held.slot, ${slot}),
      slots = array[(${slots})[1] + 1] || (${slots})[2:${sql.lit(SLOTS)}]
    where ${sum} < ${limit}
    returning 1`
}

/** Deletes counts that no longer weigh, `batch` at most. */
export async function sweepSendLimits(db: Db, clock: Clock, batch: number): Promise<number> {
  const { numAffectedRows } = await sql`
    delete from send_limit where key in (
      select key from send_limit where slot < ${slotOf(clock)} - ${SLOTS}
      limit ${batch} for update skip locked)`.execute(db)
  return Number(numAffectedRows ?? 0)
}

/** Number of the five minutes that are running, counted from 1970. */
function slotOf(clock: Clock): RawBuilder<number> {
  return sql`floor(extract(epoch from ${clock()}) / ${SLOT_SECONDS})::bigint`
}
