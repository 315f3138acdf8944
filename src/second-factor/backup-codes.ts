import { randomInt } from 'node:crypto'
import { type RawBuilder, sql } from 'kysely'
import type { OnChange } from '../audit/change.ts'
import { auditEntry } from '../audit/event.ts'
import type { Fingerprints } from '../crypto/fingerprints.ts'
import type { Clock } from '../db/clock.ts'
import type { Db } from '../db/schema.ts'
import { holding } from './hold.ts'

export type BackupCodes = ReturnType<typeof createBackupCodes>

/** How an account's codes stand; the codes themselves are shown when they are made and never again. */
export interface BackupCodeCount {
  left: number
  total: number
  /** null when there are none */
  createdAt: Date | null
}

/** Whose codes are made, and in what. */
export interface Issuing {
  /** the transaction it is part of */
  on?: Db
  /** session they are made in, which stays when the account's others end */
  sessionUid?: string | undefined
  /** whether they are part of a first enrolment, which gets none while its factor is held off: then nothing was changed that somebody would have to be told */
  enrolling?: boolean
}

/**
 * Consonants only (RFC 8628 section 6.1): no digit that looks like a letter, no word that comes about by chance,
 * and no keyboard to switch.
 */
const ALPHABET = 'BCDFGHJKLMNPQRSTVWXZ'
/** 16 of 20 letters are 69 bits; NIST SP 800-63B-4 asks 64 of a code that is kept. */
const LETTERS = 16
const CODES = 10
/** Room for generous spacing, and little to parse. */
const LONGEST_INPUT = 64

interface Dependencies {
  db: Db
  clock: Clock
  fingerprint: Fingerprints
  onChange: OnChange
}

/** One-time codes printed in advance, for the day the phone is gone. */
export function createBackupCodes({ db, clock, fingerprint, onChange }: Dependencies) {
  /** Bound to the account; keyed and of 69 bits, so a fast hash is as good as a slow one, and found by index. */
  function hash(accountId: string, code: string): Buffer {
    return fingerprint('backup-code', `${accountId}\0${code}`)
  }

  /** Makes ten codes; the account's older ones, used or not, are gone. */
  async function issue(
    accountId: string,
    { on = db, sessionUid, enrolling = false }: Issuing = {},
  ): Promise<string[]> {
    const codes = Array.from({ length: CODES }, randomBackupCode)
    const rows = codes.map((code) => ({
      hash: hash(accountId, code),
      account_id: accountId,
      created_at: clock(),
    }))
    return holding(on, accountId, async (trx) => {
      // A first factor that is held off would get round that with codes that aren't.
      if (enrolling && (await isHeldOff(trx, accountId))) return []
      await trx.deleteFrom('backup_code').where('account_id', '=', accountId).execute()
      await trx.insertInto('backup_code').values(rows).execute()
      const type = 'backup-codes.issued'
      if (enrolling) await auditEntry(clock, { type, accountId }).execute(trx)
      else await onChange(trx, { type, accountId, sessionUid })
      return codes.map(inGroups)
    })
  }

  /** Whether a new factor is held off although it is the only one. */
  async function isHeldOff(trx: Db, accountId: string): Promise<boolean> {
    const { rows } = await sql`
      select from second_factor where account_id = ${accountId} and hold_new_until > ${clock()}`.execute(
      trx,
    )
    return rows.length > 0
  }

  async function count(accountId: string, on: Db = db): Promise<BackupCodeCount> {
    const { rows } = await sql<BackupCodeCount>`
      select count(*) filter (where used_at is null)::int as left, count(*)::int as total,
        max(created_at) as "createdAt"
      from backup_code where account_id = ${accountId}`.execute(on)
    return rows[0] ?? { left: 0, total: 0, createdAt: null }
  }

  return {
    hash,
    parse: parseBackupCode,
    issue,
    count,

    /**
     * Makes new codes in place of those that someone has seen, so that a form that comes twice makes them once.
     * @param seen when the ones to be replaced were made; null for none
     * @returns undefined when there are others by now
     */
    renew(
      accountId: string,
      { seen, sessionUid }: { seen: Date | null; sessionUid: string },
    ): Promise<string[] | undefined> {
      return holding(db, accountId, async (on) => {
        const { createdAt } = await count(accountId, on)
        if (createdAt?.getTime() !== seen?.getTime()) return undefined
        return issue(accountId, { on, sessionUid })
      })
    },

    /**
     * A statement that uses up a code, to stand as a common table expression in the statement that lets it pass:
     * a row, if it was the account's and unused.
     *
     * @param condition what else must hold for it
     */
    spend(
      accountId: string,
      codeHash: Buffer,
      condition: RawBuilder<unknown>,
    ): RawBuilder<{ account_id: string }> {
      return sql`
        update backup_code b set used_at = ${clock()}
        where b.hash = ${codeHash} and b.account_id = ${accountId} and b.used_at is null and ${condition}
        returning b.account_id`
    },
  }
}

/** Deletes the backup codes of an account that has no factor left they could stand in for. */
export async function dropOrphanedCodes(on: Db, accountId: string): Promise<void> {
  await sql`
    delete from backup_code where account_id = ${accountId}
      and not exists (select from phone where account_id = ${accountId} and not pending)
      and not exists (
        select from authenticator where account_id = ${accountId} and confirmed_at is not null)`.execute(
    on,
  )
}

/**
 * A backup code as people type it: case, spaces and dashes don't matter, anything else does.
 * @returns the bare letters, or undefined when it can't be a code
 */
export function parseBackupCode(input: string): string | undefined {
  if (input.length > LONGEST_INPUT) return undefined
  const bare = input.replace(/[\s\p{Pd}]/gu, '')
  // Before its case is changed: a long s or a Kelvin sign would become a letter of ours.
  if (bare.length !== LETTERS || !/^[A-Za-z]+$/.test(bare)) return undefined
  const code = bare.toUpperCase()
  return [...code].every((letter) => ALPHABET.includes(letter)) ? code : undefined
}

/** The bare letters of a code, from the system's randomness. */
export function randomBackupCode(): string {
  return Array.from({ length: LETTERS }, () => ALPHABET[randomInt(ALPHABET.length)]).join('')
}

/** A code as it is shown: `BCDF-GHJK-LMNP-QRST`. */
export function inGroups(code: string): string {
  return (code.match(/.{4}/g) ?? []).join('-')
}
