import { type RawBuilder, sql } from 'kysely'
import { changed, inBatches } from '../db/batches.ts'
import type { Db } from '../db/schema.ts'

/** What of the provider mustn't go on as it stands in a backup. Each may be done again. */
export function createProviderAfterRestore(db: Db) {
  /** In the order of keys, so that no batch looks past what those before it have deleted. */
  async function endSome(after: Buffer, most: number) {
    const { rows } = await sql<{
      last: Buffer | null
      seen: number
      ended: number
      managing: number
    }>`
      with batch as materialized (
        select key from oidc_record where key > ${after} order by key limit ${most}),
      gone as (
        delete from oidc_record where key = any(array(select key from batch)) returning model)
      select (select key from batch order by key desc limit 1) as last,
        (select count(*) from batch)::integer as seen, count(*)::integer as ended,
        (count(*) filter (where model = 'RegistrationAccessToken'))::integer as managing
      from gone`.execute(db)
    return rows[0] ?? { last: null, seen: 0, ended: 0, managing: 0 }
  }

  const emptied = (some: (most: number) => RawBuilder<unknown>) =>
    inBatches(async (most) => changed(await some(most).execute(db)))

  return {
    /**
     * Ends every session and takes back all that apps were given: what people ended since a backup was taken is live
     * again in it, and refresh tokens that were used since are unused. So are the tokens by which apps that registered
     * themselves change that, of apps that an admin has changed since among them.
     * @returns how many records that were, those tokens apart
     */
    async endEverything() {
      let after: Buffer = Buffer.alloc(0)
      const done = { sessionsAndTokens: 0, registrationAccessTokens: 0 }
      await inBatches(async (most) => {
        const { last, seen, ended, managing } = await endSome(after, most)
        after = last ?? after
        done.sessionsAndTokens += ended - managing
        done.registrationAccessTokens += managing
        return seen
      })
      return done
    },

    /** Tokens by which apps register themselves may have been used up since, or ended. @returns how many there were */
    endRegistrationTokens: () =>
      emptied(
        (most) => sql`
          delete from registration_token where id in (select id from registration_token limit ${most})`,
      ),

    /** Apps were told of these sign-outs. @returns how many there were */
    dropLogouts: () =>
      emptied(
        (most) => sql`
          delete from logout_delivery where id in (select id from logout_delivery limit ${most})`,
      ),
  }
}
