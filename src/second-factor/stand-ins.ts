import { type RawBuilder, sql } from 'kysely'
import type { SecurityChange } from '../audit/change.ts'
import type { Clock } from '../db/clock.ts'
import type { Db } from '../db/schema.ts'
import type { BackupCodes } from './backup-codes.ts'
import { isAllowed, isLive } from './bypass-code-parts.ts'
import type { BypassCodes } from './bypass-codes.ts'
import type { Factor } from './challenge-parts.ts'

export type StandIns = ReturnType<typeof createStandIns>

/** A code that stands in for a factor, as it was typed. Nothing says yet that it is good. */
export interface StandIn {
  factor: Extract<Factor, 'backup-code' | 'bypass-code'>
  hash: Buffer
  /** what its use is to the account */
  change: Pick<SecurityChange, 'type' | 'detail'>
  /**
   * A statement that uses it up, to stand as a common table expression in the statement that lets it pass: a row,
   * if it was good for that.
   *
   * @param condition what else must hold for it
   */
  spend: (condition: RawBuilder<unknown>) => RawBuilder<{ account_id: string }>
}

interface Dependencies {
  db: Db
  clock: Clock
  backupCodes: Pick<BackupCodes, 'hash' | 'spend'>
  bypassCodes: Pick<BypassCodes, 'hash'>
}

const TABLES = { 'backup-code': 'backup_code', 'bypass-code': 'bypass_code' } as const

/**
 * Codes that stand in for a factor: those printed in advance, and those of the help desk. They look alike and are
 * typed in the same field, so that nobody has to know which kind theirs is.
 */
export function createStandIns({ db, clock, backupCodes, bypassCodes }: Dependencies) {
  /** Uses up a code of the help desk, which must still be as good as when it was found. */
  function spend(id: string, condition: RawBuilder<unknown>) {
    const now = clock()
    return sql<{ account_id: string }>`
      update bypass_code b set used_at = ${now}
      where b.id = ${id} and ${isLive(now)} and ${isAllowed} and ${condition}
      returning b.account_id`
  }

  return {
    /**
     * What a typed code is, used or not: the help desk's if the account has it from there, else a backup code.
     * @param code its bare letters
     */
    async find(accountId: string, code: string): Promise<StandIn> {
      const ofHelpDesk = bypassCodes.hash(accountId, code)
      const { rows } = await sql<{ id: string }>`
        select id from bypass_code
        where account_id = ${accountId} and hash = ${ofHelpDesk} and expires_at > ${clock()} and ${isAllowed}`.execute(
        db,
      )
      const [bypass] = rows
      if (bypass) {
        return {
          factor: 'bypass-code',
          hash: ofHelpDesk,
          change: { type: 'bypass-code.used', detail: { bypassCode: bypass.id } },
          spend: (condition) => spend(bypass.id, condition),
        }
      }
      const hash = backupCodes.hash(accountId, code)
      return {
        factor: 'backup-code',
        hash,
        change: { type: 'backup-code.used' },
        spend: (condition) => backupCodes.spend(accountId, hash, condition),
      }
    },

    /** Whether it was used before. */
    async wasUsed(accountId: string, { factor, hash }: StandIn): Promise<boolean> {
      const { rows } = await sql`
        select from ${sql.table(TABLES[factor])}
        where hash = ${hash} and account_id = ${accountId} and used_at is not null`.execute(db)
      return rows.length > 0
    },

    /** Whether it is what passed a challenge. */
    async hasPassed(challengeId: string, { factor, hash }: StandIn): Promise<boolean> {
      const { rows } = await sql`
        select from ${sql.table(TABLES[factor])} s
        join challenge c on c.account_id = s.account_id and c.passed_at = s.used_at and c.passed_with = ${factor}
        where c.id = ${challengeId} and s.hash = ${hash}`.execute(db)
      return rows.length > 0
    },
  }
}
