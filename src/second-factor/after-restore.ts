import { sql } from 'kysely'
import { changed, inBatches } from '../db/batches.ts'
import type { Clock } from '../db/clock.ts'
import type { Db } from '../db/schema.ts'
import { HIGHEST_COUNTER } from './send-statements.ts'

/** What of second factors mustn't go on as it stands in a backup (OTP-25). Each may be done again. */
export function createFactorsAfterRestore({ db, clock }: { db: Db; clock: Clock }) {
  /** @returns the last of them in the order of ids; null where there was none left */
  async function advanceSome(after: string, by: number, most: number) {
    const { rows } = await sql<{ last: string | null; phones: number }>`
      with moved as (
        update phone set hotp_counter = least(hotp_counter, ${HIGHEST_COUNTER}::bigint - ${by}::bigint) + ${by}::bigint
        where id in (select id from phone where id > ${after} order by id limit ${most})
        returning id
      )
      select max(id) as last, count(*)::integer as phones from moved`.execute(db)
    return rows[0] ?? { last: null, phones: 0 }
  }

  return {
    /**
     * Moves the counter of every phone on, past all codes that were sent after the backup was taken: what somebody
     * may have read of those is no code of any challenge to come.
     * @returns how many phones there are
     */
    async advanceCounters(by: number): Promise<number> {
      let after = ''
      return inBatches(async (most) => {
        const { last, phones } = await advanceSome(after, by, most)
        after = last ?? after
        return phones
      })
    },

    /** A code that stood open then may have been used since. */
    closeChallenges: () =>
      inBatches(async (most) =>
        changed(
          await sql`
            update challenge set closed_at = ${clock()} where id in (
              select id from challenge where closed_at is null limit ${most})`.execute(db),
        ),
      ),

    /** Browsers that were used since show tokens that a backup doesn't know, as copies of theirs would. */
    forgetBrowsers: () =>
      inBatches(async (most) =>
        changed(
          await sql`
            delete from trusted_device where id in (select id from trusted_device limit ${most})`.execute(
            db,
          ),
        ),
      ),

    endBypassCodes: () =>
      inBatches(async (most) =>
        changed(
          await sql`
            delete from bypass_code where id in (
              select id from bypass_code where used_at is null limit ${most})`.execute(db),
        ),
      ),

    /** Those that were used since could be used again. */
    endBackupCodes: () =>
      inBatches(async (most) =>
        changed(
          await sql`
            delete from backup_code where hash in (
              select hash from backup_code where used_at is null limit ${most})`.execute(db),
        ),
      ),
  }
}
