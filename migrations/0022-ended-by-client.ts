import { type Kysely, sql } from 'kysely'

/** Records are ended by client, also where there are many of others. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    create index oidc_record_client on oidc_record (client_id) where client_id is not null
  `.execute(db)
}
