import { randomBytes } from 'node:crypto'
import { type RawBuilder, sql } from 'kysely'
import type { Account } from '../accounts/accounts.ts'
import type { OnChange } from '../audit/change.ts'
import type { Vault } from '../crypto/vault.ts'
import { type Clock, later } from '../db/clock.ts'
import type { Db } from '../db/schema.ts'
import { sealedTable } from '../db/sealed-table.ts'
import { Refusal } from '../errors.ts'
import { dropOrphanedCodes } from './backup-codes.ts'
import { holding } from './hold.ts'
import { codesMatch, parseCode } from './hotp.ts'
import { assertEnoughLeft, holdOffNext, type Leaving } from './last-factor.ts'
import { keyOf, type TotpKey, totp, totpStep } from './totp.ts'

export const SEALED_AUTHENTICATORS = sealedTable('authenticator', {
  key: { id: 'text' },
  columns: ['secret'],
})

export type Authenticators = ReturnType<typeof createAuthenticators>

/** An app that is being added, as it is shown until its first right code. */
export interface PendingAuthenticator extends TotpKey {
  id: string
}

/** An app that was proven. */
export interface Authenticator {
  id: string
  confirmedAt: Date
  /** whether it can't be the only proof for a sensitive change yet */
  held: boolean
}

/** Digits of a code, whatever OTP_LENGTH says: every app knows six. */
const DIGITS = 6

/** RFC 4226 R6: at least 128 bits, 160 recommended. */
const SECRET_BYTES = 20
/** Longer than adding an app takes; a secret that was shown and left lying isn't proven later. */
const PENDING_SECONDS = 3600
/** A clock may be wrong by one step to either side (RFC 6238 section 5.2). */
const WINDOW = [-1, 0, 1]

interface Dependencies {
  db: Db
  clock: Clock
  vault: Vault
  onChange: OnChange
  /** how long a new app can't be the only proof for a sensitive change, where there was a factor before */
  holdOffSeconds: number
  /** what apps show as the issuer */
  brand: string
}

/** Authenticator apps (TOTP, RFC 6238), one to an account. */
export function createAuthenticators(deps: Dependencies) {
  const { db, clock, vault, onChange, holdOffSeconds, brand } = deps

  const placeOf = (id: string) => ({ column: 'authenticator.secret', row: id })
  const isFresh = (alias: string) =>
    sql<boolean>`${sql.ref(`${alias}.created_at`)} > ${later(clock, -PENDING_SECONDS)}`

  async function confirmed(on: Db, accountId: string): Promise<Authenticator | undefined> {
    const { rows } = await sql<Authenticator>`
      select id, confirmed_at as "confirmedAt", coalesce(held_until > ${clock()}, false) as held
      from authenticator where account_id = ${accountId} and confirmed_at is not null`.execute(on)
    return rows[0]
  }

  return {
    digits: DIGITS,

    /**
     * Makes a secret for a new app, in place of one that was begun before. It counts for nothing until its first
     * right code.
     * @throws Refusal when the account has an app already
     */
    async begin({ id: accountId, username }: Named): Promise<PendingAuthenticator> {
      const id = randomBytes(16).toString('base64url')
      const secret = randomBytes(SECRET_BYTES)
      await holding(db, accountId, async (trx) => {
        if (await confirmed(trx, accountId)) {
          throw new Refusal(
            'authenticator_exists',
            409,
            'The account has an authenticator app already. Remove it before you add another.',
          )
        }
        // A challenge that asked for it, in this browser or another, asks for nothing then; it isn't gone with it.
        await trx.deleteFrom('authenticator').where('account_id', '=', accountId).execute()
        await trx
          .insertInto('authenticator')
          .values({
            id,
            account_id: accountId,
            secret: vault.seal(secret, placeOf(id)),
            created_at: clock(),
          })
          .execute()
      })
      return { id, ...keyOf(secret, brand, username) }
    },

    /** The app that is being added, to show its secret again; undefined when there is none or it was left too long. */
    async pending({ id: accountId, username }: Named): Promise<PendingAuthenticator | undefined> {
      const row = await db
        .selectFrom('authenticator')
        .select(['id', 'secret'])
        .where('account_id', '=', accountId)
        .where('confirmed_at', 'is', null)
        .where(isFresh('authenticator'))
        .executeTakeFirst()
      if (!row) return undefined
      return { id: row.id, ...keyOf(vault.open(row.secret, placeOf(row.id)), brand, username) }
    },

    /** The account's app, if it has one. */
    describe: (accountId: string) => confirmed(db, accountId),

    /**
     * Removes the account's app, and backup codes that then stand for nothing.
     * @returns whether there was one
     * @throws Refusal when too little would be left
     */
    async remove(
      accountId: string,
      {
        keepLast = false,
        mayLeaveHeld = true,
        sessionUid,
      }: Partial<Leaving> & { sessionUid?: string | undefined } = {},
    ): Promise<boolean> {
      return holding(db, accountId, async (trx) => {
        const held = await confirmed(trx, accountId)
        if (!held) return false
        await assertEnoughLeft(trx, clock, accountId, held.id, { keepLast, mayLeaveHeld })
        await trx.deleteFrom('authenticator').where('id', '=', held.id).execute()
        await dropOrphanedCodes(trx, accountId)
        if (sessionUid !== undefined) await holdOffNext(trx, clock, accountId, holdOffSeconds)
        await onChange(trx, { type: 'authenticator.removed', accountId, sessionUid })
        return true
      })
    },

    /**
     * Compares a code with those of now, the step before and the step after.
     *
     * @param atSeconds the database's time, in seconds since 1970
     * @param lastStep step whose code was used last: that and earlier ones are refused
     * @returns the code's step, or undefined when it isn't right
     */
    judge(
      sealed: Buffer,
      id: string,
      input: string,
      atSeconds: number,
      lastStep: string | null,
    ): number | undefined {
      const code = parseCode(input, DIGITS)
      if (!code) return undefined
      const secret = vault.open(sealed, placeOf(id))
      const now = totpStep(atSeconds)
      // All of them, so that the time it takes doesn't tell which one matched.
      return WINDOW.map((offset) => now + offset)
        .filter((step) => codesMatch(code, totp(secret, step, DIGITS)))
        .find((step) => lastStep === null || step > Number(lastStep))
    },

    /**
     * A statement that uses up the code of a step, to stand as a common table expression in the statement that
     * lets it pass: a row, if neither it nor a later one was used before. An app that was being added is the
     * account's own from then on, held for a while where it came beside other factors.
     */
    useStep(id: string, step: number): RawBuilder<{ account_id: string }> {
      const now = clock()
      return sql`
        update authenticator a set
          last_step = ${step},
          confirmed_at = coalesce(a.confirmed_at, ${now}),
          held_until = case
            when a.confirmed_at is not null then a.held_until
            when exists (select from phone p where p.account_id = a.account_id and not p.pending)
            then ${later(clock, holdOffSeconds)}
            else (
              select hold_new_until from second_factor s
              where s.account_id = a.account_id and s.hold_new_until > ${now}
            ) end
        where a.id = ${id} and coalesce(a.last_step < ${step}, true)
          and (a.confirmed_at is not null or ${isFresh('a')})
        returning a.account_id`
    },
  }
}

type Named = Pick<Account, 'id' | 'username'>
