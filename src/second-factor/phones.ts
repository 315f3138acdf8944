import { randomBytes } from 'node:crypto'
import { sql } from 'kysely'
import type { Fingerprints } from '../crypto/fingerprints.ts'
import type { Vault } from '../crypto/vault.ts'
import type { Clock } from '../db/clock.ts'
import type { Db } from '../db/schema.ts'
import { Refusal } from '../errors.ts'
import { brand, type ParsedPhone, type PhoneNumber } from '../phone-number.ts'
import { holding } from './hold.ts'
import { createPhoneColumns } from './phone-columns.ts'
import { type Sharing, takeTurns } from './phone-sharing.ts'

export type Phones = ReturnType<typeof createPhones>

export interface Phone {
  id: string
  number: PhoneNumber
  country: string | null
  label: string | null
  verified: boolean
  primary: boolean
  /** until when it can't be the only proof for a sensitive change; null if it can */
  heldUntil: Date | null
}

/** RFC 4226 R6: at least 128 bits, 160 recommended. */
const SECRET_BYTES = 20
export const PHONES_AT_MOST = 5
/** A number that nobody proves is forgotten after this. */
const PENDING_SECONDS = 3600

interface Dependencies {
  db: Db
  clock: Clock
  vault: Vault
  fingerprint: Fingerprints
  /** whether one number may belong to several accounts */
  sharing: Sharing
}

/** The numbers of accounts, sealed, and the HOTP secret of each. */
export function createPhones({ db, clock, vault, fingerprint, sharing }: Dependencies) {
  function open(row: { id: string; number: Buffer }): PhoneNumber {
    return brand(vault.open(row.number, { column: 'phone.number', row: row.id }).toString())
  }

  const columnsOf = createPhoneColumns({ vault, fingerprint })

  async function whyNotAdded(accountId: string, number: PhoneNumber): Promise<Refusal> {
    const held = await db
      .selectFrom('phone')
      .select('id')
      .where('account_id', '=', accountId)
      .where('number_fingerprint', '=', fingerprint('phone', number))
      .where('pending', '=', false)
      .executeTakeFirst()
    return held
      ? new Refusal('phone_exists', 409, 'The account has this number already.')
      : new Refusal(
          'too_many_phones',
          409,
          `The account has ${PHONES_AT_MOST} numbers already, as many as it may. Remove one first.`,
        )
  }

  /** Whether another account has a number. */
  async function isShared(on: Db, accountId: string, number: PhoneNumber): Promise<boolean> {
    const other = await on
      .selectFrom('phone')
      .select('id')
      .where('number_fingerprint', '=', fingerprint('phone', number))
      .where('account_id', '<>', accountId)
      .where('pending', '=', false)
      .limit(1)
      .executeTakeFirst()
    return other !== undefined
  }

  return {
    open,

    /**
     * Adds a number to an account; the first becomes its primary one. What follows from that is `phone-changes`'.
     * @param verified whether the number counts as proven without a code
     * @param on the transaction it is part of
     * @returns `shared`: another account has it too
     * @throws Refusal when the account has it already or has five, or another has it and may not share it
     */
    async add(
      accountId: string,
      parsed: ParsedPhone,
      verified: boolean,
      on: Db = db,
    ): Promise<Phone & { shared: boolean }> {
      const { number, country } = parsed
      const id = randomBytes(16).toString('base64url')
      const { sealed, whole, prefix } = columnsOf(id, parsed)
      const now = clock()
      const { rows, shared } = await holding(on, accountId, async (trx) => {
        if (sharing === 'refuse') await takeTurns(trx, whole)
        const shared = sharing !== 'allow' && (await isShared(trx, accountId, number))
        if (shared && sharing === 'refuse')
          throw new Refusal('phone_taken', 409, 'Another account has this number.')
        const added = await sql<{ id: string; is_primary: boolean }>`
          insert into phone (id, account_id, number, number_fingerprint, prefix_fingerprint, country, is_primary,
            verified_at, created_at)
          select ${id}, ${accountId}, ${sealed}::bytea, ${whole}::bytea, ${prefix}::bytea, ${country},
            not exists (select from phone where account_id = ${accountId} and is_primary),
            ${verified ? now : null}::timestamptz, ${now}
          where (select count(*) from phone where account_id = ${accountId} and not pending) < ${PHONES_AT_MOST}
          on conflict (account_id, number_fingerprint) do update set pending = false,
            is_primary = excluded.is_primary, verified_at = excluded.verified_at, created_at = excluded.created_at
          where phone.pending
          returning id, is_primary`.execute(trx)
        return { rows: added.rows, shared }
      })
      const [added] = rows
      if (!added) throw await whyNotAdded(accountId, number)
      const { id: kept, is_primary: primary } = added
      return { id: kept, number, country, label: null, verified, primary, heldUntil: null, shared }
    },

    /**
     * Keeps a number that someone typed in for themselves, until they prove it; it counts for nothing before.
     * @returns its id
     * @throws Refusal when the account has it already or has five
     */
    async offer(accountId: string, parsed: ParsedPhone): Promise<string> {
      const id = randomBytes(16).toString('base64url')
      const { sealed, whole, prefix } = columnsOf(id, parsed)
      const { rows } = await holding(db, accountId, async (trx) => {
        // Another number that was typed before and not proven gives way; the same one is taken up again. What
        // asked for it, in this browser or another, asks for nothing now, and isn't gone with it.
        await sql`
          delete from phone where account_id = ${accountId} and pending and number_fingerprint <> ${whole}`.execute(
          trx,
        )
        return sql<{ id: string }>`
          insert into phone (id, account_id, number, number_fingerprint, prefix_fingerprint, country, is_primary,
            pending, created_at)
          select ${id}, ${accountId}, ${sealed}::bytea, ${whole}::bytea, ${prefix}::bytea, ${parsed.country}, false,
            true, ${clock()}
          where (select count(*) from phone where account_id = ${accountId} and not pending) < ${PHONES_AT_MOST}
          on conflict (account_id, number_fingerprint) do update set created_at = excluded.created_at
          where phone.pending
          returning id`.execute(trx)
      })
      const [kept] = rows
      if (!kept) throw await whyNotAdded(accountId, parsed.number)
      return kept.id
    },

    /** The account's numbers, those not proven by the person themselves left out; the primary one first. */
    async list(accountId: string, on: Db = db): Promise<Phone[]> {
      const rows = await on
        .selectFrom('phone')
        .select(['id', 'number', 'country', 'label', 'verified_at', 'is_primary'])
        .select(sql<Date | null>`case when held_until > ${clock()} then held_until end`.as('held'))
        .where('account_id', '=', accountId)
        .where('pending', '=', false)
        .orderBy('is_primary', 'desc')
        .orderBy('position')
        .orderBy('created_at')
        .execute()
      return rows.map((row) => ({
        id: row.id,
        number: open(row),
        country: row.country,
        label: row.label,
        verified: row.verified_at !== null,
        primary: row.is_primary,
        heldUntil: row.held,
      }))
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

    /** Deletes numbers that were typed in and never proven, `batch` at most. */
    async sweep(batch: number): Promise<number> {
      const { numAffectedRows } = await sql`
        delete from phone where id in (
          select id from phone where pending
            and created_at < ${clock()} - make_interval(secs => ${PENDING_SECONDS})
          order by created_at limit ${batch} for update skip locked)`.execute(db)
      return Number(numAffectedRows ?? 0)
    },
  }
}
