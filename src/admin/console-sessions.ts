import { randomBytes } from 'node:crypto'
import { sql } from 'kysely'
import { type Account, accountAsJson } from '../accounts/account.ts'
import { auditEntry } from '../audit/event.ts'
import { hashToken } from '../crypto/keys.ts'
import { changed, inBatches } from '../db/batches.ts'
import { type Clock, later, unexpired } from '../db/clock.ts'
import type { Db } from '../db/schema.ts'
import { FRESH_SECONDS } from './freshness.ts'

export type ConsoleSessions = ReturnType<typeof createConsoleSessions>

/** Left alone this long, the console is closed; */
const IDLE_SECONDS = 30 * 60
/** and this long after it was opened, whatever happens. */
const AT_MOST_SECONDS = 8 * 3600
/** A use is noted only so often: most pages cost no write. */
const NOTED_SECONDS = 60

/** Who is at the console. */
export interface ConsoleVisit {
  account: Account
  /** whether a second factor was shown lately */
  fresh: boolean
}

/**
 * Browsers in which somebody is at the console: a session of its own, with its own cookie (ADM-01), that ends with
 * the provider's session it was opened from.
 */
export function createConsoleSessions({ db, clock }: { db: Db; clock: Clock }) {
  const isLive = () => sql`s.used_at > ${later(clock, -IDLE_SECONDS)}
    and s.created_at > ${later(clock, -AT_MOST_SECONDS)}
    and exists (select from oidc_record r where r.uid_key = s.session_key and ${unexpired(clock, 'r.expires_at')})`

  return {
    /**
     * Opens the console in a browser.
     * @param sessionKey hash of the provider's session's uid
     * @param provenAt when the second factor was shown, in seconds since 1970
     * @returns the token for the browser's cookie
     */
    async open(accountId: string, sessionKey: Buffer, provenAt: number): Promise<string> {
      const token = randomBytes(32).toString('base64url')
      const now = clock()
      await sql`
        with opened as (
          insert into console_session (token_hash, account_id, session_key, proven_at, created_at, used_at)
          values (${hashOf(token)}, ${accountId}, ${sessionKey}, least(to_timestamp(${provenAt}), ${now}), ${now}, ${now})
          returning account_id
        )
        ${auditEntry(clock, { type: 'console.opened', accountId: sql`account_id` }, sql`from opened`)}`.execute(
        db,
      )
      return token
    },

    /** Whose console this is; undefined when it was closed, or left too long. */
    async find(token: string): Promise<ConsoleVisit | undefined> {
      const { rows } = await sql<{ account: Account | null; fresh: boolean; stale: boolean }>`
        select ${accountAsJson(sql.ref('s.account_id'))} as account,
          s.proven_at > ${later(clock, -FRESH_SECONDS)} as fresh,
          s.used_at < ${later(clock, -NOTED_SECONDS)} as stale
        from console_session s where s.token_hash = ${hashOf(token)} and ${isLive()}`.execute(db)
      const [row] = rows
      if (!row?.account || row.account.disabled) return undefined
      if (row.stale) {
        await sql`update console_session set used_at = ${clock()} where token_hash = ${hashOf(token)}`.execute(
          db,
        )
      }
      return { account: row.account, fresh: row.fresh }
    },

    async close(token: string): Promise<void> {
      await sql`
        with closed as (
          delete from console_session where token_hash = ${hashOf(token)} returning account_id
        )
        ${auditEntry(clock, { type: 'console.closed', accountId: sql`account_id` }, sql`from closed`)}`.execute(
        db,
      )
    },

    async sweep(batch: number): Promise<number> {
      const { numAffectedRows } = await sql`
        delete from console_session where token_hash in (
          select token_hash from console_session where used_at < ${later(clock, -IDLE_SECONDS)}
          order by used_at limit ${batch} for update skip locked)`.execute(db)
      return Number(numAffectedRows ?? 0)
    },
  }
}

function hashOf(token: string): Buffer {
  return hashToken(token, 'console-session')
}

/** Ends the console's sessions, of whomever: after going back to a backup, some of them had ended. */
export function endConsoleSessions(db: Db): Promise<number> {
  return inBatches(async (most) =>
    changed(
      await sql`
        delete from console_session where token_hash in (
          select token_hash from console_session limit ${most})`.execute(db),
    ),
  )
}
