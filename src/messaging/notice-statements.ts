import { sql } from 'kysely'
import { auditEntry } from '../audit/event.ts'
import { changed, inBatches } from '../db/batches.ts'
import { type Clock, later } from '../db/clock.ts'
import type { Db } from '../db/schema.ts'

/** A notice that was taken, to be sent now. */
export interface DueNotice {
  id: string
  kind: string
  medium: 'sms' | 'mail'
  recipient: Buffer
  language: string | null
  detail: Buffer
  /** this try included */
  tries: number
  /** when what it tells of happened, as in `2026-11-21 13:39 UTC` */
  when: string
  ageSeconds: number
}

/** How long after each try the next one is due. The first is longer than any try takes. */
const WAITS_SECONDS = [60, 5 * 60, 30 * 60, 2 * 3600]
export const MOST_TRIES = WAITS_SECONDS.length + 1

const KEPT_SECONDS = 30 * 24 * 3600

export function createNoticeStatements(clock: Clock) {
  return {
    /**
     * Takes what is due, and moves its next try on before this one is made: so no two instances send the
     * same notice at a time, and one that ends amid sending leaves it to the next.
     */
    take: (batch: number) => sql<DueNotice>`
      update notice set
        tries = tries + 1,
        next_try_at = ${clock()} + make_interval(
          secs => (${WAITS_SECONDS}::int[])[least(tries + 1, ${WAITS_SECONDS.length}::int)])
      where id in (
        select id from notice where state = 'waiting' and next_try_at <= ${clock()}
        order by next_try_at limit ${batch} for update skip locked)
      returning id, kind, medium, recipient, language, detail, tries,
        to_char(created_at at time zone 'UTC', 'YYYY-MM-DD HH24:MI "UTC"') as "when",
        extract(epoch from ${clock()} - created_at)::float8 as "ageSeconds"`,

    /** What was sent needn't be known any longer. */
    sent: (id: string) => sql`
      update notice set state = 'sent', recipient = '', detail = null where id = ${id}`,

    /**
     * Gives up, and records that (ADM-05). Not if another instance has taken it meanwhile.
     * @param reason in a word, where it was not allowed to go
     */
    giveUp: ({ id, tries }: DueNotice, reason: string | null) => sql`
      with failed as (
        update notice set state = 'failed', recipient = '', detail = null
        where id = ${id} and state = 'waiting' and tries = ${tries}
        returning account_id, kind, medium
      )
      ${auditEntry(
        clock,
        {
          type: 'notice.failed',
          accountId: sql`failed.account_id`,
          detail: { kind: sql`failed.kind`, medium: sql`failed.medium`, reason },
        },
        sql`from failed`,
      )}`,

    sweep: (batch: number) => sql`
      delete from notice where id in (
        select id from notice where created_at < ${later(clock, -KEPT_SECONDS)}
        order by created_at limit ${batch} for update skip locked)`,
  }
}

/** Gives up what waits: after going back to a backup, it was sent. @returns how many there were */
export function dropWaitingNotices(db: Db): Promise<number> {
  return inBatches(async (most) =>
    changed(
      await sql`
        update notice set state = 'failed', recipient = '', detail = null where id in (
          select id from notice where state = 'waiting' limit ${most})`.execute(db),
    ),
  )
}
