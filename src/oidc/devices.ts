import { sql } from 'kysely'
import { auditEntry } from '../audit/event.ts'
import { hashToken } from '../crypto/keys.ts'
import { type Clock, later } from '../db/clock.ts'
import type { Db } from '../db/schema.ts'
import { MINUTE, TTL } from './lives.ts'

export type Devices = ReturnType<typeof createDevices>

/** How long a device waits before it asks again, in seconds; each time that it is too fast adds as much (RFC 8628 section 3.5). */
export const POLL_SECONDS = 5
/** What a request may be early by and still be taken for one that waited, in seconds: clocks of devices are cheap. */
const EARLY = 0.5

/** Wrong codes are counted over this long, in seconds. */
const WINDOW = 10 * MINUTE
/** So many are judged from one address. */
const WRONG_FROM_ADDRESS = 10
/**
 * So many are judged from everywhere. Of 20⁸ codes, that finds one of a hundred live ones in about five years of
 * guessing without a pause (RFC 8628 section 5.1).
 */
const WRONG_FROM_EVERYWHERE = 1000
const EVERYWHERE = hashToken('everywhere', 'user-code-try')

/** What keeps devices patient and guessers out (RFC 8628). */
export function createDevices({ db, clock }: { db: Db; clock: Clock }) {
  const addressKey = (address: string) => hashToken(address, 'user-code-try')

  return {
    /**
     * Notes that a device asks whether its person is done. One statement decides, over all instances.
     * @returns whether it asks sooner than it may
     */
    async isHasty(deviceCode: string): Promise<boolean> {
      const now = clock()
      const tooSoon = sql`${now} < poll.polled_at + make_interval(secs => poll.interval_seconds - ${EARLY}::float8)`
      const { rows } = await sql<{ hasty: boolean }>`
        insert into device_poll as poll (key, polled_at, interval_seconds, hasty, expires_at)
        values (${hashToken(deviceCode, 'device-poll')}, ${now}, ${POLL_SECONDS}, false,
          ${later(clock, TTL.DeviceCode)})
        on conflict (key) do update set
          polled_at = ${now},
          hasty = ${tooSoon},
          interval_seconds = poll.interval_seconds + case when ${tooSoon} then ${POLL_SECONDS}::int else 0 end
        returning hasty`.execute(db)
      return rows[0]?.hasty ?? false
    },

    /**
     * Counts a typed code as wrong before it is looked up, so that a burst finds out no more than the limit lets it.
     * What one address may no longer try counts nowhere else: nobody can use up everybody's tries alone.
     * @param address fingerprint of where it was typed
     * @returns for how many seconds codes aren't judged, 0 if this one may be
     */
    async countTry(address: string): Promise<number> {
      const now = clock()
      const ends = (began: ReturnType<typeof sql>) =>
        sql`(${began} + make_interval(secs => ${WINDOW}))`
      const over = sql`${ends(sql`try.began_at`)} <= ${now}`
      const again = sql`
        on conflict (key) do update set
          wrong = case when ${over} then 1 else try.wrong + 1 end,
          began_at = case when ${over} then ${now} else try.began_at end
        returning wrong, began_at`
      const limited = auditEntry(
        clock,
        { type: 'device.codes-limited' },
        sql`where exists (select from own where wrong = ${WRONG_FROM_ADDRESS + 1})
          or exists (select from everywhere where wrong = ${WRONG_FROM_EVERYWHERE + 1})`,
      )
      const { rows } = await sql<{ wait: number }>`
        with own as (
          insert into user_code_try as try (key, began_at, wrong)
          values (${addressKey(address)}, ${now}, 1) ${again}
        ),
        everywhere as (
          insert into user_code_try as try (key, began_at, wrong)
          select ${EVERYWHERE}::bytea, ${now}, 1 from own where own.wrong <= ${WRONG_FROM_ADDRESS} ${again}
        ),
        noted as (${limited}),
        ended as (
          select began_at from own where wrong > ${WRONG_FROM_ADDRESS}
          union all
          select began_at from everywhere where wrong > ${WRONG_FROM_EVERYWHERE}
        )
        select coalesce(max(greatest(1, ceil(extract(epoch from ${ends(sql`began_at`)} - ${now})))), 0)::int as wait
        from ended`.execute(db)
      return rows[0]?.wait ?? 0
    },

    /** Takes back the count of a code that was right. */
    async forgiveTry(address: string): Promise<void> {
      await sql`
        with own as (
          update user_code_try set wrong = greatest(wrong - 1, 0)
          where key = ${addressKey(address)} returning key
        )
        update user_code_try set wrong = greatest(wrong - 1, 0)
        where key = ${EVERYWHERE}::bytea and exists (select from own)`.execute(db)
    },

    /** Deletes what counts no longer, `batch` at most. */
    async sweep(batch: number): Promise<number> {
      const { rows } = await sql<{ swept: number }>`
        with polls as (
          delete from device_poll where key in (
            select key from device_poll where expires_at <= ${clock()}
            order by expires_at limit ${batch} for update skip locked)
          returning key
        ),
        tries as (
          delete from user_code_try where key in (
            select key from user_code_try where began_at <= ${later(clock, -WINDOW)}
            limit ${batch} for update skip locked)
          returning key
        )
        select greatest((select count(*) from polls), (select count(*) from tries))::int as swept`.execute(
        db,
      )
      return rows[0]?.swept ?? 0
    },
  }
}
