import { type Kysely, sql } from 'kysely'

/** Apps that are yet to be told that a session of theirs has ended. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    create table logout_delivery (
      id uuid primary key default gen_random_uuid(),
      client_id text not null,
      account_id text not null,
      sid text,
      created_at timestamptz not null,
      next_try_at timestamptz not null,
      tries integer not null default 0
    );
    create index logout_delivery_due on logout_delivery (next_try_at);
  `.execute(db)
}
