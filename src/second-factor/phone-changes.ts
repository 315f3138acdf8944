import { sql } from 'kysely'
import type { OnChange } from '../audit/change.ts'
import { auditEntry } from '../audit/event.ts'
import type { Clock } from '../db/clock.ts'
import type { Db } from '../db/schema.ts'
import { Refusal } from '../errors.ts'
import type { ParsedPhone } from '../phone-number.ts'
import { dropOrphanedCodes } from './backup-codes.ts'
import { holding } from './hold.ts'
import { assertEnoughLeft, holdOffNext } from './last-factor.ts'
import type { Phone, Phones } from './phones.ts'

export type PhoneChanges = ReturnType<typeof createPhoneChanges>

const LABEL_LIMIT = 40

interface Dependencies {
  db: Db
  clock: Clock
  phones: Phones
  onChange: OnChange
  holdOffSeconds: number
}

/** What can be done to the numbers an account has. Each change locks the account, so that no two contradict. */
export function createPhoneChanges(deps: Dependencies) {
  const { db, clock, phones, onChange, holdOffSeconds } = deps

  /** @throws Refusal when the account has no such number */
  async function changing<T>(
    accountId: string,
    work: (trx: Db) => Promise<T | undefined>,
  ): Promise<T> {
    const done = await holding(db, accountId, work)
    if (done === undefined) throw new Refusal('no_phone', 404, 'The account has no such number.')
    return done
  }

  return {
    /**
     * Adds a number for an admin; see `phones.add`.
     * @param on the transaction it is part of
     */
    add(
      accountId: string,
      parsed: ParsedPhone,
      verified: boolean,
      on: Db = db,
    ): Promise<Phone & { shared: boolean }> {
      return holding(on, accountId, async (trx) => {
        const { shared, ...phone } = await phones.add(accountId, parsed, verified, trx)
        const detail = { verified: String(verified), shared: String(shared) }
        await onChange(trx, { type: 'phone.added', accountId, phoneId: phone.id, detail })
        return { ...phone, shared }
      })
    },

    /**
     * Removes a number, and with it its open challenges. The next one in order becomes primary.
     * @param options `keepLast`, `mayLeaveHeld`: see `Leaving`; an admin may leave whatever they like
     * @throws Refusal when there is no such number, or too little would be left
     */
    remove(
      accountId: string,
      phoneId: string,
      {
        keepLast,
        mayLeaveHeld = true,
        sessionUid,
      }: { keepLast: boolean; mayLeaveHeld?: boolean; sessionUid?: string | undefined },
    ): Promise<void> {
      return changing(accountId, async (trx) => {
        const held = await trx
          .selectFrom('phone')
          .select('is_primary')
          .where('id', '=', phoneId)
          .where('account_id', '=', accountId)
          .where('pending', '=', false)
          .executeTakeFirst()
        if (!held) return undefined
        await assertEnoughLeft(trx, clock, accountId, phoneId, { keepLast, mayLeaveHeld })
        await onChange(trx, { type: 'phone.removed', accountId, phoneId, sessionUid })
        await trx.deleteFrom('phone').where('id', '=', phoneId).execute()
        if (held.is_primary) {
          await sql`
            update phone set is_primary = true where id = (
              select id from phone where account_id = ${accountId} and not pending
              order by position, created_at limit 1)`.execute(trx)
        }
        await dropOrphanedCodes(trx, accountId)
        if (sessionUid !== undefined) await holdOffNext(trx, clock, accountId, holdOffSeconds)
        return true
      }).then(() => {})
    },

    /** Makes a number the one that is sent codes unless the person chooses another. */
    makePrimary(accountId: string, phoneId: string, sessionUid: string | undefined): Promise<void> {
      return changing(accountId, async (trx) => {
        const found = await trx
          .selectFrom('phone')
          .select('is_primary')
          .where('id', '=', phoneId)
          .where('account_id', '=', accountId)
          .where('pending', '=', false)
          .executeTakeFirst()
        if (!found) return undefined
        if (found.is_primary) return true
        await onChange(trx, { type: 'phone.made-primary', accountId, phoneId, sessionUid })
        // One after the other: the index that allows one primary number looks at each row as it changes.
        await trx
          .updateTable('phone')
          .set({ is_primary: false })
          .where('account_id', '=', accountId)
          .where('is_primary', '=', true)
          .execute()
        await trx.updateTable('phone').set({ is_primary: true }).where('id', '=', phoneId).execute()
        return true
      }).then(() => {})
    },

    /** @param label the person's own name for it; empty for none */
    label(accountId: string, phoneId: string, label: string): Promise<void> {
      const text = label.normalize('NFC').trim()
      if ([...text].length > LABEL_LIMIT || /\p{C}/u.test(text)) {
        throw new Refusal('label', 400, `A name has at most ${LABEL_LIMIT} visible characters.`)
      }
      return changing(accountId, async (trx) => {
        const { rows } = await sql`
          with named as (
            update phone set label = ${text || null}
            where id = ${phoneId} and account_id = ${accountId} and not pending
            returning id, account_id
          ),
          audited as (${auditEntry(
            clock,
            { type: 'phone.labelled', accountId: sql`account_id`, detail: { phone: sql`id` } },
            sql`from named`,
          )})
          select id from named`.execute(trx)
        return rows.length > 0 || undefined
      }).then(() => {})
    },

    /** Moves a number one place up in the order in which numbers are offered. */
    moveUp(accountId: string, phoneId: string): Promise<void> {
      return changing(accountId, async (trx) => {
        const { rows } = await sql`
          with ordered as (
            select id, row_number() over (order by position, created_at) * 2 as place
            from phone where account_id = ${accountId} and not pending and not is_primary
          )
          update phone p set position = o.place - case when o.id = ${phoneId} then 3 else 0 end
          from ordered o where o.id = p.id
          returning p.id`.execute(trx)
        return rows.length > 0 || undefined
      }).then(() => {})
    },

    /** Removes all of an account's factors, for an admin: the person enrols anew (ADM-10). */
    async reset(accountId: string): Promise<void> {
      await holding(db, accountId, async (trx) => {
        await onChange(trx, { type: 'factors.reset', accountId })
        for (const table of ['phone', 'authenticator', 'backup_code'] as const)
          await trx.deleteFrom(table).where('account_id', '=', accountId).execute()
        await sql`
          update second_factor set failures = 0, locked_until = null, disabled_at = null, hold_new_until = null
          where account_id = ${accountId}`.execute(trx)
      })
    },
  }
}
