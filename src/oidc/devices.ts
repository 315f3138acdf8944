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
/** So many from one network: a line with IPv6 has more addresses than anybody could count one by one. */
const WRONG_FROM_NETWORK = 50
/**
 * So many are judged from everywhere. Of 20⁸ codes, that finds one of a hundred live ones in about five years of
 * guessing without a pause (RFC 8628 section 5.1).
 */
const WRONG_FROM_EVERYWHERE = 1000
/** So many from one network all the same, so that guessers don't keep everybody else from connecting. */
const WRONG_FROM_NETWORK_BEYOND = 1
const EVERYWHERE = hashToken('everywhere', 'user-code-try')

/** Fingerprints of where a code is typed: its address, and the network that it is one of many in. */
interface From {
  address: string
  network: string
}

/** What keeps devices patient and guessers out (RFC 8628). */
export function createDevices({ db, clock }: { db: Db; clock: Clock }) {
  const addressKey = ({ address }: From) => hashToken(address, 'user-code-try')
  const networkKey = ({ network }: From) => hashToken(network, 'user-code-network')

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
     * What one address or network may no longer try counts nowhere else.
     * @returns for how many seconds codes aren't judged, 0 if this one may be
     */
    async countTry(from: From): Promise<number> {
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
          or exists (select from network where wrong = ${WRONG_FROM_NETWORK + 1})
          or exists (select from everywhere where wrong = ${WRONG_FROM_EVERYWHERE + 1})`,
      )
      const { rows } = await sql<{ wait: number }>`
        with own as (
          insert into user_code_try as try (key, began_at, wrong)
          values (${addressKey(from)}, ${now}, 1) ${again}
        ),
        network as (
          insert into user_code_try as try (key, began_at, wrong)
          select ${networkKey(from)}::bytea, ${now}, 1 from own
          where own.wrong <= ${WRONG_FROM_ADDRESS} ${again}
        ),
        everywhere as (
          insert into user_code_try as try (key, began_at, wrong)
          select ${EVERYWHERE}::bytea, ${now}, 1 from network
          where network.wrong <= ${WRONG_FROM_NETWORK} ${again}
        ),
        noted as (${limited}),
        ended as (
          select began_at from own where wrong > ${WRONG_FROM_ADDRESS}
          union all
          select began_at from network where wrong > ${WRONG_FROM_NETWORK}
          union all
          select everywhere.began_at from everywhere, network
          where everywhere.wrong > ${WRONG_FROM_EVERYWHERE} and network.wrong > ${WRONG_FROM_NETWORK_BEYOND}
        )
        select coalesce(max(greatest(1, ceil(extract(epoch from ${ends(sql`began_at`)} - ${now})))), 0)::int as wait
        from ended`.execute(db)
      return rows[0]?.wait ?? 0
    },

    /** Takes back the count of a code that was right. */
    async forgiveTry(from: From): Promise<void> {
      await sql`
        with own as (
          update user_code_try set wrong = greatest(wrong - 1, 0)
          where key = ${addressKey(from)} returning key
        ),
        network as (
          update user_code_try set wrong = greatest(wrong - 1, 0)
          where key = ${networkKey(from)} and exists (select from own) returning key
        )
        update user_code_try set wrong = greatest(wrong - 1, 0)
        where key = ${EVERYWHERE}::bytea and exists (select from network)`.execute(db)
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
