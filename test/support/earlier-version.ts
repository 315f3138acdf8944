import { sql } from 'kysely'
import { later } from '../../src/db/clock.ts'
import { makeKeys } from '../../src/oidc/key-making.ts'
import type { House } from './house.ts'

const MINUTE = 60
const DAY = 24 * 60 * MINUTE

/**
 * Rotates signing keys as 0.4.0 does, by its own statements: it knows of no EdDSA, and not which keys are made together.
 * @param now as with `keys rotate --now`
 */
export async function rotateByEarlierVersion(
  { db, clock, rooms }: House,
  { now = false } = {},
): Promise<void> {
  const made = await makeKeys(['RS256', 'ES256'], rooms.vault)
  const activates_at = now ? clock() : later(clock, 10 * MINUTE)
  const rows = made.map((key) => ({ ...key, created_at: clock(), activates_at }))
  await db.transaction().execute(async (trx) => {
    await sql`select pg_advisory_xact_lock(7326001)`.execute(trx)
    if (now) await sql`delete from signing_key`.execute(trx)
    else
      await sql`
        update signing_key set retires_at = ${later(clock, DAY + 20 * MINUTE)}
        where retires_at is null`.execute(trx)
    await trx.insertInto('signing_key').values(rows).execute()
  })
}
