import { type Kysely, sql } from 'kysely'

/**
 * Figures by five minutes, by hour and by six hours, and what lists messages. In its indexes, what follows the time
 * is there to be filtered by without reading the message. The indexes on `message` and `audit_event` are made
 * while nobody writes there: on tables of tens of millions of rows that takes minutes.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    create table delivery_stat (
      span smallint not null,
      slot timestamptz not null,
      gateway text not null,
      country text not null,
      channel text not null,
      asked integer not null,
      sent integer not null,
      delivered integer not null,
      passed integer not null,
      messages integer not null,
      accepted integer not null,
      arrived integer not null,
      failed integer not null,
      billed integer not null,
      parts integer not null,
      times integer[] not null,
      primary key (span, slot, gateway, country, channel)
    );

    create table event_stat (
      span smallint not null,
      slot timestamptz not null,
      type text not null,
      cause text not null,
      events integer not null,
      primary key (span, slot, type, cause)
    );

    create table roll_up (
      id smallint primary key default 1 check (id = 1),
      seen_until timestamptz not null,
      next_at timestamptz not null
    );
    insert into roll_up (seen_until, next_at)
      select coalesce(greatest(min(at), now() - interval '30 days'), now()), '-infinity' from audit_event;

    create index audit_event_right_code on audit_event ((detail ->> 'challenge')) where type = 'code.right';

    create index message_state on message (state, created_at, gateway, country);
    create index message_gateway on message (gateway, created_at);
    create index message_country on message (country, created_at, gateway);
    create index message_phone on message (phone_id, created_at) where phone_id is not null;
    create index message_call on message (created_at, gateway, country, state) where channel = 'voice';
  `.execute(db)
}
