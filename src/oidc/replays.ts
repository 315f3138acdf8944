import { sql } from 'kysely'
import { hashToken } from '../crypto/keys.ts'
import { type Clock, later } from '../db/clock.ts'
import type { Db } from '../db/schema.ts'
import { MINUTE } from './lives.ts'

export type Replays = ReturnType<typeof createReplays>

/**
 * Kept longer than the provider asks: it takes a proof dated five minutes ahead, and that one is good for ten minutes
 * from when it is first shown. It compares whole seconds, so for up to one more, by a clock that isn't quite the
 * database's.
 */
const KEPT_BEYOND = 5 * MINUTE + 10

/** What may be shown once: client assertions (RFC 7523 section 3) and DPoP proofs (RFC 9449 section 11.1). */
export function createReplays({ db, clock }: { db: Db; clock: Clock }) {
  return {
    /**
     * Notes that something is shown. One statement decides, at once and outside of what else the request writes, so
     * that of many requests to many instances one is the first.
     * @param shownBy client_id
     * @param id its `jti`
     * @param seconds how long it could be shown again
     * @returns whether it is shown for the first time
     */
    async isFirst(shownBy: string, id: string, seconds: number): Promise<boolean> {
      const expiresAt = later(clock, seconds + KEPT_BEYOND)
      const { rows } = await sql`
        insert into oidc_replay as seen (key, expires_at)
        values (${hashToken(`${shownBy}\0${id}`, 'replay')}, ${expiresAt})
        on conflict (key) do update set expires_at = excluded.expires_at
          where seen.expires_at <= ${clock()}
        returning key`.execute(db)
      return rows.length > 0
    },

    /** Deletes what couldn't be shown again anyway, `batch` at most. */
    async sweep(batch: number): Promise<number> {
      const { numAffectedRows } = await sql`
        delete from oidc_replay where key in (
          select key from oidc_replay where expires_at <= ${clock()}
          order by expires_at limit ${batch} for update skip locked)`.execute(db)
      return Number(numAffectedRows ?? 0)
    },
  }
}
