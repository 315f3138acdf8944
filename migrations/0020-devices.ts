import { type Kysely, sql } from 'kysely'

/** The device authorization grant (RFC 8628): codes that people type, how often devices ask, and wrong codes. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    alter table oidc_record add column user_code_key bytea;
    create unique index oidc_record_user_code on oidc_record (user_code_key)
      where user_code_key is not null;

    create table device_poll (
      key bytea primary key,
      polled_at timestamptz not null,
      interval_seconds integer not null,
      hasty boolean not null,
      expires_at timestamptz not null
    );
    create index device_poll_expires_at on device_poll (expires_at);

    create table user_code_try (
      key bytea primary key,
      began_at timestamptz not null,
      wrong integer not null
    );
  `.execute(db)
}
