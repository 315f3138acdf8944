import { type Kysely, sql } from 'kysely'

/** What may be shown once and has been: client assertions (RFC 7523) and DPoP proofs (RFC 9449), by hash. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    create table oidc_replay (
      key bytea primary key,
      expires_at timestamptz not null
    );
    create index oidc_replay_expires_at on oidc_replay (expires_at);
  `.execute(db)
}
