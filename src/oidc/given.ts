import { sql } from 'kysely'
import { changed, inBatches } from '../db/batches.ts'
import type { Db } from '../db/schema.ts'
import { OUTLIVING_GRANTS } from './sealed-records.ts'

/** Tokens by which clients that registered themselves change that (RFC 7592). */
const MANAGING = 'RegistrationAccessToken'

/** Many to a batch, since each looks past what those before it have deleted. */
const ROWS = 10_000

/**
 * Takes back all that a client was given, in the transaction of what it follows from. It may be much, and a statement
 * has so much time: so it is done in batches.
 * @param managing whether the tokens by which it manages itself are among it
 */
export async function endGiven(
  on: Db,
  clientId: string,
  { managing }: { managing: boolean },
): Promise<void> {
  const kept = managing ? OUTLIVING_GRANTS : [...OUTLIVING_GRANTS, MANAGING]
  const some = (most: number) => sql`
    delete from oidc_record where key in (
      select key from oidc_record where client_id = ${clientId} and model <> all(${kept}::text[])
      limit ${most} for update)`
  await inBatches(async (most) => changed(await some(most).execute(on)), ROWS)
}

/** What an admin has set, a client that registered itself can't set back: from then on only admins change it. */
export async function endManaging(on: Db, clientId: string): Promise<void> {
  await sql`delete from oidc_record where client_id = ${clientId} and model = ${MANAGING}`.execute(
    on,
  )
}
