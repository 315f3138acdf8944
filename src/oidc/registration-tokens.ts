import { randomBytes } from 'node:crypto'
import { sql } from 'kysely'
import { z } from 'zod'
import { auditEntry } from '../audit/event.ts'
import { hashToken } from '../crypto/keys.ts'
import { type Clock, later } from '../db/clock.ts'
import type { Db } from '../db/schema.ts'
import { Refusal } from '../errors.ts'
import { DAY } from './lives.ts'

export type RegistrationTokens = ReturnType<typeof createRegistrationTokens>

/** What a token lets its holder do. */
export const newRegistrationToken = z.strictObject({
  name: z.string().trim().min(1).max(64).nullable().default(null),
  /** how many clients may be registered with it */
  uses: z.int().min(1).max(1000).default(1),
  days: z.int().min(1).max(365).default(7),
})
export type NewRegistrationToken = z.input<typeof newRegistrationToken>

/** A token as it may be shown: without itself. */
export interface RegistrationToken {
  id: string
  name: string | null
  uses: number
  usesLeft: number
  createdAt: Date
  expiresAt: Date
}

const keyOf = (token: string) => hashToken(token, 'registration-token')
const COLUMNS = ['id', 'name', 'uses', 'uses_left', 'created_at', 'expires_at'] as const

/** Initial access tokens (RFC 7591 section 3): each lets so many clients register themselves, until it ends. */
export function createRegistrationTokens({ db, clock }: { db: Db; clock: Clock }) {
  return {
    /**
     * @returns the token itself, readable only now
     * @throws Refusal naming what is wrong
     */
    async create(
      input: NewRegistrationToken = {},
    ): Promise<{ token: string; made: RegistrationToken }> {
      const parsed = newRegistrationToken.safeParse(input)
      if (!parsed.success)
        throw new Refusal('registration_token', 400, z.prettifyError(parsed.error))
      const { name, uses, days } = parsed.data
      const token = randomBytes(32).toString('base64url')
      const id = `rt_${randomBytes(8).toString('base64url')}`
      const row = await db.transaction().execute(async (trx) => {
        const detail = { id, uses, days }
        await auditEntry(clock, { type: 'registration-token.created', detail }).execute(trx)
        return trx
          .insertInto('registration_token')
          .values({
            id,
            key: keyOf(token),
            name,
            uses,
            uses_left: uses,
            created_at: clock(),
            expires_at: later(clock, days * DAY),
          })
          .returning(COLUMNS)
          .executeTakeFirstOrThrow()
      })
      return { token, made: shown(row) }
    },

    /** Those that are still good, the newest first. */
    async list(): Promise<RegistrationToken[]> {
      const rows = await db
        .selectFrom('registration_token')
        .select(COLUMNS)
        .where('expires_at', '>', clock())
        .where('uses_left', '>', 0)
        .orderBy('created_at', 'desc')
        .execute()
      return rows.map(shown)
    },

    /** Ends a token; what was registered with it stays. @returns whether there was one */
    async revoke(id: string): Promise<boolean> {
      const event = { type: 'registration-token.revoked', detail: { id } } as const
      const { rows } = await sql`
        with gone as (delete from registration_token where id = ${id} returning id)
        ${auditEntry(clock, event, sql`from gone`)}`.execute(db)
      return rows.length > 0
    },

    /** When a token that is good ends; undefined for any other. */
    async endOf(token: string): Promise<Date | undefined> {
      const row = await db
        .selectFrom('registration_token')
        .select('expires_at')
        .where('key', '=', keyOf(token))
        .where('expires_at', '>', clock())
        .where('uses_left', '>', 0)
        .executeTakeFirst()
      return row?.expires_at
    },

    /**
     * Uses a token once. One statement decides, so that it is used no more often than it may be.
     * @param on the transaction of what is registered
     * @returns its id; undefined for one that isn't good
     */
    async spend(on: Db, token: string): Promise<string | undefined> {
      const row = await on
        .updateTable('registration_token')
        .set({ uses_left: sql`uses_left - 1` })
        .where('key', '=', keyOf(token))
        .where('expires_at', '>', clock())
        .where('uses_left', '>', 0)
        .returning('id')
        .executeTakeFirst()
      return row?.id
    },

    /** Deletes tokens that are good for nothing, `batch` at most. */
    async sweep(batch: number): Promise<number> {
      const { numAffectedRows } = await sql`
        delete from registration_token where id in (
          select id from registration_token where expires_at <= ${clock()} or uses_left = 0
          limit ${batch} for update skip locked)`.execute(db)
      return Number(numAffectedRows ?? 0)
    },
  }
}

function shown(row: {
  id: string
  name: string | null
  uses: number
  uses_left: number
  created_at: Date
  expires_at: Date
}): RegistrationToken {
  const { id, name, uses } = row
  return {
    id,
    name,
    uses,
    usesLeft: row.uses_left,
    createdAt: row.created_at,
    expiresAt: row.expires_at,
  }
}
