import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'
import { sql } from 'kysely'
import { z } from 'zod'
import { auditEntry } from '../audit/event.ts'
import type { Vault } from '../crypto/vault.ts'
import { type Clock, later } from '../db/clock.ts'
import type { Db } from '../db/schema.ts'
import { sealedTable } from '../db/sealed-table.ts'
import { Refusal } from '../errors.ts'
import { assertNotBuiltIn } from './built-in.ts'
import type { ClientRow } from './client-rows.ts'

export type ClientSecrets = ReturnType<typeof createClientSecrets>

export const SEALED_CLIENTS = sealedTable('client', {
  key: { id: 'text' },
  columns: ['secret', 'previous_secret'],
})

const DAY = 24 * 3600

/** How a client's secret is rotated. */
export const secretRotation = z.strictObject({
  overlapSeconds: z
    .int()
    .min(0)
    .max(30 * DAY)
    .default(DAY)
    .describe('How long the secret before goes on being good, in seconds; 0 ends it at once.'),
})
export type SecretRotation = z.input<typeof secretRotation>

/** Secrets of clients: sealed where they are stored, shown when they are made, two of them good for a while. */
export function createClientSecrets({ db, clock, vault }: { db: Db; clock: Clock; vault: Vault }) {
  const place = (id: string) => ({ column: 'client.secret', row: id })
  const previousPlace = (id: string) => ({ column: 'client.previous_secret', row: id })

  function make(id: string): { secret: string; sealed: Buffer } {
    const secret = randomBytes(32).toString('base64url')
    return { secret, sealed: vault.seal(secret, place(id)) }
  }

  return {
    make,

    seal: (id: string, secret: string): Buffer => vault.seal(secret, place(id)),

    /** A confidential client's secret. */
    open({ client_id: id, client_secret: sealed }: ClientRow): string | undefined {
      return sealed ? vault.open(sealed, place(id)).toString() : undefined
    },

    /** Whether what was presented is the client's secret, or the one before while that holds. */
    isRight(row: ClientRow, presented: string): boolean {
      const { client_id: id, client_secret: present, client_previous_secret: previous } = row
      const good = [
        ...(present ? [vault.open(present, place(id))] : []),
        ...(previous ? [vault.open(previous, previousPlace(id))] : []),
      ]
      // Each is compared whole, whatever came of the one before.
      return good.map((secret) => timingSafeEqual(digest(secret), digest(presented))).includes(true)
    },

    /**
     * Gives a client a new secret. The one before goes on being good for a while; one from before that doesn't.
     * @returns the new secret, readable only now, and until when the one before holds, if it does
     * @throws Refusal for a client that has no secret, or isn't there
     */
    async rotate(
      id: string,
      rotation: SecretRotation = {},
    ): Promise<{ secret: string; previousUntil: Date | null }> {
      const parsed = secretRotation.safeParse(rotation)
      if (!parsed.success) throw new Refusal('client', 400, z.prettifyError(parsed.error))
      const { overlapSeconds } = parsed.data
      assertNotBuiltIn(id)
      const { secret, sealed } = make(id)
      return db.transaction().execute(async (trx) => {
        const before = await trx
          .selectFrom('client')
          .select('secret')
          .where('id', '=', id)
          .forUpdate()
          .executeTakeFirst()
        if (!before) throw unknownClient(id)
        if (!before.secret) {
          throw new Refusal(
            'no_secret',
            409,
            `The client ${id} has no secret: it is public, or has keys in place of one.`,
          )
        }
        const old = vault.open(before.secret, place(id))
        const kept = overlapSeconds > 0
        const { previous_secret_until: previousUntil } = await trx
          .updateTable('client')
          .set({
            secret: sealed,
            previous_secret: kept ? vault.seal(old, previousPlace(id)) : null,
            previous_secret_until: kept ? later(clock, overlapSeconds) : null,
            version: sql`version + 1`,
            updated_at: clock(),
          })
          .where('id', '=', id)
          .returning('previous_secret_until')
          .executeTakeFirstOrThrow()
        const detail = { overlapSeconds }
        await auditEntry(clock, { type: 'client.secret-rotated', clientId: id, detail }).execute(
          trx,
        )
        return { secret, previousUntil }
      })
    },

    /** Wipes secrets that hold no longer, `batch` at most. */
    async sweep(batch: number): Promise<number> {
      const { numAffectedRows } = await sql`
        update client set previous_secret = null, previous_secret_until = null where id in (
          select id from client where previous_secret_until <= ${clock()}
          order by previous_secret_until limit ${batch} for update skip locked)`.execute(db)
      return Number(numAffectedRows ?? 0)
    },
  }
}

export function unknownClient(id: string): Refusal {
  return new Refusal('no_client', 404, `There is no client ${id}.`)
}

function digest(secret: string | Buffer): Buffer {
  return createHash('sha256').update(secret).digest()
}
