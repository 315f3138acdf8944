import { type Kysely, sql } from 'kysely'

/** APIs that access tokens are made for (RFC 8707): what they are called in `resource`, and what may be asked for there. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    create table api (
      id text primary key,
      resource text not null unique,
      name text not null,
      scopes text[] not null,
      lifetime_seconds integer not null,
      algorithm text not null,
      created_at timestamptz not null default now()
    );
  `.execute(db)
}
