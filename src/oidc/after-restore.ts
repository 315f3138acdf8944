import { sql } from 'kysely'
import { changed, inBatches } from '../db/batches.ts'
import type { Db } from '../db/schema.ts'

/** Of nobody's account, and yet begun or given before the backup was taken. */
const BEGUN = [
  'Interaction',
  'Session',
  'ClientCredentials',
  'DeviceCode',
  'PushedAuthorizationRequest',
]

/**
 * Ends every session and takes back all that apps were given: what people ended since a backup was taken is live
 * again in it, and refresh tokens that were used since are unused.
 * @returns how many records that were
 */
export function endEverything(db: Db): Promise<number> {
  return inBatches(async (most) =>
    changed(
      await sql`
        delete from oidc_record where key in (
          select key from oidc_record where account_id is not null or model = any(${BEGUN}::text[])
          limit ${most})`.execute(db),
    ),
  )
}
