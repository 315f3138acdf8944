import { type Kysely, sql } from 'kysely'

/** Which texts go where and come to what: number blocks, countries and their pauses, alerts, unanswered codes. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    alter table phone add column prefix_fingerprint bytea;

    alter table second_factor
      add column sends_since_success integer not null default 0,
      add column starts_since_success integer not null default 0,
      add column last_send_at timestamptz;

    create table send_traffic (
      country text not null,
      slot bigint not null,
      sends integer not null,
      passes integer not null,
      primary key (country, slot)
    );
    create index send_traffic_slot on send_traffic (slot);

    create table send_pause (
      country text primary key,
      since timestamptz not null,
      until timestamptz not null,
      times integer not null,
      sends integer not null,
      passes integer not null
    );
    create index send_pause_until on send_pause (until);

    create table send_alert (
      name text primary key,
      until timestamptz not null
    );
    create index send_alert_until on send_alert (until);
  `.execute(db)
}
