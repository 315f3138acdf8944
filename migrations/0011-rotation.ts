import { type Kysely, sql } from 'kysely'

/**
 * What rotating needs: the secret a client had before, for as long as it holds, and from when a signing key signs
 * until when it verifies. The version before this one, which may still run beside it, takes each key to be active.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    alter table client
      add column version integer not null default 1,
      add column updated_at timestamptz not null default now(),
      add column previous_secret bytea,
      add column previous_secret_until timestamptz;
    update client set updated_at = created_at;
    create index client_previous_secret_until on client (previous_secret_until)
      where previous_secret_until is not null;

    alter table signing_key
      add column activates_at timestamptz not null default now(),
      add column retires_at timestamptz;
    update signing_key set activates_at = created_at;
  `.execute(db)
}
