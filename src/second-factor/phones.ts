import { randomBytes } from 'node:crypto'
import { sql } from 'kysely'
import type { Fingerprints } from '../crypto/fingerprints.ts'
import type { Vault } from '../crypto/vault.ts'
import type { Db } from '../db/schema.ts'
import { Refusal } from '../errors.ts'
import { brand, type ParsedPhone, type PhoneNumber } from '../phone-number.ts'

export type Phones = ReturnType<typeof createPhones>

export interface Phone {
  id: string
  number: PhoneNumber
  verified: boolean
  primary: boolean
}

/** RFC 4226 R6: at least 128 bits, 160 recommended. */
const SECRET_BYTES = 20
const PHONES_AT_MOST = 5

interface Dependencies {
  db: Db
  vault: Vault
  fingerprint: Fingerprints
}

export function createPhones({ db, vault, fingerprint }: Dependencies) {
  function open(row: { id: string; number: Buffer }): PhoneNumber {
    return brand(vault.open(row.number, { column: 'phone.number', row: row.id }).toString())
  }

  async function whyNotAdded(accountId: string, number: PhoneNumber): Promise<Refusal> {
    const held = await db
      .selectFrom('phone')
      .select('id')
      .where('account_id', '=', accountId)
      .where('number_fingerprint', '=', fingerprint('phone', number))
      .executeTakeFirst()
    return held
      ? new Refusal('phone_exists', 409, 'The account has this number already.')
      : new Refusal(
          'too_many_phones',
          409,
          `The account has ${PHONES_AT_MOST} numbers already, as many as it may. Remove one first.`,
        )
  }

  return {
    open,

    /**
     * Adds a number to an account; the first becomes its primary one.
     * @param verified whether the number counts as proven without a code
     * @throws Refusal when the account has it already or has five
     */
    async add(
      accountId: string,
      { number, country }: ParsedPhone,
      verified: boolean,
    ): Promise<Phone> {
      const id = randomBytes(16).toString('base64url')
      // One statement per account at a time: the row lock keeps two parallel adds from both being first.
      const { rows } = await db.transaction().execute(async (trx) => {
        await trx
          .insertInto('second_factor')
          .values({ account_id: accountId })
          .onConflict((conflict) =>
            conflict.column('account_id').doUpdateSet({ account_id: accountId }),
          )
          .execute()
        return sql<{ is_primary: boolean }>`
          insert into phone (id, account_id, number, number_fingerprint, country, is_primary, verified_at)
          select ${id}, ${accountId}, ${vault.seal(number, { column: 'phone.number', row: id })},
            ${fingerprint('phone', number)}, ${country}, held.count = 0, ${verified ? sql`now()` : null}
          from (select count(*) as count from phone where account_id = ${accountId}) as held
          where held.count < ${PHONES_AT_MOST}
          on conflict (account_id, number_fingerprint) do nothing
          returning is_primary`.execute(trx)
      })
      const [added] = rows
      if (!added) throw await whyNotAdded(accountId, number)
      return { id, number, verified, primary: added.is_primary }
    },

    async list(accountId: string): Promise<Phone[]> {
      const rows = await db
        .selectFrom('phone')
        .select(['id', 'number', 'verified_at', 'is_primary'])
        .where('account_id', '=', accountId)
        .orderBy('is_primary', 'desc')
        .orderBy('created_at')
        .execute()
      return rows.map((row) => ({
        id: row.id,
        number: open(row),
        verified: row.verified_at !== null,
        primary: row.is_primary,
      }))
    },

    /**
     * Removes a number, and with it its open challenges. The oldest remaining number becomes primary.
     * @returns the phone that was removed, or undefined when the account didn't have it
     */
    async remove(accountId: string, number: PhoneNumber): Promise<Phone | undefined> {
      return db.transaction().execute(async (trx) => {
        const row = await trx
          .deleteFrom('phone')
          .where('account_id', '=', accountId)
          .where('number_fingerprint', '=', fingerprint('phone', number))
          .returning(['id', 'verified_at', 'is_primary'])
          .executeTakeFirst()
        if (!row) return undefined
        if (row.is_primary) {
          await sql`
            update phone set is_primary = true where id = (
              select id from phone where account_id = ${accountId} order by created_at limit 1)`.execute(
            trx,
          )
        }
        return { id: row.id, number, verified: row.verified_at !== null, primary: row.is_primary }
      })
    },

    /**
     * The phone's HOTP secret, made and sealed on first demand.
     * @param sealed what the phone's row holds
     */
    async secret(phoneId: string, sealed: Buffer | null): Promise<Buffer> {
      const place = { column: 'phone.hotp_secret', row: phoneId }
      if (sealed) return vault.open(sealed, place)
      // Of two first challenges at once, one secret wins and both use it.
      const { hotp_secret } = await db
        .updateTable('phone')
        .set({
          hotp_secret: sql`coalesce(hotp_secret, ${vault.seal(randomBytes(SECRET_BYTES), place)})`,
        })
        .where('id', '=', phoneId)
        .returning('hotp_secret')
        .executeTakeFirstOrThrow()
      if (!hotp_secret) throw new Error('a phone was left without a secret')
      return vault.open(hotp_secret, place)
    },
  }
}
