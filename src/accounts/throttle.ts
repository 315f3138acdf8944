import { type RawBuilder, sql } from 'kysely'
import { type Clock, later } from '../db/clock.ts'
import { fewOf } from '../db/gathered-writes.ts'
import { type GrowingLock, lockedUntil } from '../db/growing-lock.ts'
import type { Db } from '../db/schema.ts'

export type Throttle = ReturnType<typeof createThrottle>

export const TRIES: GrowingLock = { after: 10, firstSeconds: 60, longestSeconds: 3600 }
/** Judging takes a fraction of this; what is older was left behind by a process that ended. */
const JUDGED_WITHIN_SECONDS = 5
/** A name that was left alone this long starts from nothing. */
const FORGOTTEN_AFTER = sql.lit('1 day')

/** Looked at before anything is changed, so that by then nobody else changes it. */
const ONCE_HELD = sql`(select count(*) from held) < 2`

/** A fingerprint, or where it goes in a statement. */
type Key = Buffer | RawBuilder<Buffer>

interface Counted {
  /** in a row, this one included */
  failures: number
  locked_seconds: number
}

/**
 * Counts failures in a row under a fingerprint: of a name at the login page, of a client at the token
 * endpoint. A try at the login page is counted before it is judged, in the statement that decides whether it
 * may be judged at all, so parallel tries can't get past it. Whether a name exists makes no difference.
 */
export function createThrottle({ db, clock }: { db: Db; clock: Clock }) {
  /**
   * @param rows the keys, and the names' own keys
   * @param pending 1 when the tries are yet to be judged, 0 when they have failed already
   */
  function count(
    rows: RawBuilder<unknown>,
    pending: 0 | 1,
    lock: GrowingLock = TRIES,
  ): RawBuilder<Counted> {
    const now = clock()
    return sql`
      insert into sign_in_attempt as attempt (key, name_key, failures, pending, last_at)
      select one.key, one.name_key, 1, ${pending}, ${now} from (${rows}) as one (key, name_key)
      on conflict (key) do update set
        failures = attempt.failures + 1,
        pending = case when attempt.locked_until is null then attempt.pending else 0 end + ${pending},
        last_at = ${now},
        name_key = excluded.name_key,
        locked_until = ${lockedUntil(now, sql`attempt.failures + 1`, lock)}
      where attempt.locked_until is null or attempt.locked_until <= ${now}
      returning attempt.key, attempt.failures, coalesce(ceil(extract(epoch from attempt.locked_until - ${now})), 0)::int as locked_seconds`
  }

  /** Holds the key against others who count. */
  const held = (key: Key, waits: boolean): RawBuilder<unknown> =>
    sql`held as (select key from sign_in_attempt where key = ${key} for update ${waits ? sql`` : sql`nowait`})`

  /**
   * Holds those of several keys that nobody else holds, found row by row: so it says `limit`. A key that isn't there yet
   * may be counted all the same.
   */
  const heldOf = (asked: RawBuilder<unknown>): RawBuilder<unknown> => sql`
    held as materialized (
      select asked.place, asked.key, asked.name_key from ${asked} as asked
      left join lateral (select key from sign_in_attempt where key = asked.key limit 1) as there on true
      left join lateral (
        select key from sign_in_attempt where key = asked.key for update skip locked) as ours on true
      where there.key is null or ours.key is not null)`

  const forgetting = (key: Key): RawBuilder<unknown> =>
    sql`delete from sign_in_attempt where key = ${key}`

  return {
    /**
     * Counts a try, as common table expressions in front of a look-up: `counted` has a row if the try may be judged,
     * and none while the key is locked.
     * @param nameKey of the name alone
     * @param waits for others who count; else the statement fails where there are any
     */
    countTry: (key: Key, nameKey: Key, waits: boolean): RawBuilder<unknown> =>
      sql`${held(key, waits)}, counted as (
        ${count(sql`select ${key}::bytea, ${nameKey}::bytea where ${ONCE_HELD}`, 1)})`,

    /**
     * The same for tries of several keys: `held` has the places of those that it decides about. It waits for nobody but
     * for who counts a key for the first time at that very moment.
     * @param asked with their `key`, `name_key` and `place`
     */
    countTries: (asked: RawBuilder<unknown>): RawBuilder<unknown> =>
      // In one order, so that no two of them wait for each other.
      sql`${heldOf(asked)}, counted as (${count(sql`select key, name_key from held order by key`, 1)})`,

    /** Forgets a key's failures, as common table expressions; `waits` as with `countTry`. */
    forgetTries: (key: Key, waits: boolean): RawBuilder<unknown> =>
      sql`${held(key, waits)}, forgotten as (${forgetting(key)} and ${ONCE_HELD})`,

    /**
     * The same for several keys, as with `countTries`.
     * @param most that there are
     */
    forgetTriesOf: (
      asked: RawBuilder<unknown>,
      most: RawBuilder<unknown>,
    ): RawBuilder<unknown> => sql`
      ${heldOf(asked)}, forgotten as (
        delete from sign_in_attempt as attempt using ${fewOf(sql`select key from held`, most)} as those
        where attempt.key = those.key)`,

    /**
     * Whether tries of this key are being judged at this moment. A key that is locked only by them may be
     * open again in a moment: their owner signing in many times at once is not an attack.
     */
    isPending: (key: Key): RawBuilder<boolean> =>
      // Not `exists`, for which PostgreSQL may read the whole table where there are several keys.
      sql`(select true from sign_in_attempt where key = ${key} and pending > 0
        and last_at > ${later(clock, -JUDGED_WITHIN_SECONDS)} limit 1) is not null`,

    /** The statement that ends a try that was judged and wrong; its failure stays counted. */
    judgedWrong: (key: Key): RawBuilder<unknown> =>
      sql`update sign_in_attempt set pending = greatest(pending - 1, 0) where key = ${key}`,

    /** Until when a name is locked in some browser, as a scalar subquery; null if it is in none. */
    lockOf: (nameKey: Buffer): RawBuilder<Date | null> =>
      sql`(select max(locked_until) from sign_in_attempt where name_key = ${nameKey} and locked_until > ${clock()})`,

    /** Forgets a name's failures in every browser. @returns whether any of them locked it */
    async forgetName(on: Db, nameKey: Buffer): Promise<boolean> {
      const { rows } = await sql<{ locked: boolean }>`
        with gone as (delete from sign_in_attempt where name_key = ${nameKey} returning locked_until)
        select exists (select from gone where locked_until > ${clock()}) as locked`.execute(on)
      return rows[0]?.locked ?? false
    },

    /**
     * Counts something that may be done so often in a row, whether or not it fails.
     * @returns for how many seconds it mustn't be done, 0 if it may be now
     */
    async countUse(key: Buffer, lock: GrowingLock): Promise<number> {
      const { rows } = await sql<{ wait: number }>`
        with counted as (${count(sql`select ${key}::bytea, null::bytea`, 0, lock)})
        select case when exists (select from counted) then 0 else greatest(1, coalesce(
          (select ceil(extract(epoch from locked_until - ${clock()})) from sign_in_attempt where key = ${key}), 1)) end::int
          as wait`.execute(db)
      return rows[0]?.wait ?? 0
    },

    /** Counts one failure; tells for how many seconds the key is locked now, 0 if it isn't. */
    async countFailure(key: Buffer): Promise<number> {
      const { rows } = await sql<{ locked_seconds: number }>`
        with counted as (${count(sql`select ${key}::bytea, null::bytea`, 0)})
        select greatest(0, coalesce((select locked_seconds from counted),
          (select ceil(extract(epoch from locked_until - ${clock()})) from sign_in_attempt where key = ${key})))::int
          as locked_seconds`.execute(db)
      return rows[0]?.locked_seconds ?? 0
    },

    async clear(key: Buffer): Promise<void> {
      await forgetting(key).execute(db)
    },

    /** Deletes keys that were left alone for a day, `batch` at most. */
    async sweep(batch: number): Promise<number> {
      const { numAffectedRows } = await sql`
        delete from sign_in_attempt where key in (
          select key from sign_in_attempt
          where last_at < ${clock()} - interval ${FORGOTTEN_AFTER}
            and (locked_until is null or locked_until < ${clock()})
          limit ${batch} for update skip locked)`.execute(db)
      return Number(numAffectedRows ?? 0)
    },
  }
}
