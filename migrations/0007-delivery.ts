import { type Kysely, sql } from 'kysely'

/** What becomes of messages after a gateway took them, how the gateways are, and numbers that take no texts. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    alter table message
      add column phone_id text,
      add column send integer,
      add column unasked boolean not null default false,
      add column fault text,
      add column code text,
      add column overdue boolean not null default false,
      add column watch_at timestamptz;
    create index message_provider on message (gateway, provider_id) where provider_id is not null;
    create index message_watch on message (watch_at) where watch_at is not null;

    create table gateway_state (
      gateway text primary key,
      failures integer not null,
      openings integer not null,
      open_until timestamptz,
      failure text,
      detail text,
      failed_at timestamptz not null
    );

    create table gateway_report (
      key bytea primary key,
      expires_at timestamptz not null
    );
    create index gateway_report_expires on gateway_report (expires_at);

    alter table challenge
      add column language text,
      add column reroutes integer not null default 0,
      add column send_problem text;

    alter table phone
      add column fault text,
      add column fault_until timestamptz;
  `.execute(db)
}
