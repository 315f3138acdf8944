import { createHash } from 'node:crypto'
import { sql } from 'kysely'
import { hashToken } from '../crypto/keys.ts'
import type { Vault } from '../crypto/vault.ts'
import { type Clock, later } from '../db/clock.ts'
import type { Db } from '../db/schema.ts'
import { sealedTable } from '../db/sealed-table.ts'
import { Refusal } from '../errors.ts'

export const SEALED_ANSWERS = sealedTable('idempotency_key', {
  key: { key: 'bytea' },
  columns: ['response'],
})

export type Idempotency = ReturnType<typeof createIdempotency>

const KEPT_SECONDS = 24 * 3600
/** A request that was never answered, since its process ended, may be made again after this. */
const ANSWERED_WITHIN_SECONDS = 60
const COLUMN = 'idempotency_key.response'

/**
 * Requests that make something and may come twice: the second with the same key is given the first's answer. The
 * answer may hold a secret that is shown once, so it is sealed.
 */
export function createIdempotency({ db, clock, vault }: { db: Db; clock: Clock; vault: Vault }) {
  const placeOf = (key: Buffer) => ({ column: COLUMN, row: key.toString('hex') })

  return {
    /**
     * Does work once for a key, and gives its answer every time.
     * @param who the actor and what they ask for: keys of different actors never meet
     * @param request what was asked, whole; another request under the same key is refused
     * @param assertStill what must hold for an answer to be given again: who asked may have lost the right to it
     * @throws Refusal when the key belongs to another request (422), or the first is being answered (409)
     */
    async once(
      who: string,
      key: string,
      request: string,
      work: () => Promise<string>,
      assertStill: () => Promise<void>,
    ): Promise<string> {
      const id = hashToken(`${who}\0${key}`, 'idempotency-key')
      const hash = createHash('sha256').update(request).digest()
      const { rows } = await sql<{ mine: boolean; request: Buffer; response: Buffer | null }>`
        with taken as (
          insert into idempotency_key as held (key, request, created_at) values (${id}, ${hash}, ${clock()})
          on conflict (key) do update set request = excluded.request, response = null, created_at = excluded.created_at
          where held.created_at < ${later(clock, -KEPT_SECONDS)}
            or (held.response is null and held.created_at < ${later(clock, -ANSWERED_WITHIN_SECONDS)})
          returning true as mine
        )
        select exists (select from taken) as mine, held.request, held.response
        from (select) one left join idempotency_key held on held.key = ${id}`.execute(db)
      const [found] = rows
      if (found?.mine) return carryOut(id, work)
      if (found?.request && !hash.equals(found.request)) {
        const sentence = 'This Idempotency-Key came with another request before. Choose a new one.'
        throw new Refusal('idempotency_key_reused', 422, sentence)
      }
      if (!found?.response) {
        const sentence = 'The first request with this Idempotency-Key is still being answered.'
        throw new Refusal('idempotency_key_busy', 409, sentence, 1)
      }
      await assertStill()
      return vault.open(found.response, placeOf(id)).toString()
    },

    async sweep(batch: number): Promise<number> {
      const { numAffectedRows } = await sql`
        delete from idempotency_key where key in (
          select key from idempotency_key where created_at < ${later(clock, -KEPT_SECONDS)}
          order by created_at limit ${batch} for update skip locked)`.execute(db)
      return Number(numAffectedRows ?? 0)
    },
  }

  async function carryOut(key: Buffer, work: () => Promise<string>): Promise<string> {
    const answer = await work().catch(async (error: unknown) => {
      // What was refused made nothing, and may be asked for again.
      await sql`delete from idempotency_key where key = ${key}`.execute(db)
      throw error
    })
    const response = vault.seal(answer, placeOf(key))
    await sql`update idempotency_key set response = ${response} where key = ${key}`.execute(db)
    return answer
  }
}
