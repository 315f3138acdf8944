import { type Kysely, sql } from 'kysely'

/** Clients that register themselves, and the tokens that let them (RFC 7591). */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    create table registration_token (
      id text primary key,
      key bytea not null unique,
      name text,
      uses integer not null,
      uses_left integer not null,
      created_at timestamptz not null,
      expires_at timestamptz not null
    );

    alter table client add column registered_by text;
  `.execute(db)
}
