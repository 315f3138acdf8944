import { type Kysely, sql } from 'kysely'

/** Codes that the help desk gives to someone whose phone is out of reach; at most one of an account's is unused. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    create table bypass_code (
      id text primary key,
      account_id text not null references account on delete cascade,
      hash bytea not null,
      created_at timestamptz not null,
      expires_at timestamptz not null,
      created_by text not null,
      needs_approval boolean not null,
      approved_by text,
      approved_at timestamptz,
      used_at timestamptz
    );
    create index bypass_code_account on bypass_code (account_id);
    create unique index bypass_code_unused on bypass_code (account_id) where used_at is null;
    create index bypass_code_expires on bypass_code (expires_at);
  `.execute(db)
}
