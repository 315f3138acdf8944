import { type Kysely, sql } from 'kysely'

/** What somebody should look at, whom it is told to, and how far that has come. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    create table alert (
      name text primary key,
      kind text not null,
      subject text,
      detail jsonb not null,
      raised_at timestamptz not null,
      seen_at timestamptz not null,
      ended_at timestamptz
    );
    create index alert_ended on alert (ended_at) where ended_at is not null;

    create table webhook (
      id text primary key,
      url bytea not null,
      secret bytea not null,
      former_secret bytea,
      former_until timestamptz,
      description text,
      kinds text[],
      created_at timestamptz not null,
      disabled_at timestamptz
    );

    create table alert_delivery (
      id text primary key,
      webhook_id text references webhook (id) on delete cascade,
      mail_to text,
      type text not null,
      alert jsonb not null,
      created_at timestamptz not null,
      next_try_at timestamptz not null,
      tries integer not null default 0,
      state text not null default 'waiting',
      status integer,
      problem text,
      done_at timestamptz
    );
    create index alert_delivery_due on alert_delivery (next_try_at) where state = 'waiting';
    create index alert_delivery_webhook on alert_delivery (webhook_id, created_at desc);
    create index alert_delivery_created on alert_delivery (created_at);

    create index audit_event_watched on audit_event (type, at)
      where type in ('codes.locked', 'password.locked', 'alert.prefix');
  `.execute(db)
}
