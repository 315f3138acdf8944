import { randomBytes } from 'node:crypto'
import { sql } from 'kysely'
import { hashToken } from '../crypto/keys.ts'
import { changed, inBatches } from '../db/batches.ts'
import { type Clock, later } from '../db/clock.ts'
import type { Db } from '../db/schema.ts'
import type { OneTimeLinkTable } from '../db/tables/accounts.ts'
import { type Account, type AccountRow, COLUMNS, toAccount } from './account.ts'

export type Links = ReturnType<typeof createLinks>
export type LinkPurpose = OneTimeLinkTable['purpose']

/** What an open link is for. */
export interface OpenLink {
  purpose: LinkPurpose
  account: Account
}

/** `apartSeconds`: how soon after one the next may be made, so that no mailbox is filled. */
const LIVES: Record<LinkPurpose, { seconds: number; apartSeconds: number }> = {
  invitation: { seconds: 7 * 24 * 3600, apartSeconds: 0 },
  'password-reset': { seconds: 30 * 60, apartSeconds: 120 },
}

/** One-time links: 256 random bits, of which a hash is kept. A link that is used, expired or unknown is none. */
export function createLinks({ db, clock }: { db: Db; clock: Clock }) {
  const columns = sql.join(COLUMNS.map((column) => sql.ref(`account.${column}`)))

  return {
    lifeSeconds: (purpose: LinkPurpose): number => LIVES[purpose].seconds,

    /**
     * Makes a link in place of an older one of the same purpose.
     * @param on the transaction that hands it over
     * @returns its token; undefined when the older one was made a moment ago, which then stays
     */
    async make(on: Db, accountId: string, purpose: LinkPurpose): Promise<string | undefined> {
      const token = randomBytes(32).toString('base64url')
      const { seconds, apartSeconds } = LIVES[purpose]
      const { numAffectedRows } = await sql`
        insert into one_time_link as link (token_hash, account_id, purpose, created_at, expires_at)
        values (${hashOf(token)}, ${accountId}, ${purpose}, ${clock()}, ${later(clock, seconds)})
        on conflict (account_id, purpose) where used_at is null do update set
          token_hash = excluded.token_hash, created_at = excluded.created_at, expires_at = excluded.expires_at
        where link.created_at <= ${later(clock, -apartSeconds)}`.execute(on)
      return numAffectedRows ? token : undefined
    },

    /** What a link is for. Changes nothing, since programs that look for harmful links open it too (WEB-04). */
    async peek(token: string): Promise<OpenLink | undefined> {
      const { rows } = await sql<AccountRow & { purpose: LinkPurpose }>`
        select link.purpose, ${columns} from one_time_link link join account on account.id = link.account_id
        where token_hash = ${hashOf(token)} and used_at is null and expires_at > ${clock()}
          and account.disabled_at is null`.execute(db)
      const [row] = rows
      return row && { purpose: row.purpose, account: toAccount(row) }
    },

    /**
     * Uses a link up, in the transaction of what it lets be done. Of two at once the second waits, and finds none.
     * @returns the account it is for
     */
    async consume(on: Db, token: string): Promise<string | undefined> {
      const row = await on
        .updateTable('one_time_link')
        .set({ used_at: clock() })
        .where('token_hash', '=', hashOf(token))
        .where('used_at', 'is', null)
        .where('expires_at', '>', clock())
        .returning('account_id')
        .executeTakeFirst()
      return row?.account_id
    },

    /** Ends an account's open links, when its password is set in any way. */
    async endAll(on: Db, accountId: string): Promise<void> {
      await on
        .updateTable('one_time_link')
        .set({ used_at: clock() })
        .where('account_id', '=', accountId)
        .where('used_at', 'is', null)
        .execute()
    },

    /** Deletes links that have expired, used or not, `batch` at most. */
    async sweep(batch: number): Promise<number> {
      const { numAffectedRows } = await sql`
        delete from one_time_link where token_hash in (
          select token_hash from one_time_link where expires_at < ${clock()}
          limit ${batch} for update skip locked)`.execute(db)
      return Number(numAffectedRows ?? 0)
    },
  }
}

/** Ends all links that are open, of whomever: after going back to a backup, some of them were used. */
export function endOpenLinks(db: Db, clock: Clock): Promise<number> {
  return inBatches(async (most) =>
    changed(
      await sql`
        update one_time_link set used_at = ${clock()} where token_hash in (
          select token_hash from one_time_link where used_at is null limit ${most})`.execute(db),
    ),
  )
}

function hashOf(token: string): Buffer {
  return hashToken(token, 'one-time-link')
}
