import { type Kysely, sql } from 'kysely'

/** Roles, the people's search, the console's sessions, the first admin's link, and requests that may come twice. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    alter table account
      add column role text check (role in ('admin', 'helpdesk', 'auditor')),
      add column version integer not null default 1,
      add column search tsvector generated always as (to_tsvector('simple',
        translate(username_key || ' ' || coalesce(email, '') || ' ' || coalesce(name, ''), '@._+-''/', '       '))) stored;
    create index account_search on account using gin (search);
    create index account_role on account (role) where role is not null;

    create table console_session (
      token_hash bytea primary key,
      account_id text not null references account on delete cascade,
      session_key bytea not null,
      proven_at timestamptz not null,
      created_at timestamptz not null,
      used_at timestamptz not null
    );
    create index console_session_account on console_session (account_id);
    create index console_session_used on console_session (used_at);

    create table bootstrap_link (
      token_hash bytea primary key,
      expires_at timestamptz not null
    );

    create table idempotency_key (
      key bytea primary key,
      request bytea not null,
      response bytea,
      created_at timestamptz not null
    );
    create index idempotency_key_created on idempotency_key (created_at);
  `.execute(db)
}
