import { randomBytes } from 'node:crypto'
import { type RawBuilder, sql } from 'kysely'
import type { OnChange } from '../audit/change.ts'
import { circumstances } from '../audit/circumstances.ts'
import { auditEntry } from '../audit/event.ts'
import type { Fingerprints } from '../crypto/fingerprints.ts'
import { type Clock, later } from '../db/clock.ts'
import type { Db } from '../db/schema.ts'
import { Refusal } from '../errors.ts'
import { inGroups, randomBackupCode } from './backup-codes.ts'
import { isAllowed, isLive } from './bypass-code-parts.ts'
import { isEnrolled } from './enrolled.ts'
import { holding } from './hold.ts'

export type BypassCodes = ReturnType<typeof createBypassCodes>

/** A code that may still be used, or wait for its approval; the code itself is shown when it is made and never again. */
export interface BypassCode {
  id: string
  createdAt: Date
  expiresAt: Date
  /** actors, as the audit trail names them */
  createdBy: string
  approvedBy: string | null
  /** whether it is good for nothing until a second admin approves it; stays true when one has */
  needsApproval: boolean
}

export interface IssuedBypassCode {
  id: string
  code: string
  expiresAt: Date
  needsApproval: boolean
}

interface Dependencies {
  db: Db
  clock: Clock
  fingerprint: Fingerprints
  onChange: OnChange
  /** how long a code can be used, counted from when it is made */
  minutes: number
  /** whether a second admin has to approve each */
  consent: 'off' | 'required'
}

/** The account or client behind an actor, whichever role it acts in. */
const behind = (actor: RawBuilder<unknown>) =>
  sql`substring(${actor} from position(':' in ${actor}) + 1)`

/** One-time codes of the help desk, for someone whose phone is out of reach and who has no backup codes at hand. */
export function createBypassCodes(deps: Dependencies) {
  const { db, clock, fingerprint, onChange } = deps

  const hash = (accountId: string, code: string): Buffer =>
    fingerprint('bypass-code', `${accountId}\0${code}`)

  /**
   * Ends what an account has unused.
   * @param on the transaction of the change it doesn't outlive
   */
  async function endAll(accountId: string, on: Db = db): Promise<void> {
    await sql`
      with gone as (
        delete from bypass_code where account_id = ${accountId} and used_at is null
        returning id, account_id, expires_at
      )
      ${ended(sql`from gone where expires_at > ${clock()}`)}`.execute(on)
  }

  const ended = (source: RawBuilder<unknown>) =>
    auditEntry(
      clock,
      {
        type: 'bypass-code.ended',
        accountId: sql`account_id`,
        detail: { bypassCode: sql`id` },
      },
      source,
    )

  /** @throws Refusal when a code would let nobody in */
  async function assertHelps(trx: Db, accountId: string): Promise<void> {
    const account = await trx
      .selectFrom('account')
      .select('disabled_at')
      .where('id', '=', accountId)
      .executeTakeFirst()
    if (account?.disabled_at) {
      throw new Refusal(
        'account_disabled',
        409,
        'The account is disabled, so no code lets anybody in to it. Enable it first.',
      )
    }
    if (!(await isEnrolled(trx, accountId))) {
      throw new Refusal(
        'no_factor',
        409,
        'The account has no second factor that a code could stand in for. Its password is enough to sign in and add one; where people may not do that themselves, add a phone to the account.',
      )
    }
  }

  return {
    hash,
    endAll,

    /**
     * Makes a code, which is shown only now, and ends the one before it. The owner is told.
     * @throws Refusal when the account is disabled or has no factor to stand in for
     */
    issue(accountId: string): Promise<IssuedBypassCode> {
      const [id, code] = [randomBytes(16).toString('base64url'), randomBackupCode()]
      const needsApproval = deps.consent === 'required'
      return holding(db, accountId, async (trx) => {
        await assertHelps(trx, accountId)
        await endAll(accountId, trx)
        const { expires_at: expiresAt } = await trx
          .insertInto('bypass_code')
          .values({
            id,
            account_id: accountId,
            hash: hash(accountId, code),
            created_at: clock(),
            expires_at: later(clock, deps.minutes * 60),
            created_by: circumstances().actor,
            needs_approval: needsApproval,
          })
          .returning('expires_at')
          .executeTakeFirstOrThrow()
        const detail = { bypassCode: id, ...(needsApproval && { approval: 'needed' }) }
        await onChange(trx, { type: 'bypass-code.issued', accountId, detail })
        return { id, code: inGroups(code), expiresAt, needsApproval }
      })
    },

    /**
     * A second admin's consent. It is neither theirs who made the code nor theirs whom it lets in.
     * @throws Refusal when it is their own, needs no approval any more, or is gone
     */
    async approve(accountId: string, id: string): Promise<void> {
      const { actor } = circumstances()
      const by = behind(sql`${actor}::text`)
      const { rows } = await sql<{ refusal: 'approved' | 'own' | null }>`
        with held as (
          select * from bypass_code where id = ${id} and account_id = ${accountId} and ${isLive(clock())} for update
        ),
        judged as (
          select id, case
            when ${isAllowed} then 'approved'
            when ${by} in (${behind(sql`created_by`)}, account_id) then 'own'
          end as refusal from held
        ),
        approved as (
          update bypass_code c set approved_by = ${actor}, approved_at = ${clock()} from judged
          where c.id = judged.id and judged.refusal is null
          returning c.id, c.account_id
        ),
        audited as (${auditEntry(
          clock,
          {
            type: 'bypass-code.approved',
            accountId: sql`account_id`,
            detail: { bypassCode: sql`id` },
          },
          sql`from approved`,
        )})
        select refusal from judged`.execute(db)
      const [verdict] = rows
      if (!verdict) throw gone()
      if (verdict.refusal === 'own') {
        throw new Refusal(
          'own_approval',
          403,
          'A code is approved by somebody else than who made it or whom it lets in. Ask another admin.',
        )
      }
      if (verdict.refusal === 'approved') {
        throw new Refusal(
          'already_approved',
          409,
          'The code can be used as it is: it was approved before, or needs no approval.',
        )
      }
    },

    /** An account's code that may be used, or approved: one at most. */
    async list(accountId: string): Promise<BypassCode[]> {
      const { rows } = await sql<BypassCode>`
        select id, created_at as "createdAt", expires_at as "expiresAt", created_by as "createdBy",
          approved_by as "approvedBy", needs_approval as "needsApproval"
        from bypass_code where account_id = ${accountId} and ${isLive(clock())}`.execute(db)
      return rows
    },

    /** @throws Refusal when it is gone already: used, ended or too old */
    async end(accountId: string, id: string): Promise<void> {
      const { rows } = await sql`
        with gone as (
          delete from bypass_code where id = ${id} and account_id = ${accountId} and ${isLive(clock())}
          returning id, account_id
        )
        ${ended(sql`from gone`)}`.execute(db)
      if (rows.length === 0) throw gone()
    },

    async sweep(batch: number): Promise<number> {
      const { numAffectedRows } = await sql`
        delete from bypass_code where id in (
          select id from bypass_code where expires_at <= ${clock()}
          order by expires_at limit ${batch} for update skip locked)`.execute(db)
      return Number(numAffectedRows ?? 0)
    },
  }
}

function gone(): Refusal {
  return new Refusal('no_bypass_code', 404, 'The account has no such code that can still be used.')
}
